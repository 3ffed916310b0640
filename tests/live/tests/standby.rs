//! Predictions where nothing can be written or in many processes: hot standbys and parallel workers.

use live::*;

/// Options of one small network, where what is trained does not matter.
const QUICK: &str = r#"{"algorithm": "dnn", "epochs": 3, "hidden": [8], "batch_size": 256}"#;

#[test]
fn a_hot_standby_predicts_and_evaluates_but_does_not_train() {
    let primary = Cluster::start("");
    let db = primary.database();
    let mut p = db.session();
    customers(&mut p, 2000);
    p.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
    let cluster = Cluster::standby_of(&primary);
    let mut s = cluster.connect(&db.name, "postgres");
    assert!(s.one::<bool>("SELECT pg_is_in_recovery()"));
    for query in [
        "SELECT sum(insight_predict('m', c))::text FROM customers c",
        "SELECT sum(insight_predict('m', to_jsonb(c)))::text FROM customers c",
        "SELECT sum(insight_predict('m@1', c))::text FROM customers c",
        "SELECT string_agg(insight_classify('m', c), '' ORDER BY id) FROM customers c",
        "SELECT insight_probabilities('m', c)::text FROM customers c WHERE id = 7",
        "SELECT string_agg(p::text, ',') FROM insight_predict_table('m', 'customers') p",
        "SELECT string_agg(e::text, ',') FROM insight_evaluate('m') e",
        "SELECT string_agg(e::text, ',') FROM insight_evaluate('m', 'SELECT * FROM customers') e",
        "SELECT string_agg(e::text, ',') FROM insight_confusion('m', 'customers') e",
        "SELECT count(*)::text FROM insight_roc('m', 'customers')",
        "SELECT string_agg(e::text, ',') FROM insight_lift('m') e",
        "SELECT string_agg(e::text, ',') FROM insight_calibration('m', 'customers') e",
        "SELECT string_agg(e::text, ',') FROM insight_compare('m', 'm@1', 'customers') e",
        "SELECT string_agg(insight_classes('m', c)::text, '' ORDER BY id) FROM customers c",
        "SELECT string_agg(v::text, ',') FROM insight.models v",
        "SELECT string_agg(v::text, ',') FROM insight.versions v",
        "SELECT string_agg(v::text, ',') FROM insight.metrics v",
        "SELECT string_agg(v::text, ',') FROM insight.history v",
        "SELECT string_agg(v::text, ',') FROM insight.jobs v",
        "SELECT count(*)::text FROM insight.progress",
        "SELECT string_agg(device, ',') FROM insight_devices()",
    ] {
        assert_eq!(p.one::<String>(query), s.one::<String>(query), "{query}");
    }
    let train = "SELECT insight_train('customers', 'churn', 'm', ";
    for call in [
        format!("{train}'{{}}')"),
        format!("{train}'{{\"wait\": false}}')"),
        "SELECT insight_deploy('m', 1)".into(),
        "SELECT insight_rollback('m')".into(),
        "SELECT insight_drop('m')".into(),
        "SELECT insight_cancel(1)".into(),
    ] {
        s.fails_with("25006", &call);
    }
    let error = s.fails_with("42704", "SELECT insight_predict('n', '{}'::jsonb)");
    assert!(error.hint().is_some());
    assert_eq!(s.one::<String>("SELECT insight_wait(1)"), "succeeded");

    // What the primary does, open sessions of the standby see: a new version, a roll-back, a running job, a drop.
    let sum = "SELECT sum(insight_predict('m', c)) FROM customers c";
    let first: f64 = s.one(sum);
    p.exec(&format!("{train}'{QUICK}'::jsonb || '{{\"seed\": 7}}')").as_str());
    catch_up(&mut p, &mut s);
    let second: f64 = s.one(sum);
    assert_ne!(first, second);
    assert_eq!(p.one::<f64>(sum), second);
    p.exec("SELECT insight_rollback('m')");
    catch_up(&mut p, &mut s);
    assert_eq!(s.one::<f64>(sum), first);
    p.exec(&format!("{train}'{SLOW}'::jsonb || '{{\"wait\": false}}')"));
    let (job, _) = Scene::wait_for_epoch(&mut p, "m");
    catch_up(&mut p, &mut s);
    let status: String = s.one(&format!(
        "SELECT status FROM insight.jobs WHERE job = {job}"
    ));
    assert_eq!(status, "running", "the standby shows what the row says");
    assert_eq!(
        s.one::<String>(&format!("SELECT insight_wait({job}, 0.3)")),
        "running"
    );
    p.exec(&format!(
        "SELECT insight_cancel({job}); SELECT insight_wait({job}, 30)"
    ));
    catch_up(&mut p, &mut s);
    assert_eq!(
        s.one::<String>(&format!("SELECT insight_wait({job}, 30)")),
        "cancelled"
    );
    p.exec("SELECT insight_drop('m')");
    catch_up(&mut p, &mut s);
    s.fails_with("42704", sum);

    // Promoted, it trains.
    cluster.run_tool("psql", &["-d", "postgres", "-qAtc", "SELECT pg_promote()"]);
    s.exec(&format!("{train}'{QUICK}')"));
    assert!(s.one::<f64>(sum) > 0.0);
    assert_eq!((primary.restarts(), cluster.restarts()), (0, 0));
}

