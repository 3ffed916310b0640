//! Jobs and versions follow the transaction that asked for them.

use super::{TRAIN, fast, queue};
use live::*;

#[test]
fn a_queued_job_starts_at_commit() {
    let db = shared().database();
    let (mut s, mut other) = (db.session(), db.session());
    customers(&mut s, 2000);
    s.exec("BEGIN");
    let job = queue(&mut s, "m", &fast("{}"));
    s.exec("SAVEPOINT before");
    s.fails_with("55000", &format!("SELECT insight_wait({job})"));
    s.exec("ROLLBACK TO before; SELECT pg_sleep(0.5)");
    let seen: i64 = other.one("SELECT count(*) FROM insight.jobs");
    assert_eq!(seen, 0, "nobody sees a job before its transaction commits");
    s.exec("COMMIT");
    let ended: String = other.one(&format!("SELECT insight_wait({job}, 60)"));
    assert_eq!(ended, "succeeded");
}

#[test]
fn a_queued_job_vanishes_on_rollback() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("BEGIN");
    let job = queue(&mut s, "m", &fast("{}"));
    s.exec("ROLLBACK; SELECT pg_sleep(1)");
    let jobs: i64 = s.one("SELECT count(*) FROM insight.job");
    let models: i64 = s.one("SELECT count(*) FROM insight.models");
    assert_eq!((jobs, models), (0, 0));
    s.fails_with("42704", &format!("SELECT insight_wait({job})"));
}

/// A job queued inside a savepoint that is rolled back must not start, and one before it must.
#[test]
fn savepoints_take_their_jobs_along() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("BEGIN");
    let kept = queue(&mut s, "kept", &fast("{}"));
    s.exec("SAVEPOINT inner_part");
    queue(&mut s, "gone", &fast("{}"));
    s.exec("ROLLBACK TO inner_part; COMMIT");
    let ended: String = s.one(&format!("SELECT insight_wait({kept}, 60)"));
    assert_eq!(ended, "succeeded");
    let models: Vec<String> = s.all("SELECT model FROM insight.models");
    assert_eq!(models, ["kept"]);
}

#[test]
fn a_rolled_back_waiting_call_leaves_what_was_deployed() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("BEGIN");
    s.exec(&format!("{TRAIN}{})", fast("{}")));
    let inside: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert!(
        (0.0..=1.0).contains(&inside),
        "its own transaction may predict"
    );
    s.exec("ROLLBACK");
    let models: i64 = s.one("SELECT count(*) FROM insight.models");
    let versions: i64 = s.one("SELECT count(*) FROM insight.versions");
    assert_eq!((models, versions), (0, 0));
    s.fails_with(
        "42704",
        "SELECT insight_predict('m', c) FROM customers c WHERE id = 1",
    );

    s.exec(&format!("{TRAIN}{})", fast("{}")));
    let first: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    s.exec("BEGIN");
    s.exec(&format!("{TRAIN}{})", fast(r#"{"seed": 7}"#)));
    let second: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert_ne!(first, second);
    s.exec("ROLLBACK");
    let after: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert_eq!(first, after);
    let versions: Vec<i32> = s.all("SELECT version FROM insight.versions");
    assert_eq!(versions, [1]);
}

/// Whoever trains a model that an open transaction has also trained waits for that transaction.
#[test]
fn an_open_transaction_keeps_its_version_number() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("BEGIN");
    s.exec(&format!("{TRAIN}'{FAST}')"));
    let other = db.session().call(&format!("{TRAIN}'{FAST}')"));
    s.exec("SELECT pg_sleep(2)");
    assert!(!other.is_finished());
    s.exec("COMMIT");
    let (_, rows) = other.rows();
    assert_eq!(rows[0].get::<_, i32>("version"), 2);
}
