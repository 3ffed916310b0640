-- Do rows still look like those a model was trained on?
SET client_min_messages = warning;
CREATE VIEW tenants AS SELECT n AS id, (n * 7919 % 1009) / 10.0 AS rent, (ARRAY['north', 'south', 'east'])[1 + n * 31 % 3] AS quarter, CASE WHEN n * 17 % 10 > 0 THEN n * 13 % 7 END AS rooms,
  timestamp '2024-01-01' + n * 613 % 997 * interval '1 hour' AS since, (n * 7919 % 1009) > 500 AS moved FROM generate_series(1, 3000) n;
SELECT status FROM insight_train('SELECT rent, quarter, rooms, since, moved FROM tenants', 'moved', 'drifting', '{"algorithm": "linear"}');
SELECT feature, psi < 0.1 AS small, js < 0.2 AS near, p_value > 0.01 AS by_chance, novel < 0.01 AS known, abs(missing_change) < 0.05 AS as_many, test, share FROM insight_drift('drifting', 'tenants') ORDER BY feature;
-- What moved comes first, the predictions and all columns together last.
CREATE VIEW tenants_later AS SELECT id, rent, CASE WHEN id % 5 = 0 THEN 'harbour' ELSE quarter END AS quarter, CASE WHEN id % 2 = 0 THEN rooms END AS rooms, since + interval '1 day' AS since FROM tenants;
SELECT row_number() OVER () AS n, feature, psi > 0.25 AS much, p_value < 0.001 AS surely, round(novel::numeric, 1) AS novel, round(missing::numeric, 2) AS missing, test, share > 0.1 AS causes FROM insight_drift('drifting', 'tenants_later');
SELECT round(sum(share)::numeric, 6) AS shares FROM insight_drift('drifting', 'tenants_later');
SELECT feature, statistic > 0.9 AS apart FROM insight_drift('drifting', 'SELECT rent + 500 AS rent, quarter, rooms, since FROM tenants') WHERE share > 0.9 OR feature = '(rows)';
-- Labels and numbers as predictions.
SELECT status FROM insight_train('SELECT rent, rooms, quarter FROM tenants', 'quarter', 'drifting_quarter', '{"algorithm": "linear"}');
SELECT test FROM insight_drift('drifting_quarter', 'tenants') WHERE feature = '(prediction)';
SELECT status FROM insight_train('SELECT rooms, since, rent FROM tenants', 'rent', 'drifting_rent', '{"algorithm": "gbdt"}');
SELECT test, psi > 0.25 AS much FROM insight_drift('drifting_rent', 'SELECT rooms, since + interval ''30 days'' AS since FROM tenants') WHERE feature = '(prediction)';
-- Row by row.
SELECT avg(insight_novelty('drifting', t)) BETWEEN 0.3 AND 0.7 AS usual FROM (SELECT * FROM tenants ORDER BY id LIMIT 500) t;
SELECT insight_novelty('drifting', '{"rent": 10000, "quarter": "north"}') AS far, insight_novelty('drifting', NULL::jsonb) AS none;
SELECT insight_novelty('drifting', '{"rent": 50, "quarter": "harbour", "rooms": 3, "since": "2024-01-20 12:00"}'::jsonb) > 0.8 AS new_quarter;
-- What cannot be compared.
SELECT * FROM insight_drift('drifting', 'SELECT rent, since FROM tenants');
SELECT * FROM insight_drift('drifting', 'SELECT * FROM tenants WHERE false');
SELECT * FROM insight_drift('drifting', NULL);
SELECT * FROM insight_drift('drifting', 'tenants_never');
SELECT insight_novelty('drifting', 5);
SELECT status FROM insight_train('SELECT rent, quarter, rooms FROM tenants LIMIT 200', NULL, 'drifting_copy', '{"algorithm": "tvae", "epochs": 1}');
SELECT * FROM insight_drift('drifting_copy', 'tenants');
CREATE ROLE drift_reader;
GRANT USAGE ON SCHEMA public TO drift_reader;
SELECT insight_grant('drifting', 'drift_reader', 'explain');
SET ROLE drift_reader;
SELECT * FROM insight_drift('drifting', 'tenants');
RESET ROLE;
DROP OWNED BY drift_reader;
DROP ROLE drift_reader;
