-- Free text, vectors, arrays of categories and documents as features.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE TABLE visits AS
SELECT i AS visit_id,
  'The ' || (ARRAY['room', 'lift', 'food', 'staff', 'price'])[1 + i * 7 % 5] || ' was '
    || CASE WHEN i % 3 = 0 THEN 'not good' ELSE 'good' END || ' on the day of visit ' || i AS review,
  ARRAY[i % 7, (i * 5) % 11, CASE WHEN i % 4 = 0 THEN 1 ELSE 0 END]::real[] AS picture,
  ARRAY['t' || i % 4, 't' || i % 9, CASE WHEN i % 5 = 0 THEN 't0' END] || CASE WHEN i % 6 = 0 THEN ARRAY['t8'] END AS tags,
  jsonb_build_object('plan', 'p' || i % 3, 'use', jsonb_build_object('hours', i % 24, 'ok', i % 2 = 0), 'devices', CASE i % 5 WHEN 0 THEN '[]'::jsonb ELSE '["a", "b"]' END)
    AS details,
  i % 3 = 0 AS complains
FROM generate_series(1, 600) i;
ALTER TABLE visits ALTER review TYPE text;
UPDATE visits SET picture = ARRAY[1, 2]::real[] WHERE visit_id % 50 = 7;
UPDATE visits SET picture = NULL, tags = NULL, details = NULL, review = NULL WHERE visit_id % 50 = 8;
UPDATE visits SET details = '[1, 2]' WHERE visit_id % 50 = 9;
SELECT model, status, score > 0.9 AS good
FROM insight_train('visits', 'complains', options => '{"epochs": 20, "text_features": 20, "test_size": 0.3}');
SELECT name, kind, steps, inputs FROM insight_recipe('visits_complains');
SELECT parameters ->> 'dimension' AS dimension, (parameters ->> 'rows_of_another_length')::int > 0 AS others
FROM insight_recipe('visits_complains') WHERE name = 'picture';
SELECT parameters -> 'terms' ? 'not good' AS found FROM insight_recipe('visits_complains') WHERE name = 'review';
-- A row, the row as JSON and the batch give the same number.
SELECT count(*) AS rows, count(*) FILTER (WHERE row <> json) AS json_differs, count(*) FILTER (WHERE row <> batch) AS batch_differs
FROM (SELECT insight_predict('visits_complains', v) AS row, insight_predict('visits_complains', to_jsonb(v)) AS json, b.prediction AS batch
      FROM visits v JOIN insight_predict_table('visits_complains', 'visits', 'visit_id') b ON b.key = v.visit_id::text) AS all_three;
SELECT round(insight_predict('visits_complains', ROW('The food was not good on the day of visit 7', '{1,2,0}', ARRAY['t1'], '{"plan": "p0"}'::jsonb))) AS complains;
-- Values of the wrong shape.
SELECT insight_predict('visits_complains', '{"picture": [1, 2, 3], "tags": ["t1"], "details": {"plan": 7}, "review": "good"}'::jsonb) IS NOT NULL AS answered;
SELECT insight_predict('visits_complains', '{"picture": {"a": 1}}'::jsonb);
SELECT insight_predict('visits_complains', '{"picture": ["a"]}'::jsonb);
SELECT insight_predict('visits_complains', '{"tags": "t1"}'::jsonb);
SELECT insight_predict('visits_complains', '{"review": [1]}'::jsonb);
SELECT insight_train('visits', 'tags');
SELECT insight_train('visits', 'complains', options => '{"standardise": "log"}');
SELECT insight_train('visits', 'complains', options => '{"text_features": -1}');
-- pgvector's type, by its name and layout.
CREATE TYPE vector;
CREATE FUNCTION vector_in(cstring) RETURNS vector LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
CREATE FUNCTION vector_out(vector) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
CREATE TYPE vector (INPUT = vector_in, OUTPUT = vector_out, ALIGNMENT = int4, STORAGE = external);
CREATE FUNCTION float_bytes(x real) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2) FROM encode(float4send(x), 'hex') h $$;
CREATE TABLE embedded AS
SELECT i, ('\x02000000' || float_bytes(i % 7) || float_bytes(i % 2))::vector AS v, ARRAY[[i % 5, 1], [i % 2, NULL]] AS grid,
  CASE WHEN i % 3 = 0 THEN NULL ELSE ARRAY[i::float8 / 7, 'NaN'] END AS wide, 'x'::name AS n, i % 2 = 0 AS even
