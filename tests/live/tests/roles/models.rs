//! Models and jobs belong to roles; the catalog belongs to the extension.

use super::roles;
use live::*;

#[test]
fn only_the_owner_and_its_members_change_a_model() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann, bob, max] = roles(&db, &mut m.session, ["ann", "bob", "max"]);
    m.session.exec(&format!(
        "GRANT SELECT ON customers TO PUBLIC; GRANT {ann} TO {max}"
    ));
    let mut a = db.session_of(&ann);
    for seed in [1, 2] {
        a.exec(&format!(
            "SELECT insight_train('customers', 'churn', 'hers', '{FAST}'::jsonb || '{{\"seed\": {seed}}}')"
        ));
    }
    let mut b = db.session_of(&bob);
    for call in [
        "insight_deploy('hers', 1)",
        "insight_rollback('hers')",
        "insight_drop('hers')",
        "insight_train('customers', 'churn', 'hers')",
        "insight_train('customers', 'churn', 'hers', '{\"wait\": false}')",
        "insight_train('customers', 'churn', 'hers', '{\"deploy\": false}')",
        "insight_deploy('m', 1)",
        "insight_drop('m')",
    ] {
        let error = b.fails_with("42501", &format!("SELECT {call}"));
        assert!(error.message().contains("owner"), "{}", error.message());
        assert!(error.hint().is_some(), "{call}");
    }
    let jobs: i64 = m
        .session
        .one("SELECT count(*) FROM insight.jobs WHERE status <> 'succeeded'");
    assert_eq!(jobs, 0, "refused before anything was queued");
    let deployed: i32 = a.one("SELECT version FROM insight.models WHERE model = 'hers'");
    assert_eq!(deployed, 2);
    let seen: i64 = b.one("SELECT count(*) FROM insight.models WHERE model = 'hers'");
    assert_eq!(seen, 0);
    let predicted = "SELECT insight_predict('hers', c) FROM customers c LIMIT 1";
    b.fails_with("42501", predicted);
    a.exec(&format!("SELECT insight_grant('hers', '{bob}')"));
    b.exec(predicted);
    let mut member = db.session_of(&max);
    member.exec("SELECT insight_rollback('hers'); SELECT insight_deploy('hers', 2)");
    member.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'hers', '{FAST}')"
    ));
    let owner: String = member.one("SELECT owner::text FROM insight.models WHERE model = 'hers'");
    assert_eq!(
        owner, ann,
        "a member's version does not take the model away"
    );
    member.exec("SELECT insight_drop('hers')");
    m.check();
}

/// The right is looked at again when the model is stored.
#[test]
fn a_model_that_somebody_else_made_meanwhile_is_not_overwritten() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    m.session.exec("GRANT SELECT ON customers TO PUBLIC");
    let mut a = db.session_of(&ann);
    let job: i64 = a.one(
        "SELECT job FROM insight_train('customers', 'churn', 'taken', '{\"wait\": false, \"epochs\": 100000, \"early_stopping\": false, \"max_seconds\": 12}')",
    );
    Scene::wait_for_epoch(&mut m.session, "taken");
    m.session.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'taken', '{FAST}')"
    ));
    assert_eq!(
        a.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
        "failed"
    );
    let code: String = a.one(&format!(
        "SELECT sqlstate FROM insight.jobs WHERE job = {job}"
    ));
    assert_eq!(code, "42501");
    let versions: i64 = m
        .session
        .one("SELECT versions FROM insight.models WHERE model = 'taken'");
    assert_eq!(versions, 1);
}

