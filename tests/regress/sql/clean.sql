-- Cleaning a table, and cleaning on the way to a model.
\set VERBOSITY default
CREATE TABLE shop (
  id integer PRIMARY KEY, city text, price varchar(12), age integer, income numeric(10, 2), joined text, seen timestamptz,
  tags text[], gone integer, vip boolean, note text);
ALTER TABLE shop DROP COLUMN gone;
INSERT INTO shop
SELECT i, CASE WHEN i = 1 THEN ' Rome ' WHEN i = 2 THEN 'ROME' WHEN i = 3 THEN 'Romme' WHEN i % 3 = 0 THEN 'Bologna'
         WHEN i = 4 THEN 'Bolonga' ELSE 'Rome' END,
       CASE i WHEN 1 THEN '€12' WHEN 2 THEN '€1,200.50' WHEN 3 THEN '(3.2)' WHEN 5 THEN 'free' WHEN 6 THEN 'n/a' ELSE '€' || i % 30 END,
       CASE WHEN i % 25 = 7 THEN NULL ELSE 20 + i % 41 END, CASE WHEN i = 50 THEN 9999999.99 ELSE 1000 + i * 7.5 END,
       CASE i WHEN 1 THEN '31/01/2024' WHEN 2 THEN '2024-02-29' ELSE to_char(date '2024-01-01' + i, 'DD/MM/YYYY') END,
       CASE i WHEN 9 THEN 'infinity' WHEN 10 THEN NULL ELSE timestamptz '2024-01-01 12:00+00' + i * interval '1 hour' END,
       ARRAY['a', 'b'], i % 2 = 0, CASE WHEN i = 8 THEN repeat('x', 1000000) END
FROM generate_series(1, 100) i;
SET timezone = 'UTC';
-- Nothing is done that is not asked for.
SELECT count(*), count(DISTINCT s::text) FROM insight_clean(NULL::shop) s;
SELECT count(*) FROM (SELECT * FROM insight_clean(NULL::shop) EXCEPT SELECT * FROM shop) s;
-- Text.
SELECT id, city FROM insight_clean(NULL::shop, '{"text": {"trim": true}, "variants": true}') WHERE id <= 5 ORDER BY id;
SELECT id, price, joined FROM insight_clean(NULL::shop, '{"numbers": true, "dates": true}') WHERE id <= 7 ORDER BY id;
SELECT id, city FROM insight_clean(NULL::shop, '{"text": {"case": "fold", "trim": true, "unicode": "nfkc"}, "columns": ["city"]}')
WHERE id <= 2 ORDER BY id;
-- Gaps: types stay, infinity means what it says, keys are left alone.
SELECT id, age, seen, note IS NULL AS note FROM insight_clean(NULL::shop, '{"missing": "median"}') WHERE id IN (7, 9, 10) ORDER BY id;
SELECT id, age FROM insight_clean(NULL::shop, '{"missing": "mean", "columns": ["age"]}') WHERE id = 7;
SELECT id, age FROM insight_clean(NULL::shop, '{"missing": "constant", "constant_value": {"age": -1}}') WHERE id = 7;
SELECT id, age BETWEEN 20 AND 60 AS age FROM insight_clean(NULL::shop, '{"missing": "model", "columns": ["age", "income"]}') WHERE id = 7;
SELECT length(note) FROM insight_clean(NULL::shop, '{"missing": "mode"}') WHERE id = 1;
SELECT count(*) FROM insight_clean(NULL::shop, '{"missing": "drop", "columns": ["age"]}');
-- Outliers.
SELECT max(income), max(id) FROM insight_clean(NULL::shop, '{"outliers": "clip", "clip_quantile": 0.02}');
SELECT max(income) FROM insight_clean(NULL::shop, '{"outliers": "robust"}');
SELECT count(*) FROM insight_clean(NULL::shop, '{"outliers": "drop"}');
-- Repeated rows, but for the key.
CREATE TABLE twice (id integer PRIMARY KEY, name text, spent real, data bytea);
INSERT INTO twice SELECT i, 'customer ' || i % 60, (i % 60)::real, '\x00' FROM generate_series(1, 100) i;
INSERT INTO twice VALUES (101, 'CUSTOMER  7', 7, '\x00'), (102, 'customer 8', 8, '\x01');
SELECT count(*), max(id) FROM insight_clean(NULL::twice, '{"duplicates": "exact"}');
SELECT count(*), max(id) FROM insight_clean(NULL::twice, '{"duplicates": "near"}');
-- Another relation in the row type; nothing, one row, all NULL.
SELECT count(*) FROM insight_clean(NULL::twice, '{}', 'SELECT * FROM twice WHERE id < 10');
SELECT count(*) FROM insight_clean(NULL::twice, '{"missing": "auto", "outliers": "clip", "duplicates": "near"}', 'SELECT * FROM twice WHERE false');
SELECT id, name FROM insight_clean(NULL::twice, '{"missing": "auto", "outliers": "robust", "variants": true, "numbers": true, "dates": true}',
  'SELECT * FROM twice WHERE id = 1');
