-- Rows that nobody is: networks that imitate tables, and what holds for the rows they make.
SET client_min_messages = warning;
CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE outlets (shop_id integer PRIMARY KEY, city text NOT NULL, country text);
INSERT INTO outlets VALUES (1, 'Berlin', 'DE'), (2, 'Bonn', 'DE'), (3, 'Paris', 'FR'), (4, 'Rome', 'IT');
CREATE TABLE patrons (
  buyer_id bigint PRIMARY KEY, code varchar(8) UNIQUE, shop_id integer NOT NULL REFERENCES outlets, city text NOT NULL, country text, size size,
  spend numeric(8, 2) CHECK (spend >= 0), visits integer CHECK (visits < 100), since date, seen timestamptz, tags text[], active boolean NOT NULL, note text,
  CHECK (NOT active OR spend IS NOT NULL), UNIQUE (since, spend, visits));
INSERT INTO patrons
SELECT i, 'B-' || lpad((i * 7)::text, 5, '0'), 1 + i % 4, s.city, s.country, CASE WHEN i % 3 = 0 THEN 'large' ELSE 'small' END::size,
  CASE WHEN i % 5 = 0 THEN NULL ELSE (i % 4) * 50 + (i * 7919 % 1000) / 50.0 END, (i * 31) % 90, date '2024-01-01' + (i * 17) % 400,
  timestamptz '2024-01-01 08:00+00' + make_interval(hours => (i * 13) % 9000), CASE WHEN i % 2 = 0 THEN '{new,web}' ELSE '{old}' END::text[],
  i % 5 <> 0 AND i % 2 = 0, NULL
FROM generate_series(1, 600) i JOIN outlets s ON s.shop_id = 1 + i % 4;
SELECT model, version, status, task, algorithm, metric, score > 0.7 AS good, deployed, rows FROM insight_train('patrons', NULL, 'buyer_twins', '{"algorithm": "tvae", "epochs": 150, "seed": 3}');
CREATE TABLE new_patrons (LIKE patrons INCLUDING ALL);
INSERT INTO new_patrons SELECT * FROM insight_generate('buyer_twins', 500, NULL::patrons, seed => 7);
-- Keys are new, what follows from another column follows, ranges, steps and constraints hold.
SELECT count(*), count(DISTINCT buyer_id) AS ids, count(DISTINCT code) AS codes, min(buyer_id) > 600 AS new_ids,
  count(*) FILTER (WHERE code IN (SELECT code FROM patrons)) AS old_codes, bool_and(code ~ '^B-\d{5}$') AS shape FROM new_patrons;
SELECT count(*) AS wrong FROM new_patrons n LEFT JOIN outlets s USING (shop_id, city, country) WHERE s.shop_id IS NULL;
SELECT min(spend) >= 0 AS low, max(spend) <= 170 AS high, abs(avg((spend IS NULL)::int) - 0.2) < 0.12 AS nulls, min(since) >= '2024-01-01' AS since,
  bool_and(extract(second FROM seen) = 0) AS whole_hours, count(DISTINCT tags) AS tags, count(note) AS notes FROM new_patrons;
-- The same seed, the same rows; a longer call begins with them.
SELECT md5(string_agg(n::text, ',')) = (SELECT md5(string_agg(m::text, ',')) FROM (SELECT * FROM insight_generate('buyer_twins', 500, NULL::patrons, 7) LIMIT 20) m) AS same
FROM insight_generate('buyer_twins', 20, NULL::patrons, 7) n;
-- Conditions.
SELECT count(*), count(*) FILTER (WHERE city = 'Rome' AND active) AS met FROM insight_generate('buyer_twins', 50, NULL::patrons, 1, '{"country": "IT", "active": true}');
-- Another row type: columns go by name, and are cast.
CREATE TABLE brief (city varchar(6), spend integer, colour text);
SELECT count(*), max(length(city)) FROM insight_generate('buyer_twins', 10, NULL::brief, 1, '{"city": "Rome"}');
CREATE VIEW towns AS SELECT city, spend FROM patrons;
SELECT count(*) FROM insight_generate('buyer_twins', 10, NULL::towns, 1);
-- How true they are, and what they give away.
SELECT measure, columns, value BETWEEN 0 AND 1 AS share FROM insight_fidelity('buyer_twins', 'patrons', 'new_patrons', '{"target": "active", "holdout": "new_patrons"}')
WHERE columns IS NULL OR measure LIKE 'effi%' OR columns IN ('city', 'spend') ORDER BY 1, 2;
SELECT measure, round(value::numeric, 6) AS value FROM insight_fidelity('buyer_twins', 'patrons', 'patrons')
WHERE measure IN ('quality', 'exact_copies', 'distance_to_closest_record', 'coverage') ORDER BY 1;
-- A GAN, and its losses.
SELECT status, algorithm FROM insight_train('SELECT city, spend FROM patrons', NULL, 'town_twins', '{"algorithm": "gan", "epochs": 3, "batch_size": 100, "loss": "vanilla"}');
SELECT count(*) FROM insight_generate('town_twins', 5, NULL::patrons);
SELECT count(*) FROM insight_generate('town_twins', 5, NULL::brief);
SELECT metric, class FROM insight.metrics WHERE model = 'town_twins' ORDER BY position;
SELECT count(*) > 0 AS epochs FROM insight.history WHERE model = 'town_twins';
-- Errors.
SELECT insight_train('patrons', 'city', 'x', '{"algorithm": "gan"}');
SELECT insight_train('patrons', NULL, 'x', '{"algorithm": "gan", "hidden": [3]}');
SELECT insight_train('patrons', NULL, 'x', '{"algorithm": "tvae", "pac": 3}');
SELECT insight_train('SELECT buyer_id, note FROM patrons', NULL, 'x', '{"algorithm": "tvae"}');
SELECT insight_train('SELECT city FROM patrons LIMIT 5', NULL, 'x', '{"algorithm": "tvae"}');
SELECT insight_train('patrons', NULL, 'x', '{"algorithm": "gan", "exclude": ["town"]}');
SELECT insight_predict('buyer_twins', b) FROM patrons b LIMIT 1;
SELECT count(*) FROM insight_generate('buyer_twins', -1, NULL::patrons);
SELECT count(*) FROM insight_generate('buyer_twins', 5, 1);
SELECT count(*) FROM insight_generate('buyer_twins', 5, NULL::patrons, 1, '{"city": "Oslo"}');
SELECT count(*) FROM insight_generate('buyer_twins', 5, NULL::patrons, 1, '{"spend": 3}');
SELECT count(*) FROM insight_generate('buyer_twins', 5, NULL::patrons, 1, '{"city": "Rome", "country": "FR"}');
CREATE TABLE strict_patrons (city text, spend numeric NOT NULL CHECK (spend > 1000000));
SELECT count(*) FROM insight_generate('buyer_twins', 5, NULL::strict_patrons, 1);
SELECT * FROM insight_fidelity('buyer_twins', 'outlets', options => '{"goal": "x"}');
