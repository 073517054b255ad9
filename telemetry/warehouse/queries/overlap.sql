-- How much data an evaluation of each action rests on
-- weight_check is the sum of 1 / propensity over the segments that took an action, as a share of all segments of the
-- network: near 1 if the logged propensities are right. effective is how many segments drawn by the action itself would
-- tell as much (Kish's effective sample size). Where it is small no estimate for the action can be trusted.
SELECT network, concat(codec, ' ', toString(bitrate_kbps), 'k ', toString(frame_ms), 'ms fec', toString(expected_loss)) AS action,
    taken, least_propensity, round(weight / total, 2) AS weight_check, round(weight * weight / weight_squares) AS effective
FROM (
    SELECT segment_network AS network, codec, bitrate_kbps, frame_ms, expected_loss, count() AS taken,
        min(propensity) AS least_propensity, sum(1 / propensity) AS weight, sum(1 / propensity / propensity) AS weight_squares
    FROM segments
    GROUP BY segment_network, codec, bitrate_kbps, frame_ms, expected_loss
    HAVING count() >= (SELECT min_cell FROM schema_settings)
) AS actions ANY LEFT JOIN (
    SELECT segment_network AS network, count() AS total FROM segments GROUP BY segment_network
) AS networks USING network
ORDER BY network, effective DESC, action
