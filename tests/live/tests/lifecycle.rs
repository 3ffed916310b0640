//! The life of models beside that of the database: dump and restore, dropping the extension, deploying, the cache.

use live::*;

/// Everything that is known of the models, as text.
const KNOWN: &[&str] = &[
    "SELECT count(*) || ':' || coalesce(string_agg(v::text, ',' ORDER BY v::text), '') FROM insight.models v",
    "SELECT count(*) || ':' || string_agg(v::text, ',' ORDER BY v::text) FROM insight.versions v",
    "SELECT count(*) || ':' || string_agg(v::text, ',' ORDER BY v::text) FROM insight.metrics v",
    "SELECT count(*) || ':' || string_agg(v::text, ',' ORDER BY v::text) FROM insight.deployments v",
    "SELECT count(*) || ':' || string_agg(v::text, ',' ORDER BY v::text) FROM insight.history v",
    "SELECT count(*) || ':' || string_agg(v::text, ',' ORDER BY v::text) FROM insight.jobs v",
    "SELECT string_agg(insight_predict('m', c)::text, ',' ORDER BY id) FROM customers c",
    "SELECT string_agg(insight_predict('m@2', c)::text, ',' ORDER BY id) FROM customers c",
    "SELECT string_agg(insight_classify('it''s ☃', c), ',' ORDER BY id) FROM customers c",
    "SELECT string_agg(e::text, ',') FROM insight_evaluate('m') e",
];

#[track_caller]
fn train(session: &mut Session, model: &str, seed: u32) -> i32 {
    session.one(&format!(
        "SELECT version FROM insight_train('customers', 'churn', {}, '{FAST}'::jsonb || '{{\"seed\": {seed}}}')",
        literal(model)
    ))
}

#[test]
fn a_dump_keeps_models_versions_metrics_and_predictions() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 1000);
    let role = format!("{}_owner", db.name);
    s.exec(&format!(
        "CREATE ROLE {role}; GRANT SELECT ON customers TO {role}"
    ));
    train(&mut s, "m", 1);
    train(&mut s, "m", 2);
    s.exec("SELECT insight_rollback('m')");
    s.exec(&format!("SET ROLE {role}"));
    train(&mut s, "it's ☃", 3);
    s.exec("RESET ROLE");
    s.fails("SELECT insight_train('SELECT id, 1 / (id - 5) AS x, churn FROM customers', 'churn', 'failed')");
    let before: Vec<String> = KNOWN.iter().map(|query| s.one(query)).collect();
    let ids = "SELECT max(id) FROM insight.version";
    let jobs = "SELECT max(job) FROM insight.jobs";
    let (last_id, last_job): (i64, i64) = (s.one(ids), s.one(jobs));
    for format in ["custom", "plain"] {
        let name = format!("{}_{format}", db.name);
        let file = db.cluster.dir().join(format!("{name}.dump"));
        let file = file.to_str().unwrap();
        db.cluster
            .run_tool("pg_dump", &["--format", format, "--file", file, &db.name]);
        db.cluster.run_tool("createdb", &[&name]);
        if format == "plain" {
            db.cluster.run_tool(
                "psql",
                &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &name, "-f", file],
            );
        } else {
            db.cluster
                .run_tool("pg_restore", &["--exit-on-error", "--dbname", &name, file]);
        }
        let mut r = db.cluster.connect(&name, "postgres");
        for (query, before) in KNOWN.iter().zip(&before) {
            assert_eq!(&r.one::<String>(query), before, "{query}");
        }
        assert_eq!(train(&mut r, "m", 4), 3);
        assert_eq!(train(&mut r, "new", 4), 1);
        assert_eq!(r.one::<i64>(ids), last_id + 2);
        assert_eq!(r.one::<i64>(jobs), last_job + 2);
        r.exec("SELECT insight_deploy('m', 1); SELECT insight_drop('it''s ☃')");
        drop(r);
        db.cluster.run_tool("dropdb", &["--force", &name]);
    }
    let after: Vec<String> = KNOWN.iter().map(|query| s.one(query)).collect();
    assert_eq!(before, after);
}

