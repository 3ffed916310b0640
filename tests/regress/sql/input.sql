-- Bad input gets a clear error.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE odd (x integer, same integer, word text, y boolean);
SELECT * FROM insight_train('nowhere', 'y');
SELECT * FROM insight_train('odd', 'z');
SELECT * FROM insight_train('odd', 'y');
SELECT * FROM insight_train(NULL, 'y');
SELECT * FROM insight_train('odd', 'y', options => '{"epoch": 3}');
SELECT * FROM insight_train('odd', 'y', options => '{"dropout": 2}');
SELECT * FROM insight_train('odd', 'y', options => '{"exclude": ["nothing"]}');
SELECT * FROM insight_train('odd', 'y', options => '{"device": "tpu"}');
SELECT * FROM insight_train('odd', 'y', 'name@2');
INSERT INTO odd VALUES (1, 1, 'a', true);
SELECT * FROM insight_train('odd', 'y');
INSERT INTO odd SELECT i, 1, 'w' || i, NULL FROM generate_series(1, 100) i;
SELECT * FROM insight_train('odd', 'y');
UPDATE odd SET y = true;
SELECT * FROM insight_train('odd', 'y');
SELECT * FROM insight_train('odd', 'word');
CREATE TEMPORARY TABLE passing AS SELECT * FROM odd;
SELECT * FROM insight_train('passing', 'y');
BEGIN;
UPDATE odd SET y = false;
SELECT * FROM insight_train('odd', 'y');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM insight_train('odd', 'y');
ROLLBACK;
CREATE VIEW broken AS SELECT x, 1 / (x - 50) AS q, x % 2 = 0 AS y FROM odd;
SELECT * FROM insight_train('broken', 'y');
SELECT insight_predict('nothing', '{}'::jsonb);
SELECT insight_predict('later', 5);
SELECT insight_predict('later', ROW(1, 2));
SELECT insight_predict('later@9', '{}'::jsonb);
SELECT insight_predict('later', '{"age": "old"}'::jsonb);
SELECT insight_predict('later', o) FROM odd o LIMIT 1;
SELECT insight_deploy('later', 7);
SELECT insight_rollback('later');
SELECT insight_drop('nothing');
SELECT insight_wait(-1);
UPDATE insight.version SET artifact = substr(artifact, 1, 10);
-- A session that has not loaded it yet; the detail counts bytes, which differ by the digits of a time.
\set VERBOSITY terse
\c -
SELECT insight_predict('later', '{}'::jsonb);