/// Models of histories and models that make rows answer where nothing can be written.
#[test]
fn a_hot_standby_makes_rows_and_foretells() {
    let primary = Cluster::start("");
    let db = primary.database();
    let mut p = db.session();
    customers(&mut p, 2000);
    p.exec("CREATE TABLE events AS SELECT * FROM insight_sample_events(2000); ALTER TABLE customers ADD PRIMARY KEY (id)");
    for (call, model) in [(GENERATE, "twins"), (FORETELL, "next")] {
        p.exec(&format!("SELECT insight_train({call} '{model}')"));
    }
    let cluster = Cluster::standby_of(&primary);
    let mut s = cluster.connect(&db.name, "postgres");
    for query in [
        "SELECT string_agg(g::text, ',') FROM insight_generate('twins', 100, NULL::customers, 7) g",
        "SELECT string_agg(g::text, ',') FROM insight_generate('twins', 10, NULL::customers, 7, '{\"churn\": true}') g",
        "SELECT string_agg(f::text, ',') FROM insight_fidelity('twins', 'customers') f",
        "SELECT string_agg(d::text, ',') FROM insight_personas('twins', 3) d",
        "SELECT string_agg(n::text, ',' ORDER BY key, rank) FROM insight_next('next', 'events', 3) n",
        "SELECT insight_classify('next', 17)",
        "SELECT insight_probabilities('next', 17)::text",
        "SELECT string_agg(r::text, ',') FROM insight_recommend('next', 17, 3) r",
        "SELECT string_agg(e::text, ',' ORDER BY key) FROM insight_sequence_embedding('next', 'events') e",
    ] {
        assert_eq!(p.one::<String>(query), s.one::<String>(query), "{query}");
    }
    for call in [GENERATE, FORETELL] {
        s.fails_with("25006", &format!("SELECT insight_train({call} 'other')"));
    }
    // Keys of the table are looked up there, too: what the primary inserts is taken on the standby.
    let new = "SELECT min(id) FROM insight_generate('twins', 5, NULL::customers, 7)";
    let before: i64 = s.one(new);
    p.exec("INSERT INTO customers SELECT * FROM insight_generate('twins', 5, NULL::customers, 7)");
    catch_up(&mut p, &mut s);
    assert!(s.one::<i64>(new) > before + 4);
    assert_eq!((primary.restarts(), cluster.restarts()), (0, 0));
}

const GENERATE: &str =
    "'customers', NULL, options => '{\"algorithm\": \"gan\", \"epochs\": 2}', model => ";
const FORETELL: &str = "'events', 'action', options => '{\"algorithm\": \"lstm\", \"key\": \"customer_id\", \"order\": \"at\", \"epochs\": 2}', model => ";

const PARALLEL: &str = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    SET max_parallel_workers_per_gather = 2";

