-- Virtual customers under differential privacy.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE EXTENSION IF NOT EXISTS insight;
SELECT setseed(0.5);
CREATE TYPE pr_channel AS ENUM ('web', 'shop', 'phone');
CREATE TABLE pr_buyers (buyer_id integer PRIMARY KEY, land text NOT NULL, gold boolean NOT NULL, channel pr_channel NOT NULL,
  spend float8, visits integer NOT NULL CHECK (visits >= 0), since date NOT NULL, mail text);
INSERT INTO pr_buyers
SELECT i, CASE WHEN i = 77 THEN 'canary island' ELSE (ARRAY['DE', 'DE', 'FR', 'IT'])[1 + i % 4] END, gold,
  (ARRAY['web', 'web', 'shop', 'phone'])[1 + floor(random() * 4)::int]::pr_channel,
  CASE WHEN i % 5 > 0 THEN CASE WHEN gold THEN 80 ELSE 20 END + 10 * random() END, floor(random() * 6)::int,
  date '2020-01-01' + floor(random() * 900)::int, 'buyer' || i || '@example.org'
FROM (SELECT i, random() < 0.3 AS gold FROM generate_series(1, 4000) i) s;
ANALYZE pr_buyers;
CREATE TABLE pr_orders (order_id integer PRIMARY KEY, buyer_id integer NOT NULL REFERENCES pr_buyers, amount float8);
INSERT INTO pr_orders SELECT i, 1 + i % 4000, i % 90 FROM generate_series(1, 200) i;

-- What goes with privacy and what does not.
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "tvae", "privacy": {"epsilon": 3}}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3}, "children": {"pr_orders": {}}}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3}, "key": "buyer_id"}');
\set VERBOSITY terse
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3}, "pac": 10}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3}, "dropout": 0.5}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {}}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3, "unit": "nobody"}}');
SELECT insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "privacy": {"epsilon": 3, "bounds": {"land": [0, 1]}}}');
\set VERBOSITY default

-- A private generator: what it states, and that a rare text is nowhere in it.
SELECT version, status, task, algorithm, metric, score > 0.75 AS good, rows
FROM insight_train('pr_buyers', NULL, 'pr_twins', '{"algorithm": "gan", "epochs": 30, "privacy": {"epsilon": 4, "delta": 1e-5}}');
SELECT metric, round(value::numeric, 5) <= 4 AS within FROM insight.metrics WHERE model = 'pr_twins' AND metric IN ('epsilon', 'delta', 'quality') ORDER BY position;
SELECT p ->> 'accountant' AS accountant, (p ->> 'steps')::int > 50 AS steps, (p ->> 'noise_multiplier')::float8 > 0.3 AS noise,
  p -> 'prepared' AS asked, notes
FROM (SELECT provenance -> 'privacy' AS p, provenance -> 'notes' AS notes FROM insight.versions WHERE model = 'pr_twins') s;
SELECT position('canary' IN encode(artifact, 'escape')) AS in_artifact, position('canary' IN summary::text) AS in_summary,
  position('example.org' IN encode(artifact, 'escape')) AS mails, position('shop' IN encode(artifact, 'escape')) > 0 AS common_text
FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'pr_twins';
SELECT count(*) FILTER (WHERE validation_loss IS NOT NULL) AS losses_of_rows FROM insight.history WHERE model = 'pr_twins';

-- Rows cost nothing more, and do not go by what is in the table: the same ones whoever is in it, and whoever asks.
CREATE TABLE pr_made AS SELECT * FROM insight_generate('pr_twins', 500, NULL::pr_buyers, seed => 7);
SELECT count(*), count(DISTINCT buyer_id) AS keys, min(buyer_id) AS first_key, count(DISTINCT land) <= 3 AS lands, count(mail) AS mails,
  bool_and(visits BETWEEN 0 AND 7) AS visits, avg(gold::int) BETWEEN 0.2 AND 0.4 AS gold,
  avg((spend IS NULL)::int) BETWEEN 0.1 AND 0.3 AS missing FROM pr_made;
BEGIN;
TRUNCATE pr_orders, pr_buyers;
SELECT count(*) FROM (SELECT * FROM insight_generate('pr_twins', 500, NULL::pr_buyers, seed => 7) EXCEPT SELECT * FROM pr_made) s;
INSERT INTO pr_buyers (buyer_id, land, gold, channel, visits, since) SELECT i, 'DE', true, 'web', 1, date '2020-01-01' FROM generate_series(4001, 4500) i;
SELECT count(*) FROM (SELECT * FROM insight_generate('pr_twins', 500, NULL::pr_buyers, seed => 7) EXCEPT SELECT * FROM pr_made) s;
ROLLBACK;
SELECT count(*), bool_and(channel = 'shop') AS shop FROM insight_generate('pr_twins', 100, NULL::pr_buyers, seed => 3, given => '{"channel": "shop"}');
SELECT insight_reproduce('pr_twins');

-- Budgets: spent by trainings, not by rows that are made.
SELECT round(epsilon_left::numeric, 6) AS epsilon_left FROM insight_privacy_budget('pr_buyers', 6, 0.01);
SELECT count(*) > 0 AS made FROM insight_generate('pr_twins', 10, NULL::pr_buyers);
SELECT round(epsilon_spent::numeric, 6) AS epsilon_spent, round(epsilon_left::numeric, 6) AS epsilon_left, uses
FROM insight.privacy WHERE relation = 'pr_buyers'::regclass;
SELECT epsilon, delta, what, model, version FROM insight.privacy_ledger WHERE relation = 'pr_buyers'::regclass ORDER BY entry;
\set VERBOSITY terse
SELECT insight_train('pr_buyers', NULL, 'pr_more', '{"algorithm": "gan", "epochs": 1, "privacy": {"epsilon": 3}}');
CREATE ROLE pr_analyst LOGIN;
GRANT SELECT ON pr_buyers TO pr_analyst;
SET ROLE pr_analyst;
SELECT insight_train('pr_buyers', NULL, 'pr_more', '{"algorithm": "gan", "epochs": 1}');
SELECT status FROM insight_train('pr_buyers', NULL, 'pr_more', '{"algorithm": "gan", "epochs": 1, "privacy": {"epsilon": 1.5}}');
SELECT insight_drop('pr_more');
RESET ROLE;
SELECT round(epsilon_left::numeric, 6) AS epsilon_left FROM insight.privacy WHERE relation = 'pr_buyers'::regclass;

-- All rows of a customer are hidden together.
SELECT status FROM insight_train('SELECT buyer_id, amount, amount > 50 AS much FROM pr_orders', NULL, 'pr_of_orders',
  '{"algorithm": "gan", "epochs": 2, "privacy": {"epsilon": 8, "unit": "buyer_id", "bounds": {"amount": [0, 90]}}}');
SELECT provenance #>> '{privacy,unit}' AS unit, provenance #> '{privacy,units}' AS units FROM insight.versions WHERE model = 'pr_of_orders';
CREATE TABLE pr_amounts (buyer_id integer, amount float8, much boolean);
SELECT count(buyer_id) AS told, min(amount) >= 0 AND max(amount) <= 90 AS within FROM insight_generate('pr_of_orders', 200, NULL::pr_amounts);
SELECT count(*) FROM insight_privacy_budget('pr_buyers', NULL);
SELECT insight_drop('pr_twins'), insight_drop('pr_of_orders');
DROP TABLE pr_made, pr_amounts, pr_orders, pr_buyers;
DROP TYPE pr_channel;
DROP ROLE pr_analyst;
