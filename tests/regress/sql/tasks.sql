-- Tasks and losses beyond two classes and squared errors.
SET client_min_messages = warning;
CREATE TABLE guests AS
SELECT i AS guest_id, ((i * 7919) % 1000) / 100.0 AS age, ((i * 104729) % 997) / 100.0 AS nights, ((i * 7919) % 1000) / 250 + ((i * 31) % 7) / 6 AS visits,
  ARRAY(SELECT label FROM (VALUES ('spa', (i * 7919) % 1000 > 600), ('golf, 18 holes', (i * 104729) % 997 > 500), ('bar', (i * 7919) % 1000 < 300)) l(label, has) WHERE has) AS interests,
  (ARRAY['awful', 'fair', 'great'])[1 + ((i * 104729) % 997) / 333] AS opinion
FROM generate_series(1, 1200) i;
CREATE TYPE grade AS ENUM ('worst', 'middling', 'best');
ALTER TABLE guests ADD grade grade;
UPDATE guests SET grade = (ARRAY['worst', 'middling', 'best'])[1 + (guest_id * 7919) % 1000 / 334]::grade;
-- Counts, quantiles, outliers.
SELECT task, metric, score < 0.6 AS good FROM insight_train('guests', 'visits', 'guest_visits',
  '{"include": ["age", "nights"], "task": "regression", "loss": "poisson", "algorithm": "gbdt"}');
SELECT metric, value < baseline AS better FROM insight_evaluate('guest_visits') WHERE metric IN ('mean_poisson_deviance', 'rmse') ORDER BY 1;
SELECT min(insight_predict('guest_visits', g)) >= 0 AS not_negative FROM guests g;
SELECT metric FROM insight_train('guests', 'nights', 'guest_nights', '{"include": ["age"], "loss": "quantile", "quantile": 0.9, "algorithm": "mlp", "epochs": 20}');
SELECT avg((nights <= insight_predict('guest_nights', g))::int) BETWEEN 0.85 AND 0.95 AS nine_in_ten FROM guests g;
SELECT insight_train('SELECT age, nights - 5 AS balance FROM guests', 'balance', 'x', '{"loss": "tweedie"}');
SELECT insight_train('guests', 'nights', 'x', '{"huber_delta": 2}');
SELECT insight_train('guests', 'nights', 'x', '{"loss": "focal"}');
SELECT insight_train('guests', 'nights', 'x', '{"loss": "hubert"}');
-- Several labels of a row.
SELECT task, metric, score > 0.9 AS good FROM insight_train('guests', 'interests', options => '{"include": ["age", "nights"], "algorithm": "gbdt"}');
SELECT metric, value > 0.9 AS good FROM insight_evaluate('guests_interests')
WHERE class IS NULL AND metric IN ('accuracy', 'f1', 'f1_micro', 'roc_auc', 'average_precision') ORDER BY 1;
SELECT insight_classify('guests_interests', '{"age": 9, "nights": 9}') AS both, insight_classify('guests_interests', '{"age": 5, "nights": 1}') AS none,
  insight_classify('guests_interests', '{"age": 9, "nights": 9}')::text[] @> '{spa}' AS as_array;
SELECT jsonb_object_keys(insight_probabilities('guests_interests', '{"age": 9, "nights": 9}'));
SELECT insight_predict('guests_interests', '{"age": 9}');
SELECT prediction, label, probability FROM insight_predict_table('guests_interests', 'SELECT 9.0 AS age, 9.0 AS nights');
SELECT count(*) > 0 AS curves FROM insight_roc('guests_interests');
SELECT insight_confusion('guests_interests');
SELECT value > 0.9 AS good FROM insight_evaluate('guests_interests', 'SELECT * FROM guests WHERE guest_id < 300') WHERE metric = 'f1_micro';
SELECT insight_evaluate('guests_interests', 'SELECT age, nights, ARRAY[''sauna''] AS interests FROM guests');
SELECT insight_train('guests', 'interests', 'x', '{"task": "binary"}');
SELECT insight_train('guests', 'opinion', 'x', '{"task": "multilabel"}');
SELECT insight_train('SELECT age, ARRAY[1, 2] AS flags FROM guests', 'flags', 'x');
SELECT insight_train('SELECT age, ARRAY[1, guest_id % 3] AS flags FROM guests', 'flags', 'x', '{"task": "multilabel"}');
SELECT insight_train('SELECT age, NULL::text[] AS nothing FROM guests', 'nothing', 'x');
-- Labels in an order: of an enum, or as they are told.
SELECT task, metric, score > 0.9 AS good FROM insight_train('guests', 'grade', options => '{"include": ["age"], "task": "ordinal", "algorithm": "gbdt"}');
SELECT labels FROM insight.versions WHERE model = 'guests_grade';
SELECT insight_classify('guests_grade', '{"age": 9}') AS old, insight_classify('guests_grade', '{"age": 1}') AS young;
SELECT sum(p.value::float8) BETWEEN 0.999 AND 1.001 AS one FROM jsonb_each_text(insight_probabilities('guests_grade', '{"age": 4}')) p;
SELECT task, score > 0.9 AS good FROM insight_train('guests', 'opinion', options => '{"include": ["nights"], "task": "ordinal", "order": ["awful", "fair", "great"], "algorithm": "gbdt"}');
SELECT insight_predict('guests_opinion', '{"nights": 9}');
SELECT insight_train('guests', 'opinion', 'x', '{"task": "ordinal"}');
SELECT insight_train('guests', 'opinion', 'x', '{"task": "ordinal", "order": ["awful", "great"]}');
SELECT insight_train('guests', 'opinion', 'x', '{"task": "ordinal", "order": "awful"}');
SELECT insight_train('guests', 'opinion', 'x', '{"order": ["awful", "great"]}');
SELECT insight_train('guests', 'opinion', 'x', '{"task": "ordinals"}');
-- The time until an event.
CREATE TABLE subscribers AS
SELECT i AS subscriber_id, ((i * 7919) % 1000) / 100.0 AS fee, least(((i * 104729) % 997 + 1) / 10.0 * (11 - ((i * 7919) % 1000) / 100.0) / 5, 60) AS months,
  ((i * 104729) % 997 + 1) / 10.0 * (11 - ((i * 7919) % 1000) / 100.0) / 5 < 60 AS left_us
