-- Models as files: out of the catalog and back, what stays behind, what is refused.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE travellers AS
SELECT i AS traveller_id, i % 50 AS age, (ARRAY['train', 'bus', 'ship'])[1 + i % 3] AS way, NULLIF(i % 11, 0) AS trips,
  i % 50 < 20 AND i % 3 = 0 OR i % 13 = 0 AS returns
FROM generate_series(1, 900) i;
SELECT status, score > 0.7 AS good FROM insight_train('travellers', 'returns', 'travel', '{"algorithm": "dnn", "epochs": 4}');
SELECT insight_export('travel') AS travel \gset
SELECT model, version, task, algorithm, metric, score > 0.7 AS good, deployed FROM insight_import(:'travel', 'travel_back');
SELECT count(*), bool_and(insight_predict('travel', t) = insight_predict('travel_back', t)) AS same FROM travellers t;
-- The name of the file's own model is the default; owner and history are here.
SELECT version, deployed FROM insight_import(:'travel');
SELECT version, deployed FROM insight_import(:'travel', 'travel_aside', deploy => false);
SELECT version, versions FROM insight.models WHERE model = 'travel_aside';
SELECT version, replaced, reason FROM insight.deployments WHERE model IN ('travel', 'travel_back') ORDER BY deployed_at;
SELECT relation, job, provenance ->> 'imported_from' AS imported_from, seconds > 0 AS seconds, options ->> 'epochs' AS epochs
FROM insight.versions WHERE model = 'travel_back';
SELECT a.metric, a.value = b.value AS same FROM insight.metrics a JOIN insight.metrics b USING (metric, position)
WHERE a.model = 'travel' AND a.version = 1 AND b.model = 'travel_back' AND metric = 'roc_auc';
SELECT count(*) = 4 AS epochs FROM insight.history WHERE model = 'travel_back';
-- The rows it keeps stay behind unless asked for; then all is there.
SELECT feature FROM insight_explain('travel_back', (SELECT t FROM travellers t LIMIT 1));
SELECT insight_export('travel@1', keep_rows => true) AS travel_rows \gset
SELECT length(:'travel_rows'::bytea) > length(:'travel'::bytea) AS longer;
SELECT model, version FROM insight_import(:'travel_rows', 'travel_rows');
SELECT count(*) > 1 AS explained FROM insight_explain('travel_rows', (SELECT t FROM travellers t LIMIT 1));
SELECT a.artifact = b.artifact AS same FROM insight.version a, insight.version b
WHERE a.id = (SELECT v.id FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'travel' AND v.version = 1)
  AND b.id = (SELECT v.id FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'travel_rows');
-- Other kinds travel, too.
SELECT status FROM insight_train('travellers', NULL, 'travel_made', '{"algorithm": "tvae", "epochs": 2}');
SELECT insight_export('travel_made') AS made \gset
SELECT model, version, task FROM insight_import(:'made', 'travel_made_back');
SELECT count(*) FROM insight_generate('travel_made_back', 20, NULL::travellers);
-- What it was trained on is not known here.
SELECT insight_retrain('travel_back');
SELECT insight_reproduce('travel_back');
-- ONNX: a model of another shape, and what it cannot express.
SELECT length(insight_export('travel', 'onnx')) > 1000 AS onnx;
SELECT insight_export('travel_made', 'onnx');
CREATE TABLE dated_travellers AS SELECT t.*, date '2025-01-01' + traveller_id % 300 AS since FROM travellers t;
SELECT status FROM insight_train('dated_travellers', 'returns', 'travel_dated', '{"algorithm": "linear"}');
SELECT insight_export('travel_dated', 'onnx');
SELECT insight_export('travel', 'onnx', true);
SELECT insight_export('travel', 'pickle');
SELECT insight_export('travell');
SELECT insight_export(NULL);
-- Files that are none, or were changed.
SELECT insight_import('\x00');
SELECT insight_import('');
SELECT insight_import(NULL);
SELECT insight_import(insight_export('travel', 'onnx'));
SELECT insight_import(substr(:'travel'::bytea, 1, length(:'travel'::bytea) - 4));
SELECT insight_import(set_byte(:'travel'::bytea, length(:'travel'::bytea) - 2, 7));
SELECT insight_import(:'travel', 'a@b');
-- Segments travel too, but for those that are told apart by rows.
SELECT count(*) > 100 AS segmented FROM insight_segments('SELECT * FROM travellers', '{"name": "travel_groups", "exclude": ["traveller_id"], "k": 3}');
SELECT model, version, task FROM insight_import(insight_export('travel_groups'), 'travel_groups_too');
SELECT count(*) FILTER (WHERE insight_classify('travel_groups', t) IS DISTINCT FROM insight_classify('travel_groups_too', t)) AS differ FROM travellers t;
SELECT status FROM insight_train('travellers', NULL, 'travel_dense', '{"algorithm": "hdbscan", "exclude": ["traveller_id"]}');
SELECT insight_export('travel_dense');
SELECT model, version FROM insight_import(insight_export('travel_dense', keep_rows => true), 'travel_dense_too');
-- Only who manages a model has its file, or replaces it.
CREATE ROLE carry_guest;
SET ROLE carry_guest;
SELECT insight_export('travel');
SELECT insight_import(:'travel');
SELECT model, version FROM insight_import(:'travel', 'travel_guest');
RESET ROLE;
SELECT owner FROM insight.models WHERE model = 'travel_guest';
SELECT insight_drop('travel_guest');
DROP ROLE carry_guest;
