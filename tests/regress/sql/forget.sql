-- Whose rows a model was trained on, and forgetting somebody. In a database of its own.
SELECT current_database() AS start_db \gset
CREATE DATABASE regress_forget;
\c regress_forget
CREATE EXTENSION insight;
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE forget_clients AS SELECT 9007199254740992 + i AS id, 18 + i * 7919 % 60 AS age, (ARRAY['basic', 'plus', 'premium'])[1 + i % 3] AS plan,
  (i * 7919 % 60 > 30) <> (i % 10 = 0) AS leaves FROM generate_series(1, 400) i;
-- The key is no input, and every version knows its customers.
SELECT version, rows FROM insight_train('forget_clients', 'leaves', 'fg_leaving', '{"algorithm": "linear", "key": "id"}');
SELECT feature, kept, reason FROM insight.features WHERE model = 'fg_leaving' ORDER BY 1;
SELECT version, contained, false_positive_rate < 1e-12 AS certain, keyed FROM insight_contains('fg_leaving', '9007199254740993');
SELECT contained FROM insight_contains('fg_leaving', '9007199254740992');
SELECT count(*) AS known FROM forget_clients c, insight_contains('fg_leaving', c.id::text) f WHERE f.contained;
SELECT count(*) AS taken_for_known FROM generate_series(1, 1000) i, insight_contains('fg_leaving', i::text) f WHERE f.contained;
-- Another version, one that does not know, and one that went on from one that saw.
SELECT version FROM insight_train('SELECT * FROM forget_clients WHERE id % 2 = 0', 'leaves', 'fg_leaving', '{"algorithm": "linear", "key": "id", "deploy": false}');
SELECT version FROM insight_train('forget_clients', 'leaves', 'fg_leaving', '{"algorithm": "linear", "exclude": ["id"], "deploy": false}');
SELECT version FROM insight_train('SELECT * FROM forget_clients WHERE id <> 9007199254740993', 'leaves', 'fg_warm', '{"algorithm": "mlp", "hidden": [4], "epochs": 2, "key": "id", "warm_start": false}');
SELECT version, contained, keyed FROM insight_contains('fg_leaving', '9007199254740993');
SELECT version, contained FROM insight_contains('fg_leaving@2', '9007199254740994');
-- Kept predictions go, too.
SELECT active FROM insight_log('fg_leaving', true, '{"key": "id"}');
SELECT count(insight_predict_logged('fg_leaving', c, c.id)) FROM forget_clients c;
SELECT count(*) AS kept, count(*) FILTER (WHERE key = '9007199254740993') AS of_one FROM insight.prediction;
-- Forgotten: what saw the customer is trained again and dropped.
SELECT model, version, action, proof FROM insight_forget('9007199254740993');
SELECT version, contained FROM insight_contains('fg_leaving', '9007199254740993');
SELECT version, deployed, rows FROM insight.versions WHERE model = 'fg_leaving' ORDER BY version;
SELECT count(*) AS kept, count(*) FILTER (WHERE key = '9007199254740993') AS of_one FROM insight.prediction;
SELECT fingerprint IS NOT NULL AS fingerprint FROM insight.forgotten f JOIN insight.model m ON m.id = f.model WHERE m.name = 'fg_leaving';
-- Trained on a table that still has the customer, it is, bit for bit, the model of one that has not.
DELETE FROM forget_clients WHERE id = 9007199254740993;
SELECT version, same, detail FROM insight_reproduce('fg_leaving');
INSERT INTO forget_clients VALUES (9007199254740993, 25, 'plus', true);
SELECT version, same FROM insight_reproduce('fg_leaving');
-- Every later training leaves them out, queued ones too, and one that cannot know is refused.
SELECT version, rows FROM insight_retrain('fg_leaving', '{"promote": "always"}');
SELECT version, rows FROM insight_train('forget_clients', 'leaves', 'fg_leaving', '{"algorithm": "linear", "key": "id"}');
SELECT job AS queued FROM insight_train('forget_clients', 'leaves', 'fg_leaving', '{"algorithm": "linear", "key": "id", "wait": false}') \gset
SELECT insight_wait(:queued, 60);
SELECT max(version) AS version, bool_or(c.contained) AS contained FROM insight_contains('fg_leaving', '9007199254740993') c;
SELECT insight_train('forget_clients', 'leaves', 'fg_leaving', '{"algorithm": "linear"}');
-- A new customer of an old name is left out as well; another model has its own list.
SELECT version, rows FROM insight_train('forget_clients', 'leaves', 'fg_another', '{"algorithm": "linear", "key": "id"}');
-- One model alone, without training.
SELECT model, version, action, proof FROM insight_forget('9007199254740994', 'fg_another', false);
SELECT version, contained FROM insight_contains('fg_another', '9007199254740994');
SELECT version, contained FROM insight_contains('fg_leaving', '9007199254740994') ORDER BY 1 DESC LIMIT 1;
SELECT version, rows FROM insight_retrain('fg_another', '{"promote": "always"}');
SELECT version, action FROM insight_forget('9007199254740994', 'fg_another', false);
SELECT version, contained FROM insight_contains('fg_another', '9007199254740994');
-- What was made from what saw somebody goes with it.
SELECT version FROM insight_train('forget_clients', 'leaves', 'fg_base', '{"algorithm": "mlp", "hidden": [4], "epochs": 2, "key": "id"}');
SELECT version FROM insight_train('SELECT * FROM forget_clients WHERE id > 9007199254741000', 'leaves', 'fg_on', '{"algorithm": "mlp", "hidden": [4], "epochs": 2, "key": "id", "warm_start": "fg_base"}');
SELECT contained FROM insight_contains('fg_on', '9007199254740999');
SELECT model, version, action, proof FROM insight_forget('9007199254740999') WHERE model IN ('fg_base', 'fg_on');
SELECT v.version, v.summary #>> '{provenance,started_from}' AS started_from FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'fg_on';
-- In shards, somebody is forgotten by training one of them again; those of the first shard, which columns are prepared by, take all.
CREATE TABLE forget_many AS SELECT i AS id, 18 + i * 7919 % 60 AS age, (ARRAY['basic', 'plus', 'premium'])[1 + i % 3] AS plan,
  (i * 7919 % 60 > 30) <> (hashint4(i) % 10 = 0) AS leaves FROM generate_series(1, 1200) i;
