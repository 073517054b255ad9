-- The worst cells of the last day, robustly
-- The summaries of cells_daily hold against false reports as long as these are fewer than a tenth of a cell; a mean does
-- not. A trimmed mean far from the median tells of two kinds of calls in one cell.
SELECT day, region, network, reports, round(p10_quality, 3) AS p10, round(median_quality, 3) AS median,
    round(p90_quality, 3) AS p90, round(trimmed_mean_quality, 3) AS trimmed_mean, round(100 * poor_share, 1) AS poor_percent,
    median_kbps
FROM cells_daily
WHERE origin = 'call' AND day = (SELECT max(day) FROM cells_daily WHERE origin = 'call')
ORDER BY trimmed_mean, region, network
LIMIT 8
