-- The catalog: what models are and what became of jobs. People read the views of views.sql, not these tables.
-- Written only by the extension's own functions, as the extension's owner.

CREATE SCHEMA insight;
GRANT USAGE ON SCHEMA insight TO PUBLIC;
COMMENT ON SCHEMA insight IS 'catalog and views of the extension insight';

-- Of model, version and privilege, the first columns and the indexes of the keys are read without SQL: src/store counts and names them.
CREATE TABLE insight.model (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL UNIQUE CHECK (name <> ''),
  -- Roles by name: a dump can be restored where a role is missing, and no number can come to mean another role.
  owner      name NOT NULL,
  deployed   integer,
  deployed_at timestamptz,
  deployed_by name,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE insight.model IS 'one row per model name, with the deployed version';

CREATE TABLE insight.version (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model      bigint NOT NULL REFERENCES insight.model ON DELETE CASCADE,
  version    integer NOT NULL,
  job        bigint,
  task       text NOT NULL,
  algorithm  text NOT NULL,
  relation   text NOT NULL,
  target     text NOT NULL,
  metric     text,
  score      double precision,
  rows       bigint NOT NULL,
  seconds    double precision NOT NULL,
  device     text NOT NULL,
  options    jsonb NOT NULL,
  -- Everything about the version that is not a number of the network: features, params, provenance.
  summary    jsonb NOT NULL,
  artifact   bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_by name NOT NULL,
  UNIQUE (model, version)
);
-- Weights do not compress; out of line and uncompressed they are read in one go.
ALTER TABLE insight.version ALTER COLUMN artifact SET STORAGE EXTERNAL;
COMMENT ON TABLE insight.version IS 'one row per trained version; its id never changes meaning, so it keys every cache';

CREATE TABLE insight.epoch (
  version         bigint NOT NULL REFERENCES insight.version ON DELETE CASCADE,
  epoch           integer NOT NULL,
  train_loss      double precision NOT NULL,
  validation_loss double precision,
  learning_rate   double precision NOT NULL,
  rows_per_second double precision NOT NULL,
  seconds         double precision NOT NULL,
  PRIMARY KEY (version, epoch)
);
COMMENT ON TABLE insight.epoch IS 'one row per epoch of each version';

CREATE TABLE insight.trial (
  version bigint NOT NULL REFERENCES insight.version ON DELETE CASCADE,
  trial   integer NOT NULL,
  status  text NOT NULL,
  options jsonb NOT NULL,
  loss    double precision,
  epochs  integer NOT NULL,
  seconds double precision NOT NULL,
  best    boolean NOT NULL,
  PRIMARY KEY (version, trial)
);
COMMENT ON TABLE insight.trial IS 'one row per trial of the search for hyper-parameters of each version';

CREATE TABLE insight.metric (
  version  bigint NOT NULL REFERENCES insight.version ON DELETE CASCADE,
  position integer NOT NULL,
  metric   text NOT NULL,
  class    text,
  value    double precision NOT NULL,
  low      double precision NOT NULL,
  high     double precision NOT NULL,
  baseline double precision,
  PRIMARY KEY (version, position)
);
COMMENT ON TABLE insight.metric IS 'scores of each version on the rows held out for testing';

CREATE TABLE insight.deployment (
  deployment  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model       bigint NOT NULL REFERENCES insight.model ON DELETE CASCADE,
  version     integer NOT NULL,
  -- The version that was deployed before, NULL where none was.
  replaced    integer,
  deployed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  role        name NOT NULL,
  reason      text NOT NULL,
  -- Of a version that was compared with the one it replaces: the champion and the challenger on the same rows.
  metric           text,
  champion_score   double precision,
  challenger_score double precision,
  p_value          double precision,
  rows             bigint
);
CREATE INDEX deployment_model ON insight.deployment (model);
COMMENT ON TABLE insight.deployment IS 'one row per deployment of a version';

CREATE TABLE insight.job (
  job          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model        text NOT NULL,
  version      integer,
  status       text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  phase        text NOT NULL DEFAULT 'queued',
  pid          integer,
  role         name NOT NULL,
  session_role name NOT NULL,
  -- A caller waits for this job: it ends when the caller does.
  waiting      boolean NOT NULL,
  spec         jsonb NOT NULL,
  -- Shared memory with the live progress of a running job.
  progress     bigint,
  read_rows    bigint,
  read_seconds double precision,
  -- Seconds by phase.
  phases       jsonb,
  -- The most memory the trainer had at once.
  peak_bytes   bigint,
  device       text,
  queued_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at   timestamptz,
  finished_at  timestamptz,
  error        text,
  detail       text,
  hint         text,
  sqlstate     text
);
CREATE INDEX job_open ON insight.job (job) WHERE status IN ('queued', 'running');
COMMENT ON TABLE insight.job IS 'one row per training job';

CREATE TABLE insight.log (
  model      bigint PRIMARY KEY REFERENCES insight.model ON DELETE CASCADE,
  active     boolean NOT NULL,
  sample     double precision NOT NULL CHECK (sample > 0 AND sample <= 1),
  retention  interval NOT NULL,
  -- The column that has the keys where truth arrives.
  key        text,
  -- Whose predictions are kept, beside those of members of the model's owner.
  roles      name[] NOT NULL,
  metric     text,
  bound      double precision,
  role       name NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE insight.log IS 'one row per model whose predictions are, or were, kept';

-- Partitions, a week each, are made and dropped by insight_log and insight_score. They are no members of the extension, so that
-- pg_dump takes them along with their rows; each has an index of its own, for one of the whole would be there before pg_restore
-- makes those of the parts.
CREATE TABLE insight.prediction (
  -- No foreign key: it would be looked up for every prediction.
  model        bigint NOT NULL,
  version      integer NOT NULL,
  key          text NOT NULL,
  prediction   double precision,
  label        text,
  probability  double precision,
  -- All that the model has answered, where the prediction does not say it.
  outputs      double precision[],
  predicted_at timestamptz NOT NULL,
  role         name NOT NULL,
  -- Where a key is set: key, prediction, label, probability and outputs, encrypted; they stand nowhere else then.
  sealed       bytea
) PARTITION BY RANGE (predicted_at);
COMMENT ON TABLE insight.prediction IS 'predictions that are kept, partitioned by week';

CREATE TABLE insight.live_score (
  model       bigint NOT NULL REFERENCES insight.model ON DELETE CASCADE,
  version     integer NOT NULL,
  unit        text NOT NULL,
  period      timestamptz NOT NULL,
  by          text NOT NULL,
  segment     text NOT NULL,
  metric      text NOT NULL,
  rows        bigint NOT NULL,
  value       double precision NOT NULL,
  low         double precision,
  high        double precision,
  trained     double precision,
  bound       double precision,
  below       boolean,
  measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (model, version, unit, period, by, segment, metric)
);
COMMENT ON TABLE insight.live_score IS 'one row per metric of the kept predictions of a version, period and segment';

-- Privacy: what of each table may be told at most, and what has been. By regclass: a table keeps its budget under another name.
CREATE TABLE insight.privacy_budget (
  relation regclass PRIMARY KEY,
  epsilon  double precision NOT NULL CHECK (epsilon >= 0 AND epsilon < 'Infinity'),
  delta    double precision NOT NULL CHECK (delta >= 0 AND delta < 1),
  set_by   name NOT NULL,
  set_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE insight.privacy_budget IS 'one row per table with a privacy budget, set by insight_privacy_budget';

CREATE TABLE insight.privacy_spent (
  entry    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation regclass NOT NULL,
  epsilon  double precision NOT NULL,
  delta    double precision NOT NULL,
  what     text NOT NULL,
  -- The job that trained; NULL for what was told without one.
  job      bigint,
  role     name NOT NULL,
  spent_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX privacy_spent_relation ON insight.privacy_spent (relation);
COMMENT ON TABLE insight.privacy_spent IS 'one row per table and use that told something of it under differential privacy; rows are only added';
-- Encrypted where a key is configured.
CREATE TABLE insight.salt (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  salt bytea NOT NULL
);
COMMENT ON TABLE insight.salt IS 'the random secret that fingerprints of keys are made with';

CREATE TABLE insight.fingerprint (
  version bigint PRIMARY KEY REFERENCES insight.version ON DELETE CASCADE,
  keys    bigint NOT NULL,
  members bytea NOT NULL
);
COMMENT ON TABLE insight.fingerprint IS 'one row per version that was trained with the option key: fingerprints of the keys it saw';

CREATE TABLE insight.forgotten (
  model       bigint NOT NULL REFERENCES insight.model ON DELETE CASCADE,
  fingerprint bigint NOT NULL,
  forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  role        name NOT NULL,
  PRIMARY KEY (model, fingerprint)
);
COMMENT ON TABLE insight.forgotten IS 'fingerprints of keys whose rows are left out of every later training of a model';

CREATE TABLE insight.privilege (
  model      bigint NOT NULL REFERENCES insight.model ON DELETE CASCADE,
  -- public stands for everybody.
  role       name NOT NULL,
  "right"    text NOT NULL CHECK ("right" IN ('predict', 'explain', 'manage')),
  granted_by name NOT NULL,
  granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (model, role, "right")
);
COMMENT ON TABLE insight.privilege IS 'one row per right that a role was granted on a model';

-- Append-only: a trigger refuses all but INSERT. No foreign keys: what was done stays when its model is gone.
CREATE TABLE insight.audit_entry (
  entry        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  role         name NOT NULL,
  session_role name NOT NULL DEFAULT session_user,
  client       inet DEFAULT inet_client_addr(),
  application  text DEFAULT current_setting('application_name'),
  action       text NOT NULL,
  model        text,
  -- Another model may come to have the name.
  model_id     bigint,
  version      integer,
  job          bigint,
  relation     text,
  columns      text[],
  rows         bigint,
  detail       jsonb
);
COMMENT ON TABLE insight.audit_entry IS 'what was done with models, by whom; append-only';
CREATE TABLE insight.leak (
  version     bigint NOT NULL REFERENCES insight.version ON DELETE CASCADE,
  position    integer NOT NULL,
  attack      text NOT NULL,
  metric      text NOT NULL,
  -- NULL: there were too few rows to say.
  value       double precision,
  low         double precision,
  high        double precision,
  shadows     integer NOT NULL,
  rows        integer NOT NULL,
  job         bigint NOT NULL,
  role        name NOT NULL,
  -- One for all figures of a test.
  measured_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  PRIMARY KEY (version, position)
);
COMMENT ON TABLE insight.leak IS 'one row per figure of the last leak test of each version';

REVOKE ALL ON ALL TABLES IN SCHEMA insight FROM PUBLIC;

-- Nor do default privileges give anything of the tables away.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    SELECT DISTINCT c.oid::pg_catalog.regclass AS relation, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS role
    FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
    WHERE c.relnamespace OPERATOR(pg_catalog.=) 'insight'::pg_catalog.regnamespace
      AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,S}') AND a.grantee OPERATOR(pg_catalog.<>) c.relowner
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM %s CASCADE', granted.kind, granted.relation, granted.role);
  END LOOP;
END $$;

SELECT pg_catalog.pg_extension_config_dump('insight.model', '');
SELECT pg_catalog.pg_extension_config_dump('insight.version', '');
SELECT pg_catalog.pg_extension_config_dump('insight.epoch', '');
SELECT pg_catalog.pg_extension_config_dump('insight.trial', '');
SELECT pg_catalog.pg_extension_config_dump('insight.metric', '');
SELECT pg_catalog.pg_extension_config_dump('insight.deployment', '');
SELECT pg_catalog.pg_extension_config_dump('insight.job', '');
SELECT pg_catalog.pg_extension_config_dump('insight.log', '');
SELECT pg_catalog.pg_extension_config_dump('insight.live_score', '');
SELECT pg_catalog.pg_extension_config_dump('insight.privacy_budget', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('insight.privacy_spent', 'WHERE relation IN (SELECT oid FROM pg_catalog.pg_class)');
SELECT pg_catalog.pg_extension_config_dump('insight.salt', '');
SELECT pg_catalog.pg_extension_config_dump('insight.fingerprint', '');
SELECT pg_catalog.pg_extension_config_dump('insight.forgotten', '');
SELECT pg_catalog.pg_extension_config_dump('insight.privilege', '');
SELECT pg_catalog.pg_extension_config_dump('insight.audit_entry', '');
SELECT pg_catalog.pg_extension_config_dump('insight.audit_entry_entry_seq', '');
SELECT pg_catalog.pg_extension_config_dump('insight.leak', '');
SELECT pg_catalog.pg_extension_config_dump('insight.model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('insight.version_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('insight.deployment_deployment_seq', '');
SELECT pg_catalog.pg_extension_config_dump('insight.job_job_seq', '');
SELECT pg_catalog.pg_extension_config_dump('insight.privacy_spent_entry_seq', '');
