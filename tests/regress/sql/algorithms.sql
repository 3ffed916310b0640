-- What each algorithm trains, and what a linear model says.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS insight;
CREATE TABLE travellers AS
  SELECT i AS visitor_id, ((i * 7919) % 61 - 30) / 10.0 AS visits, ((i * 104729) % 997) / 100.0 AS spend,
         (ARRAY['basic', 'plus', 'premium'])[1 + i % 3] AS plan,
         (i::bigint * 611953) % 1000 < 1000 / (1 + exp(-((i * 7919) % 61 - 30) / 15.0 - (i % 3 - 1))) AS stays,
         (ARRAY['north', 'south', 'west'])[1 + ((i * 7919) % 61 > 20)::int + ((i * 104729) % 997 > 500)::int] AS region,
         ((i * 7919) % 61 - 30) / 5.0 - ((i * 104729) % 997) / 100.0 + (i % 3) + ((i::bigint * 611953) % 1000) / 1000.0 AS worth
  FROM generate_series(1, 1500) i;
SELECT target, a AS algorithm, t.task, t.metric, t.algorithm = a AS as_asked,
  CASE target WHEN 'stays' THEN t.score > 0.7 WHEN 'region' THEN t.score > 0.6 ELSE t.score < 1 END AS good
FROM unnest(ARRAY['stays', 'region', 'worth']) target, unnest(ARRAY['linear', 'random_forest', 'gbdt', 'auto']) a,
  LATERAL insight_train(format('SELECT visits, spend, plan, %I FROM travellers', target), target, a || ' ' || target,
    jsonb_build_object('algorithm', a, 'epochs', CASE WHEN a = 'auto' THEN 10 END, 'trees', CASE WHEN a = 'random_forest' THEN 50 END)) t
ORDER BY target, a;
-- Single rows and whole tables agree, whatever answers.
SELECT count(*) FROM travellers v, unnest(ARRAY['linear', 'random_forest', 'auto']) a, unnest(ARRAY['stays', 'worth']) target
WHERE v.visitor_id <= 20 AND abs(insight_predict(a || ' ' || target, v) -
  (SELECT prediction FROM insight_predict_table(a || ' ' || target, 'travellers', 'visitor_id') WHERE key = v.visitor_id::text)) > 1e-9;
-- 1 more visit: e^(10/15) times the odds; premium against basic: e^2.
SELECT insight_train('SELECT visits, plan, stays FROM travellers', 'stays', 'plain', '{"algorithm": "linear", "l1": 0, "l2": 0}') IS NOT NULL AS trained;
SELECT feature, level, coefficient BETWEEN low AND high AS inside, odds_ratio BETWEEN exp(low) AND exp(high) AS ratio,
  p_value < 0.001 AS sure, abs(penalised - coefficient) < 0.01 OR feature <> 'visits' AS same, label
FROM insight_coefficients('plain');
SELECT abs(coefficient - 2.0 / 3) < 2.5 * standard_error AS near FROM insight_coefficients('plain') WHERE feature = 'visits';
SELECT feature, level, coefficient IS NOT NULL AS known, odds_ratio FROM insight_coefficients('linear worth') WHERE feature <> 'plan';
SELECT label, count(*) FROM insight_coefficients('linear region') GROUP BY 1 ORDER BY 1;
SELECT insight_coefficients('auto stays');
-- Options of others.
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "linear", "hidden": [8]}');
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "random_forest", "l2": 0.1}');
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "gbdt", "trees": 10}');
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "dnn", "folds": 3}');
SELECT insight_train('SELECT *, visitor_id % 50 AS city FROM travellers', 'stays', options => '{"folds": 3, "group": "city"}');
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "gbdt", "weight_averaging": "ema"}');
SELECT insight_train('travellers', 'stays', options => '{"averaging_epochs": 2}');
SELECT insight_train('travellers', 'stays', options => '{"learning_rate_factors": {"weight": 2}}');
SELECT score > 0.6 AS good FROM insight_train('SELECT visits, plan, stays FROM travellers', 'stays', 'averaged', '{"algorithm": "dnn", "epochs": 20, "weight_averaging": "ema", "averaging_epochs": 2, "learning_rate_factors": {"bias": 0.1, "scale": 6}, "learning_rate_schedule": "constant"}');
SELECT count(DISTINCT learning_rate) AS rates FROM insight.history WHERE model = 'averaged';
-- A small network that has learned from a large model takes its place.
SELECT algorithm, score > 0.6 AS good FROM insight_train('SELECT visits, plan, stays FROM travellers', 'stays', 'distilled', '{"algorithm": "gbdt", "distill": true}');
SELECT d->'hidden' AS hidden, (d->>'loss_after')::float8 < (d->>'loss_before')::float8 + 0.1 AS near, bytes < 100000 AS small
FROM insight.versions, LATERAL (SELECT provenance->'distillation' AS d) x WHERE model = 'distilled';
SELECT insight_train('travellers', 'stays', options => '{"algorithm": "linear", "distill": true}');
SELECT insight_train('travellers', 'stays', options => '{"distill": "yes"}');
-- Parts held out in turn judge where there are no test rows.
SELECT insight_train('SELECT visits, plan, stays FROM travellers', 'stays', 'turns', '{"test_size": 0, "epochs": 3}') IS NOT NULL AS trained;
SELECT provenance->>'evaluated_on' AS judged_on, provenance->>'validation_rows' AS validation FROM insight.versions WHERE model = 'turns';
SELECT sum(rows) AS judged FROM insight_confusion('turns');
-- Little, missing and rare.
CREATE VIEW sparse AS SELECT visitor_id % 2 = 0 AS even, NULL::float8 AS nothing, NULL::text AS none, visits, visitor_id <= 12 AS rare,
  'label ' || visitor_id % 25 AS label, visitor_id FROM travellers;
