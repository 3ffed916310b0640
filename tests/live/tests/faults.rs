//! Faults during training that must harm nobody else.

use live::*;

/// The trainer dies by a signal.
fn trainer_dies_by(signal: i32) {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    kill(scene.trainer, signal);
    let (_, code) = scene.call.take().unwrap().sqlstate();
    assert_eq!(code, "58000");
    scene.check("failed", "58000");
    let job = scene.job;
    let detail: String = scene.watcher.one(&format!(
        "SELECT detail FROM insight.jobs WHERE job = {job}"
    ));
    assert!(detail.contains(&format!("signal {signal}")), "{detail}");
}

#[test]
fn trainer_killed() {
    trainer_dies_by(libc::SIGKILL);
}

#[test]
fn trainer_segfaults() {
    trainer_dies_by(libc::SIGSEGV);
}

#[test]
fn trainer_aborts() {
    trainer_dies_by(libc::SIGABRT);
}

/// The C library aborts where it finds no memory for what it keeps of a thread; so does Rust's.
#[test]
fn a_trainer_that_aborts_without_memory_says_so() {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    let pid = scene.trainer.to_string();
    // It must not find out by itself.
    kill(scene.trainer, libc::SIGSTOP);
    run_as_server_user("/usr/bin/prlimit", &["--data=0", "--pid", &pid]);
    kill(scene.trainer, libc::SIGABRT);
    kill(scene.trainer, libc::SIGCONT);
    let (_, code) = scene.call.take().unwrap().sqlstate();
    assert_eq!(code, "53200");
    scene.check("failed", "53200");
}

#[test]
fn trainer_of_a_queued_job_killed() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    kill(scene.trainer, libc::SIGKILL);
    scene.check("failed", "58000");
}

/// A trainer that was stopped and never answers does not keep the job from being cancelled.
#[test]
fn a_stopped_trainer_can_be_cancelled() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    kill(scene.trainer, libc::SIGSTOP);
    let job = scene.job;
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
}

#[test]
fn the_kernel_would_take_the_trainer_first() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let score = |pid: i32| -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse().unwrap()
    };
    assert_eq!(score(scene.trainer), 1000);
    assert!(score(scene.worker) < 1000);
    let job = scene.job;
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
}

#[test]
fn client_killed_while_it_waits() {
    let db = shared().database();
    let mut watcher = db.session();
    customers(&mut watcher, 20_000);
    watcher.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
    let mut client = db
        .cluster
        .tool("psql")
        .args(["-X", "-q", "-d", &db.name, "-c"])
        .arg(format!(
            "SELECT insight_train('customers', 'churn', 'm', '{SLOW}')"
        ))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (job, worker) = Scene::wait_for_epoch(&mut watcher, "m");
    let trainer = children(worker)[0];
    let backend: i32 = watcher.one(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'psql' AND datname = current_database()",
    );
    client.kill().unwrap();
    client.wait().unwrap();
    for (what, pid) in [
        ("trainer", trainer),
        ("worker", worker),
        ("backend", backend),
    ] {
        wait_until(&format!("the {what} is gone"), 10, || !alive(pid));
    }
    let row = &watcher.rows(&format!(
        "SELECT status, sqlstate, error FROM insight.jobs WHERE job = {job}"
    ))[0];
    assert_eq!(row.get::<_, &str>(0), "cancelled");
    assert_eq!(row.get::<_, &str>(1), "57014");
    assert!(row.get::<_, Option<String>>(2).is_some());
    let versions: Vec<i32> = watcher.all("SELECT version FROM insight.versions");
    assert_eq!(versions, [1]);
}

#[test]
fn caller_terminated() {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    let call = scene.call.take().unwrap();
    let pid = call.pid;
    scene
        .watcher
        .exec(&format!("SELECT pg_terminate_backend({pid})"));
    let (mut session, _) = call.error();
    assert!(session.is_closed());
    scene.check("cancelled", "57014");
}

#[test]
fn worker_cancelled() {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    let worker = scene.worker;
    scene
        .watcher
        .exec(&format!("SELECT pg_cancel_backend({worker})"));
    assert_eq!(scene.call.take().unwrap().sqlstate().1, "57014");
    scene.check("cancelled", "57014");
}

#[test]
fn worker_terminated() {
    let db = shared().database();
    let mut scene = Scene::waiting(&db);
    let worker = scene.worker;
    scene
        .watcher
        .exec(&format!("SELECT pg_terminate_backend({worker})"));
    assert_eq!(scene.call.take().unwrap().sqlstate().1, "57P01");
    scene.check("failed", "57P01");
}

#[test]
fn worker_of_a_queued_job_terminated() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let worker = scene.worker;
    scene
        .watcher
        .exec(&format!("SELECT pg_terminate_backend({worker})"));
    scene.check("failed", "57P01");
    let job = scene.job;
    let ended: String = scene
        .watcher
        .one(&format!("SELECT insight_wait({job}, 10)"));
    assert_eq!(ended, "failed");
}

