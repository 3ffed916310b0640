-- Whom a model treats how: columns that say who people are, and are never an input.
SET client_min_messages = warning;
CREATE TABLE applicants AS
  SELECT n AS id, (n * 7919 % 997) / 100.0 AS merit, CASE WHEN n % 41 = 0 THEN NULL WHEN n % 2 = 0 THEN 'woman' ELSE 'man' END AS sex,
         18 + n * 31 % 50 AS age, CASE WHEN n % 20 = 0 THEN n % 2 = 1 ELSE n % 2 = 0 END AS north,
         (n * 104729 % 1009) / 1009.0 < 1 / (1 + exp(5 - (n * 7919 % 997) / 100.0 + 2 * (n % 2))) AS hired,
         (n * 7919 % 997) / 10.0 + 20 * (n % 2) + (n * 104729 % 1009) / 100.0 AS salary
  FROM generate_series(1, 6000) n;
CREATE VIEW hirings AS SELECT merit, sex, age, north, hired FROM applicants;
SELECT status FROM insight_train('hirings', 'hired', 'hiring', '{"algorithm": "gbdt", "sensitive": ["sex", {"age": [30, 50]}]}');
SELECT feature, kept, reason FROM insight.features WHERE model = 'hiring' ORDER BY kept, feature;
SELECT feature, "group", count(*) AS metrics, bool_and(low <= value AND value <= high) AS inside FROM insight_fairness('hiring')
WHERE metric <> 'proxy_roc_auc' AND metric NOT LIKE 'threshold%' GROUP BY 1, 2 ORDER BY feature, "group" COLLATE "C";
SELECT metric, value > 0.1 AS apart, low > 0 AS surely FROM insight_fairness('hiring') WHERE feature = 'sex' AND "group" IS NULL ORDER BY 1;
SELECT "group", value > 0.9 AS known FROM insight_fairness('hiring') WHERE feature = 'sex' AND metric = 'proxy_roc_auc' ORDER BY 1;
SELECT bool_and(value < 0.6) AS unknown FROM insight_fairness('hiring') WHERE feature = 'age' AND metric = 'proxy_roc_auc';
-- On other rows the figures are what they say: rates are counted by hand.
CREATE VIEW asked AS SELECT a.*, insight_classify('hiring', a)::boolean AS answer, insight_predict('hiring', a) AS p FROM applicants a WHERE id > 2000;
WITH own AS (SELECT COALESCE(sex, 'NULL') AS "group", count(*) AS rows, avg(hired::int) AS base_rate, avg(answer::int) AS selection_rate, avg(answer::int) FILTER (WHERE hired) AS true_positive_rate,
    avg(answer::int) FILTER (WHERE NOT hired) AS false_positive_rate, avg(hired::int) FILTER (WHERE answer) AS precision, avg((answer = hired)::int) AS accuracy, avg(p - hired::int) AS calibration FROM asked GROUP BY 1),
  lines AS (SELECT "group", rows, key AS metric, value::float8 FROM own, jsonb_each_text(to_jsonb(own) - 'group' - 'rows'))
SELECT metric, count(*) AS groups, bool_and(abs(l.value - f.value) < 1e-9 AND l.rows = f.rows) AS same
FROM lines l JOIN insight_fairness('hiring', 'SELECT * FROM applicants WHERE id > 2000') f USING ("group", metric) WHERE feature = 'sex' GROUP BY 1 ORDER BY 1;
WITH rates AS (SELECT avg(answer::int) AS rate, avg(answer::int) FILTER (WHERE hired) AS hits FROM asked GROUP BY sex),
  own AS (SELECT max(rate) - min(rate) AS demographic_parity_difference, min(rate) / max(rate) AS demographic_parity_ratio, max(hits) - min(hits) AS equal_opportunity_difference FROM rates)
