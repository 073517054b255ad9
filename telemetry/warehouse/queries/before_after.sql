-- Before and after the newest policy
-- Calls that lived under the newest policy against those under earlier ones, by network. The newest is one that enough
-- calls lived under: a report can name any. The days differ as well as the policies: for a comparison that proves anything
-- run an experiment (attune rollout). error95 is the half width of a 95 % interval of the change.
SELECT network, calls_before, calls_after, round(100 * poor_before, 1) AS poor_percent_before,
    round(100 * poor_after, 1) AS poor_percent_after, round(100 * (poor_after - poor_before), 1) AS change,
    round(196 * sqrt(poor_before * (1 - poor_before) / calls_before + poor_after * (1 - poor_after) / calls_after), 1) AS error95
FROM (
    SELECT network, countIf(newest = 0) AS calls_before, countIf(newest = 1) AS calls_after,
        avgIf(poor, newest = 0) AS poor_before, avgIf(poor, newest = 1) AS poor_after
    FROM (
        SELECT network, poor, policy = (
            SELECT max(policy) FROM (
                SELECT policy FROM call_quality WHERE origin = 'call' GROUP BY policy
                HAVING count() >= (SELECT min_cell FROM schema_settings)
            )
        ) AS newest
        FROM call_quality
        WHERE origin = 'call' AND judged AND NOT mixed
    )
    GROUP BY network
)
WHERE calls_before >= (SELECT min_cell FROM schema_settings) AND calls_after >= (SELECT min_cell FROM schema_settings)
ORDER BY network
