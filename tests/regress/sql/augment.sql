-- Generated rows beside those that are trained on, and typical customers.
SET client_min_messages = warning;
CREATE TABLE club_members (subscriber_id integer PRIMARY KEY, spend numeric(8, 2), plan text, city text, region text, churn boolean, part text);
INSERT INTO club_members
SELECT i, CASE WHEN i % 10 < 5 THEN 20 WHEN i % 10 < 8 THEN 200 ELSE 100 END + (i * 7919 % 1000) / 100.0,
  CASE WHEN i % 10 < 5 THEN 'basic' WHEN i % 10 < 8 THEN 'pro' ELSE 'team' END, c.city, CASE WHEN c.city = 'Rome' THEN 'south' ELSE 'north' END,
  (i * 31 % 100) < CASE WHEN i % 10 < 5 THEN 80 WHEN i % 10 < 8 THEN 10 ELSE 40 END, (ARRAY['train', 'validation', 'test', 'train', 'validation', 'test', 'validation'])[1 + i % 7]
FROM generate_series(1, 900) i CROSS JOIN LATERAL (SELECT (ARRAY['Rome', 'Oslo', 'Bonn'])[1 + (i * 13) % 3] AS city) c;
CREATE VIEW trained_on AS SELECT subscriber_id, spend, plan, city, region, churn FROM club_members WHERE part = 'train';
SELECT status, algorithm FROM insight_train('trained_on', NULL, 'subscriber_twins', '{"algorithm": "tvae", "epochs": 200, "batch_size": 50, "seed": 3}');
-- What was chosen is what the losses say, and both are told.
SELECT status, deployed FROM insight_train('club_members', 'churn', 'augmented', '{"algorithm": "gbdt", "split": "part", "exclude": ["subscriber_id"], "augment": {"gan": "subscriber_twins", "rows": 400}}');
SELECT a->>'gan' AS gan, (a->>'rows')::int BETWEEN 350 AND 400 AS rows,
  (a->>'kept')::boolean = ((a->>'loss_with')::float8 < (a->>'loss_without')::float8 - greatest((a->>'standard_error')::float8, 0.001 * (a->>'loss_without')::float8)) AS as_losses_say,
  (provenance->>'train_rows')::int AS train_rows, (provenance->>'validation_rows')::int AS validation_rows, (provenance->>'test_rows')::int AS test_rows, options->'augment' AS option
FROM insight.versions, LATERAL (SELECT provenance->'augmentation' AS a) x WHERE model = 'augmented';
-- The same seed, the same model.
SELECT same FROM insight_reproduce('augmented');
-- Without the option nothing is said of it; a generator that teaches the contrary is not used.
SELECT status FROM insight_train('club_members', 'churn', 'plain', '{"algorithm": "gbdt", "split": "part"}');
SELECT provenance->'augmentation' FROM insight.versions WHERE model = 'plain';
SELECT status FROM insight_train('SELECT spend, plan, city, region, NOT churn AS churn FROM trained_on', NULL, 'contrary_twins', '{"algorithm": "tvae", "epochs": 200, "batch_size": 50, "seed": 3}');
SELECT status FROM insight_train('club_members', 'churn', 'contrary', '{"algorithm": "gbdt", "split": "part", "exclude": ["subscriber_id"], "augment": {"gan": "contrary_twins", "rows": 2000}}');
SELECT provenance->'augmentation'->'kept' AS kept FROM insight.versions WHERE model = 'contrary';
-- A number, and folds; as many rows as are trained on.
SELECT status FROM insight_train('SELECT spend, plan, city FROM club_members', 'spend', 'member_spending', '{"algorithm": "auto", "folds": 2, "epochs": 3, "trees": 20, "augment": {"gan": "subscriber_twins@1"}}');
SELECT (a->>'rows')::int BETWEEN 500 AND (provenance->>'train_rows')::int AS rows, a->'loss_with' IS NOT NULL AS compared, (provenance->>'rows')::int AS real_rows
FROM insight.versions, LATERAL (SELECT provenance->'augmentation' AS a) x WHERE model = 'member_spending';
-- Typical customers.
SELECT persona, share BETWEEN 0 AND 1 AS share, typical->>'plan' AS plan, description ~ 'plan (basic|pro|team) \(\d+% against \d+%\)' AS described, name <> '' AS named
FROM insight_personas('subscriber_twins', 3, 'club_members');
SELECT persona, round(share::numeric, 2) AS share, name, description FROM insight_personas('subscriber_twins', 3, 'SELECT spend, plan FROM club_members');
SELECT count(*) BETWEEN 2 AND 8 AS found, round(sum(share)::numeric, 6) AS whole, bool_and(typical->>'region' IS NOT NULL) AS rows FROM insight_personas('subscriber_twins');
SELECT (SELECT md5(string_agg(p::text, ',')) FROM insight_personas('subscriber_twins') p) = (SELECT md5(string_agg(p::text, ',')) FROM insight_personas('subscriber_twins') p) AS same;
SELECT differs->0->>'column' AS column, differs->0->'effect' IS NOT NULL AS effect FROM insight_personas('subscriber_twins', 3, 'SELECT plan FROM club_members') ORDER BY persona LIMIT 1;
-- Errors.
SELECT insight_train('club_members', 'churn', 'x', '{"augment": "subscriber_twins"}');
SELECT insight_train('club_members', 'churn', 'x', '{"augment": {"gan": "subscriber_twins", "row": 5}}');
SELECT insight_train('club_members', 'churn', 'x', '{"augment": {"gan": "subscriber_twins", "rows": 0}}');
SELECT insight_train('club_members', 'churn', 'x', '{"augment": {"rows": 5}}');
SELECT insight_train('club_members', 'churn', 'x', '{"augment": {"gan": "plain"}}');
SELECT insight_train('club_members', 'part', 'x', '{"augment": {"gan": "subscriber_twins"}}');
SELECT insight_train('club_members', 'churn', 'x', '{"validation_size": 0, "augment": {"gan": "subscriber_twins"}}');
SELECT insight_train('club_members', 'churn', 'x', '{"tune": {"trials": 2}, "augment": {"gan": "subscriber_twins"}}');
SELECT insight_train('SELECT spend, churn::text || ''?'' AS churn FROM club_members', 'churn', 'x', '{"augment": {"gan": "subscriber_twins"}}');
SELECT insight_personas('plain');
SELECT insight_personas('subscriber_twins', 1);
SELECT insight_personas('subscriber_twins', -1);
SELECT insight_personas('subscriber_twins', 3, 'SELECT subscriber_id FROM club_members');
SELECT insight_personas('subscriber_twins', 3, 'SELECT part FROM club_members');
SELECT insight_personas('subscriber_twins', NULL, 'SELECT * FROM club_members LIMIT 3');
-- What waiting callers are told, of a generator of one epoch: the last digits differ between versions of the C library, and epochs make
-- more of them.
SELECT status FROM insight_train('SELECT spend, plan, city, region, churn FROM trained_on', NULL, 'hasty_twins', '{"algorithm": "tvae", "epochs": 1, "seed": 3}');
SET client_min_messages = notice;
SELECT status FROM insight_train('trained_on', 'churn', 'told', '{"algorithm": "linear", "exclude": ["subscriber_id"], "augment": {"gan": "hasty_twins", "rows": 1000}}');
SET client_min_messages = warning;
