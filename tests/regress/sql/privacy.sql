-- Training under differential privacy, and budgets of tables.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE EXTENSION IF NOT EXISTS insight;
SELECT setseed(0.25);
CREATE TYPE plan AS ENUM ('basic', 'plus', 'pro');
CREATE TABLE dp_clients AS
SELECT i AS subscriber_id, age, (ARRAY['basic', 'plus', 'pro'])[1 + (i % 3)]::plan AS plan,
  CASE WHEN i = 77 THEN 'canary island' ELSE (ARRAY['DE', 'FR', 'IT', 'ES'])[1 + floor(random() * 4)::int] END AS land,
  random() < 0.3 AS newsletter, date '2020-01-01' + floor(random() * 900)::int AS since,
  CASE WHEN random() < 1 / (1 + exp(-(age - 45) / 6.0)) THEN 'yes' ELSE 'no' END AS cancels
FROM (SELECT i, 18 + floor(random() * 60)::int AS age FROM generate_series(1, 6000) i) s;
ALTER TABLE dp_clients ADD PRIMARY KEY (subscriber_id);
ANALYZE dp_clients;

-- What goes with privacy and what does not.
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3, "eps": 1}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": -1}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3, "unit": "nobody"}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3, "unit": "cancels"}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3, "bounds": {"land": [0, 1]}}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "algorithm": "gbdt"}');
\set VERBOSITY terse
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "tune": true}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "early_stopping": true}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "warm_start": true}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "clean": {}}');
SELECT insight_train('dp_clients', 'cancels', 'p', '{"privacy": {"epsilon": 3}, "threshold": "f1"}');
SELECT insight_train('dp_clients', NULL, 'p', '{"privacy": {"epsilon": 3}, "algorithm": "tvae"}');
SELECT insight_train('dp_clients', NULL, 'p', '{"privacy": {"epsilon": 3}, "algorithm": "kmeans"}');
SELECT insight_train('dp_clients', 'since', 'p', '{"privacy": {"epsilon": 3}, "algorithm": "lstm", "key": "subscriber_id", "order": "since", "horizon": "30 days"}');
SELECT insight_train('dp_clients', 'land', 'p', '{"privacy": {"epsilon": 3, "unit": "land"}, "algorithm": "lstm", "key": "subscriber_id", "order": "since"}');
SELECT insight_train('dp_clients', 'land', 'p', '{"privacy": {"epsilon": 3}, "mixture": true, "algorithm": "lstm", "key": "subscriber_id", "order": "since"}');
SELECT insight_train('dp_clients', 'land', 'p', '{"privacy": {"epsilon": 3, "bounds": {"land": [0, 1]}}, "algorithm": "lstm", "key": "subscriber_id", "order": "since"}');
SELECT insight_cross_validate('dp_clients', 'cancels', 3, '{"privacy": {"epsilon": 3}}');
\set VERBOSITY default

-- A model that is private: what it states, that it predicts, and that a rare text is nowhere in it.
SELECT version, status, task, algorithm, metric, score > 0.75 AS good, deployed
FROM insight_train('dp_clients', 'cancels', 'dp_private', '{"privacy": {"epsilon": 4, "delta": 1e-5, "unit": "subscriber_id"}}');
SELECT metric, round(value::numeric, 6) AS value FROM insight.metrics WHERE model = 'dp_private' AND metric IN ('epsilon', 'delta') ORDER BY position;
SELECT p ->> 'accountant' AS accountant, (p ->> 'steps')::int > 50 AS steps, (p ->> 'noise_multiplier')::float8 > 0.3 AS noise,
  (p ->> 'sampling_rate')::float8 BETWEEN 0.01 AND 0.5 AS rate, p ->> 'unit' AS unit, p -> 'prepared' AS asked
FROM (SELECT provenance -> 'privacy' AS p FROM insight.versions WHERE model = 'dp_private') s;
SELECT corr(insight_predict('dp_private', s), age) > 0.6 AS predicts FROM dp_clients s;
SELECT count(*) FROM insight.history WHERE model = 'dp_private';
SELECT position('canary' IN encode(artifact, 'escape')) AS in_artifact,
  position('canary' IN summary::text) AS in_summary, position('FR' IN encode(artifact, 'escape')) > 0 AS common_text
FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'dp_private';
-- What would need rows is refused; what is told of the test rows has noise.
SELECT * FROM insight_drift('dp_private', 'dp_clients');
SELECT e.* FROM dp_clients s, insight_explain('dp_private', s) e WHERE subscriber_id = 1;
SELECT insight_reproduce('dp_private');
SELECT count(*) > 5 AS points FROM insight_roc('dp_private');
-- Numbers are estimated too, with bounds that are known.
SELECT task, metric, algorithm FROM insight_train('dp_clients', 'age', 'dp_private_age', '{"privacy": {"epsilon": 8, "bounds": {"age": [18, 78]}}, "exclude": ["subscriber_id"]}');
-- A delta that allows too much is said.
SET client_min_messages = notice;
\set VERBOSITY terse
DO $$ BEGIN PERFORM insight_train('dp_clients', 'cancels', 'dp_loose', '{"privacy": {"epsilon": 1, "delta": 0.01}, "epochs": 1, "test_size": 0}'); END $$;
\set VERBOSITY default
SET client_min_messages = warning;

