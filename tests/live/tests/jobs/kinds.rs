//! Models of histories and models that make rows: they stop, survive and are shared as others are.

use super::wait_for_status;
use live::*;

const GENERATE: &str = "SELECT insight_train('customers', NULL, 'twins', '{\"algorithm\": \"gan\", \"epochs\": 100000, \"wait\": false}')";
const FORETELL: &str = "SELECT insight_train('events', 'action', 'next', '{\"algorithm\": \"lstm\", \"key\": \"customer_id\", \"order\": \"at\", \"epochs\": 100000, \"early_stopping\": false, \"wait\": false}')";

fn scene(db: &Database) -> Session {
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("CREATE TABLE events AS SELECT * FROM insight_sample_events(2000)");
    s
}

#[test]
fn both_trainings_are_cancelled_and_leave_nothing() {
    let db = shared().database();
    let mut s = scene(&db);
    for call in [GENERATE, FORETELL] {
        s.exec(call);
        let job: i64 = s.one("SELECT max(job) FROM insight.jobs");
        wait_until("an epoch", 60, || {
            s.one::<bool>(&format!(
                "SELECT EXISTS (SELECT FROM insight.progress WHERE job = {job} AND epoch > 0)"
            ))
        });
        assert!(s.one::<bool>(&format!("SELECT insight_cancel({job})")));
        wait_for_status(&mut s, job, "cancelled");
    }
    assert_eq!(s.one::<i64>("SELECT count(*) FROM insight.models"), 0);
}

#[test]
fn statements_that_take_too_long_end() {
    let db = shared().database();
    let mut s = scene(&db);
    s.exec("SELECT insight_train('customers', NULL, 'twins', '{\"algorithm\": \"tvae\", \"epochs\": 1}')");
    s.exec("SET statement_timeout = '500ms'");
    s.fails_with(
        "57014",
        "SELECT count(*) FROM insight_generate('twins', 900000000, NULL::customers)",
    );
    s.fails_with(
        "57014",
        &GENERATE.replace("\"wait\": false", "\"wait\": true"),
    );
    s.fails_with(
        "57014",
        &FORETELL.replace("\"wait\": false", "\"wait\": true"),
    );
    s.exec("RESET statement_timeout");
    assert_eq!(
        s.one::<i64>("SELECT count(*) FROM insight_generate('twins', 10, NULL::customers)"),
        10
    );
}

/// The history of a key is read with the rights of who asks.
#[test]
fn histories_are_read_as_the_caller() {
    let db = shared().database();
    let mut s = scene(&db);
    s.exec(
        &FORETELL
            .replace("100000", "1")
            .replace("\"wait\": false", "\"deploy\": true"),
    );
    let role = format!("{}_reader", db.name);
    s.exec(&format!("CREATE ROLE {} LOGIN", identifier(&role)));
    let mut other = db.session_of(&role);
    let ask = "SELECT insight_classify('next', 17)";
    s.exec(&format!("SELECT insight_grant('next', '{role}')"));
    other.fails_with("42501", ask);
    other.fails_with("42501", "SELECT * FROM insight_next('next', 'events')");
    s.exec(&format!("GRANT SELECT ON events TO {}", identifier(&role)));
    let label: String = other.one(ask);
    assert!(!label.is_empty());
    // A query of its author's would run with the caller's rights: not for others.
    let author = format!("{}_author", db.name);
    s.exec(&format!(
        "CREATE ROLE {0} LOGIN; GRANT SELECT ON events TO {0}",
        identifier(&author)
    ));
    let mut author = db.session_of(&author);
    author.exec(
        &FORETELL
            .replace("'events'", "'SELECT * FROM events'")
            .replace("'next'", "'by_query'")
            .replace("100000", "1")
            .replace("\"wait\": false", "\"deploy\": true"),
    );
    let own: String = author.one("SELECT insight_classify('by_query', 17)");
    assert!(!own.is_empty());
    author.exec(&format!("SELECT insight_grant('by_query', '{role}')"));
    let error = other.fails_with("42501", "SELECT insight_classify('by_query', 17)");
    assert!(!error.message().contains("permission denied for model"));
}

/// A trainer that dies takes its own job along and nothing else.
#[test]
fn killed_trainers_harm_nobody() {
    let db = shared().database();
    let mut s = scene(&db);
    let restarts = db.cluster.restarts();
    for (call, model) in [(GENERATE, "twins"), (FORETELL, "next")] {
        s.exec(call);
        let (job, worker) = Scene::wait_for_epoch(&mut s, model);
        let trainers = children(worker);
        assert_eq!(trainers.len(), 1, "the trainer is the worker's only child");
        kill(trainers[0], libc::SIGKILL);
        wait_for_status(&mut s, job, "failed");
        let row = &s.rows(&format!(
            "SELECT sqlstate, error, detail FROM insight.jobs WHERE job = {job}"
        ))[0];
        assert_eq!(row.get::<_, &str>(0), "58000");
        assert!(!row.get::<_, &str>(1).is_empty());
        assert!(row.get::<_, &str>(2).contains("signal 9"));
        wait_until("the worker is gone", 10, || !alive(worker));
        let again = call.replace("100000", "1").replace("false}", "true}");
        s.exec(&again);
        let versions: Vec<i32> = s.all(&format!(
            "SELECT version FROM insight.versions WHERE model = '{model}'"
        ));
        assert_eq!(versions, [1]);
    }
    assert_eq!(db.cluster.restarts(), restarts);
    assert_eq!(s.one::<i32>("SELECT pg_backend_pid()"), s.pid);
}

/// Trained again, by the record alone, both are what they were; of other options there is another version.
#[test]
fn both_are_trained_again() {
    let db = shared().database();
    let mut s = scene(&db);
    for (call, model) in [(GENERATE, "twins"), (FORETELL, "next")] {
        s.exec(&call.replace("100000", "2").replace("false}", "true}"));
        let ask = format!("SELECT same, detail FROM insight_reproduce('{model}')");
        let row = &s.rows(&ask)[0];
        assert!(row.get::<_, bool>(0), "{}", row.get::<_, &str>(1));
        s.exec(&format!(
            "SELECT insight_retrain('{model}', '{{\"epochs\": 1}}')"
        ));
        let row = &s.rows(&format!(
            "SELECT version, relation, options ->> 'epochs' FROM insight.versions WHERE model = '{model}' AND deployed"
        ))[0];
        assert_eq!(row.get::<_, i32>(0), 2);
        assert_eq!(row.get::<_, &str>(2), "1");
        let first = format!("SELECT same FROM insight_reproduce('{model}@1')");
        assert!(s.one::<bool>(&first));
    }
    s.exec("DELETE FROM events WHERE customer_id < 100; DELETE FROM customers WHERE id < 100");
    for model in ["twins", "next"] {
        let ask = format!("SELECT same, detail FROM insight_reproduce('{model}')");
        let row = &s.rows(&ask)[0];
        assert!(!row.get::<_, bool>(0));
        let detail: &str = row.get(1);
        assert!(detail.starts_with("the data is not the same"), "{detail}");
    }
}