#[test]
fn only_the_owner_and_its_members_cancel_a_job() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann, bob, max] = roles(&db, &mut m.session, ["ann", "bob", "max"]);
    m.session.exec(&format!(
        "GRANT SELECT ON customers TO PUBLIC; GRANT {ann} TO {max}"
    ));
    let mut a = db.session_of(&ann);
    let job: i64 = a.one(&format!(
        "SELECT job FROM insight_train('customers', 'churn', 'hers', '{SLOW}'::jsonb || '{{\"wait\": false}}')"
    ));
    let (running, worker) = Scene::wait_for_epoch(&mut a, "hers");
    assert_eq!(running, job);
    let mut b = db.session_of(&bob);
    for call in [
        format!("insight_cancel({job})"),
        format!("insight_wait({job})"),
        format!("pg_cancel_backend({worker})"),
        format!("pg_terminate_backend({worker})"),
    ] {
        b.fails_with("42501", &format!("SELECT {call}"));
    }
    for view in ["jobs", "progress"] {
        let seen: i64 = b.one(&format!(
            "SELECT count(*) FROM insight.{view} WHERE job = {job}"
        ));
        assert_eq!(seen, 0, "insight.{view} shows somebody else's job");
    }
    assert!(alive(worker));
    let mut member = db.session_of(&max);
    let seen: i64 = member.one("SELECT count(*) FROM insight.progress");
    assert_eq!(seen, 1);
    assert!(member.one::<bool>(&format!("SELECT insight_cancel({job})")));
    wait_until("the job is cancelled", 20, || {
        a.one::<String>(&format!(
            "SELECT status FROM insight.jobs WHERE job = {job}"
        )) == "cancelled"
    });
    m.check();
}

#[test]
fn the_catalog_is_closed_to_ordinary_roles() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    let mut a = db.session_of(&ann);
    for table in [
        "model",
        "version",
        "epoch",
        "metric",
        "job",
        "privilege",
        "audit_entry",
        "prediction",
    ] {
        for sql in [
            format!("SELECT * FROM insight.{table}"),
            format!("SELECT 1 FROM insight.{table}"),
            format!("DELETE FROM insight.{table}"),
            format!("TRUNCATE insight.{table} CASCADE"),
            format!("INSERT INTO insight.{table} DEFAULT VALUES"),
            format!("DO $$ BEGIN LOCK insight.{table} IN SHARE MODE; END $$"),
            format!("COPY insight.{table} TO STDOUT"),
            format!("ALTER TABLE insight.{table} ADD evil integer"),
            format!(
                "CREATE TRIGGER evil AFTER INSERT ON insight.{table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
            format!("DROP TABLE insight.{table} CASCADE"),
        ] {
            a.fails_with("42501", &sql);
        }
    }
    for sql in [
        "UPDATE insight.model SET owner = current_user",
        "UPDATE insight.version SET artifact = ''",
        "UPDATE insight.job SET status = 'failed'",
        "CREATE TABLE watches (id bigint REFERENCES insight.model)",
        "SELECT nextval('insight.model_id_seq')",
        "SELECT setval('insight.version_id_seq', 1)",
        "SELECT setval('insight.job_job_seq', 1)",
        "CREATE TABLE insight.mine (x integer)",
        "CREATE VIEW insight.mine AS SELECT 1",
        "CREATE FUNCTION insight.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP VIEW insight.models",
        "DROP EXTENSION insight",
        "ALTER EVENT TRIGGER insight_say_what_goes DISABLE",
        "CREATE OR REPLACE FUNCTION insight_version() RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$",
        "SELECT insight.resealed_artifact(1, '')",
        "ALTER TABLE insight.audit_entry DISABLE TRIGGER insight_keep_audit",
        "SET insight.key_file = '/tmp/key'",
        "SET insight.key_command = 'id'",
        "SET insight.audit_predictions = off",
        "SET insight.max_jobs = 64",
        "SET insight.max_memory = '1TB'",
        "SET insight.max_seconds = 0",
        "SET insight.isolate_training = off",
        "ALTER SYSTEM SET insight.isolate_training = off",
    ] {
        a.fails_with("42501", sql);
    }
    for view in [
        "models", "versions", "metrics", "history", "jobs", "progress",
    ] {
        a.exec(&format!("SELECT * FROM insight.{view}"));
        let error = a.fails(&format!("DELETE FROM insight.{view}"));
        assert!(
            ["42501", "55000"].contains(&error.code().code()),
            "{view}: {error}"
        );
    }
    // Handles of shared memory are no secret and open nothing else.
    let guessed: i64 =
        a.one("SELECT count(*) FROM generate_series(0, 2000) h, insight.job_progress(h, h)");
    assert_eq!(guessed, 0);
    let odd: i64 = a.one("SELECT count(*) FROM unnest(ARRAY[-1, 4294967295, 4294967296, 9223372036854775807]) h, insight.job_progress(h, 0)");
    assert_eq!(odd, 0);
    m.check();
}