SELECT version, rows, score > 0.7 AS good FROM insight_train('forget_many', 'leaves', 'fg_shards', '{"algorithm": "mlp", "hidden": [8], "epochs": 6, "key": "id", "shards": 4}');
SELECT count(*) AS shards, sum((s ->> 'rows')::int) = max((summary #>> '{provenance,train_rows}')::int) AS all_rows, bool_or((s ->> 'reused')::bool) AS reused
FROM insight.version v JOIN insight.model m ON m.id = v.model, jsonb_array_elements(summary #> '{provenance,shards}') s WHERE m.name = 'fg_shards' GROUP BY v.id;
CREATE TABLE forget_done (proof text);
SELECT format('INSERT INTO forget_done SELECT proof FROM insight_forget(%L, ''fg_shards'') WHERE action = ''trained''', i) FROM generate_series(11, 22) i \gexec
SELECT count(*) AS forgotten, bool_and(proof ~ '; [034] of its 4 shards are as they were$') AS told, count(*) FILTER (WHERE proof ~ '; [34] of its') >= 4 AS cheap FROM forget_done;
DELETE FROM forget_many WHERE id BETWEEN 11 AND 22;
SELECT same, detail FROM insight_reproduce('fg_shards');
SELECT status FROM insight_train('forget_many', 'leaves', 'fg_shards_not', '{"algorithm": "mlp", "shards": 4}');
SELECT status FROM insight_train('forget_many', 'leaves', 'fg_shards_not', '{"algorithm": "mlp", "key": "id", "shards": 1}');
SELECT status FROM insight_train('forget_many', 'leaves', 'fg_shards_not', '{"algorithm": "linear", "key": "id", "shards": 4}');
SELECT status FROM insight_train('forget_many', 'leaves', 'fg_shards_not', '{"key": "id", "shards": 4, "tune": true}');
SELECT status FROM insight_train('SELECT nullif(id, 7) AS id, age, plan, leaves FROM forget_many', 'leaves', 'fg_shards_not', '{"algorithm": "mlp", "key": "id", "shards": 4, "epochs": 1}');
SELECT count(*) FROM insight_leak_test('fg_shards');
-- Histories, segments and generated rows know their customers, too.
CREATE TABLE forget_orders AS SELECT 'c' || i % 40 AS customer, timestamp '2026-01-01' + i * interval '1 hour' AS at, (ARRAY['tea', 'milk', 'jam'])[1 + (i / 40 + i) % 3] AS item FROM generate_series(0, 399) i;
SELECT version FROM insight_train('forget_orders', 'item', 'fg_orders', '{"algorithm": "gru", "hidden": [4], "embedding_dim": 4, "epochs": 1, "key": "customer", "order": "at"}');
SELECT count(*) FROM insight_segments('forget_clients', '{"name": "fg_segments", "key": "id", "k": 2}');
SELECT version FROM insight_train('SELECT age, plan, leaves, id FROM forget_clients', NULL, 'fg_rows', '{"algorithm": "tvae", "generator_layers": [4], "critic_layers": [4], "epochs": 1, "key": "id"}');
SELECT contained FROM insight_contains('fg_orders', 'c7');
SELECT contained FROM insight_contains('fg_segments', '9007199254741010');
SELECT contained FROM insight_contains('fg_rows', '9007199254741010');
SELECT version, action, proof FROM insight_forget('c7', 'fg_orders');
SELECT contained FROM insight_contains('fg_orders', 'c7');
SELECT version, action FROM insight_forget('9007199254741010', 'fg_segments');
SELECT version, action FROM insight_forget('9007199254741010', 'fg_rows');
SELECT contained FROM insight_contains('fg_rows', '9007199254741010');
-- It is undone with its transaction.
BEGIN;
SELECT count(*) > 0 AS done FROM insight_forget('9007199254741020', 'fg_leaving');
ROLLBACK;
SELECT bool_or(contained) AS contained FROM insight_contains('fg_leaving', '9007199254741020');
-- Only owners ask and forget.
CREATE ROLE forget_guest;
SET ROLE forget_guest;
SELECT insight_contains('fg_leaving', '9007199254741030');
SELECT insight_forget('9007199254741030', 'fg_leaving');
SELECT count(*) FROM insight_forget('9007199254741030');
SELECT count(*) FROM insight.fingerprint;
SELECT count(*) FROM insight.salt;
RESET ROLE;
DROP ROLE forget_guest;
-- What is refused.
SELECT insight_contains('fg_nobody', '1');
SELECT insight_contains('fg_leaving@99', '1');
SELECT insight_contains('fg_leaving', NULL);
SELECT insight_forget(NULL);
SELECT insight_forget('1', 'fg_nobody');
SELECT insight_train('forget_clients', 'leaves', 'fg_wrong', '{"key": "idd"}');
SELECT count(insight_drop(name)) FROM insight.model WHERE name LIKE 'fg\_%';
SELECT count(*) FROM insight.fingerprint;
SELECT count(*) FROM insight.forgotten;
-- With a key the secret of fingerprints is sealed, and so are kept predictions, which are found all the same.
DELETE FROM insight.salt;
SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET insight.key_command = 'echo 1:1111111111111111111111111111111111111111111111111111111111111111';
\c
SET client_min_messages = warning;
SELECT version FROM insight_train('forget_clients', 'leaves', 'fg_sealed', '{"algorithm": "linear", "key": "id"}');
SELECT contained, keyed FROM insight_contains('fg_sealed', '9007199254741010');
SELECT active FROM insight_log('fg_sealed', true, '{"key": "id"}');
SELECT count(insight_predict_logged('fg_sealed', c, c.id)) FROM forget_clients c;
SELECT version, action, proof FROM insight_forget('9007199254741010');
SELECT count(*) AS kept, count(*) FILTER (WHERE key = '9007199254741010') AS of_one FROM insight.predictions WHERE model = 'fg_sealed';
ALTER DATABASE :"db" RESET insight.key_command;
\c
SET client_min_messages = warning;
SELECT insight_contains('fg_sealed', '9007199254741010');
SELECT insight_drop('fg_sealed');
DELETE FROM insight.salt;
DROP TABLE forget_clients, forget_orders;
\c :"start_db"
DROP DATABASE regress_forget;