FROM generate_series(1, 400) i;
UPDATE embedded SET v = '\x0500' WHERE i = 9;
SELECT model, score > 0.99 AS good FROM insight_train('embedded', 'even', options => '{"epochs": 20}');
SELECT name, kind, inputs, parameters FROM insight_recipe('embedded_even');
SELECT count(*) AS rows, count(*) FILTER (WHERE insight_predict('embedded_even', e) <> b.prediction) AS batch_differs
FROM embedded e JOIN insight_predict_table('embedded_even', 'embedded', 'i') b ON b.key = e.i::text;
SELECT insight_predict('embedded_even', '{"v": "[1, 0]", "grid": [[1, 1], [0, null]], "wide": [1, "NaN"]}'::jsonb)
  = insight_predict('embedded_even', ROW('[1,0]', '{1,1,0,NULL}', ARRAY[1, 'NaN'::float8])) AS same;
-- Every choice of how to standardise and encode.
SELECT s, model, status FROM unnest(ARRAY['auto', 'standard', 'robust', 'minmax', 'quantile', 'none']) s,
  LATERAL insight_train('SELECT visit_id % 50 AS x, complains FROM visits', 'complains', 'scaled_' || s,
    jsonb_build_object('epochs', 1, 'standardise', s));
SELECT model, steps FROM unnest(ARRAY['auto', 'standard', 'robust', 'minmax', 'quantile', 'none']) s,
  LATERAL (SELECT 'scaled_' || s AS model, steps FROM insight_recipe('scaled_' || s)) r;
SELECT s, model, status FROM unnest(ARRAY['auto', 'embedding', 'target', 'one_hot']) s,
  LATERAL insight_train('SELECT ''c'' || visit_id % 40 AS c, complains FROM visits', 'complains', 'coded_' || s,
    jsonb_build_object('epochs', 1, 'category_encoding', s));
SELECT model, steps, inputs FROM unnest(ARRAY['auto', 'embedding', 'target', 'one_hot']) s,
  LATERAL (SELECT 'coded_' || s AS model, steps, inputs FROM insight_recipe('coded_' || s)) r;
-- Every shape of numbers, and every way to select and construct.
SELECT t, model, status FROM unnest(ARRAY['auto', 'none', 'log', 'power', 'quantile']) t,
  LATERAL insight_train('SELECT (visit_id % 50 + 1) ^ 3 AS x, complains FROM visits', 'complains', 'shaped_' || t,
    jsonb_build_object('epochs', 1, 'transform', t));
SELECT model, steps FROM unnest(ARRAY['auto', 'none', 'log', 'power', 'quantile']) t,
  LATERAL (SELECT 'shaped_' || t AS model, steps FROM insight_recipe('shaped_' || t)) r;
CREATE TABLE mixed AS SELECT i % 10 AS x, abs(hashint4(i)) % 101 AS noise, 'a' || i % 4 AS a, 'b' || i / 7 % 5 AS b,
  ((i % 10 > 4) <> (i % 7 = 0)) AS y, ((i % 4 + i / 7 % 5) % 2 = 0) <> (i % 11 = 0) AS z FROM generate_series(1, 1500) i;
SELECT s, model, status FROM unnest(ARRAY['auto', 'l1', 'permutation', 'boruta']) s,
  LATERAL insight_train('mixed', 'y', 'chosen_' || s, jsonb_build_object('epochs', 5, 'exclude', ARRAY['z'], 'select', s));
SELECT model, feature, kept, reason ~ 'validation loss goes from' AS tried FROM insight.features
WHERE model ~ '^chosen' AND feature IN ('x', 'noise') ORDER BY 1, 2;
SELECT model, status FROM insight_train('mixed', 'z', 'crossed', '{"epochs": 5, "exclude": ["y"], "construct": "crosses"}');
SELECT feature, kept, reason ~ '^constructed; the validation loss goes from' AS tried FROM insight.features
WHERE model = 'crossed' AND feature ~ '&';
SELECT name, kind, steps, inputs, parameters -> 'pairs' -> 0 AS first FROM insight_recipe('crossed') WHERE kind = 'constructed';
