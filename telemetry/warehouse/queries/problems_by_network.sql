-- What users complain of, by network
-- The share of rated calls with each problem, estimated from randomized answers. Each call is asked about one of eight
-- problems only, so the error bars are wide; an estimate below zero means "about none", and is not cut off so that sums of
-- it stay unbiased.
SELECT network, substring(measure, 9) AS problem, sum(answers) AS answered,
    round(100 * sum(answers * estimate) / answered, 1) AS percent,
    round(196 * sqrt(sum(answers * answers * standard_error * standard_error)) / answered, 1) AS error95
FROM ratings_daily
WHERE origin = 'call' AND measure LIKE 'problem %'
GROUP BY network, measure
HAVING answered >= (SELECT min_cell FROM schema_settings)
ORDER BY network, percent DESC, problem
LIMIT 4 BY network