/// What a person deploys while a challenger is trained stays: the challenger was compared with another version.
#[test]
fn a_challenger_does_not_replace_what_was_deployed_meanwhile() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}'::jsonb || '{{\"seed\": 2, \"deploy\": false}}')"
    ));
    let mut person = db.session();
    person.exec("BEGIN; SELECT insight_deploy('m', 2)");
    // It is asked for beside version 1, and cannot be stored before the person has committed.
    let job: i64 = m.session.one(
        "SELECT job FROM insight_retrain('m', '{\"wait\": false, \"algorithm\": \"gbdt\", \"epochs\": null, \"hidden\": null, \"batch_size\": null}')",
    );
    wait_until("the challenger waits", 60, || {
        m.session.one::<i64>("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'insight worker' AND wait_event_type = 'Lock'") > 0
    });
    person.exec("COMMIT");
    let status: String = m.session.one(&format!("SELECT insight_wait({job})"));
    assert_eq!(status, "succeeded");
    let rows: Vec<String> = m.session.all(
        "SELECT concat_ws(' ', version, deployed, provenance->'challenge'->>'champion') FROM insight.versions WHERE model = 'm' ORDER BY version",
    );
    assert_eq!(rows, ["1 f", "2 t", "3 f m@1"]);
    let last: String = m.session.one(
        "SELECT concat_ws(' ', version, replaced, reason) FROM insight.deployments WHERE model = 'm' ORDER BY deployed_at DESC LIMIT 1",
    );
    assert_eq!(last, "2 1 insight_deploy");
}

/// Models of histories and models that make rows answer as before.
#[test]
fn a_dump_keeps_models_of_histories_and_of_rows() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 1000);
    s.exec("CREATE TABLE events AS SELECT * FROM insight_sample_events(1000)");
    s.exec(
        "SELECT insight_train('customers', NULL, 'twins', '{\"algorithm\": \"gan\", \"epochs\": 2}');
         SELECT insight_train('events', 'action', 'next', '{\"algorithm\": \"lstm\", \"key\": \"customer_id\", \"order\": \"at\", \"epochs\": 2}')",
    );
    let queries = [
        "SELECT string_agg(g::text, ',') FROM insight_generate('twins', 200, NULL::customers, 7) g",
        "SELECT string_agg(n::text, ',' ORDER BY key, rank) FROM insight_next('next', 'events', 3) n",
        "SELECT insight_probabilities('next', 17)::text",
        "SELECT string_agg(v::text, ',' ORDER BY v::text) FROM insight.versions v",
        "SELECT string_agg(v::text, ',' ORDER BY v::text) FROM insight.metrics v",
        "SELECT string_agg(v::text, ',' ORDER BY v::text) FROM insight.history v",
    ];
    let before: Vec<String> = queries.iter().map(|query| s.one(query)).collect();
    let name = format!("{}_restored", db.name);
    let file = db.cluster.dir().join(format!("{name}.dump"));
    let file = file.to_str().unwrap();
    db.cluster
        .run_tool("pg_dump", &["--format", "custom", "--file", file, &db.name]);
    db.cluster.run_tool("createdb", &[&name]);
    db.cluster
        .run_tool("pg_restore", &["--exit-on-error", "--dbname", &name, file]);
    let mut r = db.cluster.connect(&name, "postgres");
    for (query, before) in queries.iter().zip(&before) {
        assert_eq!(&r.one::<String>(query), before, "{query}");
    }
    for model in ["twins", "next"] {
        let again = format!("SELECT version FROM insight_retrain('{model}')");
        assert_eq!(r.one::<i32>(&again), 2);
    }
    drop(r);
    db.cluster.run_tool("dropdb", &["--force", &name]);
}

