-- The views people read. They run with their owner's rights on the catalog's tables and filter by the reader's roles.

CREATE VIEW insight.rights WITH (security_barrier) AS
SELECT m.name AS model, m.id AS model_id, g.level >= 1 AS predict, g.level >= 2 AS explain, g.level >= 3 AS manage
FROM insight.model m CROSS JOIN LATERAL (
  SELECT CASE WHEN EXISTS (SELECT FROM pg_roles r WHERE r.rolname = m.owner AND pg_has_role(r.oid, 'USAGE'))
                OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper) THEN 3
         ELSE (SELECT max(CASE p."right" WHEN 'predict' THEN 1 WHEN 'explain' THEN 2 ELSE 3 END) FROM insight.privilege p
               WHERE p.model = m.id AND (p.role = 'public' OR EXISTS (
                 SELECT FROM pg_roles r WHERE r.rolname = p.role AND pg_has_role(r.oid, 'USAGE')))) END AS level) g
WHERE g.level IS NOT NULL;
COMMENT ON VIEW insight.rights IS 'what the reader may do with which models';

CREATE VIEW insight.models WITH (security_barrier) AS
SELECT m.name AS model, m.owner, m.deployed AS version, v.task, v.algorithm, v.relation, v.target, v.metric, v.score,
       v.rows, v.device, (SELECT count(*) FROM insight.version o WHERE o.model = m.id) AS versions,
       m.created_at, m.deployed_at, m.deployed_by
FROM insight.model m
JOIN insight.rights r ON r.model_id = m.id
LEFT JOIN insight.version v ON v.model = m.id AND v.version = m.deployed;
COMMENT ON VIEW insight.models IS 'one row per model, with its deployed version';

CREATE VIEW insight.versions WITH (security_barrier) AS
SELECT m.name AS model, v.version, v.version IS NOT DISTINCT FROM m.deployed AS deployed, v.task, v.algorithm, v.relation,
       v.target, v.metric, v.score, v.rows, v.seconds, v.device, v.options, v.summary->'features' AS features,
       v.summary->'labels' AS labels, CASE WHEN r.explain THEN v.summary->'provenance' END AS provenance,
       (v.summary->'provenance'->>'fit_seconds')::double precision AS fit_seconds,
       (v.summary->'provenance'->>'predict_seconds')::double precision AS predict_seconds,
       octet_length(v.artifact) AS bytes, v.job, v.created_at, v.created_by, insight.key_version(substring(v.artifact FOR 64)) AS key_version
FROM insight.version v JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.versions IS 'one row per trained version of each model, with its features, options and provenance';

CREATE VIEW insight.metrics WITH (security_barrier) AS
SELECT m.name AS model, v.version, s.metric, s.value, s.low, s.high, s.baseline, s.class, s.position
FROM insight.metric s JOIN insight.version v ON v.id = s.version JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.metrics IS 'scores of each version on rows it has not seen, with 95% intervals and the baseline''s score';

CREATE VIEW insight.features WITH (security_barrier) AS
SELECT m.name AS model, v.version, f.feature, f.kept, CASE WHEN r.explain THEN f.reason END AS reason
FROM insight.version v JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id CROSS JOIN LATERAL (
  SELECT c->>'name' AS feature, true AS kept,
         (SELECT s->>'reason' FROM jsonb_array_elements(v.summary->'provenance'->'selection') s WHERE s->>'column' = c->>'name') AS reason
  FROM jsonb_array_elements(v.summary->'features') c
  UNION ALL
  SELECT x->>0, false, x->>1 FROM jsonb_array_elements(v.summary->'provenance'->'excluded') x
  UNION ALL
  SELECT x, (k->>'kept')::boolean,
         format('constructed; the validation loss goes from %s to %s', round((k->>'loss_without')::numeric, 4), round((k->>'loss_with')::numeric, 4))
  FROM jsonb_array_elements(v.summary->'provenance'->'construction') k, jsonb_array_elements_text(k->'features') x) f;
COMMENT ON VIEW insight.features IS 'the columns each version takes and those it does not, with the reasons';

