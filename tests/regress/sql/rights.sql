-- Who may do what with a model, and what is told of it afterwards.
SET client_min_messages = warning;
\set VERBOSITY default
CREATE ROLE regress_ann; CREATE ROLE regress_bob; CREATE ROLE regress_cat;
CREATE TABLE tenants AS
SELECT i AS tenant_id, i % 40 AS years, (ARRAY['flat', 'house', 'room'])[1 + i % 3] AS home, i % 40 < 15 OR i % 17 = 0 AS leaves
FROM generate_series(1, 900) i;
GRANT SELECT ON tenants TO regress_ann;
GRANT CREATE ON SCHEMA public TO regress_ann;
SET ROLE regress_ann;
SELECT status FROM insight_train('tenants', 'leaves', 'tenancy', '{"algorithm": "linear"}');
SELECT predict, explain, manage FROM insight.rights WHERE model = 'tenancy';
-- Nobody else's: neither used nor seen.
SET ROLE regress_bob;
CREATE FUNCTION pg_temp.about() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"years": 3, "home": "flat"}'::jsonb $$;
SELECT insight_predict('tenancy', pg_temp.about());
SELECT insight_predict('tenanzy', pg_temp.about());
SELECT count(*) FROM insight.models WHERE model = 'tenancy';
SELECT (SELECT count(*) FROM insight.versions WHERE model = 'tenancy') + (SELECT count(*) FROM insight.metrics WHERE model = 'tenancy')
  + (SELECT count(*) FROM insight.features WHERE model = 'tenancy') + (SELECT count(*) FROM insight.history WHERE model = 'tenancy')
  + (SELECT count(*) FROM insight.deployments WHERE model = 'tenancy') + (SELECT count(*) FROM insight.audit WHERE model = 'tenancy') AS seen;
SELECT insight_grant('tenancy', 'regress_bob', 'manage');
-- The right to predict is no right to be told what the model goes by.
SET ROLE regress_ann;
SELECT insight_grant('tenancy', 'regress_bob'), insight_grant('tenancy', 'regress_bob') AS again;
SET ROLE regress_bob;
SELECT insight_predict('tenancy', pg_temp.about()) > 0.5 AS leaves, insight_classify('tenancy', pg_temp.about());
SELECT model, version, provenance IS NULL AS no_provenance FROM insight.versions WHERE model = 'tenancy';
SELECT * FROM insight_explain('tenancy', pg_temp.about());
SELECT * FROM insight_importance('tenancy');
SELECT * FROM insight_coefficients('tenancy');
SELECT * FROM insight_recipe('tenancy');
SELECT insight_report('tenancy');
SELECT insight_plot('tenancy', 'importance');
SELECT * FROM insight_counterfactual('tenancy', pg_temp.about(), '< 0.2');
SELECT * FROM insight_rules('tenancy');
SELECT insight_summary('tenancy');
SELECT insight_export('tenancy');
SELECT insight_deploy('tenancy', 1);
SELECT insight_drop('tenancy');
SELECT insight_log('tenancy', true);
SELECT insight_retrain('tenancy');
-- Explaining holds predicting, managing holds both.
SET ROLE regress_ann;
SELECT insight_grant('tenancy', 'regress_bob', 'explain'), insight_grant('tenancy', 'regress_bob', 'predict') AS held;
SET ROLE regress_bob;
SELECT count(*) > 0 AS explained FROM insight_explain('tenancy', pg_temp.about());
SELECT insight_report('tenancy') LIKE '<!DOCTYPE%' AS report;
SELECT model, role, "right", granted_by FROM insight.grants;
SELECT insight_deploy('tenancy', 1);
SET ROLE regress_ann;
SELECT insight_grant('tenancy', 'regress_cat', 'manage');
SELECT role, "right" FROM insight.grants WHERE model = 'tenancy' ORDER BY role;
SET ROLE regress_cat;
SELECT insight_deploy('tenancy', 1), length(insight_export('tenancy')) > 1000 AS exported;
-- Rights are the owner's to give, not a manager's.
SELECT insight_grant('tenancy', 'public');
SELECT count(*) > 0 AS audited FROM insight.audit WHERE model = 'tenancy' AND action = 'train';
SET ROLE regress_ann;
SELECT insight_revoke('tenancy', 'regress_bob', 'explain'), insight_revoke('tenancy', 'regress_bob', 'explain') AS again;
SELECT role, "right" FROM insight.grants WHERE model = 'tenancy' ORDER BY role;
SELECT insight_revoke('tenancy', 'regress_bob'), insight_grant('tenancy', 'public');
SET ROLE regress_bob;
SELECT insight_classify('tenancy', pg_temp.about());
SET ROLE regress_ann;
SELECT insight_revoke('tenancy', 'public');
SET ROLE regress_bob;
SELECT insight_classify('tenancy', pg_temp.about());
-- What is not there.
SET ROLE regress_ann;
SELECT insight_grant('tenancy', 'regress_nobody');
SELECT insight_grant('tenancy', 'regress_bob', 'look');
SELECT insight_grant('tenanzy', 'regress_bob');
-- A view gives the right of who reads it, a function with its owner's rights the owner's: as PostgreSQL does.
CREATE VIEW leaving AS SELECT tenant_id, insight_predict('tenancy', t) AS risk FROM tenants t;
CREATE FUNCTION leaves(years integer) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
  AS $$ SELECT insight_classify('tenancy', jsonb_build_object('years', years, 'home', 'flat')) $$;
GRANT SELECT ON leaving TO regress_bob;
SET ROLE regress_bob;
SELECT count(risk) FROM leaving;
SELECT leaves(3);
-- The catalog's tables are nobody's, and a grant by mistake gives nothing away.
SELECT * FROM insight.version;
RESET ROLE;
GRANT SELECT ON insight.version, insight.model, insight.metric, insight.audit_entry, insight.job TO regress_bob;
SET ROLE regress_bob;
SELECT (SELECT count(*) FROM insight.version) + (SELECT count(*) FROM insight.model) + (SELECT count(*) FROM insight.metric)
  + (SELECT count(*) FROM insight.audit_entry) + (SELECT count(*) FROM insight.job) AS rows;
RESET ROLE;
REVOKE SELECT ON insight.version, insight.model, insight.metric, insight.audit_entry, insight.job FROM regress_bob;
-- The audit: what was done, in order; it cannot be changed, not even by superusers.
SELECT role, action, version, relation, columns, rows, detail - 'options' - 'bytes' AS detail FROM insight.audit WHERE model = 'tenancy' ORDER BY entry;
UPDATE insight.audit_entry SET role = 'nobody';
DELETE FROM insight.audit_entry;
TRUNCATE insight.audit_entry;
SET ROLE regress_ann;
SELECT insight_drop('tenancy');
SELECT action, role FROM insight.audit WHERE model = 'tenancy' ORDER BY entry DESC LIMIT 1;
RESET ROLE;
SELECT count(*) FROM insight.privilege;
-- Every catalog table has its second lock.
SELECT relname FROM pg_class WHERE relnamespace = 'insight'::regnamespace AND relkind IN ('r', 'p') AND NOT relrowsecurity ORDER BY 1;
DROP OWNED BY regress_ann, regress_bob, regress_cat;
DROP ROLE regress_ann; DROP ROLE regress_bob; DROP ROLE regress_cat;
DROP TABLE tenants;