/// A role that is gone takes no model along; superusers look after what it owned.
#[test]
fn a_dump_is_restored_where_an_owner_is_missing() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 1000);
    let role = format!("{}_gone", db.name);
    s.exec(&format!(
        "CREATE ROLE {role}; GRANT SELECT ON customers TO {role}; SET ROLE {role}"
    ));
    train(&mut s, "m", 1);
    s.exec(&format!(
        "RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"
    ));
    let name = format!("{}_without", db.name);
    let file = db.cluster.dir().join(format!("{name}.dump"));
    let file = file.to_str().unwrap();
    db.cluster
        .run_tool("pg_dump", &["--format", "custom", "--file", file, &db.name]);
    db.cluster.run_tool("createdb", &[&name]);
    db.cluster
        .run_tool("pg_restore", &["--exit-on-error", "--dbname", &name, file]);
    let mut r = db.cluster.connect(&name, "postgres");
    let owner: String = r.one("SELECT owner::text FROM insight.models WHERE model = 'm'");
    assert_eq!(owner, role);
    let jobs: i64 = r.one("SELECT count(*) FROM insight.jobs");
    assert_eq!(jobs, 1);
    assert_eq!(train(&mut r, "m", 2), 2);
    r.exec("SELECT insight_drop('m')");
    drop(r);
    db.cluster.run_tool("dropdb", &["--force", &name]);
}

/// A job that ran when the dump was made does not run in the restored database.
#[test]
fn a_job_that_ran_during_the_dump_is_dead_in_the_restored_database() {
    let db = shared().database();
    let mut scene = Scene::queued(&db);
    let name = format!("{}_restored", db.name);
    let file = db.cluster.dir().join(format!("{name}.dump"));
    let file = file.to_str().unwrap();
    db.cluster
        .run_tool("pg_dump", &["--format", "custom", "--file", file, &db.name]);
    db.cluster.run_tool("createdb", &[&name]);
    db.cluster
        .run_tool("pg_restore", &["--exit-on-error", "--dbname", &name, file]);
    let mut r = db.cluster.connect(&name, "postgres");
    let job = scene.job;
    let status = format!("SELECT status FROM insight.jobs WHERE job = {job}");
    assert_eq!(r.one::<String>(&status), "failed");
    assert!(!r.one::<bool>(&format!("SELECT insight_cancel({job})")));
    assert_eq!(
        r.one::<String>(&format!("SELECT insight_wait({job})")),
        "failed"
    );
    assert_eq!(train(&mut r, "m", 1), 2);
    assert_eq!(
        r.one::<String>(&format!("SELECT status FROM insight.job WHERE job = {job}")),
        "failed"
    );
    assert_eq!(scene.watcher.one::<String>(&status), "running");
    drop(r);
    db.cluster.run_tool("dropdb", &["--force", &name]);
    scene.watcher.exec(&format!("SELECT insight_cancel({job})"));
    scene.check("cancelled", "57014");
}

#[test]
fn dropping_the_extension_says_what_it_takes_along() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 500);
    train(&mut s, "m", 1);
    train(&mut s, "m", 2);
    train(&mut s, "n", 1);
    let told = |s: &mut Session| -> Vec<String> {
        let mut notices = s.notices();
        notices.retain(|n| n.contains("takes along"));
        notices
    };
    s.exec("CREATE EXTENSION file_fdw; DROP EXTENSION file_fdw");
    assert!(
        told(&mut s).is_empty(),
        "another extension takes nothing along"
    );
    s.exec("BEGIN; DROP EXTENSION insight; ROLLBACK");
    let said = told(&mut s);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("2 models with 3 versions"), "{said:?}");
    assert_eq!(s.one::<i64>("SELECT count(*) FROM insight.models"), 2);
    assert!(s.one::<f64>("SELECT sum(insight_predict('m', c)) FROM customers c") > 0.0);
    s.exec("CREATE VIEW risks AS SELECT insight_predict('m', c) FROM customers c");
    s.fails_with("2BP01", "DROP EXTENSION insight");
    s.exec("DROP EXTENSION insight CASCADE");
    let left: i64 = s.one(
        "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'insight') + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'insight%')
           + (SELECT count(*) FROM pg_event_trigger) + (SELECT count(*) FROM pg_class WHERE relname = 'risks')",
    );
    assert_eq!(left, 0);
    s.fails_with("42883", "SELECT insight_predict('m', c) FROM customers c");
    s.exec("CREATE EXTENSION insight");
    assert_eq!(s.one::<i64>("SELECT count(*) FROM insight.models"), 0);
}

