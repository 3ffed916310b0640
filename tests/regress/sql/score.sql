-- Scores in a table; predictions that are kept, and how good they turned out to be.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE SCHEMA "Shop.One";
CREATE TABLE "Shop.One"."Customers" ("Id" bigint PRIMARY KEY, age integer, plan text, city text, "Changed" timestamp NOT NULL DEFAULT '2026-01-01', leaves boolean);
INSERT INTO "Shop.One"."Customers" SELECT i, 18 + i * 7919 % 60, (ARRAY['basic', 'plus', 'premium'])[1 + i % 3], (ARRAY['Bern', 'Rome'])[1 + i % 2], '2026-01-01',
  (i * 7919 % 60 > 30) <> (i % 10 = 0) FROM generate_series(1, 1000) i;
CREATE VIEW shop AS SELECT "Id", age, plan, city, "Changed" FROM "Shop.One"."Customers";
SELECT version FROM insight_train('"Shop.One"."Customers"', 'leaves', 'leaving', '{"algorithm": "linear", "exclude": ["Changed", "city"]}');
-- A table that is made.
SELECT scores, model, version, rows, inserted, updated, deleted, seconds > 0 AS took FROM insight_score('leaving', '"Shop.One"."Customers"', '"Shop.One"."Scores of all"');
\d "Shop.One"."Scores of all"
SELECT obj_description('"Shop.One"."Scores of all"'::regclass);
SELECT count(*) AS as_predicted FROM "Shop.One"."Scores of all" s JOIN "Shop.One"."Customers" c ON s.key = c."Id"
WHERE s.prediction = insight_predict('leaving', c) AND s.label = insight_classify('leaving', c) AND s.probability >= 0.5 AND s.model = 'leaving' AND s.version = 1 AND changed_at IS NULL;
-- A refresh: rows that are gone go, new ones come.
DELETE FROM "Shop.One"."Customers" WHERE "Id" <= 10;
INSERT INTO "Shop.One"."Customers" SELECT 2000 + i, 40, 'plus', 'Rome' FROM generate_series(1, 5) i;
SELECT rows, inserted, updated, deleted FROM insight_score('leaving', '"Shop.One"."Customers"', '"Shop.One"."Scores of all"');
SELECT count(*), count(DISTINCT scored_at) AS runs FROM "Shop.One"."Scores of all";
-- What is new.
SELECT rows, inserted, updated, deleted FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"since": "Changed"}');
SELECT DISTINCT changed_at AT TIME ZONE 'UTC' AS changed_at FROM shop_scores;
SELECT rows, inserted, updated, deleted FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"since": "Changed"}');
INSERT INTO "Shop.One"."Customers" SELECT 3000 + i, 40, 'plus', 'Rome' FROM generate_series(1, 3) i;
UPDATE "Shop.One"."Customers" SET age = age + 1, "Changed" = '2026-01-02 03:04:05.678901' WHERE "Id" IN (11, 12);
DELETE FROM "Shop.One"."Customers" WHERE "Id" = 13;
SET TimeZone = 'Asia/Kolkata';
SELECT rows, inserted, updated, deleted FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"since": "Changed"}');
SET TimeZone = 'America/Los_Angeles';
SET DateStyle = 'SQL, DMY';
SELECT rows, inserted, updated, deleted FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"since": "Changed"}');
RESET TimeZone;
RESET DateStyle;
SELECT max(changed_at) AT TIME ZONE 'UTC' AS changed_at FROM shop_scores;
SELECT rows, deleted FROM insight_score('leaving', 'shop', 'shop_scores', 'Id');
-- A new version scores all again, unless it is not to.
SELECT version FROM insight_retrain('leaving', '{"promote": "always"}');
SELECT version, rows FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"rescore": false}');
SELECT version, rows, updated FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental');
SELECT version, rows FROM insight_score('leaving@1', 'SELECT * FROM shop WHERE "Id" > 2000', 'few_scores', 'Id');
-- Keys of other types, numbers, several labels.
SELECT version FROM insight_train('SELECT age, leaves, plan FROM "Shop.One"."Customers"', 'plan', 'planning', '{"algorithm": "linear"}');
SELECT rows FROM insight_score('planning', 'SELECT ''customer '' || "Id" AS name, * FROM "Shop.One"."Customers" LIMIT 20', 'plans', 'name');
SELECT pg_typeof(key), prediction IS NULL AS no_number, count(*), bool_and(label IN ('basic', 'plus', 'premium')) AS labels FROM plans GROUP BY 1, 2;
SELECT rows FROM insight_score('planning', 'SELECT "Id"::numeric(10,2) / 3 AS part, * FROM "Shop.One"."Customers" LIMIT 20', 'parts', 'part');
SELECT rows, updated FROM insight_score('planning', 'SELECT "Id"::numeric(10,2) / 3 AS part, * FROM "Shop.One"."Customers" LIMIT 20', 'parts', 'part', 'full');
-- What is refused.
CREATE TABLE foreign_table (key bigint PRIMARY KEY, prediction float8);
CREATE TABLE loose_table (LIKE shop_scores);
CREATE TABLE doubled AS SELECT * FROM shop UNION ALL SELECT * FROM shop WHERE "Id" = 500;
SELECT insight_score('leaving', 'shop', 'foreign_table', 'Id');
SELECT insight_score('leaving', 'shop', 'loose_table', 'Id');
SELECT insight_score('leaving', 'shop', 'plans', 'Id');
SELECT insight_score('leaving', 'shop', 'parts', 'plan');
SELECT insight_score('planning', 'SELECT true AS leaves, * FROM shop', 'shop_scores', 'Id');
SELECT insight_score('leaving', 'shop', 'shop', 'Id');
SELECT insight_score('leaving', 'shop', 'shop_scores');
SELECT insight_score('leaving', 'shop', 'shop_scores', 'Idd');
SELECT insight_score('leaving', 'shop', 'shop_scores', 'Id', 'partial');
SELECT insight_score('leaving', 'shop', 'shop_scores', 'Id', 'full', '{"after": "Changed"}');
SELECT insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental', '{"since": "age"}');
SELECT insight_score('leaving', 'doubled', 'shop_scores', 'Id');
SELECT insight_score('leaving', 'SELECT NULLIF("Id", 500) AS "Id", age, plan FROM shop', 'shop_scores', 'Id');
SELECT insight_score('leaving', 'SELECT "Id", plan FROM shop', 'shop_scores', 'Id');
SELECT insight_score('leaving', 'shop', NULL, 'Id');
SELECT count(*) FROM shop_scores;
-- Keys of other texts that are equal; floating-point keys of many digits; names that are taken.
SELECT insight_score('leaving', 'SELECT CASE "Id" WHEN 500 THEN 1.0 WHEN 501 THEN 1.00 ELSE "Id" END AS n, age, plan FROM shop', 'by_number', 'n');
SET extra_float_digits = 0;
SELECT rows FROM insight_score('leaving', 'SELECT 0.1::float8 + "Id" * 1e-17::float8 AS f, age, plan FROM shop WHERE "Id" IN (20, 22, 24)', 'by_float', 'f');
SELECT count(*) AS all_there FROM by_float WHERE key IN (0.1::float8 + 20 * 1e-17::float8, 0.1::float8 + 22 * 1e-17::float8, 0.1::float8 + 24 * 1e-17::float8);
SHOW extra_float_digits;
RESET extra_float_digits;
SELECT rows FROM insight_score('leaving', 'SELECT *, 1 AS "insight key", 2 AS "key as text", "Changed" AS "time as text" FROM shop', 'shop_scores', 'Id', 'incremental', '{"since": "Changed", "rescore": true}') WHERE rows > 0;
BEGIN READ ONLY;
SELECT insight_score('leaving', 'shop', 'shop_scores', 'Id');
ROLLBACK;
-- With the rights of who asks.
CREATE ROLE score_reader;
CREATE ROLE score_writer;
GRANT USAGE ON SCHEMA "Shop.One" TO score_reader, score_writer;
GRANT SELECT ON "Shop.One"."Customers" TO score_writer;
CREATE SCHEMA scoring AUTHORIZATION score_writer;
-- As it is from 15 on.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SELECT insight_grant('leaving', role) FROM unnest('{score_reader,score_writer}'::text[]) role;
ALTER TABLE "Shop.One"."Customers" ENABLE ROW LEVEL SECURITY;
CREATE POLICY rome ON "Shop.One"."Customers" TO score_writer USING (city = 'Rome');
SET ROLE score_writer;
SELECT rows, inserted FROM insight_score('leaving', '"Shop.One"."Customers"', 'scoring.of_rome');
SELECT insight_score('leaving', '"Shop.One"."Customers"', 'shop_scores');
SELECT insight_score('leaving', '"Shop.One"."Customers"', 'not_mine');
CREATE FUNCTION scoring.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER spy BEFORE UPDATE ON scoring.of_rome FOR EACH ROW EXECUTE FUNCTION scoring.spy();
SELECT rows, updated FROM insight_score('leaving', '"Shop.One"."Customers"', 'scoring.of_rome');
SET ROLE score_reader;
SELECT insight_score('leaving', '"Shop.One"."Customers"', 'pg_temp.mine');
RESET ROLE;
-- Of a role with fewer rights nothing runs.
SELECT insight_score('leaving', '"Shop.One"."Customers"', 'scoring.of_rome');
ALTER TABLE "Shop.One"."Customers" DISABLE ROW LEVEL SECURITY;
-- Names of others do not lead astray.
CREATE SCHEMA astray;
CREATE FUNCTION astray.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT 1 / 0 = 1';
CREATE OPERATOR astray.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = astray.never);
SET search_path = astray, public, pg_catalog;
SELECT rows, updated FROM insight_score('leaving', 'shop', 'shop_scores', 'Id', 'incremental');
SELECT rows, updated FROM insight_score('leaving', 'shop', 'shop_scores', 'Id');
RESET search_path;
-- Kept predictions. Default privileges give nothing of them away.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO score_reader, PUBLIC;
SELECT * FROM insight_log('leaving', true, '{"key": "Id", "bound": 0.99, "roles": ["score_writer"]}');
SELECT * FROM insight_log('leaving', options => '{"retention": "30 days"}');
SELECT model, active, retention, bound FROM insight.logs;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM score_reader, PUBLIC;
SELECT count(*), count(*) FILTER (WHERE has_table_privilege('score_reader', inhrelid, 'SELECT')) AS readable FROM pg_inherits WHERE inhparent = 'insight.prediction'::regclass;
SELECT rows FROM insight_score('leaving', 'shop', 'shop_scores', 'Id');
SELECT model, version, count(*), count(DISTINCT key) AS keys, count(DISTINCT predicted_at) AS moments, min(role) AS role FROM insight.predictions GROUP BY 1, 2;
SELECT count(*) AS same FROM insight.predictions p JOIN shop_scores s ON p.key = s.key::text AND p.prediction = s.prediction AND p.label = s.label AND p.probability = s.probability AND p.predicted_at = s.scored_at;
-- Row by row: with a key it is kept.
SELECT insight_predict_logged('leaving', s, "Id") = insight_predict('leaving', s) AS same FROM shop s WHERE "Id" = 500;
SELECT insight_predict_logged('leaving', '{"age": 50, "plan": "plus"}', 'somebody') > 0 AS literal, insight_predict_logged('leaving', '{"age": 50, "plan": "plus"}', NULL) > 0 AS no_key,
  insight_predict_logged('leaving', NULL::jsonb, 1) AS no_row;
