//! Scores in tables and predictions that are kept: two at once, readers, standbys, schedules, dumps.

use live::*;

const SCORE: &str = "SELECT rows FROM insight_score('m', 'customers', 'scores', 'id')";

/// Two that refresh the same table wait for each other; who reads meanwhile sees the former result as a whole, at once.
#[test]
fn refreshes_take_turns_and_readers_see_a_whole_result() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let (mut first, second, mut reader) = (db.session(), db.session(), db.session());
    // Both make the table.
    first.exec("BEGIN");
    assert_eq!(first.one::<i64>(SCORE), 1000);
    let waiting = second.call(
        "SELECT concat_ws(' ', rows, inserted, updated) FROM insight_score('m', 'customers', 'scores', 'id')",
    );
    wait_until("the second waits", 30, || {
        m.session.one::<bool>(&format!(
            "SELECT COALESCE(wait_event_type, '') = 'Lock' FROM pg_stat_activity WHERE pid = {}",
            waiting.pid
        ))
    });
    first.exec("COMMIT");
    let (mut second, rows) = waiting.rows();
    assert_eq!(rows[0].get::<_, String>(0), "1000 0 1000");
    // A new result is in the making.
    second.exec("UPDATE customers SET income = income / 2; DELETE FROM customers WHERE id <= 10");
    let sum =
        "SELECT concat_ws(' ', count(*), count(DISTINCT scored_at), sum(prediction)) FROM scores";
    let before: String = reader.one(sum);
    first.exec("BEGIN");
    assert_eq!(first.one::<i64>(SCORE), 990);
    reader.exec("SET statement_timeout = '5s'; SET lock_timeout = '100ms'");
    assert_eq!(reader.one::<String>(sum), before);
    assert_ne!(first.one::<String>(sum), before);
    let waiting = second.call("SELECT concat_ws(' ', rows, inserted, updated, deleted) FROM insight_score('m', 'customers', 'scores', 'id', 'incremental')");
    wait_until("the second waits", 30, || {
        m.session.one::<bool>(&format!(
            "SELECT COALESCE(wait_event_type, '') = 'Lock' FROM pg_stat_activity WHERE pid = {}",
            waiting.pid
        ))
    });
    first.exec("COMMIT");
    // What the first has scored is not new to the second.
    let (_, rows) = waiting.rows();
    assert_eq!(rows[0].get::<_, String>(0), "0 0 0 0");
    let after: String = reader.one(sum);
    assert!(after.starts_with("990 1 "), "{after}");
    assert_eq!(db.cluster.restarts(), 0);
}

/// A refresh that is cancelled, or whose session dies, leaves the former result.
#[test]
fn a_cancelled_refresh_leaves_what_was_there() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(SCORE);
    let sum = "SELECT concat_ws(' ', count(*), sum(prediction)) FROM scores";
    let before: String = m.session.one(sum);
    m.session.exec("CREATE VIEW many AS SELECT row_number() OVER () AS n, c.* FROM customers c, generate_series(1, 2000)");
    m.session.exec("DROP TABLE IF EXISTS many_scores");
    let other = db.session();
    let call = other.call("SELECT insight_score('m', 'many', 'many_scores', 'n')");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let cancelled: bool = m
        .session
        .one(&format!("SELECT pg_cancel_backend({})", call.pid));
    assert!(cancelled);
    let (_, code) = call.sqlstate();
    assert_eq!(code, "57014");
    let made: bool = m
        .session
        .one("SELECT to_regclass('many_scores') IS NOT NULL");
    assert!(!made);
    assert_eq!(m.session.one::<String>(sum), before);
    m.check();
}