FROM generate_series(1, 1500) i;
UPDATE subscribers SET left_us = NULL WHERE subscriber_id = 7;
SELECT task, metric, score > 0.63 AS good, rows FROM insight_train('subscribers', 'months', options => '{"include": ["fee"], "task": "survival", "event": "left_us", "algorithm": "gbdt"}');
SELECT metric, value > baseline AS higher FROM insight_evaluate('subscribers_months') ORDER BY 1;
SELECT insight_predict('subscribers_months', '{"fee": 9}') < insight_predict('subscribers_months', '{"fee": 1}') AS sooner;
SELECT count(*) = 20 AS twenty, bool_and(survival BETWEEN 0 AND 1 AND hazard >= 0) AS sound, max(survival) > min(survival) AS falls FROM insight_survival('subscribers_months', '{"fee": 9}');
SELECT time, survival IS NULL AS unknown, round(survival::numeric, 1) AS survival FROM insight_survival('subscribers_months', '{"fee": 9}', ARRAY[0, 1000, -1, NULL]);
SELECT count(*) FROM subscribers m, insight_survival('subscribers_months', m, ARRAY[12, 24]) s WHERE m.subscriber_id <= 3;
SELECT count(*) FROM insight_survival('subscribers_months', ROW(9.0), ARRAY[12]);
SELECT count(*) FROM insight_survival('subscribers_months', NULL::subscribers);
SELECT abs(prediction - insight_predict('subscribers_months', '{"fee": 2}')) < 1e-9 AS same, label, probability FROM insight_predict_table('subscribers_months', 'SELECT 2.0 AS fee');
SELECT metric, value > 0.7 AS good FROM insight_evaluate('subscribers_months', 'SELECT * FROM subscribers WHERE subscriber_id < 500') WHERE metric = 'concordance_index';
SELECT insight_evaluate('subscribers_months', 'SELECT fee, months FROM subscribers');
SELECT insight_classify('subscribers_months', '{"fee": 2}');
SELECT insight_survival('guests_grade', '{"age": 2}');
SELECT insight_roc('subscribers_months');
SELECT insight_train('subscribers', 'months', 'x', '{"task": "survival"}');
SELECT insight_train('subscribers', 'months', 'x', '{"task": "survival", "event": "left"}');
SELECT insight_train('subscribers', 'months', 'x', '{"task": "survival", "event": "fee"}');
SELECT insight_train('subscribers', 'months', 'x', '{"event": "left_us"}');
SELECT insight_train('SELECT fee, months, false AS left_us FROM subscribers', 'months', 'x', '{"task": "survival", "event": "left_us"}');
SELECT insight_train('SELECT fee, months - 20 AS months, left_us FROM subscribers', 'months', 'x', '{"task": "survival", "event": "left_us"}');
SELECT insight_train('SELECT fee, months, left_us FROM subscribers LIMIT 1', 'months', 'x', '{"task": "survival", "event": "left_us"}');
SELECT task, score > 0.63 AS good FROM insight_train('SELECT fee, months * interval ''1 day'' AS stay, left_us::int AS gone FROM subscribers', 'stay', 'stays', '{"task": "survival", "event": "gone", "algorithm": "gbdt"}');
-- The effect of a treatment.
CREATE TABLE mailing AS
SELECT i AS customer_id, ((i * 7919) % 1000) / 100.0 AS age, (i * 31 + i / 7) % 2 = 0 AS mailed,
  (i * 104729) % 997 < 300 + CASE WHEN (i * 31 + i / 7) % 2 <> 0 THEN 0 WHEN (i * 7919) % 1000 > 500 THEN 400 ELSE -100 END AS bought