CREATE VIEW insight.deployments WITH (security_barrier) AS
SELECT m.name AS model, d.version, d.replaced, d.deployed_at, d.role, d.reason, d.metric, d.champion_score, d.challenger_score,
       d.p_value, d.rows
FROM insight.deployment d JOIN insight.model m ON m.id = d.model JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.deployments IS 'which version of each model was deployed when, by whom and why, with the comparison that led to it';

CREATE VIEW insight.segments WITH (security_barrier) AS
SELECT m.name AS model, v.version, p.value, p.rows, p.own, p.loss_shared, p.loss_own
FROM insight.version v JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id AND r.explain CROSS JOIN LATERAL
  jsonb_to_recordset(v.summary->'provenance'->'segments') AS p (value text, rows bigint, own boolean, loss_shared double precision, loss_own double precision);
COMMENT ON VIEW insight.segments IS 'the values of a partitioned model''s column, and which have a model of their own';

CREATE VIEW insight.history WITH (security_barrier) AS
SELECT m.name AS model, v.version, e.epoch, e.train_loss, e.validation_loss, e.learning_rate, e.rows_per_second, e.seconds
FROM insight.epoch e JOIN insight.version v ON v.id = e.version JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.history IS 'one row per epoch of each version';

CREATE VIEW insight.trials WITH (security_barrier) AS
SELECT m.name AS model, v.version, t.trial, t.status, t.loss, t.options, t.epochs, t.seconds, t.best
FROM insight.trial t JOIN insight.version v ON v.id = t.version JOIN insight.model m ON m.id = v.model JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.trials IS 'one row per trial of a search for hyper-parameters (option tune), with its validation loss';

-- A worker holds an advisory lock for its whole life: a job that claims to run while its lock is free is dead. A standby
-- sees no locks of its primary and shows what the row says.
CREATE VIEW insight.jobs WITH (security_barrier) AS
SELECT j.job, j.model, COALESCE(j.version, v.version) AS version,
       CASE WHEN d.dead THEN 'failed' ELSE j.status END AS status,
       CASE WHEN d.dead THEN 'done' ELSE COALESCE(p.phase, j.phase) END AS phase,
       j.pid, j.role, j.queued_at, j.started_at, j.finished_at,
       CASE WHEN d.dead THEN 'the worker ended without a report' ELSE j.error END AS error,
       CASE WHEN d.dead THEN '57P01' ELSE j.sqlstate END AS sqlstate,
       j.detail, j.hint, j.session_role, j.waiting, j.read_rows, j.read_seconds,
       j.phases, j.peak_bytes, COALESCE(v.device, j.device) AS device
FROM insight.job j
-- A subscriber can have jobs of its own with the numbers that the versions of its publisher name.
LEFT JOIN (insight.version v JOIN insight.model m ON m.id = v.model) ON v.job = j.job AND m.name = j.model
CROSS JOIN LATERAL (
  SELECT NOT pg_is_in_recovery() AND (j.status = 'running' OR j.status = 'queued' AND j.waiting) AND NOT EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = 1768846183 AND l.objid = j.job::oid AND l.objsubid = 2
      AND l.database = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())) AS dead) d
LEFT JOIN LATERAL insight.job_progress(j.progress, j.job) p ON j.status = 'running'
WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = j.role AND pg_has_role(r.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper);
COMMENT ON VIEW insight.jobs IS 'one row per training job of roles the reader belongs to, with its true status';

CREATE VIEW insight.progress WITH (security_barrier) AS
SELECT j.job, j.model, p.phase, p.epoch, p.epochs, p.rows, p.rows_per_second, p.loss, p.validation_loss, p.eta_seconds,
       p.updated_at, j.started_at, j.pid, p.fold, p.folds
FROM insight.job j CROSS JOIN LATERAL insight.job_progress(j.progress, j.job) p
WHERE j.status = 'running'
  AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = j.role AND pg_has_role(r.oid, 'USAGE'));
COMMENT ON VIEW insight.progress IS 'what running jobs are doing, at most a second old';

-- Who was given which score is for those who manage the model.
CREATE VIEW insight.predictions WITH (security_barrier) AS
SELECT m.name AS model, p.version, COALESCE(o.key, p.key) AS key, COALESCE(o.prediction, p.prediction) AS prediction,
       COALESCE(o.label, p.label) AS label, COALESCE(o.probability, p.probability) AS probability, p.predicted_at, p.role