/// The new catalog counts from 1 again: its version 1 is not the old one that this session still has in its cache.
#[test]
fn a_session_that_outlives_the_extension_predicts_with_the_new_models() {
    let db = shared().database();
    let (mut s, mut other) = (db.session(), db.session());
    customers(&mut s, 1000);
    let sum = "SELECT sum(insight_predict('m', c)) FROM customers c";
    train(&mut s, "m", 1);
    let old: f64 = s.one(sum);
    assert_eq!(other.one::<f64>(sum), old);
    other.exec(&format!("PREPARE p AS {sum}; EXECUTE p"));
    s.exec("DROP EXTENSION insight; CREATE EXTENSION insight");
    s.fails_with("42704", sum);
    other.fails_with("42704", sum);
    train(&mut s, "m", 2);
    assert_eq!(
        s.one::<i64>("SELECT max(id) FROM insight.version"),
        1,
        "the number repeats"
    );
    let mut fresh = db.session();
    let new: f64 = fresh.one(sum);
    assert_ne!(new, old);
    assert_eq!(s.one::<f64>(sum), new);
    assert_eq!(other.one::<f64>(sum), new);
    assert_eq!(
        other.one::<f64>("SELECT sum(insight_predict('m@1', c)) FROM customers c"),
        new
    );
    // From here on deployments are seen as before.
    train(&mut fresh, "m", 3);
    let third: f64 = fresh.one(sum);
    assert_ne!(third, new);
    assert_eq!(s.one::<f64>(sum), third);
    assert_eq!(other.one::<f64>(sum), third);
    // Undone, the old catalog is the true one again.
    s.exec("BEGIN; DROP EXTENSION insight; CREATE EXTENSION insight");
    s.fails_with("42704", sum);
    s.exec("ROLLBACK");
    assert_eq!(s.one::<f64>(sum), third);
    assert_eq!(other.one::<f64>(sum), third);
}

#[test]
fn a_deployment_is_seen_by_the_next_statement_of_every_session() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 1000);
    for seed in 1..=3 {
        train(&mut s, "m", seed);
    }
    let sum = "SELECT sum(insight_predict('m', c)) FROM customers c";
    let scores: Vec<f64> = (1..=3)
        .map(|v| s.one(&sum.replace("'m'", &format!("'m@{v}'"))))
        .collect();
    assert!(scores[0] != scores[1] && scores[1] != scores[2] && scores[0] != scores[2]);
    s.exec(&format!(
        "CREATE FUNCTION total() RETURNS float8 LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN ({sum}); END $$;
         CREATE VIEW total AS {sum}"
    ));
    let (mut plain, mut open, mut prepared, mut frozen) =
        (db.session(), db.session(), db.session(), db.session());
    open.exec("BEGIN");
    prepared.exec(&format!(
        "PREPARE p(text) AS SELECT sum(insight_predict($1, c)) FROM customers c; PREPARE q AS {sum}"
    ));
    for _ in 0..7 {
        prepared.exec("EXECUTE p('m'); EXECUTE q");
    }
    frozen.exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
    let start: f64 = frozen.one(sum);
    for round in 0..12 {
        let version = [1, 3, 2][round % 3];
        let wanted = scores[version - 1];
        s.exec(&format!("SELECT insight_deploy('m', {version})"));
        for query in [
            sum,
            "SELECT total()",
            "SELECT * FROM total",
            "SELECT sum(prediction) FROM insight_predict_table('m', 'customers')",
        ] {
            assert_eq!(plain.one::<f64>(query), wanted, "{query}");
            assert_eq!(
                open.one::<f64>(query),
                wanted,
                "{query} in an open transaction"
            );
        }
        assert_eq!(prepared.one::<f64>("EXECUTE p('m')"), wanted);
        assert_eq!(prepared.one::<f64>("EXECUTE q"), wanted);
        assert_eq!(
            frozen.one::<f64>(sum),
            start,
            "a snapshot stays what it was"
        );
    }
    frozen.exec("COMMIT");
    assert_eq!(frozen.one::<f64>(sum), scores[1]);
    // Not committed, not seen; within its own transaction, seen at once, and undone by a savepoint.
    s.exec("BEGIN; SELECT insight_deploy('m', 1)");
    assert_eq!(s.one::<f64>(sum), scores[0]);
    assert_eq!(plain.one::<f64>(sum), scores[1]);
    s.exec("SAVEPOINT here; SELECT insight_deploy('m', 3)");
    assert_eq!(s.one::<f64>(sum), scores[2]);
    s.exec("ROLLBACK TO here");
    assert_eq!(s.one::<f64>(sum), scores[0]);
    s.exec("ROLLBACK");
    assert_eq!(s.one::<f64>(sum), scores[1]);
    // Between two statements of one function, too.
    let (first, second): (f64, f64) = {
        s.exec(&format!(
            "CREATE FUNCTION in_turn() RETURNS float8[] LANGUAGE plpgsql AS $$
             DECLARE a float8; b float8;
             BEGIN
               PERFORM insight_deploy('m', 1); {}; PERFORM insight_deploy('m', 3); {};
               RETURN ARRAY[a, b];
             END $$",
            sum.replace(
                "SELECT sum(insight_predict('m', c))",
                "SELECT sum(insight_predict('m', c)) INTO a"
            ),
            sum.replace(
                "SELECT sum(insight_predict('m', c))",
                "SELECT sum(insight_predict('m', c)) INTO b"
            ),
        ));
        let row = &s.rows("SELECT r[1], r[2] FROM in_turn() r")[0];
        (row.get(0), row.get(1))
    };
    assert_eq!((first, second), (scores[0], scores[2]));
    // A dropped model is gone from the next statement on.
    s.exec("SELECT insight_drop('m')");
    plain.fails_with("42704", sum);
    prepared.fails_with("42704", "EXECUTE q");
    open.fails_with("42704", sum);
}

