-- A transformer learns every task, and answers as it was judged.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS insight;
CREATE TABLE guests AS
  SELECT i AS guest_id, ((i * 7919) % 61 - 30) / 10.0 AS visits, ((i * 104729) % 997 - 498) / 200.0 AS spend,
         (ARRAY['basic', 'plus', 'premium'])[1 + i % 3] AS plan, date '2024-01-01' + (i * 31) % 700 AS since,
         'likes ' || (ARRAY['pool', 'bar', 'gym', 'quiet rooms'])[1 + (i * 13) % 4] AS note,
         ARRAY[(i * 37) % 11, (i * 41) % 13, (i * 43) % 17]::float8[] AS habits, (i * 7127) % 2 = 0 AS mailed
  FROM generate_series(1, 1200) i;
-- No sum of effects tells who stays: visits and spend must have one sign, of premium guests different ones.
ALTER TABLE guests ADD stays boolean, ADD region text, ADD worth float8, ADD likes text[], ADD grade int, ADD days float8, ADD gone boolean;
UPDATE guests SET stays = (visits * spend > 0) <> (plan = 'premium'),
  region = (ARRAY['north', 'south', 'west'])[1 + (visits > 0)::int + (spend > 0)::int], worth = visits * 2 + spend,
  likes = array_remove(ARRAY[CASE WHEN visits > 0 THEN 'bar' END, CASE WHEN note ~ 'pool' THEN 'pool' END], NULL),
  grade = 1 + (visits > 0)::int + (visits > 1.5)::int, days = 1 + (exp(visits / 2) * 20)::int, gone = guest_id % 4 <> 0;
CREATE FUNCTION options(of text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT '{"algorithm": "transformer", "d_token": 16, "epochs": 30, "batch_size": 64, "learning_rate": 0.005, "exclude": ["guest_id"]}'::jsonb || of::jsonb $$;
SELECT target, t.task, t.algorithm, t.metric,
  CASE target WHEN 'worth' THEN t.score < 0.5 WHEN 'days' THEN t.score > 0.7 WHEN 'stays' THEN t.score > 0.9 ELSE t.score > 0.8 END AS good
FROM (VALUES ('stays', '{}'), ('region', '{}'), ('worth', '{"loss": "huber"}'), ('likes', '{}'),
             ('grade', '{"task": "ordinal"}'), ('days', '{"task": "survival", "event": "gone"}')) q (target, more),
  LATERAL insight_train(format('SELECT guest_id, visits, spend, plan, since, note, habits, gone, %I FROM guests', target), target, 'guest ' || target,
    options(more)) t
ORDER BY target;
SELECT task, score IS NOT NULL AS scored FROM insight_train('SELECT visits, spend, plan, mailed, stays FROM guests', 'stays', 'guest mail',
  options('{"task": "uplift", "treatment": "mailed", "epochs": 2, "exclude": []}'));
-- Single rows and whole tables agree, and no row fails.
SELECT count(*) FROM guests g, unnest(ARRAY['stays', 'worth', 'days']) target WHERE guest_id <= 50 AND
  abs(insight_predict('guest ' || target, g) - (SELECT prediction FROM insight_predict_table('guest ' || target, 'guests', 'guest_id') WHERE key = g.guest_id::text)) > 1e-9;
SELECT insight_predict('guest stays', '{}') BETWEEN 0 AND 1 AS empty,
  insight_predict('guest stays', '{"visits": "Infinity", "plan": "none", "note": "words never met", "habits": null}') BETWEEN 0 AND 1 AS odd;
-- The same again, bit for bit; on from there; each third of the rows by the others; segments.
SELECT same FROM insight_reproduce('guest stays');
SELECT version FROM insight_train('SELECT guest_id, visits, spend, plan, since, note, habits, gone, stays FROM guests', 'stays', 'guest stays',
  options('{"warm_start": true, "epochs": 2}'));
SELECT provenance->>'started_from' AS started_from FROM insight.versions WHERE model = 'guest stays' AND version = 2;
SELECT mean > 0.7 AS good FROM insight_cross_validate('SELECT visits, spend, plan, stays FROM guests', 'stays', 3, options('{"exclude": [], "epochs": 20}')) WHERE metric = 'roc_auc';
SELECT status FROM insight_train('SELECT visits, plan, worth FROM guests', 'worth', 'guest plan', options('{"partition": "plan", "exclude": [], "epochs": 3}'));
SELECT count(*) > 0 AS segments FROM insight.segments WHERE model = 'guest plan';
-- Out of time: the best so far.
SELECT status FROM insight_train('guests', 'worth', 'guest late', options('{"max_seconds": 0.5, "epochs": 100000, "early_stopping": false}'));
SELECT provenance->>'stopped_by' AS stopped_by FROM insight.versions WHERE model = 'guest late';
-- Options that do not fit.
SELECT insight_train('guests', 'stays', 'm', '{"algorithm": "transformer", "d_token": 20}');
SELECT insight_train('guests', 'stays', 'm', '{"algorithm": "transformer", "d_token": 32, "attention_heads": 5}');
SELECT insight_train('guests', 'stays', 'm', '{"algorithm": "transformer", "hidden": [8]}');
SELECT insight_train('guests', 'stays', 'm', '{"algorithm": "dnn", "n_blocks": 2}');
SELECT insight_train('guests', 'stays', 'm', '{"algorithm": "transformer", "n_blocks": 17}');
SELECT insight_train('guests', 'stays', 'guest stays', '{"algorithm": "dnn", "warm_start": true}');
DROP TABLE guests;
DROP FUNCTION options;
SELECT count(insight_drop(model)) > 0 AS dropped FROM insight.models WHERE model ~ '^guest ';