FROM insight.prediction p JOIN insight.model m ON m.id = p.model JOIN insight.rights r ON r.model_id = m.id AND r.manage
LEFT JOIN LATERAL insight.opened_prediction(p.model, p.version, p.sealed) o ON p.sealed IS NOT NULL;
COMMENT ON VIEW insight.predictions IS 'predictions kept by insight_log, of models that the reader manages';

CREATE VIEW insight.logs WITH (security_barrier) AS
SELECT m.name AS model, l.active, l.sample, l.retention, l.key, l.roles, l.metric, l.bound, l.role, l.changed_at
FROM insight.log l JOIN insight.model m ON m.id = l.model JOIN insight.rights r ON r.model_id = m.id AND r.manage;
COMMENT ON VIEW insight.logs IS 'how the predictions of each model are kept, by insight_log';

CREATE VIEW insight.performance WITH (security_barrier) AS
SELECT m.name AS model, s.version, s.unit, s.period, NULLIF(s.by, '') AS by, NULLIF(s.segment, '') AS segment, s.metric, s.rows, s.value,
       s.low, s.high, s.trained, s.bound, s.below, s.measured_at
FROM insight.live_score s JOIN insight.model m ON m.id = s.model JOIN insight.rights r ON r.model_id = m.id AND r.manage;
COMMENT ON VIEW insight.performance IS 'how good kept predictions turned out to be, as insight_performance last measured it, beside the score at training';

CREATE VIEW insight.alerts WITH (security_barrier) AS
SELECT model, version, unit, period, by, segment, metric, rows, value, bound, trained, measured_at
FROM insight.performance WHERE below;
COMMENT ON VIEW insight.alerts IS 'live scores that are worse than the bound of insight_log or insight_performance';

CREATE VIEW insight.activity WITH (security_barrier) AS
SELECT m.name AS model, v.version, a.predictions, a.cache_hits, a.cache_misses, a.seconds, a.scope, a.since
FROM insight.activity_counters() a JOIN insight.version v ON v.id = a.version JOIN insight.model m ON m.id = v.model
JOIN insight.rights r ON r.model_id = m.id;
COMMENT ON VIEW insight.activity IS 'predictions, looks for the model in a session''s cache and seconds of each version: of all sessions since the server''s start where insight is in shared_preload_libraries (scope server), else of the reader''s own session (scope session)';

-- What has been told of a table is for those who may read it.
CREATE VIEW insight.privacy WITH (security_barrier) AS
SELECT b.relation, b.epsilon, b.delta, s.epsilon AS epsilon_spent, s.delta AS delta_spent, greatest(b.epsilon - s.epsilon, 0) AS epsilon_left,
       greatest(b.delta - s.delta, 0) AS delta_left, s.uses, b.set_by, b.set_at
FROM insight.privacy_budget b CROSS JOIN LATERAL (
  SELECT COALESCE(sum(p.epsilon), 0) AS epsilon, COALESCE(sum(p.delta), 0) AS delta, count(*) AS uses
  FROM insight.privacy_spent p WHERE p.relation = b.relation) s
WHERE has_table_privilege(b.relation, 'SELECT');
COMMENT ON VIEW insight.privacy IS 'one row per table with a privacy budget that the reader may read: the budget, what is spent of it and what is left';

CREATE VIEW insight.privacy_ledger WITH (security_barrier) AS
SELECT p.entry, p.relation, p.epsilon, p.delta, p.what, p.job, v.model, v.version, p.role, p.spent_at
FROM insight.privacy_spent p
LEFT JOIN (SELECT o.job, m.name AS model, o.version FROM insight.version o JOIN insight.model m ON m.id = o.model) v ON v.job = p.job
WHERE has_table_privilege(p.relation, 'SELECT');
COMMENT ON VIEW insight.privacy_ledger IS 'what was told under differential privacy of tables that the reader may read: when, to whom, for how much; model and version where a model came of it';

