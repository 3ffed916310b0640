//! Which job runs when, and beside what.

use super::{fast, queue, slow, status, wait_for_status};
use live::*;

/// Whoever drops a database waits for a sign of life of every process, trainings of other databases among them.
#[test]
fn a_database_can_be_dropped_while_another_trains() {
    let (db, other) = (shared().database(), shared().database());
    let mut scene = Scene::queued(&db);
    let mut s = shared().connect("postgres", "postgres");
    s.exec("SET statement_timeout = '20s'");
    s.exec(&format!("DROP DATABASE {}", other.name));
    assert_eq!(scene.outcome().0, "running");
    let job = scene.job;
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
}

#[test]
fn max_jobs_queues_the_rest_in_order() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2_000);
    s.exec("SET insight.max_jobs = 1");
    let first = queue(&mut s, "a", &slow("{}"));
    wait_for_status(&mut s, first, "running");
    let second = queue(&mut s, "b", &fast("{}"));
    let third = queue(&mut s, "c", &fast("{}"));
    s.exec("SELECT pg_sleep(1)");
    assert_eq!(status(&mut s, second), "queued");
    assert_eq!(status(&mut s, third), "queued");
    s.exec(&format!("SELECT insight_cancel({first})"));
    // Nobody waits for them through insight_wait: a finishing worker starts the next.
    wait_for_status(&mut s, third, "succeeded");
    assert_eq!(status(&mut s, second), "succeeded");
    let in_order: bool = s.one(&format!(
        "SELECT b.finished_at <= c.started_at FROM insight.jobs b, insight.jobs c WHERE b.job = {second} AND c.job = {third}"
    ));
    assert!(in_order, "one at a time, first come first served");
}

/// The worker of a queued job finds no room, and the job that had it ends before that worker has gone; or the request to cancel
/// reaches the other one outside a transaction.
#[test]
fn a_job_queued_while_another_ends_is_not_left() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 500);
    s.exec("SET insight.max_jobs = 1");
    for _ in 0..15 {
        let first = queue(&mut s, "a", &slow("{}"));
        wait_for_status(&mut s, first, "running");
        let second = queue(&mut s, "b", &fast("{}"));
        s.exec(&format!("SELECT insight_cancel({first})"));
        // Nobody waits through insight_wait, which would start it.
        wait_for_status(&mut s, second, "succeeded");
        assert_eq!(status(&mut s, first), "cancelled");
    }
}

#[test]
fn a_job_behind_one_whose_worker_is_terminated_is_not_left() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 500);
    s.exec("CREATE VIEW slowly AS SELECT c.* FROM customers c, LATERAL (SELECT pg_sleep(0.1 + 0 * c.id)) z");
    s.exec("SET insight.max_jobs = 1");
    let first: i64 = s.one(
        "SELECT job FROM insight_train('slowly', 'churn', 'a', '{\"wait\": false}')",
    );
    wait_for_status(&mut s, first, "running");
    let second = queue(&mut s, "b", &fast("{}"));
    // It reads: PostgreSQL ends it in the middle of its query.
    s.exec(&format!("SELECT pg_terminate_backend(pid) FROM insight.jobs WHERE job = {first}"));
    wait_for_status(&mut s, second, "succeeded");
    assert_eq!(status(&mut s, first), "failed");
}

#[test]
fn without_a_free_worker_slot_jobs_are_queued() {
    let cluster = Cluster::start("max_worker_processes = 1\nmax_logical_replication_workers = 0");
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    let first = queue(&mut s, "a", &slow("{}"));
    wait_for_status(&mut s, first, "running");
    let second = queue(&mut s, "b", &fast("{}"));
    let waiting = db.session().call(&format!(
        "SELECT job FROM insight_train('customers', 'churn', 'c', '{FAST}')"
    ));
    s.exec("SELECT pg_sleep(1)");
    assert_eq!(status(&mut s, second), "queued");
    assert!(!waiting.is_finished());
    s.exec(&format!("SELECT insight_cancel({first})"));
    let ended: String = s.one(&format!("SELECT insight_wait({second}, 60)"));
    assert_eq!(ended, "succeeded");
    let (session, rows) = waiting.rows();
    assert_eq!(status(&mut s, rows[0].get(0)), "succeeded");
    assert!(
        session.notices().iter().any(|n| n.contains("worker")),
        "the caller is told what it waits for"
    );
}

#[test]
fn two_sessions_train_at_once() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 5000);
    let train = |model: &str| {
        db.session().call(&format!(
            "SELECT version, status FROM insight_train('customers', 'churn', '{model}', '{FAST}')"
        ))
    };
    let calls = [
        train("a"),
        train("b"),
        train("same"),
        train("same"),
        train("same"),
    ];
    let mut versions: Vec<(i32, String)> = calls
        .into_iter()
        .map(|call| {
            let (_, rows) = call.rows();
            (rows[0].get(0), rows[0].get(1))
        })
        .collect();
    assert!(versions.iter().all(|(_, status)| status == "succeeded"));
    assert_eq!((versions[0].0, versions[1].0), (1, 1));
    let same = &mut versions[2..];
    same.sort();
    assert_eq!([same[0].0, same[1].0, same[2].0], [1, 2, 3]);
    let stored: Vec<i32> =
        s.all("SELECT version FROM insight.versions WHERE model = 'same' ORDER BY 1");
    assert_eq!(stored, [1, 2, 3]);
    let running: i64 = s.one("SELECT count(*) FROM insight.jobs WHERE status <> 'succeeded'");
    assert_eq!(running, 0);
}
