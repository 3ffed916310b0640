-- The BG/NBD and gamma-gamma models on the CDNOW sample against the published figures: Fader, Hardie and Lee (2005) give
-- r 0.243, alpha 4.414 weeks, a 0.793, b 2.426; the forecast's errors are those that the library lifetimes makes.
CREATE TABLE later AS SELECT customer, count(DISTINCT at) AS purchases FROM cdnow
  WHERE at > '1997-09-30' AND at <= '1998-06-30' GROUP BY customer;
CREATE TABLE forecast AS SELECT e.*, COALESCE(l.purchases, 0) AS happened
  FROM insight_clv('cdnow', 'customer', 'at', 'amount', '1997-09-30', 273) e LEFT JOIN later l ON l.customer = e.key;
INSERT INTO outcome (name, metric, score, bound, passed)
  SELECT 'cdnow', metric, score, bound, abs(score / bound - 1) < 0.002 FROM (
    SELECT sqrt(avg((expected_purchases - happened) ^ 2)), avg(abs(expected_purchases - happened)),
           corr(expected_purchases, happened), sum(expected_purchases) FROM forecast) f (rmse, mae, corr, total)
  CROSS JOIN LATERAL (VALUES ('rmse', f.rmse, 1.6080), ('mae', f.mae, 0.7855), ('correlation', f.corr, 0.6256),
    ('total', f.total, 1653)) v (metric, score, bound);