SELECT key AS metric, abs(f.value - j.value::float8) < 1e-9 AS same FROM own, jsonb_each_text(to_jsonb(own)) j
JOIN insight_fairness('hiring', 'SELECT * FROM applicants WHERE id > 2000') f ON metric = key AND feature = 'sex' ORDER BY 1;
-- Thresholds of one's own for who knows the group.
WITH rates AS (SELECT sex, avg((p >= f.value)::int) AS rate, avg((p >= g.value)::int) FILTER (WHERE hired) AS hits FROM asked a
  JOIN insight_fairness('hiring') f ON f.feature = 'sex' AND f."group" = a.sex AND f.metric = 'threshold_demographic_parity'
  JOIN insight_fairness('hiring') g ON g.feature = 'sex' AND g."group" = a.sex AND g.metric = 'threshold_equal_opportunity' GROUP BY 1)
SELECT max(rate) - min(rate) < 0.05 AS parity, max(hits) - min(hits) < 0.07 AS opportunity FROM rates;
-- A value that training did not know, and too few rows to compare.
SELECT "group", rows FROM insight_fairness('hiring', 'SELECT merit, north, hired, age, CASE WHEN id < 100 THEN ''other'' ELSE ''man'' END AS sex FROM applicants WHERE id < 300')
WHERE feature = 'sex' AND metric = 'base_rate' ORDER BY 1;
-- Weights bring groups together.
SELECT status FROM insight_train('hirings', 'hired', 'weighted', '{"algorithm": "gbdt", "sensitive": ["sex"], "mitigate": "reweight"}');
SELECT metric, w.value < h.value * 0.9 AS nearer FROM insight_fairness('hiring') h JOIN insight_fairness('weighted') w USING (feature, metric)
WHERE feature = 'sex' AND h."group" IS NULL AND w."group" IS NULL AND metric IN ('demographic_parity_difference', 'equalized_odds_difference') ORDER BY 1;
SELECT provenance->'fairness'->>'reweighted' AS reweighted FROM insight.versions WHERE model = 'weighted';
-- Numbers and several labels.
SELECT status FROM insight_train('SELECT merit, sex, north, salary FROM applicants', 'salary', 'pay', '{"algorithm": "linear", "sensitive": ["sex"]}');
SELECT "group", metric FROM insight_fairness('pay') WHERE metric <> 'proxy_roc_auc' ORDER BY "group" COLLATE "C", metric;
SELECT status FROM insight_train('SELECT merit, sex, age, (ARRAY[''low'', ''mid'', ''high''])[1 + least(2, (salary / 45)::int)] AS band FROM applicants', 'band', 'bands', '{"algorithm": "gbdt", "sensitive": ["sex"]}');
SELECT "group", metric FROM insight_fairness('bands') WHERE metric <> 'proxy_roc_auc' ORDER BY "group" COLLATE "C", metric;
SELECT page LIKE '%Whom it treats how%' AS section, page LIKE '%demographic_parity_difference%' AS between FROM insight_report('hiring') page;
-- Training again keeps to it.
SELECT status FROM insight_retrain('hiring', '{"seed": 5}');
SELECT count(*) > 0 AS figures FROM insight_fairness('hiring@2');
-- What cannot be, says why.
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["gender"]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": "sex"}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["sex", "sex"]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": [{"age": [50, 30]}]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": [{"sex": [1]}]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["hired"]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["sex"], "include": ["sex", "merit"]}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["north"], "partition": "north"}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"mitigate": "reweight"}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["sex"], "mitigate": "threshold"}');
SELECT * FROM insight_train('hirings', 'hired', 'not', '{"sensitive": ["sex"], "mitigate": "weights"}');
SELECT * FROM insight_train('SELECT merit, sex, salary FROM applicants', 'salary', 'not', '{"sensitive": ["sex"], "mitigate": "reweight"}');
SELECT * FROM insight_train('SELECT merit, sex, hired, age FROM applicants', 'age', 'not', '{"task": "survival", "event": "hired", "sensitive": ["sex"]}');
SELECT status FROM insight_train('hirings', 'hired', 'knows', '{"algorithm": "mlp", "epochs": 2}');
SELECT * FROM insight_fairness('knows');
SELECT * FROM insight_train('hirings', 'hired', 'knows', '{"algorithm": "mlp", "epochs": 2, "warm_start": true, "sensitive": ["sex"]}');
SELECT * FROM insight_fairness('hiring', 'SELECT merit, north, hired FROM applicants');
SELECT * FROM insight_fairness('hiring', 'SELECT merit, north, hired, 1 AS sex, age FROM applicants');
SELECT * FROM insight_fairness(NULL);
