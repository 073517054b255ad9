-- How much data an evaluation of each action rests on
-- weight_check is the sum of the weights of the segments that took an action, as a share of all segments of the network:
-- near 1 if the logged propensities are right and above 2 %, below which weights are cut off. effective is how many segments drawn by the action itself would tell as much (Kish's effective
-- sample size). Where it is small no estimate for the action can be trusted.
SELECT network, concat(codec, ' ', toString(bitrate_kbps), 'k ', toString(frame_ms), 'ms fec', toString(expected_loss)) AS action,
    taken, median_propensity, round(weight_sum / total, 2) AS weight_check, round(weight_sum * weight_sum / weight_squares) AS effective
FROM (
    SELECT segment_network AS network, codec, bitrate_kbps, frame_ms, expected_loss, count() AS taken,
        quantileExact(0.5)(propensity) AS median_propensity, sum(weight) AS weight_sum, sum(weight * weight) AS weight_squares
    FROM segments
    WHERE origin = 'call'
    GROUP BY segment_network, codec, bitrate_kbps, frame_ms, expected_loss
    HAVING count() >= (SELECT min_cell FROM schema_settings)
) AS actions ANY LEFT JOIN (
    SELECT segment_network AS network, count() AS total FROM segments WHERE origin = 'call' GROUP BY segment_network
) AS networks USING network
ORDER BY network, effective DESC, action
