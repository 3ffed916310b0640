//! Jobs: waiting and queued, their transactions, order, cancelling and progress.

use live::*;

const TRAIN: &str = "SELECT * FROM insight_train('customers', 'churn', 'm', ";

fn fast(more: &str) -> String {
    format!("'{FAST}'::jsonb || '{more}'")
}

fn slow(more: &str) -> String {
    format!("'{SLOW}'::jsonb || '{more}'")
}

/// Queues a job in a transaction of its own and answers its number.
#[track_caller]
fn queue(session: &mut Session, model: &str, options: &str) -> i64 {
    session.one(&format!(
        "SELECT job FROM insight_train('customers', 'churn', '{model}', {options}::jsonb || '{{\"wait\": false}}')"
    ))
}

#[track_caller]
fn status(session: &mut Session, job: i64) -> String {
    session.one(&format!(
        "SELECT status FROM insight.jobs WHERE job = {job}"
    ))
}

#[track_caller]
fn wait_for_status(session: &mut Session, job: i64, wanted: &str) {
    wait_until(&format!("job {job} is {wanted}"), 60, || {
        status(session, job) == wanted
    });
}

#[test]
fn a_waiting_call_trains_deploys_and_tells() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 5000);
    let rows = s.rows(
        "SELECT model, version, status, task, metric, score, deployed, rows, seconds, job \
         FROM insight_train('customers', 'churn', options => '{\"epochs\": 15}')",
    );
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row.get::<_, &str>("model"), "customers_churn");
    assert_eq!(row.get::<_, i32>("version"), 1);
    assert_eq!(row.get::<_, &str>("status"), "succeeded");
    assert_eq!(row.get::<_, &str>("task"), "binary");
    assert!(row.get::<_, bool>("deployed"));
    assert_eq!(row.get::<_, i64>("rows"), 5000);
    assert!(row.get::<_, f64>("seconds") > 0.0);
    let job: i64 = row.get("job");
    assert_eq!(status(&mut s, job), "succeeded");
    let version: i32 = s.one(&format!(
        "SELECT version FROM insight.jobs WHERE job = {job}"
    ));
    assert_eq!(version, 1);
    let auc: f64 = s.one(
        "SELECT value FROM insight.metrics WHERE model = 'customers_churn' AND metric = 'roc_auc' AND class IS NULL",
    );
    assert!(
        auc > 0.75,
        "the rule itself gives about 0.85, the model {auc}"
    );
    let (low, high): (f64, f64) = {
        let row = &s.rows("SELECT min(insight_predict('customers_churn', c)), max(insight_predict('customers_churn', c)) FROM customers c")[0];
        (row.get(0), row.get(1))
    };
    assert!(low >= 0.0 && low < 0.1 && high > 0.7 && high <= 1.0);
    let epochs: i64 = s.one("SELECT count(*) FROM insight.history WHERE model = 'customers_churn'");
    assert!((1..=15).contains(&epochs));
}

#[test]
fn a_queued_call_returns_at_once_and_succeeds() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    let rows = s.rows(&format!("{TRAIN}{})", fast(r#"{"wait": false}"#)));
    assert_eq!(rows[0].get::<_, &str>("status"), "queued");
    assert_eq!(rows[0].get::<_, Option<i32>>("version"), None);
    let job: i64 = rows[0].get("job");
    let ended: String = s.one(&format!("SELECT insight_wait({job})"));
    assert_eq!(ended, "succeeded");
    let row = &s.rows(&format!(
        "SELECT model, version, phase, pid, error, finished_at >= started_at AND started_at >= queued_at FROM insight.jobs WHERE job = {job}"
    ))[0];
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("m", 1));
    assert_eq!(row.get::<_, &str>(2), "done");
    assert!(row.get::<_, Option<i32>>(3).is_some_and(|pid| pid != s.pid));
    assert_eq!(row.get::<_, Option<String>>(4), None);
    assert!(row.get::<_, bool>(5));
    let risk: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert!((0.0..=1.0).contains(&risk));
}

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

#[test]
fn waiting_ends_with_its_timeout() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    let job = queue(&mut s, "m", &slow("{}"));
    wait_for_status(&mut s, job, "running");
    let row = &s.rows(&format!(
        "SELECT insight_wait({job}, 0.5), extract(epoch FROM clock_timestamp() - statement_timestamp())::float8"
    ))[0];
    assert_eq!(row.get::<_, &str>(0), "running");
    let seconds: f64 = row.get(1);
    assert!((0.45..3.0).contains(&seconds), "{seconds}");
    let now: String = s.one(&format!("SELECT insight_wait({job}, 0)"));
    assert_eq!(now, "running");
    s.fails_with("22023", &format!("SELECT insight_wait({job}, -1)"));
    s.fails_with("22023", &format!("SELECT insight_wait({job}, 'NaN')"));
    let cancelled: bool = s.one(&format!("SELECT insight_cancel({job})"));
    assert!(cancelled);
}

#[test]
fn unknown_jobs_are_clear_errors() {
    let db = shared().database();
    let mut s = db.session();
    let error = s.fails_with("42704", "SELECT insight_wait(4711)");
    assert!(error.message().contains("4711") && error.hint().is_some());
    s.fails_with("42704", "SELECT insight_cancel(4711)");
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

#[test]
fn max_jobs_queues_the_rest_in_order() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
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

#[test]
fn progress_is_at_most_a_second_old() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let mut last = 0;
    for _ in 0..10 {
        let rows = scene.watcher.rows(
            "SELECT phase, epoch, epochs, rows_per_second, loss, eta_seconds, \
             extract(epoch FROM clock_timestamp() - updated_at)::float8 FROM insight.progress",
        );
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(row.get::<_, &str>(0), "training");
        let epoch: i32 = row.get(1);
        assert!(epoch >= last);
        last = epoch;
        assert_eq!(row.get::<_, i32>(2), 100_000);
        assert!(row.get::<_, f64>(3) > 0.0);
        assert!(row.get::<_, f64>(4).is_finite());
        assert!(row.get::<_, f64>(5) > 0.0);
        let age: f64 = row.get(6);
        // One second, and what a busy machine adds.
        assert!((-0.1..2.0).contains(&age), "progress is {age} s old");
        scene.watcher.exec("SELECT pg_sleep(0.3)");
    }
    let job = scene.job;
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
    let left: i64 = scene.watcher.one("SELECT count(*) FROM insight.progress");
    assert_eq!(left, 0);
}

#[test]
fn a_verbose_caller_sees_progress_as_notices() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.verbose = on");
    s.exec(&format!("{TRAIN}{})", slow(r#"{"max_seconds": 5}"#)));
    let notices = s.notices();
    assert!(
        notices
            .iter()
            .any(|n| n.contains("epoch") && n.contains("loss")),
        "{notices:?}"
    );
}

#[test]
fn a_time_limit_gives_the_best_so_far() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    let row = &s.rows(&format!("{TRAIN}{})", slow(r#"{"max_seconds": 2}"#)))[0];
    assert_eq!(row.get::<_, &str>("status"), "succeeded");
    let seconds: f64 = row.get("seconds");
    assert!((1.0..15.0).contains(&seconds), "{seconds}");
    let why: String = s.one("SELECT provenance->>'stopped_by' FROM insight.versions");
    assert_eq!(why, "max_seconds");
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
