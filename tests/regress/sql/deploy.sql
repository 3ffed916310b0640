-- Champion and challenger, the history of deployments, training again by a condition.
SET client_min_messages = warning;
\set VERBOSITY default
SELECT setseed(0.5);
CREATE TABLE loyal_members AS
SELECT i AS member_id, a, b, random() < 1 / (1 + exp(-(1.5 * a + 1.5 * b))) AS leaves
FROM (SELECT i, random() * 4 - 2 AS a, random() * 4 - 2 AS b FROM generate_series(1, 2000) i) s;
ALTER TABLE loyal_members ADD PRIMARY KEY (member_id);
-- A model that knows half of what there is to know.
SELECT version, deployed FROM insight_train('loyal_members', 'leaves', 'members_leave', '{"algorithm": "linear", "include": ["a"]}');
SELECT phases ?& ARRAY['reading', 'preparing', 'evaluating'] AS phases, peak_bytes > 1000000 AS memory, device, read_rows FROM insight.jobs
WHERE model = 'members_leave' AND version = 1;
-- The same again is no better: the champion stays.
SELECT version, status, deployed FROM insight_retrain('members_leave');
-- With all there is, it is.
INSERT INTO loyal_members SELECT 2000 + i, a, b, random() < 1 / (1 + exp(-(1.5 * a + 1.5 * b)))
FROM (SELECT i, random() * 4 - 2 AS a, random() * 4 - 2 AS b FROM generate_series(1, 1000) i) s;
SELECT version, status, deployed FROM insight_retrain('members_leave', '{"include": ["a", "b"]}');
SELECT c ->> 'champion' AS champion, (c ->> 'rows')::int BETWEEN 150 AND 600 AS rows, c ->> 'unseen' AS unseen, c ->> 'better' AS better,
  (c ->> 'challenger_score')::float8 > (c ->> 'champion_score')::float8 + 0.05 AS by_much
FROM (SELECT version, provenance -> 'challenge' AS c FROM insight.versions WHERE model = 'members_leave') s WHERE version > 1 ORDER BY version;
-- What the caller wants.
SELECT version, deployed FROM insight_retrain('members_leave', '{"promote": "never"}');
SELECT version, deployed FROM insight_retrain('members_leave', '{"promote": "always"}');
SELECT version, deployed FROM insight_retrain('members_leave', '{"deploy": false}');
SELECT insight_retrain('members_leave', '{"promote": "sometimes"}');
SELECT insight_retrain('members_leave', '{"promote": "never", "deploy": false}');
-- A champion that cannot be asked about these rows is replaced.
SELECT version, deployed FROM insight_retrain('members_leave', '{"include": ["a"]}');
SELECT insight_deploy('members_leave', 5);
-- Back to what was deployed before: neither version 4 nor version 2 ever was.
SELECT insight_rollback('members_leave');
SELECT insight_rollback('members_leave');
SELECT insight_rollback('members_leave');
SELECT version, replaced, role = current_user AS me, reason, metric, champion_score < challenger_score AS better, p_value < 0.05 AS told, rows > 100 AS rows
FROM insight.deployments WHERE model = 'members_leave' ORDER BY deployed_at;
-- Who waits for nothing finds it in the history, too.
SELECT job FROM insight_retrain('members_leave@3', '{"wait": false}') \gset
SELECT insight_wait(:job);
SELECT version, reason FROM insight.deployments WHERE model = 'members_leave' ORDER BY deployed_at DESC LIMIT 1;
-- By a condition.
SELECT version, status, reason, job FROM insight_retrain_if('members_leave', 'new_rows > 10%');
INSERT INTO loyal_members SELECT 3000 + i, a, b, random() < 1 / (1 + exp(-(1.5 * a + 1.5 * b)))
FROM (SELECT i, random() * 4 - 2 AS a, random() * 4 - 2 AS b FROM generate_series(1, 400) i) s;
SELECT version, status, reason, metric, deployed, job IS NOT NULL AS job FROM insight_retrain_if('members_leave', 'new_rows >= 1000 OR new_rows > 10%');
SELECT version, status, reason FROM insight_retrain_if('members_leave', 'new_rows > 10%');
SELECT insight_retrain_if('members_leave', 'new_rows');
SELECT insight_retrain_if('members_leave', 'age > 3');
SELECT insight_retrain_if('members_leave', NULL);
SELECT insight_retrain_if('members_left', 'new_rows > 3');
SELECT insight_retrain_if('members_leave', 'new_rows > 3', '{"promote": 3}');
-- A run of a schedule leaves a failed job and no error.
SELECT insight.run_schedule('members_leave', 'new_rows > 10%', '{}');
SELECT insight.run_schedule('members_left', NULL, '{}');
SELECT status, error, sqlstate, hint IS NOT NULL AS hint, started_at <= finished_at AS ended FROM insight.jobs WHERE model = 'members_left';
ALTER TABLE loyal_members RENAME TO former_members;
SELECT insight.run_schedule('members_leave', 'new_rows > 10%', '{}');
SELECT status, error FROM insight.jobs WHERE model = 'members_leave' ORDER BY job DESC LIMIT 1;
ALTER TABLE former_members RENAME TO loyal_members;
-- Schedules need pg_cron. The hint names the package of this version.
DO $$
DECLARE
  said text;
BEGIN
  PERFORM insight_schedule('members_leave', '0 3 * * *');
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS said = PG_EXCEPTION_HINT;
  RAISE INFO '%', SQLERRM;
  RAISE INFO '%', replace(said, format('postgresql-%s-', current_setting('server_version_num')::int / 10000), 'postgresql-NN-');
END $$;
SELECT insight_schedule('members_leave', '{"if": "new_rows > 10%"}');
SELECT insight_schedule('members_leave', '{"when": "new_rows > 10"');
SELECT insight_schedule('members_leave', '{"when": 3}');
SELECT insight_schedule('members_leave', '0 3 * * *', '{"promote": "now"}');
\set VERBOSITY terse
SELECT insight_unschedule('members_leave');
\set VERBOSITY default
-- The history goes with the model.
SELECT insight_drop('members_leave');
SELECT count(*) FROM insight.deployments WHERE model = 'members_leave';
DROP TABLE loyal_members;
