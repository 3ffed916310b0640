-- Models and kept predictions at rest: encrypted, rotated, opened with the right key alone. In a database of its own.
SELECT current_database() AS db \gset
CREATE DATABASE regress_encryption;
\c regress_encryption
CREATE EXTENSION insight;
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE patients AS
SELECT i AS patient_id, i % 60 AS age, (ARRAY['north', 'south'])[1 + i % 2] AS ward, i % 60 > 35 OR i % 19 = 0 AS readmitted
FROM generate_series(1, 600) i;
SELECT status FROM insight_train('patients', 'readmitted', 'plain', '{"algorithm": "linear"}');
SELECT * FROM insight_rotate_key();
\set OLD '1:1111111111111111111111111111111111111111111111111111111111111111'
\set BOTH '1:1111111111111111111111111111111111111111111111111111111111111111\\n2:2222222222222222222222222222222222222222222222222222222222222222'
\set NEW '2:2222222222222222222222222222222222222222222222222222222222222222'
\set WRONG '1:3333333333333333333333333333333333333333333333333333333333333333'
SELECT 'printf ''%b'' ''' || :'OLD' || '''' AS command \gset
ALTER DATABASE regress_encryption SET insight.key_command = :'command';
\c
SET client_min_messages = warning;
\set VERBOSITY default
SELECT status FROM insight_train('patients', 'readmitted', 'secret', '{"algorithm": "linear"}');
SELECT model, key_version FROM insight.versions WHERE model IN ('plain', 'secret') ORDER BY 1;
SELECT position('patient'::bytea IN artifact) > 0 OR position('ward'::bytea IN artifact) > 0 AS readable FROM insight.version v JOIN insight.model m ON m.id = v.model
WHERE m.name IN ('plain', 'secret') ORDER BY m.name;
SELECT insight_predict('secret', p) = insight_predict('plain', p) AS same FROM patients p LIMIT 1;
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
-- Kept predictions.
SELECT active FROM insight_log('secret', true, '{"key": "patient_id"}');
SELECT count(insight_predict_logged('secret', p, p.patient_id::text)) FROM patients p WHERE patient_id <= 5;
SELECT key = '' AND prediction IS NULL AND label IS NULL AND probability IS NULL AND outputs IS NULL AS empty, insight.key_version(sealed) AS key_version, count(*)
FROM insight.prediction GROUP BY 1, 2;
SELECT key, label, prediction = insight_predict('secret', p) AS same FROM insight.predictions k JOIN patients p ON p.patient_id::text = k.key
WHERE model = 'secret' ORDER BY key;
SELECT rows, metric FROM insight_performance('secret', 'SELECT patient_id, readmitted FROM patients', '{"min_rows": 2, "metric": "accuracy"}') WHERE metric = 'accuracy';
-- Sealed for one place: another version's bytes do not open here.
BEGIN;
UPDATE insight.version SET artifact = (SELECT artifact FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'secret')
WHERE model = (SELECT id FROM insight.model WHERE name = 'plain');
SELECT insight_export('plain');
ROLLBACK;
-- Rotation: a second version of the key encrypts what is new; the rest is told to.
SELECT 'printf ''%b'' ''' || :'BOTH' || '''' AS command \gset
SET insight.key_command = :'command';
SELECT key_version FROM insight_rotate_key(1);
SELECT left_versions, predictions, key_version FROM insight_rotate_key();
SELECT DISTINCT key_version FROM insight.versions;
SELECT DISTINCT insight.key_version(sealed) FROM insight.prediction;
SELECT 'printf ''%b'' ''' || :'NEW' || '''' AS command \gset
SET insight.key_command = :'command';
SELECT key, label FROM insight.predictions WHERE model = 'secret' ORDER BY key LIMIT 2;
SELECT insight_classify('plain', '{"age": 50, "ward": "north"}');
-- Without the key, and with another.
SELECT 'printf ''%b'' ''' || :'OLD' || '''' AS command \gset
ALTER DATABASE regress_encryption SET insight.key_command = :'command';
\c
SET client_min_messages = warning;
\set VERBOSITY default
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SELECT key FROM insight.predictions WHERE model = 'secret';
SELECT replace('printf ''%b'' ''' || :'WRONG' || '''', '1:', '2:') AS command \gset
SET insight.key_command = :'command';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SET insight.key_command = '';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
-- What is no key says so, and does not tell it.
SET insight.key_command = 'echo 1:verysecret';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SET insight.key_command = 'exit 3';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SET insight.key_command = 'true';
SET insight.key_file = '/nowhere';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SET insight.key_command = '';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SET insight.key_file = 'relative';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
-- A file of its own that others cannot read.
SELECT current_setting('data_directory') || '/insight.key' AS file \gset
SELECT format('COPY (SELECT %L) TO PROGRAM %L', :'NEW', 'umask 022; cat > "' || :'file' || '"') AS copy \gset
:copy;
SET insight.key_file = :'file';
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
SELECT format('COPY (SELECT %L) TO PROGRAM %L', :'NEW', 'chmod 600 "' || :'file' || '"; cat > "' || :'file' || '"') AS copy \gset
:copy;
SELECT insight_classify('secret', '{"age": 50, "ward": "north"}');
-- Superusers alone set and see where the key is.
CREATE ROLE regress_eve;
SET ROLE regress_eve;
SET insight.key_file = '/etc/passwd';
SET insight.key_command = 'id';
\set VERBOSITY sqlstate
SHOW insight.key_file;
\set VERBOSITY default
SELECT count(*) FROM pg_settings WHERE name LIKE 'insight.key%';
SELECT * FROM insight_rotate_key();
-- Stolen bytes are not opened for who has no right.
SELECT insight.resealed_artifact(1, '\x00');
SELECT count(*) FROM insight.opened_prediction((SELECT 1), 1, '\x696e735301');
RESET ROLE;
DROP ROLE regress_eve;
\c :"db"
DROP DATABASE regress_encryption;