-- Models of histories hide all rows of a key. Each subscriber goes through the same circle of shows.
CREATE TABLE dp_plays AS
SELECT i AS subscriber_id, timestamp '2024-01-01' + make_interval(days => s * (1 + i % 3), hours => i % 24) AS at,
  CASE WHEN i = 77 THEN 'canary show' ELSE (ARRAY['news', 'film', 'sport', 'music'])[1 + (s + i) % 4] END AS show, 10 * ((s + i) % 4) + i % 3 AS minutes
FROM generate_series(1, 3000) i, generate_series(1, 2 + i % 9) s;
CREATE TABLE dp_homes AS SELECT i AS subscriber_id, 18 + i % 60 AS age, CASE WHEN i = 77 THEN 'canary home' ELSE (ARRAY['town', 'village'])[1 + i % 2] END AS home, i % 3 = 0 AS quick
FROM generate_series(1, 3000) i;
SELECT status, task, algorithm, metric, score > 0.8 AS good, rows
FROM insight_train('dp_plays', 'show', 'dp_next_show', '{"privacy": {"epsilon": 8, "delta": 1e-5}, "algorithm": "lstm", "key": "subscriber_id", "order": "at", "static_relation": "dp_homes", "epochs": 15}');
SELECT metric, class, value BETWEEN 0 AND 1 AS a_share FROM insight.metrics WHERE model = 'dp_next_show' AND metric LIKE 'hit%' ORDER BY position;
SELECT metric, value FROM insight.metrics WHERE model = 'dp_next_show' AND metric IN ('epsilon', 'delta') ORDER BY position;
SELECT p ->> 'unit' AS unit, p -> 'prepared' AS asked, (p ->> 'units')::int BETWEEN 2200 AND 2600 AS units, (p ->> 'noise_multiplier')::float8 > 0.3 AS noise
FROM (SELECT provenance -> 'privacy' AS p FROM insight.versions WHERE model = 'dp_next_show') s;
SELECT position('canary' IN encode(artifact, 'escape')) AS in_artifact, position('canary' IN summary::text) AS in_summary, position('village' IN encode(artifact, 'escape')) > 0 AS common_text
FROM insight.version v JOIN insight.model m ON m.id = v.model WHERE m.name = 'dp_next_show';
SELECT count(*) FROM insight.history WHERE model = 'dp_next_show';
SELECT label, probability > 0.5 AS likely FROM insight_next('dp_next_show', 'SELECT 1 AS subscriber_id, timestamp ''2024-06-01'' + make_interval(days => n) AS at, (ARRAY[''news'', ''film'', ''sport''])[n] AS show, 10 * (n - 1) AS minutes FROM generate_series(1, 3) n');
SELECT insight_classify('dp_next_show', 4) IN ('news', 'film', 'sport', 'music') AS one;
SELECT epsilon, delta, what, model FROM insight.privacy_ledger WHERE relation IN ('dp_plays'::regclass, 'dp_homes'::regclass) ORDER BY entry;
SELECT insight_reproduce('dp_next_show');
SELECT task, metric, score > 0.8 AS good FROM insight_train('dp_plays', 'quick', 'dp_quick', '{"privacy": {"epsilon": 8, "delta": 1e-5}, "algorithm": "gru", "key": "subscriber_id", "order": "at", "label_relation": "dp_homes", "include": ["minutes"]}');
SELECT task, metric FROM insight_train('dp_plays', 'minutes', 'dp_minutes', '{"privacy": {"epsilon": 8, "bounds": {"minutes": [0, 40]}}, "algorithm": "lstm", "key": "subscriber_id", "order": "at", "epochs": 2}');
SELECT task, metric FROM insight_train('dp_plays', 'at', 'dp_next_play', '{"privacy": {"epsilon": 8}, "algorithm": "lstm", "key": "subscriber_id", "order": "at", "epochs": 2, "test_size": 0}');
-- The delta by default goes by keys: one by rows would tell how many rows a customer has.
SELECT m.value = 0.1 / (SELECT count(DISTINCT subscriber_id) FROM dp_plays) AS by_keys FROM insight.metrics m WHERE model = 'dp_next_play' AND metric = 'delta';
SELECT epsilon_left FROM insight_privacy_budget('dp_plays', 33, 0.5);
\set VERBOSITY terse
SELECT insight_train('dp_plays', 'show', 'dp_next_show', '{"privacy": {"epsilon": 2}, "algorithm": "lstm", "key": "subscriber_id", "order": "at"}');
\set VERBOSITY default
SELECT insight_drop('dp_next_show'), insight_drop('dp_quick'), insight_drop('dp_minutes'), insight_drop('dp_next_play');
DROP TABLE dp_plays, dp_homes;