SELECT a AS algorithm, q.name, t.task, t.score BETWEEN 0 AND 1 AS scored
FROM unnest(ARRAY['linear', 'random_forest', 'auto']) a,
  (VALUES ('30 rows', 'even', 'SELECT even, visits FROM sparse WHERE visitor_id <= 30'),
          ('rare', 'rare', 'SELECT rare, visits FROM sparse'),
          ('25 labels', 'label', 'SELECT label, visits, visitor_id % 25 AS code FROM sparse')) q (name, target, query),
  LATERAL insight_train(q.query, q.target, 'odd', jsonb_build_object('algorithm', a, 'epochs', CASE WHEN a = 'auto' THEN 2 END)) t
ORDER BY q.name, a;
SELECT insight_train('SELECT even, nothing, none FROM sparse', 'even', 'empty', '{"algorithm": "linear"}');
DROP VIEW sparse;
DROP TABLE travellers;
SELECT count(insight_drop(model)) > 0 AS dropped FROM insight.models WHERE model ~ ' (stays|region|worth)$' OR model IN ('plain', 'turns', 'odd', 'averaged', 'distilled');
-- Models of their own for the values of a column.
CREATE TABLE branches AS
SELECT i AS sale_id, (ARRAY['north', 'south', 'north', 'south', 'east'])[1 + i % 5] AS region, (i * 7919) % 101 / 10.0 AS price,
  CASE i % 5 WHEN 4 THEN 5 WHEN 0 THEN 3 WHEN 2 THEN 3 ELSE -3 END * ((i * 7919) % 101 / 10.0) AS profit
FROM generate_series(1, 1500) i;
SELECT status, algorithm FROM insight_train('branches', 'profit', 'by_region', '{"algorithm": "linear", "partition": "region", "exclude": ["sale_id"]}');
SELECT value, rows > 100 AS rows, own, loss_own < loss_shared AS better FROM insight.segments WHERE model = 'by_region' ORDER BY 1;
SELECT insight_predict('by_region', '{"region": "north", "price": 5}') > 10 AS north, insight_predict('by_region', '{"region": "south", "price": 5}') < -10 AS south,
  insight_predict('by_region', '{"region": "west", "price": 5}') IS NOT NULL AS west;
SELECT count(*) FILTER (WHERE insight_predict('by_region', b) IS DISTINCT FROM p.prediction) AS differ FROM branches b JOIN insight_predict_table('by_region', 'branches', 'sale_id') p ON p.key = b.sale_id::text;
SELECT insight_train('branches', 'profit', 'm', '{"partition": "regions"}');
SELECT insight_train('branches', 'profit', 'm', '{"partition": "region", "exclude": ["region"]}');
SELECT insight_train('SELECT * FROM branches WHERE region = ''north''', 'profit', 'm', '{"algorithm": "linear", "partition": "region"}');
