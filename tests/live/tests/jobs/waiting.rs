//! What a caller is told: the row, the status, the progress.

use super::{TRAIN, fast, queue, slow, status, wait_for_status};
use live::*;

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
    s.exec("SET insight.\"verbose\" = on");
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
