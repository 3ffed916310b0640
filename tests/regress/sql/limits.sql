-- What asks for too much is refused, or ends by a limit.
SET client_min_messages = warning;
\set VERBOSITY default
SET statement_timeout = '120s';
CREATE TABLE limits_small AS SELECT i % 50 AS x, repeat('a', 40) || i % 7 AS code, i % 50 > 20 AS y FROM generate_series(1, 200) i;
-- Options beyond reason.
SELECT insight_train('limits_small', 'y', 'lm_a', '{"epochs": 1000000000}');
SELECT insight_train('limits_small', 'y', 'lm_a', '{"algorithm": "gbdt", "trees": 1e18}');
SELECT insight_train('limits_small', 'y', 'lm_a', '{"hidden": [4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096]}');
SELECT insight_train('limits_small', 'y', 'lm_a', '{"threads": 1000000}');
SELECT insight_train('limits_small', 'y', 'lm_a', '{"max_seconds": 1e300}');
SELECT count(*) FROM (SELECT insight_sample_customers(2000000000) LIMIT 1) s;
SELECT insight_train('limits_small', 'y', 'lm_a', ('{"include": ["' || repeat('x', 100) || '"]}')::jsonb);
-- The largest epochs that may be asked for end by the seconds.
SELECT status FROM insight_train('limits_small', 'y', 'lm_a', '{"algorithm": "mlp", "hidden": [4], "epochs": 1000000, "early_stopping": false, "max_seconds": 1}');
-- A network of more than it may use ends by the memory.
SET insight.max_memory = '64MB';
SET temp_file_limit = 0;
SELECT insight_train('limits_small', 'y', 'lm_b', '{"algorithm": "mlp", "hidden": [4096, 4096, 4096, 4096], "epochs": 1}');
RESET insight.max_memory;
RESET temp_file_limit;
-- Values that are long, deep, or make bad pattern matchers run for ever.
CREATE TABLE limits_odd AS SELECT CASE i % 3 WHEN 0 THEN repeat('a', 20000) || '!' WHEN 1 THEN repeat('1.', 20000) ELSE repeat(' (', 20000) END AS text,
  (repeat('[', 500) || i || repeat(']', 500))::jsonb AS deep, ARRAY(SELECT 't' || j % 300 FROM generate_series(1, 1000) j) AS tags, i % 2 = 0 AS y FROM generate_series(1, 60) i;
SELECT status FROM insight_train('limits_odd', 'y', 'lm_odd', '{"algorithm": "mlp", "hidden": [4], "epochs": 1, "include": ["text", "deep", "tags"], "clean": {"numbers": true, "dates": true, "variants": true, "text": {"trim": true, "case": "fold", "unicode": "nfkc"}}}');
SELECT insight_predict('lm_odd', jsonb_build_object('text', repeat('x', 5000000), 'deep', '{}'::jsonb)) BETWEEN 0 AND 1 AS predicted;
SELECT count(*) FROM limits_odd l WHERE insight_predict('lm_odd', l) BETWEEN 0 AND 1;
-- Files that claim to be larger than they are: 10 GB, and all there can be.
SELECT insight_import('\xffffffffffffffff'::bytea, 'lm_file');
SELECT insight_import(decode('00e40b5402000000', 'hex') || convert_to('{"a":{"dtype":"F32","shape":[2684354560],"data_offsets":[0,10737418240]}}', 'UTF8'), 'lm_file');
SELECT insight_import(decode('4a00000000000000', 'hex') || convert_to(rpad('{"a":{"dtype":"F32","shape":[2684354560],"data_offsets":[0,10737418240]}}', 74), 'UTF8'), 'lm_file');
SELECT insight_import(decode(repeat('5b', 100000), 'hex'), 'lm_file');
SELECT count(insight_drop(name)) FROM insight.model WHERE name LIKE 'lm\_%';
DROP TABLE limits_small, limits_odd;
-- Numbers that no double holds, and what is nested without end.
SELECT insight_train('limited', 'x', options => '{"epochs": 1e400}');
SELECT insight_train('limited', 'x', options => (repeat('[', 1000) || repeat(']', 1000))::jsonb);