/// Anonymous memory of a process in megabytes.
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

#[test]
fn the_cache_stays_within_its_limit() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 1000);
    s.exec("SELECT insight_train('customers', 'churn', 'm', '{\"algorithm\": \"mlp\", \"epochs\": 1, \"hidden\": [1024, 1024], \"batch_size\": 1024}')");
    let size: i32 = s.one("SELECT bytes / 1048576 FROM insight.versions");
    assert!(size >= 4, "{size} MB");
    let versions = 40;
    s.exec(&format!(
        "INSERT INTO insight.version (model, version, task, algorithm, relation, target, rows, seconds, device, options,
                                      summary, artifact, created_by)
         SELECT model, n, task, algorithm, relation, target, rows, seconds, device, options, summary, artifact, created_by
         FROM insight.version, generate_series(2, {versions}) n"
    ));
    let mut used = Vec::new();
    for limit in [16, 1000] {
        let mut session = db.session();
        session.exec(&format!("SET insight.cache_memory = '{limit}MB'"));
        let first: f64 =
            session.one("SELECT insight_predict('m@1', c) FROM customers c WHERE id = 1");
        let before = memory(session.pid);
        let mut most = 0;
        for round in 0..2 {
            for version in 1..=versions {
                let same: f64 = session.one(&format!(
                    "SELECT insight_predict('m@{version}', c) FROM customers c WHERE id = 1"
                ));
                assert_eq!(same, first, "round {round}");
                most = most.max(memory(session.pid).saturating_sub(before));
            }
        }
        used.push(most);
    }
    let all = (versions * size) as u64;
    assert!(
        used[1] >= all / 2,
        "{used:?} MB: with room for {all} MB the models are kept"
    );
    // One model more than fits is held while it is read, and its bytes beside it.
    assert!(
        used[0] <= 16 + 4 * size as u64 + 8,
        "{used:?} MB with a limit of 16 MB"
    );
    // No room at all still predicts.
    s.exec("SET insight.cache_memory = 0");
    s.exec("SELECT insight_predict('m@' || 1 + id % 3, c) FROM customers c WHERE id < 10");
}
