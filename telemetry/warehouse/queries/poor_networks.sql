-- Which networks are poor, and for whom
-- Calls by network, region and metering, the poorest first. A poor call has a quality below 3.1, or died. ZZ is every
-- region that is not shown: not given by the client, or shared by too few calls of the day.
SELECT network, region, metered, count() AS calls, round(100 * countIf(poor) / countIf(judged), 1) AS poor_percent,
    round(quantileExactIf(0.5)(quality, judged), 3) AS median_quality, countIf(died) AS died_calls
FROM call_quality
WHERE origin = 'call'
GROUP BY network, region, metered
HAVING calls >= (SELECT min_cell FROM schema_settings)
ORDER BY poor_percent DESC, network, region, metered