SELECT key, prediction > 0 AS predicted FROM insight.predictions ORDER BY predicted_at DESC LIMIT 2;
BEGIN READ ONLY;
SELECT insight_predict_logged('leaving', s, "Id") > 0 AS not_kept FROM shop s WHERE "Id" = 501;
ROLLBACK;
BEGIN;
SELECT insight_predict_logged('leaving', s, "Id") > 0 AS rolled_back FROM shop s WHERE "Id" = 502;
ROLLBACK;
SELECT count(*) FROM insight.predictions;
-- Whose: of members and of roles that are named.
GRANT SELECT ON shop TO score_reader, score_writer;
SET ROLE score_reader;
SELECT insight_predict_logged('leaving', s, "Id") > 0 AS of_a_stranger FROM shop s WHERE "Id" = 503;
SELECT count(*) FROM insight.predictions;
SELECT insight_log('leaving', false);
SELECT insight_performance('leaving', 'shop');
SELECT count(*) FROM insight.prediction;
SET ROLE score_writer;
SELECT insight_predict_logged('leaving', s, "Id") > 0 AS of_one_named FROM shop s WHERE "Id" = 503;
RESET ROLE;
SELECT role, count(*) FROM insight.predictions GROUP BY 1 ORDER BY 2;
-- What is true of them: beside the score at training, and who fell below.
SELECT period = date_trunc('week', now(), 'UTC') AS this_week, segment, version, rows, metric, value BETWEEN low AND high AS inside, abs(value - trained) < 0.2 AS near, bound, below, note
FROM insight_performance('leaving', '"Shop.One"."Customers"') WHERE metric IN ('roc_auc', 'accuracy') OR metric IS NULL;
SELECT abs(p.value - (SELECT e.value FROM insight_evaluate('leaving', 'SELECT * FROM "Shop.One"."Customers"') e WHERE e.metric = 'roc_auc')) < 1e-9 AS as_evaluated
FROM insight.performance p WHERE metric = 'roc_auc';
SELECT segment, rows, metric, value > 0.5 AS some, note FROM insight_performance('leaving', 'SELECT * FROM "Shop.One"."Customers" WHERE city = ''Rome'' OR "Id" < 40', '{"by": "city", "period": "month", "bound": 0.4}')
WHERE metric = 'roc_auc' OR metric IS NULL;
SELECT rows, metric, note FROM insight_performance('leaving', 'SELECT * FROM "Shop.One"."Customers" WHERE leaves', '{"bound": 0.4, "min_rows": 10, "period": "day"}') WHERE value IS NULL;
SELECT model, version, unit, segment, metric, value < bound AS worse FROM insight.alerts;
-- Weeks are those of UTC whoever asks, and the score of all is one, whatever the segments.
SET TimeZone = 'Asia/Kolkata';
SELECT count(*) > 0 AS measured FROM insight_performance('leaving', '"Shop.One"."Customers"', '{"by": "city", "period": "month", "bound": 0.4}');
RESET TimeZone;
SELECT unit, count(DISTINCT period) AS periods, count(*) AS of_all FROM insight.performance WHERE model = 'leaving' AND metric = 'roc_auc' AND segment IS NULL GROUP BY 1 ORDER BY 1;
-- What was measured before goes: an alert of a period that has too few labels now is none.
SELECT count(*) FILTER (WHERE below) AS below FROM insight_performance('leaving', '"Shop.One"."Customers"', '{"bound": 1, "period": "day"}');
SELECT count(*) AS alerts FROM insight.alerts WHERE unit = 'day';
SELECT note FROM insight_performance('leaving', 'SELECT * FROM "Shop.One"."Customers" WHERE "Id" < 40', '{"period": "day"}');
SELECT count(*) AS alerts FROM insight.alerts WHERE unit = 'day';
-- Only what was predicted before it came true counts.
SELECT rows, note FROM insight_performance('leaving', 'SELECT *, timestamptz ''2026-01-01'' AS known FROM "Shop.One"."Customers"', '{"time": "known"}');
SELECT rows FROM insight_performance('leaving', 'SELECT *, now() + interval ''1 day'' AS known FROM "Shop.One"."Customers"', '{"time": "known", "metric": "f1", "bound": 0}') WHERE below IS NOT NULL;
-- Several labels: all that was answered is kept.
SELECT active FROM insight_log('planning');
SELECT rows FROM insight_score('planning', '"Shop.One"."Customers"', 'all_plans');
SELECT array_length(outputs, 1) AS outputs, count(*), bool_and(abs((SELECT sum(o) FROM unnest(outputs) o) - 1) < 1e-6) AS whole FROM insight.prediction WHERE prediction IS NULL GROUP BY 1;
SELECT abs(l.value - e.value) < 1e-9 AS as_evaluated FROM insight_performance('planning', '"Shop.One"."Customers"') l JOIN insight_evaluate('planning', '"Shop.One"."Customers"') e
USING (metric) WHERE metric = 'log_loss' AND class IS NULL;
-- Labels that a version does not know are left out, and a version that knows none.
SELECT rows, note FROM insight_performance('planning', 'SELECT "Id", CASE WHEN "Id" <= 30 THEN ''gold'' ELSE plan END AS plan FROM "Shop.One"."Customers"', '{"key": "Id"}') WHERE metric = 'log_loss';
SELECT version FROM insight_train('SELECT age, leaves, upper(plan) AS plan FROM "Shop.One"."Customers"', 'plan', 'planning', '{"algorithm": "linear"}');
SELECT rows, version FROM insight_score('planning@2', '"Shop.One"."Customers"', 'all_plans');
SET client_min_messages = notice;
SELECT version, rows, note FROM insight_performance('planning@1', '"Shop.One"."Customers"') WHERE metric = 'log_loss';
SET client_min_messages = warning;
SELECT insight_performance('planning', 'SELECT "Id", ''gold'' AS plan FROM "Shop.One"."Customers"', '{"key": "Id"}');
SELECT insight_deploy('planning', 1) IS NOT NULL AS deployed;
DELETE FROM insight.prediction WHERE model = (SELECT id FROM insight.model WHERE name = 'planning') AND version = 2;
-- A sample: the same keys each time.
SELECT sample FROM insight_log('planning', true, '{"sample": 0.3}');
SELECT rows FROM insight_score('planning', '"Shop.One"."Customers"', 'all_plans');
SELECT rows FROM insight_score('planning', '"Shop.One"."Customers"', 'all_plans');
SELECT n, count(*) BETWEEN 230 AND 370 AS about_a_third FROM (SELECT count(*) AS n FROM insight.predictions WHERE model = 'planning' GROUP BY key HAVING count(*) > 1) s GROUP BY 1;
-- Retention.
SELECT count(*) FROM insight.predictions WHERE predicted_at < now() - interval '20 days';
CREATE TABLE insight.prediction_20200106 PARTITION OF insight.prediction FOR VALUES FROM ('2020-01-06 00:00+00') TO ('2020-01-13 00:00+00');
INSERT INTO insight.prediction SELECT model, version, key, prediction, label, probability, outputs, '2020-01-07', role FROM insight.prediction LIMIT 10;
-- Inside of a transaction rows go, and the partition stays: to drop it would lock the log.
BEGIN;
SELECT count(*) > 0 AS measured FROM insight_performance('planning', '"Shop.One"."Customers"');
SELECT to_regclass('insight.prediction_20200106'), count(*) FROM insight.prediction WHERE predicted_at < '2021-01-01';
COMMIT;
-- Who waited for a lock a moment waits for others as before.
SELECT rows, current_setting('lock_timeout') AS lock_timeout FROM insight_score('planning', 'SELECT * FROM "Shop.One"."Customers" LIMIT 1', 'one_plan', 'Id');
SELECT to_regclass('insight.prediction_20200106'), count(*) FROM insight.predictions WHERE predicted_at < '2021-01-01';
-- What is refused.
SELECT insight_log('leaving', true, '{"sample": 0}');
SELECT insight_log('leaving', true, '{"retention": "soon"}');
SELECT insight_log('leaving', true, '{"retention": "1 minute"}');
SELECT insight_log('leaving', true, '{"keys": "Id"}');
SELECT insight_log('leaving', true, '{"metric": "acuracy"}');
SELECT insight_performance('leaving', '"Shop.One"."Customers"', '{"metric": "rocauc"}');
SELECT insight_log('leavin', true);
SELECT insight_performance('leaving', 'shop');
SELECT insight_performance('leaving', '"Shop.One"."Customers"', '{"period": "year"}');
SELECT insight_performance('leaving', '"Shop.One"."Customers"', '{"time": "age"}');
SELECT DISTINCT rows FROM insight_performance('leaving', 'SELECT "Id", leaves FROM "Shop.One"."Customers" UNION ALL SELECT "Id", NULL FROM "Shop.One"."Customers"');
SELECT insight_performance('leaving', 'SELECT "Id" % 2 AS "Id", leaves FROM "Shop.One"."Customers"');
-- Off, and gone.
SELECT active, bound FROM insight_log('leaving', false);
SELECT rows FROM insight_score('leaving', 'shop', 'shop_scores', 'Id');
SELECT count(*) FROM insight.predictions WHERE model = 'leaving';
-- What was counted.
SELECT model, version, predictions > 0 AS predictions, cache_hits > 0 AS hits, cache_misses, seconds > 0 AS seconds, scope FROM insight.activity ORDER BY 1, 2;
SELECT predictions AS before FROM insight.activity WHERE model = 'leaving' AND version = 2 \gset
SELECT count(insight_predict('leaving', s)) FROM shop s;
SELECT predictions - :before AS more FROM insight.activity WHERE model = 'leaving' AND version = 2;
SELECT insight_drop('leaving'), insight_drop('planning');
SELECT (SELECT count(*) FROM insight.prediction) AS predictions, (SELECT count(*) FROM insight.performance) AS scores, (SELECT count(*) FROM insight.logs) AS logs;
DROP SCHEMA "Shop.One", scoring, astray CASCADE;
DROP TABLE shop_scores, few_scores, plans, parts, all_plans, one_plan, by_float, foreign_table, loose_table, doubled;
DROP OWNED BY score_reader, score_writer;
DROP ROLE score_reader, score_writer;