/// On a standby, and in a transaction that is read-only, predictions are answered and not kept.
#[test]
fn a_standby_answers_and_keeps_nothing() {
    let primary = Cluster::start("");
    let db = primary.database();
    let mut p = db.session();
    customers(&mut p, 1000);
    p.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}'); SELECT insight_log('m', true, '{{\"key\": \"id\"}}'); {SCORE}"
    ));
    let measured: String = p.one(
        "SELECT string_agg(x::text, ',') FROM insight_performance('m', 'customers') x WHERE metric = 'roc_auc'",
    );
    let cluster = Cluster::standby_of(&primary);
    let mut s = cluster.connect(&db.name, "postgres");
    let logged = "SELECT sum(insight_predict_logged('m', c, id)) = sum(insight_predict('m', c)) FROM customers c";
    assert!(s.one::<bool>(logged));
    s.fails_with("25006", SCORE);
    s.fails_with("25006", "SELECT insight_log('m', false)");
    assert_eq!(
        s.one::<String>("SELECT string_agg(x::text, ',') FROM insight_performance('m', 'customers') x WHERE metric = 'roc_auc'"),
        measured
    );
    let counted: i64 = s.one("SELECT predictions FROM insight.activity WHERE model = 'm'");
    assert_eq!(counted, 2000);
    let kept = "SELECT count(*) FROM insight.predictions";
    assert_eq!(s.one::<i64>(kept), 1000);
    // Logging or not, parallel workers predict.
    p.exec("BEGIN READ ONLY");
    assert!(p.one::<bool>(logged));
    p.exec("COMMIT");
    assert_eq!(p.one::<i64>(kept), 1000);
    assert!(p.one::<bool>(logged));
    assert_eq!(p.one::<i64>(kept), 2000);
    assert_eq!((primary.restarts(), cluster.restarts()), (0, 0));
}

/// Who listens is told once, when a live score falls below the bound.
#[test]
fn a_fall_below_the_bound_is_told_once() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let mut listener = db.session();
    listener.exec("LISTEN insight_performance");
    m.session
        .exec("SELECT insight_log('m', true, '{\"key\": \"id\", \"bound\": 0.1}')");
    m.session.exec(SCORE);
    let ask = |truth: &str| {
        format!("SELECT count(*) FROM insight_performance('m', '{truth}') WHERE below")
    };
    assert_eq!(m.session.one::<i64>(&ask("customers")), 0);
    assert_eq!(listener.heard(), Vec::<String>::new());
    // All turned out otherwise than before.
    let turned = ask("SELECT id, NOT churn AS churn FROM customers");
    m.session
        .exec("SELECT insight_log('m', true, '{\"bound\": 0.6}')");
    assert_eq!(m.session.one::<i64>(&turned), 1);
    let heard = listener.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let told: serde_json::Value = serde_json::from_str(&heard[0]).unwrap();
    assert_eq!(told["model"], "m");
    assert_eq!(told["metric"], "roc_auc");
    assert_eq!(told["bound"], 0.6);
    assert_eq!(told["rows"], 1000);
    assert!(told["value"].as_f64().unwrap() < 0.6);
    assert_eq!(m.session.one::<i64>(&turned), 1);
    assert_eq!(listener.heard(), Vec::<String>::new(), "it was told before");
    assert_eq!(
        m.session.one::<String>(
            "SELECT concat_ws(' ', model, version, unit, metric) FROM insight.alerts"
        ),
        "m 1 week roc_auc"
    );
    // Nor is the score of all told again because segments are asked for.
    let by_segment = "SELECT count(*) FROM insight_performance('m', 'SELECT id, NOT churn AS churn, id % 2 AS half FROM customers', '{\"by\": \"half\"}') WHERE below AND segment IS NULL";
    assert_eq!(m.session.one::<i64>(by_segment), 1);
    let heard = listener.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard.iter().all(|told| told.contains("\"segment\": \"")));
    // A transaction that is rolled back tells nobody.
    m.session.exec(
        "BEGIN; SELECT insight_log('m', true, '{\"metric\": \"log_loss\", \"bound\": 0.001}')",
    );
    assert_eq!(m.session.one::<i64>(&ask("customers")), 1);
    m.session.exec("ROLLBACK");
    assert_eq!(listener.heard(), Vec::<String>::new());
}

