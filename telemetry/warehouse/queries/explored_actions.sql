-- What exploration learned about each action on a network
-- The quality that every segment of a network would have had under one action, estimated from the segments that took it:
-- each stands for 1 / propensity of them (self-normalized inverse propensity scoring). error95 is the half width of a 95 %
-- interval by the delta method; segments of one call are not independent, so take it as a lower bound.
SELECT network, concat(codec, ' ', toString(bitrate_kbps), 'k ', toString(frame_ms), 'ms fec', toString(expected_loss)) AS action,
    segments_seen, round(weighted / weight, 2) AS quality,
    round(1.96 * sqrt(greatest(0., squares - 2 * weighted / weight * products + weighted / weight * weighted / weight * weight_squares)) / weight, 2) AS error95,
    round(kbps_weighted / weight, 1) AS mean_kbps
FROM (
    SELECT segment_network AS network, codec, bitrate_kbps, frame_ms, expected_loss, count() AS segments_seen,
        sum(1 / propensity) AS weight, sum(assumeNotNull(mos) / propensity) AS weighted,
        sum(1 / propensity / propensity) AS weight_squares, sum(assumeNotNull(mos) / propensity / propensity) AS products,
        sum(assumeNotNull(mos) * assumeNotNull(mos) / propensity / propensity) AS squares, sum(assumeNotNull(kbps) / propensity) AS kbps_weighted
    FROM segments
    WHERE isNotNull(mos) AND isNotNull(kbps)
    GROUP BY segment_network, codec, bitrate_kbps, frame_ms, expected_loss
    HAVING count() >= (SELECT min_cell FROM schema_settings)
)
ORDER BY network, quality DESC, action
