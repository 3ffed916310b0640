-- All that must be the same after pg_upgrade, as text. Left out is what versions of PostgreSQL write differently: row types are members
-- of the extension from 17 on, and constraints NOT NULL objects from 18 on.
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SET client_min_messages = error;
SET DateStyle = ISO;
SET TimeZone = UTC;
\echo extension
SELECT extversion, extnamespace::regnamespace, extowner::regrole, extrelocatable, extcondition,
  (SELECT array_agg(r::regclass::text ORDER BY n) FROM unnest(extconfig) WITH ORDINALITY u(r, n)) FROM pg_extension WHERE extname = 'insight';
\echo members
SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C", deptype FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'insight')
  AND classid <> 'pg_type'::regclass ORDER BY 1, 2;
\echo relations
SELECT oid::regclass::text COLLATE "C", relkind, relowner::regrole, relpersistence, relrowsecurity, relforcerowsecurity, relispartition, reloptions, obj_description(oid, 'pg_class'),
  pg_get_expr(relpartbound, oid) FROM pg_class WHERE relnamespace = 'insight'::regnamespace AND relkind <> 'i' ORDER BY 1;
SELECT attrelid::regclass::text COLLATE "C", attnum, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attidentity FROM pg_attribute a
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'insight'::regnamespace AND relkind <> 'i') AND attnum > 0 ORDER BY 1, 2;
SELECT indexrelid::regclass::text COLLATE "C", pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'insight'::regnamespace) ORDER BY 1;
SELECT conrelid::regclass::text COLLATE "C", conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'insight'::regnamespace AND contype <> 'n' ORDER BY 1, 2;
\echo rights on relations and functions, now and as the extension gave them
-- The owner's are left out: rights of the owner alone are written down, or not, and mean the same.
SELECT oid::regclass::text COLLATE "C", a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_class, aclexplode(relacl) a
WHERE relnamespace = 'insight'::regnamespace AND a.grantee <> relowner ORDER BY 1, 2, 3;
SELECT oid::regprocedure::text COLLATE "C", proowner::regrole, a.grantee::regrole, a.is_grantable FROM pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a
WHERE probin LIKE '%insight%' OR pronamespace = 'insight'::regnamespace ORDER BY 1, 3;
SELECT oid::regprocedure::text COLLATE "C", prosecdef, provolatile, proparallel, proisstrict, proconfig, probin, obj_description(oid, 'pg_proc') FROM pg_proc
WHERE probin LIKE '%insight%' OR pronamespace = 'insight'::regnamespace ORDER BY 1;
SELECT pg_describe_object(p.classoid, p.objoid, p.objsubid) COLLATE "C", p.privtype, a.grantee::regrole, a.privilege_type FROM pg_init_privs p, aclexplode(p.initprivs) a
WHERE (p.classoid, p.objoid) IN (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'insight')) AND a.grantee <> a.grantor ORDER BY 1, 2, 3, 4;
SELECT nspname, nspowner::regrole, nspacl FROM pg_namespace WHERE nspname = 'insight';
\echo policies and triggers
SELECT * FROM pg_policies WHERE schemaname = 'insight' ORDER BY tablename, policyname;
SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
SELECT evtname, evtevent, evtowner::regrole, evtfoid::regproc, evtenabled, evttags, obj_description(oid, 'pg_event_trigger') FROM pg_event_trigger ORDER BY 1;
\echo settings and roles
SELECT d.datname, r.rolname, s.setconfig FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole ORDER BY 1, 2;
SELECT parname, a.grantee::regrole, a.privilege_type FROM pg_parameter_acl, aclexplode(paracl) a ORDER BY 1, 2, 3;
SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members WHERE roleid::regrole::text LIKE '%up%' ORDER BY 1, 2;
\echo rows of all tables and sequences
SELECT format('SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text)) FROM insight.%I t', relname, relname)
FROM pg_class WHERE relnamespace = 'insight'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname \gexec
SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'insight' ORDER BY 1;
SELECT relation::oid, relation FROM insight.privacy_budget ORDER BY 1;
\echo predictions, as the superuser
SELECT count(*), md5(string_agg(p::text, E'\n' ORDER BY p::text)) FROM insight.predictions p;
SELECT version, md5(string_agg(insight_predict('churn@' || version, c)::text, ' ' ORDER BY customer_id)) FROM customers c, insight.versions
WHERE model = 'churn' GROUP BY version ORDER BY version;
SELECT md5(string_agg(insight_predict('fee', c)::text, ' ' ORDER BY customer_id)), md5(string_agg(insight_predict('secret', c)::text, ' ' ORDER BY customer_id)) FROM customers c;
SELECT md5(string_agg(g::text, ' ')) FROM insight_generate('twins', 100, NULL::people, 7) g;
SELECT md5(string_agg(insight_classify('groups', p), ' ' ORDER BY p::text)), (SELECT md5(string_agg(s::text, ' ')) FROM insight_segment_profiles('groups') s) FROM people p;
SELECT md5(string_agg(e::text, ' ')) FROM customers c, insight_explain('churn', c, 3) e WHERE customer_id < 5;
SELECT insight_contains('churn', '7');
\echo views as each role sees them
SELECT format('SET ROLE %I;', role) || string_agg(format(
  'SELECT current_user, %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text)) FROM insight.%I t;', relname, relname), ' ' ORDER BY relname) || ' RESET ROLE'
FROM unnest(ARRAY['up_analyst', 'up_app', 'up Mia''s team', 'up_outsider']) WITH ORDINALITY r(role, n), pg_class
WHERE relnamespace = 'insight'::regnamespace AND relkind = 'v' AND relname NOT IN ('activity') GROUP BY n, role ORDER BY n \gexec
\echo what each role may do
SET ROLE up_app;
SELECT md5(string_agg(risk::text, ' ' ORDER BY customer_id)) FROM risks;
SELECT * FROM insight_explain('churn', (SELECT c FROM customers c LIMIT 1), 1);
SELECT * FROM insight.version;
SELECT insight_drop('churn');
SELECT insight_export('churn');
SET ROLE "up Mia's team";
SELECT md5(string_agg(e::text, ' ')) FROM customers c, insight_explain('churn', c, 1) e WHERE customer_id < 5;
SELECT insight_deploy('churn', 1);
SET ROLE up_outsider;
SELECT insight_predict('churn', c) FROM customers c LIMIT 1;
SELECT count(insight_predict('fee', c)) FROM customers c;
SET insight.max_seconds = 5;
SET ROLE up_analyst;
SET insight.max_seconds = 5;
SHOW insight.max_seconds;
RESET ROLE;
SHOW insight.max_jobs;
DELETE FROM insight.audit_entry;
