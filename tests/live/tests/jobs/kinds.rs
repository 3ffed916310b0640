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
    other.fails_with("42501", "SELECT insight_classify('by_query', 17)");
}