CREATE TABLE nothing (a integer, b text, c date, d boolean, e float8);
INSERT INTO nothing SELECT FROM generate_series(1, 20);
SELECT DISTINCT * FROM insight_clean(NULL::nothing, '{"missing": "auto", "outliers": "clip", "variants": true, "numbers": true}');
-- Privileges and row security are the caller's.
CREATE ROLE regress_insight_clean;
ALTER TABLE twice ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON twice USING (id <= 5);
SET ROLE regress_insight_clean;
SELECT * FROM insight_clean(NULL::twice);
RESET ROLE;
GRANT SELECT ON twice TO regress_insight_clean;
SET ROLE regress_insight_clean;
SELECT count(*) FROM insight_clean(NULL::twice);
RESET ROLE;
REVOKE SELECT ON twice FROM regress_insight_clean;
DROP ROLE regress_insight_clean;
-- What cannot be done is said.
SELECT * FROM insight_clean(NULL::shop, '{"outlier": "clip"}');
SELECT * FROM insight_clean(NULL::shop, '{"text": {"upper": true}}');
SELECT * FROM insight_clean(NULL::shop, '{"missing": "guess"}');
SELECT * FROM insight_clean(NULL::shop, '{"missing": "constant"}');
SELECT * FROM insight_clean(NULL::shop, '{"missing": "constant", "constant_value": {"age": "old"}}');
SELECT * FROM insight_clean(NULL::shop, '{"columns": ["aeg"]}');
SELECT * FROM insight_clean(NULL::shop, '[]');
SELECT * FROM insight_clean(NULL::shop, NULL);
SELECT * FROM insight_clean(NULL::shop, '{}', 'shoppe');
SELECT * FROM insight_clean(NULL::shop, '{}', 'twice');
SELECT * FROM insight_clean(NULL::twice, '{}', 'SELECT id::bigint AS id, name, spent, data FROM twice');
SELECT * FROM insight_clean(5);
CREATE TYPE pair AS (a integer, b integer);
SELECT * FROM insight_clean(NULL::pair);
SELECT * FROM insight_clean(NULL::pair, '{}', 'SELECT 1 AS a, 2 AS b');
-- On the way to a model: learned from the training rows, replayed at prediction.
CREATE TABLE debtors AS
SELECT '€ ' || (i * 37 % 1000) AS owed, CASE WHEN i % 40 = 3 THEN 'ITALY' WHEN i % 3 = 0 THEN 'Spain' ELSE 'Italy' END AS country, CASE WHEN i % 10 > 0 THEN i % 13 END AS months,
       (i * 37 % 1000) > 500 AS late FROM generate_series(1, 600) i;
SET client_min_messages = warning;
SELECT task, rows, score > 0.9 AS good FROM insight_train('debtors', 'late',
  options => '{"clean": {"numbers": true, "variants": true, "missing": "median", "outliers": "clip"}, "epochs": 20}');
RESET client_min_messages;
SELECT insight_predict('debtors_late', '{"owed": "EUR 990", "country": "italy", "months": 5}'::jsonb) > 0.5 AS high,
       insight_predict('debtors_late', '{"owed": "€ 10", "country": "Italy", "months": 5}'::jsonb) < 0.5 AS low;
SELECT abs(insight_predict('debtors_late', '{"owed": "€ 990", "country": "ITALY"}'::jsonb)
         - insight_predict('debtors_late', '{"owed": "990", "country": "Italy", "months": 6}'::jsonb)) < 1e-9 AS same;
SELECT c->>'column' AS "column", c->>'what' AS what, (c->>'rows')::int AS rows
FROM insight.versions v, jsonb_array_elements(v.provenance->'cleaned') c WHERE model = 'debtors_late' ORDER BY 1, 2;
SELECT name, kind, split_part(steps, '; then', 1) AS first FROM insight_recipe('debtors_late') ORDER BY 1;
SELECT count(*), bool_and((p.prediction > 0.5) = (label = 'true')) FROM insight_predict_table('debtors_late', 'debtors') p;
SELECT * FROM insight_train('debtors', 'late', options => '{"clean": {"duplicate": "exact"}}');
SELECT * FROM insight_train('debtors', 'late', options => '{"clean": {"columns": ["late"]}}');
SELECT * FROM insight_train('debtors', 'late', options => '{"clean": 5}');
DROP TABLE shop, twice, nothing, debtors;
DROP TYPE pair;
SELECT insight_drop('debtors_late');