/// The log of predictions and what came of them survive a dump; DROP EXTENSION needs no CASCADE for them.
#[test]
fn a_dump_keeps_the_log() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(&format!(
        "SELECT insight_log('m', true, '{{\"key\": \"id\", \"retention\": \"60 days\", \"bound\": 0.99}}'); {SCORE};
         SELECT insight_performance('m', 'customers')"
    ));
    let known = [
        "SELECT string_agg(p::text, ',' ORDER BY key) FROM insight.predictions p",
        "SELECT string_agg(p::text, ',' ORDER BY p::text) FROM insight.performance p",
        "SELECT string_agg(p::text, ',') FROM insight.alerts p",
        "SELECT l::text FROM insight.logs l",
        "SELECT string_agg(s::text, ',' ORDER BY key) FROM scores s",
        "SELECT count(*)::text FROM pg_inherits WHERE inhparent = 'insight.prediction'::regclass",
        "SELECT string_agg(indexdef, ',' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'insight' AND tablename LIKE 'prediction%'",
    ];
    let before: Vec<String> = known.iter().map(|query| m.session.one(query)).collect();
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
        for (query, before) in known.iter().zip(&before) {
            assert_eq!(&r.one::<String>(query), before, "{query}");
        }
        assert_eq!(r.one::<i64>(SCORE), 1000);
        assert_eq!(
            r.one::<i64>("SELECT count(*) FROM insight.predictions"),
            2000
        );
        r.exec("DROP EXTENSION insight");
        assert!(r.one::<bool>("SELECT to_regnamespace('insight') IS NULL"));
        drop(r);
        db.cluster.run_tool("dropdb", &["--force", &name]);
    }
}

/// Somebody reads the log for hours: refreshes go on, and what is old is dropped another time.
#[test]
fn a_reader_of_the_log_holds_nobody_up() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("SELECT insight_log('m')");
    m.session.exec("CREATE TABLE insight.prediction_20200106 PARTITION OF insight.prediction FOR VALUES FROM ('2020-01-06 00:00+00') TO ('2020-01-13 00:00+00')");
    let mut reader = db.session();
    reader.exec("BEGIN; SELECT count(*) FROM insight.predictions");
    let started = std::time::Instant::now();
    assert_eq!(m.session.one::<i64>(SCORE), 1000);
    assert!(started.elapsed().as_secs() < 20);
    let there = "SELECT to_regclass('insight.prediction_20200106') IS NOT NULL";
    assert!(m.session.one::<bool>(there));
    reader.exec("COMMIT");
    // Inside of a transaction nothing is dropped: it would lock the log until its end.
    m.session.exec("BEGIN");
    m.session.exec(SCORE);
    let mut other = db.session();
    other.exec("SET lock_timeout = '2s'");
    assert_eq!(
        other.one::<f64>("SELECT count(insight_predict_logged('m', c, id))::float8 FROM (SELECT * FROM customers LIMIT 5) c"),
        5.0
    );
    m.session.exec("COMMIT");
    assert!(m.session.one::<bool>(there));
    m.session.exec(SCORE);
    assert!(!m.session.one::<bool>(there));
}

const LOGGED: &str =
    "SELECT count(insight_predict_logged('m', c, id)) FROM (SELECT * FROM customers LIMIT 5) c";

/// Drops the log's partitions from that many weeks ahead on.
fn drop_partitions(session: &mut Session, ahead: u32) {
    session.exec(&format!(
        "DO $$ DECLARE part regclass; BEGIN FOR part IN SELECT i.inhrelid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = 'insight.prediction'::regclass
           AND c.relname >= 'prediction_' || to_char(date_trunc('week', now() AT TIME ZONE 'UTC') + {ahead} * interval '7 days', 'YYYYMMDD')
         LOOP EXECUTE format('DROP TABLE %s', part); END LOOP; END $$"
    ));
}

