//! The server stops or crashes while models are trained.

use live::*;

#[test]
fn fast_shutdown() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut scene = Scene::waiting(&db);
    cluster.stop("fast");
    drop(scene.call.take().unwrap().error());
    cluster.up();
    scene.check_after_restart();
}

#[test]
fn immediate_shutdown_of_a_queued_job() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut scene = Scene::queued(&db);
    cluster.stop("immediate");
    cluster.up();
    scene.check_after_restart();
}

/// A backend that has nothing to do with training is killed: PostgreSQL restarts everything.
#[test]
fn crash_restart() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut scene = Scene::waiting(&db);
    let victim = db.session();
    kill(victim.pid, libc::SIGKILL);
    drop(scene.call.take().unwrap().error());
    wait_until("the server accepts connections again", 30, || {
        cluster.restarts() == 1 && cluster.accepts()
    });
    scene.check_after_restart();
}

/// The postmaster itself is killed: nothing of a job may be left behind.
#[test]
fn postmaster_killed() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut scene = Scene::queued(&db);
    let postmaster = cluster.pid();
    kill(postmaster, libc::SIGKILL);
    scene.check_processes();
    wait_until("the other backends are gone", 10, || {
        !alive(scene.watcher.pid) || scene.watcher.is_closed()
    });
    // The next one refuses to start while the pid of the last one is taken, be it by a zombie.
    wait_until("the postmaster is buried", 30, || {
        !std::path::Path::new(&format!("/proc/{postmaster}")).exists()
    });
    cluster.up();
    scene.check_after_restart();
}

/// Preloaded, the launcher starts what a crash left in the queue; nobody asks for it.
#[test]
fn the_launcher_starts_jobs_left_by_a_crash() {
    let cluster = Cluster::start(
        "shared_preload_libraries = 'insight'\ninsight.launcher_interval = 1\ninsight.max_jobs = 1",
    );
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    let mut queue = |model: &str, options: &str| -> i64 {
        s.one(&format!(
            "SELECT job FROM insight_train('customers', 'churn', '{model}', '{options}'::jsonb || '{{\"wait\": false}}')"
        ))
    };
    let (running, left) = (queue("running", SLOW), queue("left", FAST));
    let (_, worker) = Scene::wait_for_epoch(&mut s, "running");
    let trainer = children(worker)[0];
    kill(s.pid, libc::SIGKILL);
    wait_until("the server accepts connections again", 30, || {
        cluster.restarts() == 1 && cluster.accepts()
    });
    wait_until("the trainer is gone", 5, || !alive(trainer));
    let mut s = db.session();
    wait_until("the launcher has seen to the job left", 60, || {
        s.one::<String>(&format!(
            "SELECT status FROM insight.job WHERE job = {left}"
        )) == "succeeded"
    });
    let dead: String = s.one(&format!(
        "SELECT status FROM insight.job WHERE job = {running}"
    ));
    assert_eq!(dead, "failed");
    let risk: f64 = s.one("SELECT insight_predict('left', c) FROM customers c WHERE id = 1");
    assert!((0.0..=1.0).contains(&risk));
}

/// Without preloading, a job left in the queue starts when somebody waits for it.
#[test]
fn a_job_left_in_the_queue_starts_when_somebody_waits() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec("SET insight.max_jobs = 1");
    let mut queue = |model: &str, options: &str| -> i64 {
        s.one(&format!(
            "SELECT job FROM insight_train('customers', 'churn', '{model}', '{options}'::jsonb || '{{\"wait\": false}}')"
        ))
    };
    queue("running", SLOW);
    let left = queue("left", FAST);
    Scene::wait_for_epoch(&mut s, "running");
    cluster.stop("immediate");
    cluster.up();
    let mut s = db.session();
    let statuses: Vec<String> = s.all("SELECT status FROM insight.jobs ORDER BY job");
    assert_eq!(statuses, ["failed", "queued"]);
    let ended: String = s.one(&format!("SELECT insight_wait({left}, 60)"));
    assert_eq!(ended, "succeeded");
}
