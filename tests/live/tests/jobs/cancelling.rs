//! Cancelling: running and queued jobs, and calls that wait.

use super::{TRAIN, fast, queue, slow, status, wait_for_status};
use live::*;

/// Jobs of other databases have the same numbers.
#[test]
fn cancelling_reaches_no_job_of_another_database() {
    let (db, other) = (shared().database(), shared().database());
    let mut scene = Scene::queued(&db);
    let mut s = other.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.max_jobs = 1");
    queue(&mut s, "first", &slow("{}"));
    Scene::wait_for_epoch(&mut s, "first");
    let job = queue(&mut s, "second", &fast("{}"));
    assert_eq!(job, scene.job, "the numbers must be the same");
    let cancelled: bool = s.one(&format!("SELECT insight_cancel({job})"));
    assert!(cancelled);
    wait_for_status(&mut s, job, "cancelled");
    assert_eq!(scene.outcome().0, "running");
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
    wait_for_status(&mut s, 1, "running");
    s.exec("SELECT insight_cancel(1)");
}

#[test]
fn cancelling_a_running_job_ends_its_trainer() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let job = scene.job;
    let done: bool = scene.watcher.one(&format!("SELECT insight_cancel({job})"));
    assert!(done);
    scene.check("cancelled", "57014");
    let again: bool = scene.watcher.one(&format!("SELECT insight_cancel({job})"));
    assert!(!again, "it had already ended");
    let ended: String = scene.watcher.one(&format!("SELECT insight_wait({job})"));
    assert_eq!(ended, "cancelled");
}

/// Forecasts are fitted in a child of the session, which must go with the statement.
#[test]
fn forecasting_purchases_can_be_cancelled() {
    let db = shared().database();
    let (s, mut other) = (db.session(), db.session());
    other.exec(
        "CREATE TABLE log AS SELECT (random() * 200000)::int AS id, date '2024-01-01' + (random() * 700)::int AS at, random() * 90 AS spent
         FROM generate_series(1, 600000)",
    );
    let pid = s.pid;
    let call = s
        .call("SELECT count(*) FROM insight_clv('log', 'id', 'at', 'spent', horizon_days => 3650)");
    wait_until("a child that fits", 60, || !children(pid).is_empty());
    let child = children(pid)[0];
    let started = std::time::Instant::now();
    other.exec(&format!("SELECT pg_cancel_backend({pid})"));
    let (mut s, code) = call.sqlstate();
    assert_eq!(code, "57014");
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    wait_until("the child's end", 10, || !alive(child));
    let one: i32 = s.one("SELECT 1");
    assert_eq!((one, s.pid), (1, pid));
}

#[test]
fn a_queued_job_can_be_cancelled() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.max_jobs = 1");
    let first = queue(&mut s, "a", &slow("{}"));
    wait_for_status(&mut s, first, "running");
    let second = queue(&mut s, "b", &fast("{}"));
    let cancelled: bool = s.one(&format!("SELECT insight_cancel({second})"));
    assert!(cancelled);
    wait_for_status(&mut s, second, "cancelled");
    assert_eq!(status(&mut s, first), "running");
    let sqlstate: String = s.one(&format!(
        "SELECT sqlstate FROM insight.jobs WHERE job = {second}"
    ));
    assert_eq!(sqlstate, "57014");
    s.exec(&format!("SELECT insight_cancel({first})"));
    wait_for_status(&mut s, first, "cancelled");
    let models: i64 = s.one("SELECT count(*) FROM insight.models");
    assert_eq!(models, 0);
}

/// A queued job has a worker for a moment only: whenever the cancel comes, it must not be lost.
#[test]
fn a_cancel_is_never_lost_between_two_workers() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.max_jobs = 1");
    let first = queue(&mut s, "a", &slow("{}"));
    wait_for_status(&mut s, first, "running");
    for delay in (0..100).step_by(5) {
        let job = queue(&mut s, "b", &fast("{}"));
        std::thread::sleep(std::time::Duration::from_millis(delay));
        assert!(s.one::<bool>(&format!("SELECT insight_cancel({job})")));
        assert_eq!(status(&mut s, job), "cancelled");
    }
    s.exec(&format!("SELECT insight_cancel({first})"));
    wait_for_status(&mut s, first, "cancelled");
    let last = queue(&mut s, "b", &fast("{}"));
    wait_for_status(&mut s, last, "succeeded");
}

#[test]
fn a_waiting_call_takes_its_turn_and_can_be_cancelled_in_the_queue() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.max_jobs = 1");
    let first = queue(&mut s, "a", &slow("{}"));
    wait_for_status(&mut s, first, "running");
    let mut start = |model: &str| {
        let mut session = db.session();
        session.exec("SET insight.max_jobs = 1");
        let call = session.call(&format!(
            "SELECT job FROM insight_train('customers', 'churn', '{model}', '{FAST}')"
        ));
        wait_until("the call is queued", 20, || {
            s.one::<i64>(&format!(
                "SELECT count(*) FROM insight.jobs WHERE model = '{model}' AND status = 'queued'"
            )) == 1
        });
        call
    };
    let (patient, hasty) = (start("patient"), start("hasty"));
    let mut s = db.session();
    s.exec(&format!("SELECT pg_cancel_backend({})", hasty.pid));
    assert_eq!(hasty.sqlstate().1, "57014");
    wait_until("the cancelled call's job is cancelled", 10, || {
        s.one::<String>("SELECT status FROM insight.jobs WHERE model = 'hasty'") == "cancelled"
    });
    assert!(!patient.is_finished());
    s.exec(&format!("SELECT insight_cancel({first})"));
    let (_, rows) = patient.rows();
    let job: i64 = rows[0].get(0);
    assert_eq!(status(&mut s, job), "succeeded");
}

#[test]
fn a_statement_timeout_cancels_the_job() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let job = scene.job;
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");

    let mut s = db.session();
    s.exec("SET statement_timeout = '4s'");
    let call = s.call(&format!("{TRAIN}'{SLOW}')"));
    let (job, worker) = Scene::wait_for_epoch(&mut scene.watcher, "m");
    let trainer = children(worker)[0];
    assert_eq!(call.sqlstate().1, "57014");
    wait_until("the trainer is gone", 5, || !alive(trainer));
    assert_eq!(status(&mut scene.watcher, job), "cancelled");
    scene.check_deployed();
}

#[test]
fn cancelling_the_waiting_call_cancels_the_job() {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    let call = scene.call.take().unwrap();
    let pid = call.pid;
    scene
        .watcher
        .exec(&format!("SELECT pg_cancel_backend({pid})"));
    assert_eq!(call.sqlstate().1, "57014");
    scene.check("cancelled", "57014");
}