/// What a block that was undone has made is made again.
#[test]
fn partitions_that_were_rolled_back_are_made_again() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("SELECT insight_log('m')");
    drop_partitions(&mut m.session, 0);
    m.session.exec(&format!(
        "DO $$ BEGIN BEGIN PERFORM * FROM ({LOGGED}) s; RAISE 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END; PERFORM * FROM ({LOGGED}) s; END $$"
    ));
    assert_eq!(
        m.session
            .one::<i64>("SELECT count(*) FROM insight.predictions"),
        5
    );
    // Nor is a log kept that was turned off in the same statement.
    m.session.exec(&format!(
        "DO $$ BEGIN PERFORM * FROM ({LOGGED}) s; PERFORM insight_log('m', false); PERFORM * FROM ({LOGGED}) s; END $$"
    ));
    assert_eq!(
        m.session
            .one::<i64>("SELECT count(*) FROM insight.predictions"),
        10
    );
    m.check();
}

/// Who makes the log's partitions and stays in the transaction holds up nobody who has one to write to.
#[test]
fn partitions_ahead_are_waited_for_by_nobody() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("SELECT insight_log('m')");
    drop_partitions(&mut m.session, 1);
    let mut idle = db.session();
    idle.exec("BEGIN");
    assert_eq!(idle.one::<i64>(LOGGED), 5);
    m.session.exec("SET statement_timeout = '5s'");
    assert_eq!(m.session.one::<i64>(LOGGED), 5);
    m.session.exec("RESET statement_timeout");
    idle.exec("ROLLBACK");
    assert_eq!(m.session.one::<i64>(LOGGED), 5);
    let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'insight.prediction'::regclass";
    assert_eq!(m.session.one::<i64>(parts), 5);
    // Without a partition for this week there is nothing else to do, but not for ever.
    drop_partitions(&mut m.session, 0);
    idle.exec("BEGIN");
    assert_eq!(idle.one::<i64>(LOGGED), 5);
    m.refuses("55P03", "pg_locks", LOGGED);
    idle.exec("COMMIT");
    assert_eq!(m.session.one::<i64>(LOGGED), 5);
    m.check();
}

/// What cannot be deleted now, because others hold it or have deleted it, is no reason for a refresh to fail.
#[test]
fn retention_fails_nobody() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(SCORE);
    m.session.exec("SELECT insight_log('m')");
    m.session.exec(SCORE);
    let old = "CREATE TABLE insight.prediction_20200106 PARTITION OF insight.prediction FOR VALUES FROM ('2020-01-06 00:00+00') TO ('2020-01-13 00:00+00');
        INSERT INTO insight.prediction SELECT model, version, key, prediction, label, probability, outputs, '2020-01-07', role FROM insight.prediction LIMIT 3";
    let count = "SELECT count(*) FROM insight.prediction WHERE predicted_at < '2021-01-01'";
    m.session.exec(old);
    let mut other = db.session();
    other.exec("BEGIN; SELECT FROM insight.prediction WHERE predicted_at < '2021-01-01' FOR UPDATE");
    m.session.exec("SET statement_timeout = '30s'");
    assert_eq!(m.session.one::<i64>(SCORE), 1000);
    assert_eq!(m.session.one::<i64>(count), 3);
    other.exec("COMMIT");
    // Another has deleted them since the snapshot.
    m.session.exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
    assert_eq!(m.session.one::<i64>(count), 3);
    other.exec("DELETE FROM insight.prediction WHERE predicted_at < '2021-01-01'");
    assert_eq!(m.session.one::<i64>(SCORE), 1000);
    m.session.exec("COMMIT");
    assert_eq!(m.session.one::<i64>(count), 0);
    // To turn the log off deletes, too.
    m.session.exec("SELECT insight_log('m', false)");
    assert!(
        m.session
            .one::<bool>("SELECT to_regclass('insight.prediction_20200106') IS NULL")
    );
    m.check();
}

/// Default privileges give nothing of the catalog away.
#[test]
fn default_privileges_do_not_open_the_catalog() {
    let db = shared().database();
    let mut m = db.session();
    let role = format!("reader_of_{}", db.name);
    m.exec(&format!(
        "DROP EXTENSION insight; CREATE ROLE {role} LOGIN;
         ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}, PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {role};
         CREATE EXTENSION insight"
    ));
    customers(&mut m, 1000);
    m.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}'); SELECT insight_log('m')"
    ));
    let open: Vec<String> = m.all(&format!(
        "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'insight'::regnamespace AND relkind IN ('r', 'p', 'S')
         AND CASE relkind WHEN 'S' THEN has_sequence_privilege('{role}', oid, 'USAGE') ELSE has_table_privilege('{role}', oid, 'SELECT, INSERT, UPDATE, DELETE') END"
    ));
    assert_eq!(open, Vec::<String>::new());
    m.exec(&format!(
        "DROP TABLE customers; DROP EXTENSION insight; DROP OWNED BY {role}; DROP ROLE {role}"
    ));
}

