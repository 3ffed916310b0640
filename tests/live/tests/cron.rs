//! Retraining by pg_cron, as a database administrator would set it up.

use live::*;

#[test]
fn pg_cron_retrains_a_model() {
    let library = std::path::Path::new("/usr/lib/postgresql/15/lib/pg_cron.so");
    if !library.exists() {
        skipped(
            "pg_cron_retrains_a_model",
            "the Debian package postgresql-15-cron",
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