/// The predictions of all customers, in order, and the plan that computes them.
#[track_caller]
fn predictions(s: &mut Session) -> (Vec<f64>, String) {
    let query = "SELECT id, insight_predict('m', c) AS p FROM customers c";
    let plan = s
        .all::<String>(&format!(
            "EXPLAIN (ANALYZE, VERBOSE, COSTS OFF, TIMING OFF) {query}"
        ))
        .join("\n");
    let rows = s.all(&format!("SELECT p FROM ({query} OFFSET 0) q ORDER BY id"));
    (rows, plan)
}

#[test]
fn parallel_workers_predict_the_same() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 20_000);
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{QUICK}')"
    ));
    s.exec("SET max_parallel_workers_per_gather = 0");
    let (serial, plan) = predictions(&mut s);
    assert!(!plan.contains("Gather"), "{plan}");
    s.exec(PARALLEL);
    let mut last = (Vec::new(), String::new());
    // Others may have taken every worker for a moment.
    wait_until("parallel workers are there", 60, || {
        last = predictions(&mut s);
        last.1.contains("Workers Launched: 2")
    });
    let (parallel, plan) = last;
    let below = plan.split_once("Gather").unwrap().1;
    let (_, scan) = below.split_once("Parallel Seq Scan").unwrap();
    assert!(
        scan.contains("insight_predict("),
        "the workers predict:\n{plan}"
    );
    assert!(
        scan.contains("Worker 0") && scan.contains("Worker 1"),
        "{plan}"
    );
    assert_eq!(serial, parallel);
    for query in [
        "SELECT count(*) FROM customers c WHERE insight_predict('m', c) > 0.5",
        "SELECT count(*) FROM customers c WHERE insight_classify('m', c) = 'true'",
        "SELECT count(*) FROM customers c WHERE (insight_probabilities('m', to_jsonb(c)) ->> 'true')::float8 > 0.5",
        "SELECT count(*) FROM customers c WHERE insight_predict('m', to_jsonb(c)::text) > 0.5",
    ] {
        let plan = s.all::<String>(&format!("EXPLAIN {query}")).join("\n");
        assert!(plan.contains("Gather"), "{plan}");
        let parallel: i64 = s.one(query);
        s.exec("SET max_parallel_workers_per_gather = 0");
        assert_eq!(parallel, s.one::<i64>(query), "{query}");
        s.exec(PARALLEL);
    }
    // An error in a worker is the query's error, and no more.
    let error = s.fails_with(
        "42704",
        "SELECT sum(insight_predict('n', c)) FROM customers c",
    );
    assert!(error.hint().is_some());
    assert_eq!(s.one::<i32>("SELECT pg_backend_pid()"), s.pid);
}

/// A worker sees what its leader sees: an uncommitted deployment, another role.
#[test]
fn parallel_workers_see_the_leaders_transaction() {
    let db = shared().database();
    let mut s = db.session();
    customers(&mut s, 5000);
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{QUICK}')"
    ));
    s.exec(&format!(
        "CREATE ROLE {0}_reader; GRANT SELECT ON customers TO {0}_reader",
        db.name
    ));
    let sum = "SELECT count(*) FROM customers c WHERE insight_predict('m', c) > (SELECT insight_predict('m', d) FROM customers d WHERE id = 1)";
    s.exec(PARALLEL);
    s.force_parallel();
    let first: i64 = s.one(sum);
    s.exec(&format!("SET ROLE {}_reader", db.name));
    s.fails_with("42501", sum);
    s.exec(&format!(
        "RESET ROLE; SELECT insight_grant('m', '{0}_reader'); SET ROLE {0}_reader",
        db.name
    ));
    assert_eq!(s.one::<i64>(sum), first);
    s.exec(&format!(
        "RESET ROLE; BEGIN; SELECT insight_train('customers', 'churn', 'm', '{QUICK}'::jsonb || '{{\"seed\": 7}}')"
    ));
    let inside: i64 = s.one(sum);
    s.exec("SET LOCAL max_parallel_workers_per_gather = 0");
    assert_eq!(s.one::<i64>(sum), inside);
    let version: i32 = s.one("SELECT version FROM insight.models");
    assert_eq!(version, 2);
    s.exec("ROLLBACK");
    assert_eq!(s.one::<i64>(sum), first);
}