-- A budget: set by the owner, spent by trainings, refused when it is spent.
CREATE ROLE analyst_of_privacy LOGIN;
GRANT SELECT ON dp_clients TO analyst_of_privacy;
GRANT CREATE ON SCHEMA public TO analyst_of_privacy;
SELECT relation, epsilon, delta, epsilon_spent > 10 AS spent_before, epsilon_left FROM insight_privacy_budget('dp_clients', 14, 0.02);
SELECT relation, epsilon, uses FROM insight.privacy;
SELECT epsilon, what, job IS NOT NULL AS by_job, model, version, role = current_user AS me FROM insight.privacy_ledger ORDER BY entry;
SELECT insight_privacy_budget('dp_clients', -1);
SELECT insight_privacy_budget('SELECT 1 AS one', 1);
CREATE VIEW dp_clients_view AS SELECT * FROM dp_clients WHERE age > 0;
GRANT SELECT ON dp_clients_view TO analyst_of_privacy;
SELECT insight_privacy_budget('dp_clients_view', 1);
SELECT round(epsilon_left::numeric, 6) AS epsilon_left FROM insight_privacy_budget('dp_clients', (SELECT 2 + sum(epsilon) FROM insight.privacy_ledger), 0.02);
SET ROLE analyst_of_privacy;
SELECT insight_privacy_budget('dp_clients', 100);
-- Others than the owner learn from it under differential privacy alone, through a view and a query, too.
\set VERBOSITY terse
SELECT insight_train('dp_clients', 'cancels', 'dp_plain', '{"algorithm": "linear"}');
SELECT insight_train('dp_clients_view', 'cancels', 'dp_plain', '{"algorithm": "linear"}');
SELECT insight_train('SELECT * FROM dp_clients WHERE age < 50', NULL, 'dp_plain', '{"algorithm": "kmeans"}');
SELECT insight_train('dp_clients', 'cancels', 'dp_theirs', '{"privacy": {"epsilon": 3}, "epochs": 1}');
\set VERBOSITY default
SELECT status FROM insight_train('dp_clients_view', 'cancels', 'dp_theirs', '{"privacy": {"epsilon": 1.5}, "epochs": 1}');
SELECT round(epsilon_left::numeric, 6) AS epsilon_left FROM insight.privacy WHERE relation = 'dp_clients'::regclass;
SELECT insight_train('dp_clients', 'cancels', 'dp_theirs', '{"privacy": {"epsilon": 1}, "epochs": 1}');
-- What was spent stays spent, whatever becomes of the caller's transaction.
BEGIN;
SELECT status FROM insight_train('dp_clients', 'cancels', 'gone', '{"privacy": {"epsilon": 0.4, "delta": 1e-4}, "epochs": 1}');
ROLLBACK;
SELECT round(epsilon_left::numeric, 6) AS epsilon_left FROM insight.privacy WHERE relation = 'dp_clients'::regclass;
SELECT epsilon, what, model FROM insight.privacy_ledger ORDER BY entry DESC LIMIT 2;
RESET ROLE;
-- The owner may do as before; without a budget everybody may.
SELECT status FROM insight_train('dp_clients', 'cancels', 'dp_plain', '{"algorithm": "linear"}');
SELECT count(*) FROM insight_privacy_budget('dp_clients', NULL);
SELECT count(*) FROM insight.privacy WHERE relation = 'dp_clients'::regclass;
-- Who may not read a table does not see what was told of it.
REVOKE SELECT ON dp_clients FROM analyst_of_privacy;
SET ROLE analyst_of_privacy;
SELECT count(*) FROM insight.privacy_ledger WHERE relation = 'dp_clients'::regclass;
SELECT count(*) FROM insight.privacy_spent;
RESET ROLE;
-- A partition counts for the whole, and the whole for its partitions.
CREATE TABLE dp_visits (visitor integer, month integer, pages integer, returns boolean) PARTITION BY RANGE (month);
CREATE TABLE dp_visits_early PARTITION OF dp_visits FOR VALUES FROM (1) TO (7);
CREATE TABLE dp_visits_late PARTITION OF dp_visits FOR VALUES FROM (7) TO (13);
INSERT INTO dp_visits SELECT i, 1 + i % 12, i % 37, i % 37 > 15 FROM generate_series(1, 1200) i;
SELECT epsilon_left FROM insight_privacy_budget('dp_visits', 2, 0.01);
SELECT status FROM insight_train('dp_visits_early', 'returns', 'dp_visits_private', '{"privacy": {"epsilon": 1.5}, "epochs": 1}');
SELECT epsilon_left FROM insight.privacy WHERE relation = 'dp_visits'::regclass;
\set VERBOSITY terse
SELECT insight_train('dp_visits_late', 'returns', 'dp_visits_private', '{"privacy": {"epsilon": 1}, "epochs": 1}');
SELECT insight_drop('dp_private'), insight_drop('dp_private_age'), insight_drop('dp_loose'), insight_drop('dp_theirs'), insight_drop('dp_plain'), insight_drop('dp_visits_private');
DROP TABLE dp_visits;
DROP VIEW dp_clients_view;
DROP TABLE dp_clients;
DROP TYPE plan;
REVOKE CREATE ON SCHEMA public FROM analyst_of_privacy;
DROP ROLE analyst_of_privacy;
