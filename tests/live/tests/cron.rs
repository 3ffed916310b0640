//! Retraining by pg_cron, as a database administrator would set it up.

use live::*;

#[test]
fn pg_cron_retrains_a_model() {
    if library("pg_cron.so").is_none() {
        skipped(
            "pg_cron_retrains_a_model",
            "the server's Debian package of pg_cron",
        );
        return;
    }
    let cluster =
        Cluster::start("shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\n");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let owner = format!("{}_analyst", db.name);
    m.session.exec(&format!(
        "CREATE ROLE {owner} LOGIN; GRANT SELECT ON customers TO {owner}"
    ));
    db.session_of(&owner).exec(&format!(
        "SELECT insight_train('customers', 'churn', 'hers', '{FAST}')"
    ));
    // Jobs with a background worker of pg_cron's own wait for the model; so does one that only queues.
    let mut cron = cluster.connect("postgres", "postgres");
    cron.exec("CREATE EXTENSION pg_cron");
    for (name, model, options, user) in [
        ("waits", "m", FAST.to_owned(), "postgres".to_owned()),
        (
            "queues",
            "later",
            FAST.replace('{', "{\"wait\": false, "),
            "postgres".into(),
        ),
        ("analyst", "hers", FAST.to_owned(), owner.clone()),
    ] {
        let command = format!("SELECT insight_train('customers', 'churn', '{model}', '{options}')");
        cron.exec(&format!(
            "SELECT cron.schedule_in_database('{name}', '* * * * *', {}, '{}', '{user}')",
            literal(&command),
            db.name
        ));
    }
    let ended = "SELECT count(DISTINCT jobname) FROM cron.job_run_details d JOIN cron.job j USING (jobid) WHERE d.status = 'succeeded'";
    let mut seen = 0i64;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(150);
    while seen < 3 && std::time::Instant::now() < until {
        seen = cron.one(ended);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let details: Vec<String> =
        cron.all("SELECT concat_ws(' ', database, username, status, return_message) FROM cron.job_run_details");
    assert_eq!(seen, 3, "{details:#?}");
    cron.exec("SELECT cron.unschedule(jobid) FROM cron.job");
    wait_until("the queued model is there", 60, || {
        m.session
            .one::<i64>("SELECT count(*) FROM insight.models WHERE model = 'later'")
            == 1
    });
    let rows: Vec<String> = m.session.all(
        "SELECT DISTINCT concat_ws(' ', j.model, j.status, j.role, m.owner) FROM insight.jobs j JOIN insight.models m USING (model)
         WHERE j.version > 1 OR j.model = 'later' ORDER BY 1",
    );
    assert_eq!(
        rows,
        [
            format!("hers succeeded {owner} {owner}"),
            "later succeeded postgres postgres".into(),
            "m succeeded postgres postgres".into()
        ]
    );
    assert!(
        m.session
            .one::<i32>("SELECT version FROM insight.models WHERE model = 'm'")
            >= 2
    );
    assert_eq!(cluster.restarts(), 0);
}

/// A cluster with pg_cron, or None with a word about it.
fn cron_cluster(test: &str) -> Option<Cluster> {
    if library("pg_cron.so").is_none() {
        skipped(test, "the server's Debian package of pg_cron");
        return None;
    }
    Some(Cluster::start(
        "shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\n",
    ))
}

/// Waits until pg_cron has run the job so often.
#[track_caller]
fn wait_for_runs(cron: &mut Session, job: i64, runs: i64) {
    wait_until("pg_cron ran the schedule", 150, || {
        cron.one::<i64>(&format!(
            "SELECT count(*) FROM cron.job_run_details WHERE jobid = {job} AND status = 'succeeded'"
        )) >= runs
    });
}

#[test]
fn a_schedule_trains_again_where_there_are_new_rows_and_failures_are_jobs() {
    let Some(cluster) = cron_cluster("a_schedule_trains_again") else {
        return;
    };
    let db = cluster.database();
    let mut m = Served::new(&db);
    let owner = format!("{}_analyst", db.name);
    m.session.exec(&format!(
        "CREATE ROLE {owner} LOGIN; GRANT SELECT ON customers TO {owner}"
    ));
    let mut analyst = db.session_of(&owner);
    analyst.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'hers', '{FAST}')"
    ));
    // Pg_cron lives in another database, where it is not created yet.
    let minute = r#"'{"when": "new_rows > 10%", "check": "* * * * *"}'"#;
    let schedule = format!("SELECT job FROM insight_schedule('hers', {minute})");
    let error = analyst.fails_with("55000", &schedule);
    assert!(error.hint().unwrap().contains("CREATE EXTENSION pg_cron"));
    let mut cron = cluster.connect("postgres", "postgres");
    cron.exec("CREATE EXTENSION pg_cron");
    // Nor may she use it.
    let error = analyst.fails_with("42501", &schedule);
    let hint = error.hint().unwrap().to_owned();
    assert!(hint.contains("GRANT EXECUTE"), "{hint}");
    let grants = hint.split_once(": ").unwrap().1;
    cron.exec(grants);
    let job: i64 = analyst.one(&schedule);
    // Once more is the same job.
    assert_eq!(analyst.one::<i64>(&schedule), job);
    let row: String = cron.one(&format!(
        "SELECT concat_ws(' ', username, database, schedule) FROM cron.job WHERE jobid = {job}"
    ));
    assert_eq!(row, format!("{owner} {} * * * * *", db.name));
    // A schedule whose model is gone by the time it runs.
    let mut superuser = db.session();
    let doomed: i64 = superuser.one("SELECT job FROM insight_schedule('m', '* * * * *')");
    superuser.exec("SELECT insight_drop('m')");
    superuser.exec("INSERT INTO customers SELECT (jsonb_populate_record(NULL::customers, to_jsonb(c) || jsonb_build_object('id', id + 100000))).* FROM customers c WHERE id <= 300");
    wait_for_runs(&mut cron, job, 1);
    wait_for_runs(&mut cron, doomed, 1);
    let jobs: Vec<String> = superuser.all(
        "SELECT DISTINCT concat_ws(' ', model, status, role, error) FROM insight.jobs WHERE queued_at > (SELECT min(finished_at) FROM insight.jobs WHERE model = 'hers') ORDER BY 1",
    );
    assert_eq!(
        jobs,
        [
            format!("hers succeeded {owner}"),
            "m failed postgres model \"m\" does not exist".into(),
        ]
    );
    assert_eq!(
        superuser.one::<i64>("SELECT versions FROM insight.models WHERE model = 'hers'"),
        2
    );
    // The next run finds nothing new.
    wait_for_runs(&mut cron, job, 2);
    assert_eq!(
        superuser.one::<i64>("SELECT versions FROM insight.models WHERE model = 'hers'"),
        2
    );
    assert!(analyst.one::<bool>("SELECT insight_unschedule('hers')"));
    assert!(!analyst.one::<bool>("SELECT insight_unschedule('hers')"));
    assert!(superuser.one::<bool>("SELECT insight_unschedule('m')"));
    assert_eq!(cron.one::<i64>("SELECT count(*) FROM cron.job"), 0);
    // Where pg_cron itself lives, the schedule belongs to the caller's transaction.
    cron.exec("CREATE EXTENSION IF NOT EXISTS insight");
    customers(&mut cron, 500);
    cron.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'near', '{FAST}')"
    ));
    cron.exec("BEGIN; SELECT insight_schedule('near', '0 3 * * *'); ROLLBACK");
    assert_eq!(cron.one::<i64>("SELECT count(*) FROM cron.job"), 0);
    let error = cron.fails("SELECT insight_schedule('near', 'each night')");
    assert!(error.message().contains("schedule"), "{}", error.message());
    let name: String = cron.one("SELECT name FROM insight_schedule('near', '0 3 * * *')");
    let row: String = cron.one(
        "SELECT concat_ws(' | ', jobname, schedule, command, database, username) FROM cron.job",
    );
    assert_eq!(
        row,
        format!(
            "{name} | 0 3 * * * | SELECT insight.run_schedule('near', NULL, '{{}}') | postgres | postgres"
        )
    );
    assert!(cron.one::<bool>("SELECT insight_unschedule('near')"));
    assert_eq!(cluster.restarts(), 0);
}

/// Two that want to train the same model again: the second leaves it to the first.
#[test]
fn runs_do_not_overlap() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let mut other = db.session();
    m.session.exec("BEGIN");
    let first: String = m
        .session
        .one("SELECT status FROM insight_retrain_if('m', 'new_rows > 1000000')");
    assert_eq!(first, "skipped");
    let second: String = other.one("SELECT insight.run_schedule('m', NULL, '{}')");
    assert_eq!(
        second,
        "skipped: another session is deciding about this model"
    );
    m.session.exec("COMMIT");
    let long = "{\"wait\": false, \"epochs\": 100000, \"early_stopping\": false}";
    let job: i64 = other.one(&format!("SELECT job FROM insight_retrain('m', '{long}')"));
    let third: String = m
        .session
        .one("SELECT insight.run_schedule('m', NULL, '{}')");
    assert_eq!(third, format!("skipped: job {job} is training this model"));
    other.exec(&format!(
        "SELECT insight_cancel({job}), insight_wait({job})"
    ));
    let fourth: String = m
        .session
        .one(&format!("SELECT insight.run_schedule('m', NULL, '{FAST}')"));
    assert!(fourth.starts_with("version 2 is"), "{fourth}");
}