/// The worker is ended while it reads, before there is a trainer.
#[test]
fn worker_terminated_and_cancelled_while_it_reads() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 2000);
    s.exec("CREATE VIEW slow AS SELECT c.*, (SELECT 1 FROM pg_sleep(0.05)) AS nap FROM customers c WHERE pg_sleep(0.05 + id * 0) IS NOT NULL");
    for (act, status, sqlstate) in [
        ("pg_cancel_backend", "cancelled", "57014"),
        ("pg_terminate_backend", "failed", "57P01"),
    ] {
        let call = db.session().call(&format!(
            "SELECT insight_train('slow', 'churn', 'm', '{FAST}')"
        ));
        let mut found = (0, 0);
        wait_until("the worker reads", 20, || {
            let rows = s.rows(
                "SELECT job, pid FROM insight.jobs WHERE status = 'running' AND phase = 'reading'",
            );
            found = rows.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
            found.0 != 0
        });
        let (job, worker): (i64, i32) = found;
        s.exec(&format!("SELECT pg_sleep(0.3), {act}({worker})"));
        assert_eq!(call.sqlstate().1, sqlstate);
        wait_until("the worker is gone", 10, || !alive(worker));
        let row = &s.rows(&format!(
            "SELECT status, sqlstate FROM insight.jobs WHERE job = {job}"
        ))[0];
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, &str>(1)),
            (status, sqlstate)
        );
    }
}

/// The data alone, and the network alone, may be too large for the limit where nothing may lie in a temporary file.
#[test]
fn memory_limit_hit() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 100_000);
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
    let before: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    let pid = s.pid;
    for (limit, options) in [
        ("3MB", FAST),
        (
            "150MB",
            r#"{"hidden": [4096, 4096, 4096], "epochs": 2, "batch_size": 4096}"#,
        ),
    ] {
        s.exec(&format!(
            "SET insight.max_memory = '{limit}'; SET temp_file_limit = 0"
        ));
        let error = s.fails_with(
            "53200",
            &format!("SELECT insight_train('customers', 'churn', 'm', '{options}')"),
        );
        assert!(error.hint().is_some(), "{}", error.message());
        let row = &s.rows("SELECT status, sqlstate FROM insight.jobs ORDER BY job DESC LIMIT 1")[0];
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, &str>(1)),
            ("failed", "53200")
        );
    }
    let after: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert_eq!(before, after);
    assert_eq!(s.one::<i32>("SELECT pg_backend_pid()"), pid);
    assert_eq!(db.cluster.restarts(), 0);
    s.exec("RESET insight.max_memory; RESET temp_file_limit");
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
}

/// The model does not fit on the disk: the catalog's table lives on a file system of two megabytes.
#[test]
fn disk_full_for_the_artifact() {
    let cluster = Cluster::start("");
    let tiny = cluster.dir().join("tiny");
    std::fs::create_dir(&tiny).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
        .arg(&tiny)
        .stderr(std::process::Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        skipped("disk_full_for_the_artifact", "the right to mount a tmpfs");
        return;
    }
    let owner = std::process::Command::new("chown")
        .arg("--reference")
        .arg(cluster.dir())
        .arg(&tiny)
        .status();
    assert!(owner.unwrap().success());
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 5000);
    s.exec(&format!(
        "CREATE TABLESPACE tiny LOCATION '{}'",
        tiny.display()
    ));
    s.exec("ALTER TABLE insight.version SET TABLESPACE tiny");
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
    let before: f64 = s.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    let large = r#"{"algorithm": "mlp", "epochs": 1, "hidden": [1024, 1024], "batch_size": 1024}"#;
    s.fails_with(
        "53100",
        &format!("SELECT insight_train('customers', 'churn', 'm', '{large}')"),
    );
    let job: i64 = s.one(&format!(
        "SELECT job FROM insight_train('customers', 'churn', 'm', '{large}'::jsonb || '{{\"wait\": false}}')"
    ));
    let ended: String = s.one(&format!("SELECT insight_wait({job}, 60)"));
    assert_eq!(ended, "failed");
    let outcomes: Vec<String> =
        s.all("SELECT status || ' ' || sqlstate FROM insight.jobs WHERE job > 1 ORDER BY job");
    assert_eq!(outcomes, ["failed 53100", "failed 53100"]);
    let versions: Vec<i32> = s.all("SELECT version FROM insight.versions");
    assert_eq!(versions, [1]);
    let mut other = db.session();
    let after: f64 = other.one("SELECT insight_predict('m', c) FROM customers c WHERE id = 1");
    assert_eq!(before, after);
    assert_eq!(cluster.restarts(), 0);
}
