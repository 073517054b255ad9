-- Ratings by network, with error bars
-- Stars leave the device randomized, so a mean over reports is not the mean of what users gave. ratings_daily estimates
-- the latter without bias; here its days are put together by their number of answers. error95 is the half width of a 95 %
-- interval. Who is asked and who answers is no random sample of the calls.
SELECT network, sum(answers) AS ratings, round(sum(answers * estimate) / ratings, 2) AS mean_stars,
    round(1.96 * sqrt(sum(answers * answers * standard_error * standard_error)) / ratings, 2) AS error95
FROM ratings_daily
WHERE origin = 'call' AND measure = 'mean stars'
GROUP BY network
ORDER BY network
