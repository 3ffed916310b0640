//! Models that all sessions share where insight is preloaded.

use live::*;

/// One of each kind of part: network, trees, transformer, linear, an ensemble; and rows told apart by a partition.
const MODELS: [(&str, &str); 6] = [
    (
        "dnn",
        r#"{"algorithm": "dnn", "hidden": [64, 32], "epochs": 2}"#,
    ),
    ("trees", r#"{"algorithm": "gbdt", "max_seconds": 3}"#),
    (
        "transformer",
        r#"{"algorithm": "transformer", "epochs": 1}"#,
    ),
    ("linear", r#"{"algorithm": "linear"}"#),
    ("auto", r#"{"max_seconds": 8, "folds": 2}"#),
    (
        "parts",
        r#"{"algorithm": "dnn", "epochs": 2, "partition": "contract"}"#,
    ),
];

/// Everything a model can be asked in one answer.
#[track_caller]
fn asked(s: &mut Session, model: &str) -> String {
    s.one(&format!(
        "SELECT (SELECT sum(insight_predict('{model}', c)) FROM customers c)::text
           || (SELECT string_agg(insight_classify('{model}', c), ',') FROM customers c WHERE id < 20)
           || (SELECT string_agg(e::text, ',') FROM customers c, insight_explain('{model}', c) e WHERE id = 3)
           || (SELECT string_agg(p::text, ',') FROM (SELECT * FROM insight_predict_table('{model}', 'customers') LIMIT 50) p)
           || (SELECT string_agg(i::text, ',') FROM insight_importance('{model}') i)
           || (SELECT insight_predict('{model}', '{{\"age\": 30, \"contract\": \"monthly\"}}'))"
    ))
}

/// Exports a model here and imports it there.
#[track_caller]
fn carry(from: &mut Session, to: &mut Session, model: &str) {
    let bytes: String = from.one(&format!(
        "SELECT encode(insight_export('{model}', keep_rows => true), 'hex')"
    ));
    to.exec(&format!("SELECT insight_import(decode('{bytes}', 'hex'))"));
}

/// Bytes of memory of its own that a session has.
fn private(s: &Session) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", s.pid)).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap() * 1024
}

/// Sessions that were closed hold the models they have used until they have ended.
#[track_caller]
fn wait_for_ended(s: &mut Session) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    wait_until("closed sessions have ended", 30, || {
        s.one::<i64>(others) == 0
    });
}

#[test]
fn sessions_share_one_copy_of_a_model() {
    let alone = Cluster::start("");
    let cluster = Cluster::start(
        "shared_preload_libraries = 'insight'\nmin_parallel_table_scan_size = 0\nparallel_setup_cost = 0\n",
    );
    let (db, own) = (cluster.database(), alone.database());
    let (mut s, mut without) = (db.session(), own.session());
    for s in [&mut s, &mut without] {
        customers(s, 3000);
    }
    for (model, options) in MODELS {
        s.exec(&format!(
            "SELECT insight_train('customers', 'churn', '{model}', '{options}')"
        ));
        // The same model where nothing is shared.
        carry(&mut s, &mut without, model);
        let expected = asked(&mut without, model);
        for _ in 0..2 {
            // The first copies, the others find the copy.
            let mut another = db.session();
            assert_eq!(asked(&mut another, model), expected, "{model}");
        }
        // In parallel workers, which are processes of their own.
        let sum = format!(
            "SELECT round(sum(insight_predict('{model}', c))::numeric, 6)::text FROM customers c"
        );
        assert_eq!(s.one::<String>(&sum), without.one::<String>(&sum));
    }

    wait_for_ended(&mut s);
    // A large model: a session that finds the copy has little of its own.
    s.exec(
        r#"SELECT insight_train('customers', 'churn', 'large', '{"algorithm": "dnn", "hidden": [2048, 1024], "epochs": 1}')"#,
    );
    let row = "SELECT insight_predict('large', c) FROM customers c WHERE id = 1";
    let mut first = db.session();
    let answer: f64 = first.one(row);
    let mut sessions: Vec<Session> = (0..10).map(|_| db.session()).collect();
    for another in &mut sessions {
        let before = private(another);
        assert_eq!(another.one::<f64>(row), answer);
        let more = private(another).saturating_sub(before);
        assert!(more < 6 << 20, "{} MB", more >> 20);
    }
    let mut single = own.session();
    carry(&mut s, &mut without, "large");
    let before = private(&single);
    assert_eq!(single.one::<f64>(row), answer);
    assert!(private(&single) - before > 8 << 20);

    // They would be in the way of others.
    drop((first, sessions));
    wait_for_ended(&mut s);

    kinds(&db, [&mut s, &mut without]);
    spellings(&db, [&mut s, &mut without]);
    turnover(&db, &mut s);
    dropped(&db, &mut s);
    assert_eq!(cluster.restarts() + alone.restarts(), 0);
}

/// Columns of every kind that a recipe looks things up for.
#[track_caller]
fn kinds(db: &Database, [s, without]: [&mut Session; 2]) {
    for s in [&mut *s, &mut *without] {
        s.exec(
            "CREATE TABLE kinds AS SELECT i AS id, 'plan ' || i % 5 AS plan, ARRAY['tag ' || i % 7, 'tag ' || i % 3] AS tags,
               jsonb_build_object('channel', 'c' || i % 4, 'count', i % 9) AS document, ARRAY[i % 8, i % 5, i % 3]::real[] AS place,
               'the customer said that ' || (ARRAY['the price', 'the service', 'the delivery', 'nothing'])[1 + i % 4] || ' was ' ||
                 (ARRAY['good', 'bad', 'late', 'fine', 'too dear'])[1 + i % 5] || ' on day ' || i AS note,
               date '2024-01-01' + i % 400 AS day, i % 60 * interval '1 hour' AS since, (i % 5) * 2 + i % 4 > 5 AS y
             FROM generate_series(1, 2000) i",
        );
    }
    for algorithm in ["dnn", "gbdt"] {
        s.exec(&format!(
            r#"SELECT insight_train('kinds', 'y', 'kinds_{algorithm}', '{{"algorithm": "{algorithm}", "max_seconds": 5}}')"#
        ));
        carry(s, without, &format!("kinds_{algorithm}"));
        let all = format!(
            "SELECT string_agg(insight_predict('kinds_{algorithm}', k)::text, ',' ORDER BY id) FROM kinds k"
        );
        let expected: String = without.one(&all);
        for _ in 0..2 {
            assert_eq!(db.session().one::<String>(&all), expected, "{algorithm}");
        }
    }
}

/// A spelling that training has not met stands for the level that it looks like, in whichever process.
#[track_caller]
fn spellings(db: &Database, [s, without]: [&mut Session; 2]) {
    for s in [&mut *s, &mut *without] {
        s.exec(
            "CREATE TABLE towns AS SELECT i AS id, (ARRAY['New York', 'Los Angeles', 'Chicago'])[1 + i % 3] AS town, i % 3 = 0 AS y
             FROM generate_series(1, 600) i",
        );
    }
    s.exec(r#"SELECT insight_train('towns', 'y', 'towns', '{"algorithm": "linear", "include": ["town"], "clean": {"variants": true}}')"#);
    carry(s, without, "towns");
    let ask = r#"SELECT insight_predict('towns', '{"town": "NEW  YORK!"}')"#;
    let known: f64 = without.one(r#"SELECT insight_predict('towns', '{"town": "New York"}')"#);
    assert_eq!(without.one::<f64>(ask), known);
    for _ in 0..3 {
        assert_eq!(db.session().one::<f64>(ask), known);
    }
}

/// Versions come and go while sessions use them; a session that is killed leaves nothing behind that others stumble over.
#[track_caller]
fn turnover(db: &Database, s: &mut Session) {
    s.exec("SET insight.cache_memory = '1MB'");
    let mut sessions: Vec<Session> = (0..4).map(|_| db.session()).collect();
    for round in 0..6 {
        // 64 MB hold few of these.
        s.exec(&format!(
            r#"SELECT insight_train('customers', 'churn', 'turn{round}', '{{"algorithm": "dnn", "hidden": [1500, 1500], "epochs": 1, "seed": {round}}}')"#
        ));
        let row = format!("SELECT insight_predict('turn{round}', c) FROM customers c WHERE id = 1");
        let answer: f64 = s.one(&row);
        for another in &mut sessions {
            another.exec("SET insight.cache_memory = '1MB'");
            assert_eq!(another.one::<f64>(&row), answer);
        }
        if round > 0 {
            s.exec(&format!("SELECT insight_drop('turn{}')", round - 1));
        }
        sessions.remove(0);
        sessions.push(db.session());
    }
    let pid = sessions[0].pid;
    s.exec(&format!("SELECT pg_terminate_backend({pid})"));
    for (model, _) in MODELS {
        asked(s, model);
    }
}

/// Bytes of the memory for shared models that a session has looked at and that are not given back.
fn mapped(s: &Session) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/smaps", s.pid)).unwrap();
    let value = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
    let mut mappings = text.split("VmFlags:").filter(|own| {
        let size = own.lines().find(|line| line.starts_with("Size:"));
        own.contains("/dev/zero (deleted)") && size.and_then(value) == Some(64 << 10)
    });
    let rss = mappings.next().unwrap().lines();
    let rss = rss.filter(|line| line.starts_with("Rss:"));
    rss.filter_map(value).sum::<u64>() << 10
}

/// A version that a session uses for the first time while others drop it does not stay: neither where the session still sees it
/// afterwards, nor where it is shared before the drop is committed.
#[track_caller]
fn dropped(db: &Database, s: &mut Session) {
    let train = |s: &mut Session, hidden: &str| {
        s.exec(&format!(
            r#"SELECT insight_train('customers', 'churn', 'gone', '{{"algorithm": "dnn", "hidden": [{hidden}], "epochs": 1}}')"#
        ));
    };
    let row = "SELECT insight_predict('gone', c) FROM customers c WHERE id = 1";
    for late in [true, false] {
        train(s, "2048, 1024");
        let mut user = db.session();
        user.exec("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM insight.models");
        s.exec("BEGIN; SELECT insight_drop('gone')");
        if late {
            s.exec("COMMIT");
        }
        user.one::<f64>(row);
        if !late {
            s.exec("COMMIT");
        }
        user.exec("COMMIT");
        let with = mapped(&user);
        assert!(with > 8 << 20, "{} MB", with >> 20);
        // The session lets go of it for another of the same name, whose copy finds the room that nobody uses any more.
        train(s, "4");
        user.one::<f64>(row);
        let without = mapped(&user);
        assert!(without < 4 << 20, "{} MB", without >> 20);
        s.exec("SELECT insight_drop('gone')");
    }
}

/// After a crash the memory is empty, and fills again.
#[test]
fn a_crash_empties_the_shared_memory() {
    let cluster =
        Cluster::start("shared_preload_libraries = 'insight'\nrestart_after_crash = on\n");
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 500);
    s.exec(
        r#"SELECT insight_train('customers', 'churn', 'm', '{"algorithm": "dnn", "epochs": 2}')"#,
    );
    let all = "SELECT sum(insight_predict('m', c)) FROM customers c";
    let before: f64 = s.one(all);
    for _ in 0..3 {
        let victim = db.session();
        kill(victim.pid, libc::SIGKILL);
        wait_until("the session is gone", 20, || !alive(victim.pid));
        wait_until("the server is back", 20, || cluster.accepts());
        let mut s = db.session();
        assert_eq!(s.one::<f64>(all), before);
        assert_eq!(db.session().one::<f64>(all), before);
    }
}

/// Shared memory has room for the counters of 4,096 versions; those of another catalog are not theirs.
#[test]
fn counters_make_room_for_those_of_other_versions() {
    let cluster = Cluster::start("shared_preload_libraries = 'insight'");
    let db = cluster.database();
    let mut s = db.session();
    s.exec("CREATE TABLE few AS SELECT i % 7 AS x, i % 2 = 0 AS y FROM generate_series(1, 100) i");
    let train = r#"SELECT insight_train('few', 'y', 'm', '{"algorithm": "linear"}')"#;
    s.exec(train);
    s.exec("CREATE TABLE file AS SELECT insight_export('m') AS bytes");
    s.exec("DO $$ BEGIN FOR i IN 2..4100 LOOP PERFORM insight_import(bytes, 'm') FROM file; END LOOP; END $$");
    // Each transaction tells what it has counted; the first version is used last.
    s.exec(
        "DO $$ DECLARE x float8; BEGIN FOR i IN REVERSE 4100..1 LOOP
           x := insight_predict('m@' || i, f) FROM few f LIMIT 1; COMMIT; END LOOP; END $$",
    );
    let counted = "SELECT concat_ws(' ', count(*), sum(predictions), min(version), max(version)) FROM insight.activity";
    assert_eq!(s.one::<String>(counted), "4096 4096 1 4096");
    // One more takes the place of the one that was not used for longest, and begins with nothing.
    let mut another = db.session();
    another.exec("SELECT insight_predict('m@4100', f) FROM few f LIMIT 3");
    assert_eq!(s.one::<String>(counted), "4096 4098 1 4100");
    s.exec("DROP EXTENSION insight CASCADE; CREATE EXTENSION insight");
    s.exec(train);
    let none = "SELECT count(*) FROM insight.activity";
    assert_eq!(s.one::<i64>(none), 0);
    for s in [&mut s, &mut another] {
        s.exec("SELECT insight_predict('m', f) FROM few f LIMIT 1");
    }
    assert_eq!(s.one::<String>(counted), "1 2 1 1");
    assert_eq!(cluster.restarts(), 0);
}
