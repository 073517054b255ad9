-- The poor-call ratio by week
-- All networks together, with the half width of a 95 % interval. Days and networks with too few calls are not in it.
SELECT toMonday(day) AS week, countIf(judged) AS calls, round(100 * countIf(poor) / calls, 2) AS poor_percent,
    round(196 * sqrt(countIf(poor) / calls * (1 - countIf(poor) / calls) / calls), 2) AS error95,
    round(quantileExactIf(0.5)(quality, judged), 3) AS median_quality
FROM call_quality
WHERE origin = 'call'
GROUP BY week
ORDER BY week
