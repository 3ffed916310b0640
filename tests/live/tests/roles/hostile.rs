//! Code of an ordinary role that tries to run with the rights of the extension's owner or of a superuser.

use super::roles;
use live::*;

/// Writes who runs it into the server's log, which no read-only transaction prevents, and tries to become a superuser.
const PROBE: &str = r#"
CREATE FUNCTION evil.probe(tag text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE become text;
BEGIN
  RAISE LOG 'evil % runs as % of %', tag, current_user, session_user;
  FOREACH become IN ARRAY ARRAY['RESET ROLE', 'SET ROLE postgres', 'SET ROLE NONE', 'SET SESSION AUTHORIZATION postgres',
                                'RESET SESSION AUTHORIZATION', 'SET LOCAL ROLE postgres', 'DISCARD ALL'] LOOP
    BEGIN
      EXECUTE become;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    IF current_user = 'postgres' THEN
      RAISE LOG 'evil % became % by %', tag, current_user, become;
    END IF;
  END LOOP;
  RETURN 1;
END $$;
"#;

/// Functions and operators named like those that the extension's own statements might use.
const IMPOSTORS: &str = r#"
CREATE FUNCTION evil.eq(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('text ='); RETURN pg_catalog.texteq(a, b); END $$;
CREATE FUNCTION evil.eq(a bigint, b bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('bigint ='); RETURN pg_catalog.int8eq(a, b); END $$;
CREATE FUNCTION evil.eq(a integer, b integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('integer ='); RETURN pg_catalog.int4eq(a, b); END $$;
CREATE FUNCTION evil.eq(a oid, b oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('oid ='); RETURN pg_catalog.oideq(a, b); END $$;
CREATE FUNCTION evil.eq(a name, b name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('name ='); RETURN pg_catalog.nameeq(a, b); END $$;
CREATE FUNCTION evil.eq(a name, b text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('name = text'); RETURN a::pg_catalog.text OPERATOR(pg_catalog.=) b; END $$;
CREATE FUNCTION evil.plus(a integer, b integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('+'); RETURN pg_catalog.int4pl(a, b); END $$;
CREATE FUNCTION evil.arrow(a jsonb, b text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('->>'); RETURN pg_catalog.jsonb_object_field_text(a, b); END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.eq);
CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.eq);
CREATE OPERATOR evil.+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.plus);
CREATE OPERATOR evil.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = evil.arrow);
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('clock_timestamp'); RETURN pg_catalog.clock_timestamp(); END $$;
CREATE FUNCTION evil.pg_backend_pid() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('pg_backend_pid'); RETURN pg_catalog.pg_backend_pid(); END $$;
CREATE FUNCTION evil.current_database() RETURNS name LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('current_database'); RETURN pg_catalog.current_database(); END $$;
CREATE FUNCTION evil.pg_advisory_xact_lock(integer, integer) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('pg_advisory_xact_lock'); END $$;
CREATE FUNCTION evil.pg_try_advisory_lock(integer, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('pg_try_advisory_lock'); RETURN true; END $$;
CREATE FUNCTION evil.octet_length(bytea) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('octet_length'); RETURN 1; END $$;
CREATE FUNCTION evil.starts_with(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('starts_with'); RETURN true; END $$;
CREATE FUNCTION evil.pg_has_role(oid, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('pg_has_role'); RETURN true; END $$;
CREATE FUNCTION evil.pg_table_is_visible(oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('pg_table_is_visible'); RETURN true; END $$;
CREATE FUNCTION evil.jsonb_to_recordset(jsonb) RETURNS SETOF record LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('jsonb_to_recordset'); END $$;
CREATE FUNCTION evil.insight_worker_main() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('insight_worker_main'); END $$;
CREATE AGGREGATE evil.max(integer) (SFUNC = int4larger, STYPE = integer);
CREATE AGGREGATE evil.count(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0');
CREATE TYPE evil.regrole AS (x integer);
CREATE TYPE evil.jsonb AS (x integer);
CREATE TYPE evil.text AS (x integer);
CREATE VIEW evil.pg_locks AS SELECT evil.probe('pg_locks') FROM pg_catalog.pg_locks;
CREATE VIEW evil.pg_authid AS SELECT evil.probe('pg_authid');
CREATE VIEW evil.pg_database AS SELECT evil.probe('pg_database');
CREATE VIEW evil.pg_class AS SELECT evil.probe('pg_class');
CREATE VIEW evil.pg_extension AS SELECT evil.probe('pg_extension');
CREATE TABLE evil.model AS SELECT 'm'::pg_catalog.text AS name;
CREATE TABLE evil.job AS SELECT 1 AS job;
CREATE TABLE evil.insight AS SELECT 1 AS model;
"#;

/// Everything an ordinary role may call, with the table `t`.
fn use_everything(s: &mut Session) {
    for seed in [1, 2] {
        s.exec(&format!(
            "SELECT public.insight_train('public.t', 'y', 'hers', ('{{\"epochs\": 2, \"hidden\": [4], \"seed\": {seed}}}')::pg_catalog.jsonb)"
        ));
    }
    let job: i64 = s.one(
        "SELECT job FROM public.insight_train('public.t', 'y', 'hers', '{\"epochs\": 2, \"wait\": false}')",
    );
    let ended: String = s.one(&format!("SELECT public.insight_wait({job}, 60)"));
    assert_eq!(ended, "succeeded");
    s.exec(&format!("SELECT public.insight_cancel({job})"));
    s.exec(
        "SELECT public.insight_predict('hers', t), public.insight_classify('hers', t), public.insight_probabilities('hers', t) FROM public.t;
         SELECT public.insight_predict('hers@1', '{}'::pg_catalog.jsonb);
         SELECT * FROM public.insight_predict_table('hers', 'public.t', 'y');
         SELECT * FROM public.insight_evaluate('hers', 'public.t');
         SELECT * FROM public.insight_confusion('hers');
         SELECT * FROM public.insight_lift('hers', 'public.t'), public.insight_calibration('hers');
         SELECT * FROM public.insight_compare('hers', 'hers', 'public.t');
         SELECT public.insight_classes('hers', t) FROM public.t;
         SELECT * FROM public.insight_score('hers', 'SELECT row_number() OVER () AS id, * FROM public.t', 'evil.scores', 'id');
         SELECT * FROM public.insight_score('hers', 'SELECT row_number() OVER () AS id, * FROM public.t', 'evil.scores', 'id', 'incremental');
         DROP TABLE evil.scores;
         SELECT * FROM public.insight_log('hers', true, '{\"key\": \"y\"}');
         SELECT public.insight_predict_logged('hers', t, 1) FROM public.t LIMIT 1;
         SELECT * FROM insight.predictions; SELECT * FROM insight.logs;
         SELECT * FROM public.insight_log('hers', false);
         SELECT * FROM public.insight_segments('public.t', '{\"name\": \"segments\", \"k\": 2}');
         SELECT public.insight_drop('segments');
         SELECT public.insight_report('hers'), public.insight_summary('hers');
         SELECT * FROM public.insight_explain('hers', '{\"x\": 3}'::pg_catalog.jsonb), public.insight_importance('hers');
         SELECT * FROM public.insight_drift('hers', 'public.t');
         SELECT * FROM public.insight_import(public.insight_export('hers'), 'copied');
         SELECT public.insight_drop('copied');
         SELECT * FROM public.insight_train('SELECT row_number() OVER () AS id, * FROM public.t', 'y', 'keyed', '{\"epochs\": 2, \"hidden\": [4], \"key\": \"id\"}');
         SELECT * FROM public.insight_contains('keyed', '7'), public.insight_forget('7', 'keyed');
         SELECT public.insight_drop('keyed');
         SELECT public.insight_rollback('hers');
         SELECT public.insight_deploy('hers', 1);
         SELECT * FROM insight.models; SELECT * FROM insight.versions; SELECT * FROM insight.metrics;
         SELECT * FROM insight.history; SELECT * FROM insight.jobs; SELECT * FROM insight.progress",
    );
    for wrong in [
        "public.insight_predict('nobodys', '{}'::pg_catalog.jsonb)",
        "public.insight_train('public.nothing', 'y')",
        "public.insight_train('public.t', 'nothing')",
        "public.insight_train_on('nowhere', 'public.t', 'y')",
        "insight.check_may_train('m')",
        "public.insight_deploy('hers', 99)",
        "public.insight_drop('m')",
        "public.insight_contains('nobodys', '7')",
        "public.insight_forget('7', 'nobodys')",
        "public.insight_import('\\\\x00', 'hers')",
        "public.insight_wait(99999)",
    ] {
        s.fails(&format!("SELECT {wrong}"));
    }
    s.exec("SELECT public.insight_drop('hers')");
}

/// No line of the log says that hostile code ran as, or became, anybody but its owner.
#[track_caller]
fn check_log(db: &Database, owner: &str, wanted: bool) {
    let log = db.cluster.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("evil ") && l.contains("LOG:"))
        .filter(|l| l.contains(" runs as ") || l.contains(" became "))
        .filter(|l| l.contains(&db.name) || l.contains("postgres"))
        .collect();
    let bad: Vec<&&str> = lines
        .iter()
        .filter(|l| !l.contains(&format!(" runs as {owner} of")))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(!wanted || !lines.is_empty(), "the probe never ran");
}

/// A database on a cluster of its own, whose log belongs to one test.
fn with_mallory(test: impl FnOnce(&Database, &str, &mut Served)) {
    let cluster = Cluster::start("log_min_messages = log\n");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let [mallory] = roles(&db, &mut m.session, ["mallory"]);
    m.session.exec(&format!(
        "CREATE SCHEMA evil AUTHORIZATION {mallory}; GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT TEMPORARY ON DATABASE {} TO {mallory}",
        db.name
    ));
    let mut s = db.session_of(&mallory);
    s.exec(PROBE);
    s.exec("CREATE TABLE public.t AS SELECT i % 50 AS x, i % 50 > 20 AS y FROM generate_series(1, 200) i");
    test(&db, &mallory, &mut m);
    m.check();
}

#[test]
fn functions_in_the_search_path_never_run_as_somebody_else() {
    with_mallory(|db, mallory, m| {
        let mut s = db.session_of(mallory);
        s.exec(IMPOSTORS);
        for path in [
            "evil, pg_catalog, public",
            "evil, pg_temp, public, pg_catalog",
            "evil",
        ] {
            s.exec(&format!("SET search_path = {path}"));
            use_everything(&mut s);
        }
        // The same path in a superuser's session: what is only hers must not run either in the extension's own statements.
        s.exec("RESET search_path");
        check_log(db, mallory, false);
        m.check();
    });
}

#[test]
fn temporary_objects_never_stand_for_the_catalog() {
    with_mallory(|db, mallory, m| {
        let mut s = db.session_of(mallory);
        let temporary = IMPOSTORS
            .replace("evil.probe", "\u{1}")
            .replace("evil.", "pg_temp.")
            .replace('\u{1}', "evil.probe");
        s.exec(&temporary);
        for path in [
            "pg_temp, pg_catalog, public",
            "pg_temp",
            "public, pg_temp, pg_catalog",
        ] {
            s.exec(&format!("SET search_path = {path}"));
            use_everything(&mut s);
        }
        check_log(db, mallory, false);
        m.check();
    });
}

/// What a view calls runs as the role that trains, and cannot become the user of the session.
#[test]
fn a_view_runs_as_the_role_that_trains() {
    with_mallory(|db, mallory, m| {
        let mut s = db.session_of(mallory);
        s.exec(
            "CREATE FUNCTION evil.spy(x integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('view'); RETURN x; END $$;
             CREATE VIEW public.v AS SELECT x, evil.spy(x) AS z, y FROM public.t LIMIT 50",
        );
        let call = "SELECT insight_train('public.v', 'y', 'hers', '{\"epochs\": 2}')";
        let queued = "SELECT job FROM insight_train('public.v', 'y', 'hers', '{\"epochs\": 2, \"wait\": false}')";
        s.exec(call);
        let job: i64 = s.one(queued);
        assert_eq!(
            s.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
            "succeeded"
        );
        check_log(db, mallory, true);
        // A superuser's session that has become mallory: `RESET ROLE` inside the view must not bring the superuser back.
        m.session.exec(&format!("SET ROLE {mallory}"));
        m.session.exec(call);
        let job: i64 = m.session.one(queued);
        assert_eq!(
            m.session
                .one::<String>(&format!("SELECT insight_wait({job}, 60)")),
            "succeeded"
        );
        m.session.exec("RESET ROLE");
        check_log(db, mallory, true);
        m.check();
    });
}

/// What runs while a relation is read cannot leave anything behind in the worker.
#[test]
fn a_view_leaves_nothing_behind_in_the_worker() {
    with_mallory(|db, mallory, m| {
        let mut s = db.session_of(mallory);
        s.exec(
            "CREATE FUNCTION evil.meddle(x integer) RETURNS integer LANGUAGE plpgsql AS $$
             DECLARE attempt text;
             BEGIN
               FOREACH attempt IN ARRAY ARRAY[
                 'CREATE TEMPORARY TABLE pg_locks (x integer)', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'LISTEN evil',
                 'NOTIFY evil', 'SELECT pg_read_file(''postgresql.conf'')', 'COPY public.t TO PROGRAM ''true''',
                 'UPDATE insight.model SET deployed = 99', 'SELECT * FROM insight.version', 'SELECT lo_create(0)'] LOOP
                 BEGIN
                   EXECUTE attempt;
                   RAISE LOG 'evil meddle became able to %', attempt;
                 EXCEPTION WHEN OTHERS THEN NULL;
                 END;
               END LOOP;
               PERFORM set_config('search_path', 'evil, pg_catalog', false);
               RETURN x;
             END $$;
             CREATE VIEW public.v AS SELECT x, evil.meddle(x) AS z, y FROM public.t LIMIT 50",
        );
        s.exec(IMPOSTORS);
        s.exec("SELECT insight_train('public.v', 'y', 'hers', '{\"epochs\": 2}')");
        let job: i64 = s.one("SELECT job FROM insight_train('public.v', 'y', 'hers', '{\"epochs\": 2, \"wait\": false}')");
        assert_eq!(
            s.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
            "succeeded"
        );
        check_log(db, mallory, false);
        m.check();
    });
}

/// A hostile view harms the one who reads it no more through the extension than without.
#[test]
fn predicting_and_scoring_run_as_the_caller() {
    with_mallory(|db, mallory, _| {
        let mut s = db.session_of(mallory);
        s.exec(
            "CREATE FUNCTION evil.spy(x integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.probe('score'); RETURN x; END $$;
             CREATE VIEW public.v AS SELECT evil.spy(x) AS x, y FROM public.t LIMIT 50;
             SELECT insight_train('public.t', 'y', 'hers', '{\"epochs\": 2}');
             SELECT * FROM insight_predict_table('hers', 'public.v');
             SELECT * FROM insight_evaluate('hers', 'public.v');
             SELECT insight_predict('hers', v) FROM public.v",
        );
        check_log(db, mallory, true);
    });
}

/// Who predicts did not name the model's sources: a view among them must not run its functions with the predictor's rights.
#[test]
fn a_models_sources_run_no_code_of_others() {
    let db = shared().database();
    let mut s = db.session();
    let role = format!("{}_evil", db.name);
    s.exec(&format!(
        "CREATE ROLE {role} LOGIN; CREATE SCHEMA evil AUTHORIZATION {role};
         CREATE TABLE base AS SELECT i AS id, i % 2 = 0 AS y FROM generate_series(1, 200) i;
         CREATE TABLE plain AS SELECT i AS id, i % 2 AS v, date '2024-01-01' AS at FROM generate_series(1, 200) i;
         GRANT SELECT ON base, plain TO {role}"
    ));
    let mut evil = db.session_of(&role);
    evil.exec(
        "CREATE FUNCTION evil.f(v integer) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
           IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
             EXECUTE format('ALTER ROLE %I SUPERUSER', session_user);
           END IF;
           RAISE LOG 'evil source runs as %', current_user; RETURN v; END $$;
         CREATE VIEW evil.ord AS SELECT id, evil.f(v) AS v, at FROM plain;
         GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON evil.ord TO PUBLIC",
    );
    let train = |model: &str, source: &str| {
        format!(
            "SELECT insight_train('base', 'y', '{model}', '{FAST}'::jsonb || \
             '{{\"key\": \"id\", \"sources\": {{\"{source}\": {{\"relation\": \"{source}\", \"key\": \"id\"}}}}}}')"
        )
    };
    evil.exec(&train("viewed", "evil.ord"));
    evil.exec(&train("tabled", "plain"));
    evil.exec("SELECT insight_predict('viewed', b) FROM base b LIMIT 1");
    for call in [
        "SELECT insight_predict('viewed', b) FROM base b LIMIT 1",
        "SELECT insight_predict('viewed', '{\"id\": 1}')",
        "SELECT * FROM insight_predict_table('viewed', 'base')",
        "SELECT * FROM insight_evaluate('viewed', 'base')",
    ] {
        let error = s.fails_with("42501", call);
        assert!(error.hint().is_some(), "{}", error.message());
    }
    assert!(!db.cluster.log().contains("evil source runs as postgres"));
    s.exec("SELECT insight_predict('tabled', b) FROM base b LIMIT 1");
}
