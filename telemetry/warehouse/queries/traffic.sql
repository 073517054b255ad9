-- Calls a day
-- Calls, minutes and reports that clients had to give up, over all networks. A network with too few calls on a day is not
-- in its sum. A call counts for two hours at most, a client for a hundred reports given up.
SELECT day, sum(calls) AS legs, round(sum(seconds) / 60) AS minutes, sum(died_calls) AS died, sum(lost_reports) AS given_up
FROM calls_daily
WHERE origin = 'call'
GROUP BY day
ORDER BY day DESC
LIMIT 7
