-- What exploration learned about each action on a network
-- The quality that every segment of a network would have had under one action, estimated from the segments that took it:
-- each stands for 1 / propensity of them (self-normalized inverse propensity scoring), but for 50 at most, and all of one
-- call for 100 together, so that no single report decides. That leans the estimate towards the calls in which the action
-- was likely, the more the larger clipped_percent, the share of segments whose propensity was below 2 %. effective is how
-- many segments drawn by the action itself would tell as much. error95 is the half width of a 95 % interval by the delta
-- method; segments of one call are not independent, so take it as a lower bound. A median far from the mean tells of two
-- kinds of segments, or of false ones.
SELECT network, concat(codec, ' ', toString(bitrate_kbps), 'k ', toString(frame_ms), 'ms fec', toString(expected_loss)) AS action,
    segments_seen, round(100 * clipped / segments_seen, 1) AS clipped_percent, round(weight_sum * weight_sum / weight_squares) AS effective,
    round(weighted / weight_sum, 2) AS mean_quality,
    round(1.96 * sqrt(greatest(0., squares - 2 * weighted / weight_sum * products + weighted / weight_sum * weighted / weight_sum * weight_squares)) / weight_sum, 2) AS error95,
    floor(100 * median + 0.5) / 100 AS median_quality, floor(10 * kbps_median + 0.5) / 10 AS median_kbps -- servers round halves differently
FROM (
    SELECT segment_network AS network, codec, bitrate_kbps, frame_ms, expected_loss, count() AS segments_seen,
        countIf(propensity < 0.02) AS clipped, sum(weight) AS weight_sum, sum(assumeNotNull(mos) * weight) AS weighted,
        sum(weight * weight) AS weight_squares, sum(assumeNotNull(mos) * weight * weight) AS products,
        sum(assumeNotNull(mos) * assumeNotNull(mos) * weight * weight) AS squares,
        quantileExactWeighted(0.5)(assumeNotNull(mos), toUInt64(1000 * weight)) AS median,
        quantileExactWeighted(0.5)(assumeNotNull(kbps), toUInt64(1000 * weight)) AS kbps_median
    FROM segments
    WHERE origin = 'call' AND isNotNull(mos) AND isNotNull(kbps)
    GROUP BY segment_network, codec, bitrate_kbps, frame_ms, expected_loss
    HAVING count() >= (SELECT min_cell FROM schema_settings)
)
ORDER BY network, mean_quality DESC, action