GRANT SELECT ON insight.privacy, insight.privacy_ledger TO PUBLIC;
CREATE VIEW insight.grants WITH (security_barrier) AS
SELECT m.name AS model, p.role, p."right", p.granted_by, p.granted_at
FROM insight.privilege p JOIN insight.model m ON m.id = p.model JOIN insight.rights r ON r.model_id = m.id
WHERE r.manage OR EXISTS (SELECT FROM pg_roles o WHERE o.rolname = p.role AND pg_has_role(o.oid, 'USAGE'));
COMMENT ON VIEW insight.grants IS 'what roles were granted on models that the reader manages, and on others to the reader''s own roles';

CREATE VIEW insight.audit WITH (security_barrier) AS
SELECT e.entry, e.at, e.role, e.session_role, e.client, e.application, e.action, e.model, e.version, e.job, e.relation, e.columns, e.rows, e.detail
FROM insight.audit_entry e
WHERE EXISTS (SELECT FROM insight.rights r WHERE r.model_id = e.model_id AND r.manage)
   OR EXISTS (SELECT FROM pg_roles o WHERE o.rolname = e.role AND pg_has_role(o.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles o WHERE o.rolname = current_user AND o.rolsuper);
COMMENT ON VIEW insight.audit IS 'what was done with models that the reader manages, and what the reader''s own roles have done';

-- A second lock: who is granted a table by mistake reads only what belongs to models that he or she manages. The owner, as whom the
-- extension's functions and views read, is not held up.
DO $$
DECLARE
  locked record;
BEGIN
  FOR locked IN
    SELECT t.name, t.condition FROM (VALUES
      ('model', 'r.model_id = model.id'), ('version', 'r.model_id = version.model'), ('deployment', 'r.model_id = deployment.model'),
      ('log', 'r.model_id = log.model'), ('prediction', 'r.model_id = prediction.model'), ('live_score', 'r.model_id = live_score.model'),
      ('privilege', 'r.model_id = privilege.model'), ('job', 'false'), ('audit_entry', 'r.model_id = audit_entry.model_id'),
      ('forgotten', 'r.model_id = forgotten.model'), ('salt', 'false'), ('privacy_budget', 'false'), ('privacy_spent', 'false'),
      ('fingerprint', 'r.model_id = (SELECT v.model FROM insight.version v WHERE v.id = fingerprint.version)'),
      ('leak', 'r.model_id = (SELECT v.model FROM insight.version v WHERE v.id = leak.version)'),
      ('epoch', 'r.model_id = (SELECT v.model FROM insight.version v WHERE v.id = epoch.version)'),
      ('trial', 'r.model_id = (SELECT v.model FROM insight.version v WHERE v.id = trial.version)'),
      ('metric', 'r.model_id = (SELECT v.model FROM insight.version v WHERE v.id = metric.version)')) AS t (name, condition)
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE insight.%I ENABLE ROW LEVEL SECURITY', locked.name);
    EXECUTE pg_catalog.format('CREATE POLICY manages ON insight.%I USING (EXISTS (SELECT FROM insight.rights r WHERE r.manage AND %s))',
      locked.name, locked.condition);
  END LOOP;
END $$;

GRANT SELECT ON insight.rights, insight.grants, insight.audit TO PUBLIC;
CREATE VIEW insight.leaks WITH (security_barrier) AS
SELECT m.name AS model, v.version, l.attack, l.metric, l.value, l.low, l.high, l.shadows, l.rows, l.job, l.role, l.measured_at, l.position
FROM insight.leak l JOIN insight.version v ON v.id = l.version JOIN insight.model m ON m.id = v.model
JOIN insight.rights r ON r.model_id = m.id AND r.manage;
COMMENT ON VIEW insight.leaks IS 'what the last insight_leak_test of each version found, of models that the reader manages';
GRANT SELECT ON insight.leaks TO PUBLIC;

GRANT SELECT ON insight.predictions, insight.logs, insight.performance, insight.alerts, insight.activity TO PUBLIC;
GRANT SELECT ON insight.models, insight.versions, insight.deployments, insight.metrics, insight.history, insight.trials, insight.segments, insight.features, insight.jobs, insight.progress TO PUBLIC;
