-- The views people read. They run with their owner's rights on the catalog's tables and filter by the reader's roles.

CREATE VIEW insight.models AS
SELECT m.name AS model, m.owner, m.deployed AS version, v.task, v.algorithm, v.relation, v.target, v.metric, v.score,
       v.rows, v.device, (SELECT count(*) FROM insight.version o WHERE o.model = m.id) AS versions,
       m.created_at, m.deployed_at, m.deployed_by
FROM insight.model m
LEFT JOIN insight.version v ON v.model = m.id AND v.version = m.deployed;
COMMENT ON VIEW insight.models IS 'one row per model, with its deployed version';

CREATE VIEW insight.versions AS
SELECT m.name AS model, v.version, v.version IS NOT DISTINCT FROM m.deployed AS deployed, v.task, v.algorithm, v.relation,
       v.target, v.metric, v.score, v.rows, v.seconds, v.device, v.options, v.summary->'features' AS features,
       v.summary->'labels' AS labels, v.summary->'provenance' AS provenance,
       (v.summary->'provenance'->>'fit_seconds')::double precision AS fit_seconds,
       (v.summary->'provenance'->>'predict_seconds')::double precision AS predict_seconds,
       octet_length(v.artifact) AS bytes, v.job, v.created_at, v.created_by
FROM insight.version v JOIN insight.model m ON m.id = v.model;
COMMENT ON VIEW insight.versions IS 'one row per trained version of each model, with its features, options and provenance';

CREATE VIEW insight.metrics AS
SELECT m.name AS model, v.version, s.metric, s.value, s.low, s.high, s.baseline, s.class, s.position
FROM insight.metric s JOIN insight.version v ON v.id = s.version JOIN insight.model m ON m.id = v.model;
COMMENT ON VIEW insight.metrics IS 'scores of each version on rows it has not seen, with 95% intervals and the baseline''s score';

CREATE VIEW insight.features AS
SELECT m.name AS model, v.version, f.feature, f.kept, f.reason
FROM insight.version v JOIN insight.model m ON m.id = v.model CROSS JOIN LATERAL (
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

CREATE VIEW insight.deployments AS
SELECT m.name AS model, d.version, d.replaced, d.deployed_at, d.role, d.reason, d.metric, d.champion_score, d.challenger_score,
       d.p_value, d.rows
FROM insight.deployment d JOIN insight.model m ON m.id = d.model;
COMMENT ON VIEW insight.deployments IS 'which version of each model was deployed when, by whom and why, with the comparison that led to it';

CREATE VIEW insight.segments AS
SELECT m.name AS model, v.version, p.value, p.rows, p.own, p.loss_shared, p.loss_own
FROM insight.version v JOIN insight.model m ON m.id = v.model CROSS JOIN LATERAL
  jsonb_to_recordset(v.summary->'provenance'->'segments') AS p (value text, rows bigint, own boolean, loss_shared double precision, loss_own double precision);
COMMENT ON VIEW insight.segments IS 'the values of a partitioned model''s column, and which have a model of their own';

CREATE VIEW insight.history AS
SELECT m.name AS model, v.version, e.epoch, e.train_loss, e.validation_loss, e.learning_rate, e.rows_per_second, e.seconds
FROM insight.epoch e JOIN insight.version v ON v.id = e.version JOIN insight.model m ON m.id = v.model;
COMMENT ON VIEW insight.history IS 'one row per epoch of each version';

CREATE VIEW insight.trials AS
SELECT m.name AS model, v.version, t.trial, t.status, t.loss, t.options, t.epochs, t.seconds, t.best
FROM insight.trial t JOIN insight.version v ON v.id = t.version JOIN insight.model m ON m.id = v.model;
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
LEFT JOIN insight.version v ON v.job = j.job
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

-- Who was given which score is for the members of the model's owner.
CREATE VIEW insight.predictions WITH (security_barrier) AS
SELECT m.name AS model, p.version, p.key, p.prediction, p.label, p.probability, p.predicted_at, p.role
FROM insight.prediction p JOIN insight.model m ON m.id = p.model
WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = m.owner AND pg_has_role(r.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper);
COMMENT ON VIEW insight.predictions IS 'predictions kept by insight_log, of models whose owner''s role the reader belongs to';

CREATE VIEW insight.logs WITH (security_barrier) AS
SELECT m.name AS model, l.active, l.sample, l.retention, l.key, l.roles, l.metric, l.bound, l.role, l.changed_at
FROM insight.log l JOIN insight.model m ON m.id = l.model
WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = m.owner AND pg_has_role(r.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper);
COMMENT ON VIEW insight.logs IS 'how the predictions of each model are kept, by insight_log';

CREATE VIEW insight.performance WITH (security_barrier) AS
SELECT m.name AS model, s.version, s.unit, s.period, NULLIF(s.by, '') AS by, NULLIF(s.segment, '') AS segment, s.metric, s.rows, s.value,
       s.low, s.high, s.trained, s.bound, s.below, s.measured_at
FROM insight.live_score s JOIN insight.model m ON m.id = s.model
WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = m.owner AND pg_has_role(r.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper);
COMMENT ON VIEW insight.performance IS 'how good kept predictions turned out to be, as insight_performance last measured it, beside the score at training';

CREATE VIEW insight.alerts WITH (security_barrier) AS
SELECT model, version, unit, period, by, segment, metric, rows, value, bound, trained, measured_at
FROM insight.performance WHERE below;
COMMENT ON VIEW insight.alerts IS 'live scores that are worse than the bound of insight_log or insight_performance';

CREATE VIEW insight.activity AS
SELECT m.name AS model, v.version, a.predictions, a.cache_hits, a.cache_misses, a.seconds, a.scope, a.since
FROM insight.activity_counters() a JOIN insight.version v ON v.id = a.version JOIN insight.model m ON m.id = v.model;
COMMENT ON VIEW insight.activity IS 'predictions, looks for the model in a session''s cache and seconds of each version: of all sessions since the server''s start where insight is in shared_preload_libraries (scope server), else of the reader''s own session (scope session)';

CREATE VIEW insight.leaks WITH (security_barrier) AS
SELECT m.name AS model, v.version, l.attack, l.metric, l.value, l.low, l.high, l.shadows, l.rows, l.job, l.role, l.measured_at, l.position
FROM insight.leak l JOIN insight.version v ON v.id = l.version JOIN insight.model m ON m.id = v.model
WHERE EXISTS (SELECT FROM pg_roles r WHERE r.rolname = m.owner AND pg_has_role(r.oid, 'USAGE'))
   OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper);
COMMENT ON VIEW insight.leaks IS 'what the last insight_leak_test of each version found, of models whose owner''s role the reader belongs to';
GRANT SELECT ON insight.leaks TO PUBLIC;

GRANT SELECT ON insight.predictions, insight.logs, insight.performance, insight.alerts, insight.activity TO PUBLIC;
GRANT SELECT ON insight.models, insight.versions, insight.deployments, insight.metrics, insight.history, insight.trials, insight.segments, insight.features, insight.jobs, insight.progress TO PUBLIC;