FROM generate_series(1, 3000) i;
UPDATE mailing SET mailed = NULL WHERE customer_id = 7;
SELECT task, metric, score > 0.02 AS good, rows FROM insight_train('mailing', 'bought', options => '{"include": ["age"], "task": "uplift", "treatment": "mailed", "algorithm": "gbdt"}');
SELECT metric, value > baseline AS higher FROM insight_evaluate('mailing_bought') WHERE metric <> 'average_treatment_effect' ORDER BY 1;
SELECT age > 5 AS old, avg(insight_predict('mailing_bought', m)) BETWEEN 0.2 AND 0.45 AS likelier FROM mailing m GROUP BY 1 ORDER BY 1;
SELECT count(*) > 20 AS points, max(qini - random) > 0.03 AS better, min(fraction) AS "from", max(fraction) AS "to" FROM insight_qini('mailing_bought');
SELECT count(*) > 20 AS points FROM insight_qini('mailing_bought', 'SELECT * FROM mailing WHERE customer_id < 1000');
SELECT label, probability, prediction > 0 AS effect FROM insight_predict_table('mailing_bought', 'SELECT 9.0 AS age');
SELECT insight_classify('mailing_bought', '{"age": 9}');
SELECT insight_qini('subscribers_months');
SELECT task, score > 0 AS good FROM insight_train('SELECT age, CASE WHEN mailed THEN ''mail'' ELSE ''control'' END AS arm, bought::int * 10.5 + age AS spent FROM mailing', 'spent', 'spending',
  '{"task": "uplift", "treatment": "arm", "uplift_method": "transformed", "algorithm": "mlp", "epochs": 20}');
SELECT insight_train('mailing', 'bought', 'x', '{"task": "uplift"}');
SELECT insight_train('mailing', 'bought', 'x', '{"task": "uplift", "treatment": "age"}');
SELECT insight_train('mailing', 'bought', 'x', '{"task": "uplift", "treatment": "bought"}');
SELECT insight_train('mailing', 'bought', 'x', '{"task": "uplift", "treatment": "mailed", "uplift_method": "both"}');
SELECT insight_train('mailing', 'bought', 'x', '{"task": "uplift", "treatment": "mailed", "loss": "focal"}');
SELECT insight_train('SELECT age, true AS mailed, bought FROM mailing', 'bought', 'x', '{"task": "uplift", "treatment": "mailed"}');
SELECT insight_train('SELECT age, mailed, ''x''::text AS bought FROM mailing', 'bought', 'x', '{"task": "uplift", "treatment": "mailed"}');
-- Labels in an order, judged by rows that each were held out once; sets of labels hold the truth.
CREATE TABLE graded AS SELECT i % 100 AS a, (i * 7919) % 97 AS b, least(4, (i % 100) / 22 + CASE WHEN (i * 7919) % 97 > 80 THEN 1 ELSE 0 END) AS grade FROM generate_series(1, 900) i;
SELECT status, metric, score > 0.8 AS good FROM insight_train('graded', 'grade', 'graded', '{"task": "ordinal", "test_size": 0, "epochs": 10}');
SELECT avg((g.grade::text = ANY (insight_classes('graded', g, 0.9)))::int) BETWEEN 0.88 AND 1 AS covered FROM graded g;
-- Several targets in one call: a model for each, which does not see the others.
SELECT model, version, task, metric FROM insight_train('SELECT age, nights, visits, opinion FROM guests', NULL, 'guest',
  '{"targets": ["visits", "opinion"], "algorithm": "linear", "task": null}');
SELECT model, feature FROM insight.features WHERE model LIKE 'guest\_%' AND model IN ('guest_visits', 'guest_opinion') AND feature IN ('age', 'opinion', 'visits') AND version = (SELECT max(version) FROM insight.versions v WHERE v.model = features.model) ORDER BY 1, 2;
SELECT insight_train('guests', 'age', 'x', '{"targets": ["visits", "opinion"]}');
SELECT insight_train('guests', NULL, 'x', '{"targets": ["visits", "visits"]}');
SELECT insight_train('guests', NULL, 'x', '{"targets": ["visits", "vists"]}');
SELECT insight_train('guests', NULL, 'x', '{"targets": ["visits", "age"], "include": ["age", "nights"]}');
SELECT insight_train('guests', NULL, 'x', '{}');
SELECT * FROM insight_cross_validate('guests', 'visits', 2, '{"targets": ["visits"]}');
SELECT count(*) FROM insight.models WHERE model LIKE 'x%';