/// Where insight is preloaded, what all sessions and parallel workers predict is counted.
#[test]
fn a_preloaded_server_counts_for_all() {
    let cluster = Cluster::start(
        "shared_preload_libraries = 'insight'\nmin_parallel_table_scan_size = 0\nparallel_setup_cost = 0\nparallel_tuple_cost = 0\n",
    );
    let (db, another) = (cluster.database(), cluster.database());
    let mut m = Served::new(&db);
    let of_m =
        "SELECT concat_ws(' ', scope, predictions - {}) FROM insight.activity WHERE model = 'm'";
    let before: i64 = m
        .session
        .one("SELECT predictions FROM insight.activity WHERE model = 'm'");
    let mut other = db.session();
    other.exec("SELECT count(insight_predict('m', c)) FROM customers c");
    other.exec("SELECT count(*) FROM insight_predict_table('m', 'customers')");
    // A transaction that fails has predicted all the same.
    other.fails("SELECT sum(1 / (CASE WHEN insight_classify('m', c) IS NULL THEN 1 ELSE 0 END)) FROM customers c WHERE id = 1");
    let (hits, misses): (i64, i64) = {
        let row = &other
            .rows("SELECT cache_hits, cache_misses FROM insight.activity WHERE model = 'm'")[0];
        (row.get(0), row.get(1))
    };
    assert!(hits >= 2 && misses >= 2, "{hits} {misses}");
    other.exec("SET max_parallel_workers_per_gather = 2");
    other.force_parallel();
    other.exec("SELECT count(insight_predict('m', c)) FROM customers c");
    drop(other);
    let seen: String = m.session.one(&of_m.replace("{}", &before.to_string()));
    assert_eq!(seen, "server 3001");
    assert!(m
        .session
        .one::<bool>("SELECT seconds > 0 AND since - pg_postmaster_start_time() BETWEEN interval '-10 s' AND '10 s' FROM insight.activity WHERE model = 'm'"));
    // Versions of another database are others.
    let mut n = Served::new(&another);
    assert!(
        n.session
            .one::<i64>("SELECT predictions FROM insight.activity WHERE model = 'm'")
            < 3000
    );
    assert_eq!(cluster.restarts(), 0);
}

/// A refresh on a schedule of pg_cron.
#[test]
fn pg_cron_refreshes_scores() {
    if library("pg_cron.so").is_none() {
        skipped(
            "pg_cron_refreshes_scores",
            "the server's Debian package of pg_cron",
        );
        return;
    }
    let cluster =
        Cluster::start("shared_preload_libraries = 'pg_cron'\ncron.use_background_workers = on\n");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let mut cron = cluster.connect("postgres", "postgres");
    cron.exec("CREATE EXTENSION pg_cron");
    cron.exec(&format!(
        "SELECT cron.schedule_in_database('scores', '* * * * *', {}, '{}')",
        literal(
            "SELECT insight_score('m', 'public.customers', 'public.scores', 'id', 'incremental')"
        ),
        db.name
    ));
    assert_eq!(m.session.one::<i64>(SCORE), 1000);
    m.session
        .exec("INSERT INTO customers (id, age, income, churn) VALUES (5000, 40, 100, true)");
    wait_until("the new row is scored", 100, || {
        m.session
            .one::<bool>("SELECT EXISTS (SELECT FROM scores WHERE key = 5000)")
    });
    cron.exec("SELECT cron.unschedule('scores')");
    let failed: i64 = cron.one("SELECT count(*) FROM cron.job_run_details WHERE status = 'failed'");
    assert_eq!(failed, 0);
    assert_eq!(cluster.restarts(), 0);
}
