-- Refused reports by reason
-- Nothing of a refused report is kept but the hour and the reason. Hours with fewer refusals for a reason than the views
-- show are not in it; attune warehouse status counts all of them.
SELECT reason, sum(reports) AS refused, count() AS hours, min(hour) AS first, max(hour) AS last
FROM rejects_hourly
GROUP BY reason
ORDER BY refused DESC, reason
