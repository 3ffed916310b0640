//! Large tables: read by parallel workers, in the order of a single process; trained on beyond the memory of a job.

use live::*;

/// One pass of a small network: what it learns depends on the order of the rows.
const SMALL: &str = r#"{"algorithm": "dnn", "hidden": [8], "epochs": 1, "members": 1}"#;

/// The fingerprint of the data and the scores of a model.
#[track_caller]
fn trained(s: &mut Session, relation: &str, model: &str) -> (String, String) {
    trained_with(s, relation, model, "{}")
}

/// The same with more options.
#[track_caller]
fn trained_with(s: &mut Session, relation: &str, model: &str, options: &str) -> (String, String) {
    s.exec(&format!(
        "SELECT insight_train('{relation}', 'y', '{model}', '{SMALL}'::jsonb || '{options}')"
    ));
    (
        s.one(&format!(
            "SELECT provenance->>'data_fingerprint' FROM insight.versions WHERE model = '{model}'"
        )),
        s.one(&format!(
            "SELECT string_agg(metric || value, ' ' ORDER BY metric) FROM insight.metrics WHERE model = '{model}'"
        )),
    )
}

/// Processes that wrote rows to a file since the server's log was `from` bytes long; -1 is the leader of the others, who can come too late.
fn readers(cluster: &Cluster, from: usize) -> usize {
    let log = cluster.log();
    let wrote = |worker: i32| log[from..].contains(&format!("/w{worker}p0.0\""));
    (-1..8).filter(|worker| wrote(*worker)).count()
}

/// Models of what parallel workers and of what one process reads: they are the same.
#[track_caller]
fn same_either_way(cluster: &Cluster, s: &mut Session, relation: &str, name: &str) {
    same_with(cluster, s, relation, name, "{}");
}

#[track_caller]
fn same_with(cluster: &Cluster, s: &mut Session, relation: &str, name: &str, options: &str) {
    let from = cluster.log().len();
    let parallel = trained_with(s, relation, &format!("{name}_parallel"), options);
    assert!(readers(cluster, from) > 0, "{}", cluster.log());
    s.exec("SET max_parallel_workers_per_gather = 0");
    let from = cluster.log().len();
    let single = trained_with(s, relation, &format!("{name}_single"), options);
    assert_eq!(single, parallel);
    assert_eq!(readers(cluster, from), 0);
    s.exec("RESET max_parallel_workers_per_gather");
}

#[test]
fn parallel_workers_read_what_one_process_reads() {
    let cluster = Cluster::start("log_temp_files = 0\nmax_parallel_workers_per_gather = 2\n");
    let db = cluster.database();
    let mut s = db.session();
    if s.version() < 14 {
        skipped(
            "parallel_workers_read_what_one_process_reads",
            "PostgreSQL 14, before which one process reads",
        );
        return;
    }
    // Of many kinds, with missing values, and with pages whose rows are gone.
    s.exec(
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE mixed AS SELECT i AS id, i % 7 = 0 AS flag, CASE WHEN i % 5 <> 0 THEN i / 3.0 END AS price,
           (i * 7919) % 1000 / 10.0::real AS amount, 'name' || i % 40000 AS name, CASE WHEN i % 3 > 0 THEN 'kind ' || i % 11 END AS kind,
           timestamp '2020-01-01' + i * interval '1 minute' AS at, (ARRAY['glad', 'sad']::mood[])[1 + i % 2] AS mood,
           ARRAY[i % 4, i % 9]::real[] AS place, ARRAY['a' || i % 3, 'b'] AS tags, (i * 7919) % 1000 + i % 13 > 500 AS y
         FROM generate_series(1, 150000) i;
         DELETE FROM mixed WHERE id BETWEEN 20000 AND 60000 AND id % 5000 > 300;
         CREATE INDEX ON mixed (id); ANALYZE mixed",
    );
    same_either_way(&cluster, &mut s, "mixed", "mixed");
    assert!(s.one::<bool>("SELECT same FROM insight_reproduce('mixed_single')"));

    // More columns than a function has arguments.
    let columns: Vec<String> = (0..250)
        .map(|i| format!("(i * {}) % 101 / 7.0::real AS c{i}", 31 + 2 * i))
        .collect();
    s.exec(&format!(
        "CREATE TABLE wide AS SELECT {}, i % 3 = 0 AS y FROM generate_series(1, 12000) i; ANALYZE wide",
        columns.join(", ")
    ));
    same_either_way(&cluster, &mut s, "wide", "wide");
    partitioned(&cluster, &mut s);
    views(&cluster, &mut s);
    selected(&cluster, &mut s);
    inherited(&cluster, &mut s);

    // An index that has all that is read, in an order of its own.
    s.exec(
        "CREATE TABLE indexed AS SELECT (i * 7919) % 100003 AS a, i % 3 = 0 AS y, repeat('x', 400) AS long FROM generate_series(1, 30000) i;
         CREATE INDEX ON indexed (a, y)",
    );
    s.exec("VACUUM ANALYZE indexed");
    let query = "SELECT a, y FROM indexed";
    let plan: String = s.one(&format!("EXPLAIN {query}"));
    assert!(plan.contains("Index Only"), "{plan}");
    same_either_way(&cluster, &mut s, query, "indexed");

    // A session that evaluates reads by workers, too, and sees what it has just written.
    s.exec("BEGIN; UPDATE mixed SET y = NOT y");
    let from = cluster.log().len();
    let flipped: f64 = s.one(
        "SELECT value FROM insight_evaluate('mixed_parallel', 'mixed') WHERE metric = 'roc_auc'",
    );
    assert!(readers(&cluster, from) > 0);
    s.exec("ROLLBACK");
    let straight: f64 = s.one(
        "SELECT value FROM insight_evaluate('mixed_parallel', 'mixed') WHERE metric = 'roc_auc'",
    );
    assert!(
        (flipped + straight - 1.0).abs() < 1e-6,
        "{flipped} {straight}"
    );

    guarded(&mut s);
    assert!(readers(&cluster, 0) > 1, "{}", cluster.log());
    assert_eq!(cluster.restarts(), 0);
}

/// Partitions on two levels, none of them as the table is: made in another order than that of their bounds, one with columns in another
/// order and without one that it had.
fn partitioned(cluster: &Cluster, s: &mut Session) {
    s.exec(
        "CREATE TABLE parted (LIKE mixed) PARTITION BY LIST (kind);
         CREATE TABLE others (y boolean, gone text, place real[], tags text[], mood mood, at timestamp, kind text, name text,
           amount double precision, price numeric, flag boolean, id integer);
         INSERT INTO others (gone, id) SELECT repeat('x', 100), 0 FROM generate_series(1, 5000);
         ALTER TABLE others DROP COLUMN gone; DELETE FROM others;
         ALTER TABLE parted ATTACH PARTITION others DEFAULT;
         CREATE TABLE few PARTITION OF parted FOR VALUES IN ('kind 3', 'kind 1', 'kind 7') PARTITION BY RANGE (id);
         CREATE TABLE late PARTITION OF few FOR VALUES FROM (100000) TO (200000);
         CREATE TABLE empty PARTITION OF few FOR VALUES FROM (90000) TO (100000);
         CREATE TABLE early PARTITION OF few FOR VALUES FROM (0) TO (90000);
         CREATE TABLE missing PARTITION OF parted FOR VALUES IN (NULL);
         CREATE TABLE fifth PARTITION OF parted FOR VALUES IN ('kind 5');
         INSERT INTO parted SELECT * FROM mixed WHERE id NOT BETWEEN 90000 AND 99999 ORDER BY id * 7919::bigint % 100003;
         UPDATE early SET amount = NULL WHERE id % 4 = 0; ANALYZE parted",
    );
    same_either_way(cluster, s, "parted", "parted");
    s.exec("ALTER TABLE parted DETACH PARTITION fifth");
    same_either_way(cluster, s, "parted", "detached");
    s.exec("ALTER TABLE parted ATTACH PARTITION fifth FOR VALUES IN ('kind 5')");
    for setting in [
        "enable_parallel_append = off",
        "enable_partitionwise_aggregate = on",
    ] {
        s.exec(&format!("SET {setting}"));
        same_either_way(cluster, s, "parted", setting.split(' ').next().unwrap());
    }
    s.exec("RESET ALL");
    let fingerprints =
        "SELECT count(DISTINCT provenance->>'data_fingerprint') FROM insight.versions
         WHERE model ~ '^(parted|detached|enable_.*)_(parallel|single)$'";
    assert_eq!(s.one::<i64>(fingerprints), 2);

    // The rights to the table are those to its rows.
    s.exec("CREATE ROLE reader; GRANT CREATE ON SCHEMA public TO reader; GRANT SELECT ON parted TO reader; SET ROLE reader");
    same_either_way(cluster, s, "parted", "of_reader");
    s.exec(
        "RESET ROLE; ALTER TABLE parted ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON parted FOR SELECT TO reader USING (id % 4 = 0); SET ROLE reader",
    );
    let from = cluster.log().len();
    trained(s, "parted", "of_policy");
    assert_eq!(readers(cluster, from), 0);
    assert_eq!(
        s.one::<i64>("SELECT rows FROM insight.models WHERE model = 'of_policy'"),
        s.one::<i64>("SELECT count(*) FROM parted")
    );

    // Rows from elsewhere are for one process.
    s.exec(
        "RESET ROLE; CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE elsewhere PARTITION OF parted FOR VALUES IN ('kind 20') SERVER files
           OPTIONS (filename '/dev/null', format 'csv')",
    );
    let from = cluster.log().len();
    trained(s, "parted", "with_foreign");
    assert_eq!(readers(cluster, from), 0);
    s.exec("DROP FOREIGN TABLE elsewhere");
}

/// Views over the rows of one table, as they are, and views and queries over these; what the reader of a view may not read itself is
/// for one process.
fn views(cluster: &Cluster, s: &mut Session) {
    let as_caller = s.as_caller();
    s.exec(&format!(
        "CREATE VIEW plain AS SELECT place, amount * 0.1::float8 AS tenth, at, kind, id, y FROM mixed;
         ALTER VIEW plain RENAME COLUMN tenth TO part;
         CREATE VIEW shown {as_caller} AS SELECT y, part + id AS sum, part, upper(kind) AS \"Kind, too\", id FROM plain;
         CREATE VIEW all_parts AS SELECT id % 10 AS digit, amount, y FROM parted;
         CREATE VIEW barred WITH (security_barrier) AS SELECT amount, id, y FROM mixed;
         CREATE VIEW later AS SELECT amount, id, y FROM mixed WHERE id > 1000;
         CREATE VIEW collated AS SELECT kind COLLATE \"C\" AS kind, y FROM mixed",
    ));
    for (number, relation) in [
        "plain",
        "shown",
        "all_parts",
        "SELECT part * 2 AS twice, place[1] AS first, y FROM (SELECT * FROM plain) AS p",
        "SELECT length(\"Kind, too\") AS length, -sum AS less, y FROM shown",
    ]
    .iter()
    .enumerate()
    {
        same_either_way(cluster, s, relation, &format!("view{number}"));
    }
    same_with(cluster, s, "shown", "keyed_view", r#"{"key": "id"}"#);
    let fingerprints = "SELECT count(DISTINCT provenance->>'data_fingerprint') FROM insight.versions WHERE model ~ '^view1_'";
    assert_eq!(s.one::<i64>(fingerprints), 1);

    // By the owner's rights, for who has none to the table, and for who has.
    s.exec("CREATE ROLE viewer; GRANT CREATE ON SCHEMA public TO viewer; GRANT SELECT ON plain TO viewer; SET ROLE viewer");
    s.fails_with("42501", "SELECT id FROM mixed");
    let from = cluster.log().len();
    let by_owner = trained(s, "plain", "of_viewer");
    assert_eq!(readers(cluster, from), 0);
    s.exec("RESET ROLE; GRANT SELECT ON mixed TO viewer; SET ROLE viewer");
    let from = cluster.log().len();
    assert_eq!(trained(s, "plain", "of_viewer_too"), by_owner);
    assert!(readers(cluster, from) > 0);
    // The caller's policies are not the view's.
    s.exec(
        "RESET ROLE; ALTER TABLE mixed ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON mixed FOR SELECT TO viewer USING (id % 4 = 0); SET ROLE viewer",
    );
    let from = cluster.log().len();
    assert_eq!(trained(s, "plain", "of_policy_too"), by_owner);
    assert_eq!(readers(cluster, from), 0);
    // Without the owner's right nobody reads through the view.
    s.exec(
        "RESET ROLE; DROP POLICY own ON mixed; ALTER TABLE mixed DISABLE ROW LEVEL SECURITY;
         CREATE ROLE nobody; GRANT SELECT ON mixed TO nobody; ALTER VIEW plain OWNER TO nobody; REVOKE SELECT ON mixed FROM nobody; SET ROLE viewer",
    );
    s.fails_with(
        "42501",
        &format!("SELECT insight_train('plain', 'y', 'of_nobody', '{SMALL}')"),
    );
    s.exec(
        "RESET ROLE; ALTER VIEW plain OWNER TO CURRENT_USER; REVOKE SELECT ON mixed FROM viewer",
    );
}

/// A table with children, made in another order than that of their names, one with columns in another order and a child of its own.
fn inherited(cluster: &Cluster, s: &mut Session) {
    s.exec(
        "CREATE TABLE parent AS SELECT id, amount, kind, y FROM mixed WHERE id < 40000;
         CREATE TABLE second (y boolean, kind text, more integer, amount double precision, id integer);
         CREATE TABLE grandchild () INHERITS (second);
         CREATE TABLE first () INHERITS (parent);
         ALTER TABLE second INHERIT parent;
         INSERT INTO grandchild (id, amount, kind, y) SELECT id, amount, kind, y FROM mixed WHERE id >= 100000;
         INSERT INTO second (id, amount, kind, y) SELECT id, amount, kind, y FROM mixed WHERE id BETWEEN 60000 AND 99999;
         INSERT INTO first SELECT id, amount, kind, y FROM mixed WHERE id BETWEEN 20000 AND 59999;
         CREATE VIEW family AS SELECT id / 2.0 AS half, kind, y FROM parent; ANALYZE parent;
         SET min_parallel_table_scan_size = '512kB'",
    );
    same_either_way(cluster, s, "parent", "parent");
    same_either_way(cluster, s, "family", "family");
    // One that has had children.
    s.exec("ALTER TABLE second NO INHERIT parent; DROP TABLE first");
    same_either_way(cluster, s, "parent", "childless");
    let fingerprints = "SELECT count(DISTINCT provenance->>'data_fingerprint') FROM insight.versions WHERE model ~ '^(parent|childless)_'";
    assert_eq!(s.one::<i64>(fingerprints), 2);
    // Rows of a temporary child are its session's.
    s.exec("CREATE TEMPORARY TABLE own () INHERITS (parent)");
    let from = cluster.log().len();
    trained(s, "parent", "with_temporary");
    assert_eq!(readers(cluster, from), 0);
    s.exec("DROP TABLE own; RESET min_parallel_table_scan_size");
}

/// Keys as text, and queries: those of the rows of one table, as they are, are read by workers.
fn selected(cluster: &Cluster, s: &mut Session) {
    same_with(cluster, s, "mixed", "keyed", r#"{"key": "id"}"#);
    for (number, query) in [
        "SELECT * FROM mixed",
        "SELECT m.y, upper(m.kind) AS kind, m.amount * 0.1::float8 AS tenth, m.place[1] AS first, m.id::bigint AS \"Id, too\" FROM mixed AS m",
        "SELECT id % 10 AS digit, amount, y FROM parted",
    ]
    .iter()
    .enumerate()
    {
        same_either_way(cluster, s, query, &format!("query{number}"));
    }
    let from = cluster.log().len();
    for (number, query) in [
        "SELECT amount, id, y FROM mixed WHERE id > 1000",
        "SELECT amount, id, y FROM mixed ORDER BY amount, id",
        "SELECT amount, id, y FROM mixed LIMIT 100000",
        "SELECT DISTINCT amount, id, y FROM mixed",
        "SELECT m.amount, m.id, m.y FROM mixed AS m JOIN (SELECT 1) AS w ON true",
        "barred",
        "SELECT * FROM later",
        "SELECT upper(kind) || kind AS twice, y FROM collated",
        "SELECT row_to_json(plain)::text AS whole, y FROM plain",
        "SELECT amount, id, y FROM ONLY mixed TABLESAMPLE SYSTEM (50) REPEATABLE (1)",
        "SELECT amount, random() AS other, y FROM mixed",
        "SELECT amount, pg_my_temp_schema()::text AS other, y FROM mixed",
        "SELECT amount, (SELECT max(c0) FROM wide) AS other, y FROM mixed",
        "SELECT amount, generate_series(1, 2) AS other, y FROM mixed",
        "SELECT count(*) OVER (PARTITION BY y) AS others, amount, y FROM mixed",
        "SELECT max(amount) AS amount, id % 5000 AS id, bool_or(y) AS y FROM mixed GROUP BY 2",
        "SELECT amount, id, y FROM mixed UNION ALL SELECT amount, id, y FROM mixed",
        "WITH m AS MATERIALIZED (SELECT amount, id, y FROM mixed) SELECT * FROM m",
    ]
    .iter()
    .enumerate()
    {
        trained(s, query, &format!("alone{number}"));
        assert_eq!(readers(cluster, from), 0, "{query}");
    }
}

/// Rights hold, and the aggregate is nobody's but insight's.
#[track_caller]
fn guarded(s: &mut Session) {
    s.exec(
        "CREATE ROLE tenant; GRANT CREATE ON SCHEMA public TO tenant;
         GRANT SELECT (amount, price, flag, y) ON mixed TO tenant; SET ROLE tenant",
    );
    let columns = "SELECT amount, price, flag, y FROM mixed";
    let rows = |s: &mut Session, model: &str| {
        s.one::<i64>(&format!(
            "SELECT rows FROM insight.models WHERE model = '{model}'"
        ))
    };
    s.exec(&format!(
        r#"SELECT insight_train('mixed', 'y', 'of_columns', '{{"algorithm": "linear", "include": ["amount", "price", "flag"]}}')"#
    ));
    assert_eq!(
        rows(s, "of_columns"),
        s.one::<i64>(&format!("SELECT count(*) FROM ({columns}) q"))
    );
    s.exec(
        "RESET ROLE; ALTER TABLE mixed ENABLE ROW LEVEL SECURITY; GRANT SELECT ON mixed TO tenant;
         CREATE POLICY own ON mixed FOR SELECT TO tenant USING (id % 4 = 0); SET ROLE tenant",
    );
    s.exec(&format!(
        "SELECT insight_train('mixed', 'y', 'of_rows', '{SMALL}')"
    ));
    assert_eq!(
        rows(s, "of_rows"),
        s.one::<i64>("SELECT count(*) FROM mixed")
    );
    let error = s.fails_with(
        "55000",
        "SELECT insight.read_rows(0, tableoid, ctid, id) FROM mixed",
    );
    assert!(error.message().contains("read_rows"), "{}", error.message());
    s.fails_with("42501", "SET insight.reading = '1'");
    s.exec("RESET ROLE; SET insight.reading = '1'");
    s.fails_with(
        "55000",
        "SELECT insight.read_rows(0, tableoid, ctid, id) FROM mixed",
    );
    s.exec("RESET insight.reading");
}

/// The most memory of its own that a trainer had while `call` ran, in bytes.
fn private_peak(worker: &mut Session, call: Call) -> (Session, u64) {
    let mut peak = 0;
    while !call.is_finished() {
        let pid: Option<i32> = worker
            .all("SELECT pid FROM insight.jobs WHERE status = 'running'")
            .pop();
        for process in pid.map_or(Vec::new(), |pid| [children(pid), vec![pid]].concat()) {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"));
            let kilobytes = status.ok().and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("RssAnon:"))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            });
            peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    (call.rows().0, peak)
}

#[test]
fn a_table_larger_than_memory_is_trained_on() {
    let cluster = Cluster::start("max_parallel_workers_per_gather = 0\n");
    let db = cluster.database();
    let (mut s, mut beside) = (db.session(), db.session());
    let columns: Vec<String> = (0..20)
        .map(|i| format!("((i * {}::bigint) % 1009)::float8 AS c{i}", 31 + 2 * i))
        .collect();
    s.exec(&format!(
        "CREATE TABLE large AS SELECT {}, (i * 31::bigint) % 1009 > 500 AS y FROM generate_series(1, 600000) i",
        columns.join(", ")
    ));
    let in_memory = trained(&mut s, "large", "in_memory");
    // The rows as read take 97 MB, the prepared ones 48 MB.
    s.exec("SET insight.max_memory = '60MB'");
    let call = s.call(&format!(
        "SELECT insight_train('large', 'y', 'spilled', '{SMALL}')"
    ));
    let (mut s, peak) = private_peak(&mut beside, call);
    assert!(peak > 0 && peak < 80 << 20, "{} MB", peak >> 20);
    s.exec("SELECT insight_drop('spilled')");
    assert_eq!(trained(&mut s, "large", "spilled"), in_memory);
    for memory in ["60MB", "8MB"] {
        s.exec(&format!("SET insight.max_memory = '{memory}'"));
        for algorithm in ["gbdt", "linear", "random_forest"] {
            s.exec(&format!(
                r#"SELECT insight_train('large', 'y', '{algorithm}', '{{"algorithm": "{algorithm}", "max_seconds": 3}}')"#
            ));
        }
    }
    s.exec("SET insight.max_memory = '60MB'");

    // The file obeys its limit, and is gone with the job.
    s.exec("SET temp_file_limit = '20MB'");
    let error = s.fails_with(
        "53200",
        &format!("SELECT insight_train('large', 'y', 'm', '{SMALL}')"),
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("temp_file_limit")),
        "{:?}",
        error.hint()
    );
    // What parallel workers have read is all there is, wherever the limit is met afterwards.
    s.exec("SET temp_file_limit = '70MB'; SET insight.max_memory = '20MB'; SET max_parallel_workers_per_gather = 2");
    let error = s.fails_with(
        "53200",
        &format!("SELECT insight_train('large', 'y', 'm', '{SMALL}')"),
    );
    if s.version() >= 14 {
        assert_eq!(error.detail(), Some("600000 rows were read."));
    }
    assert_eq!(s.one::<i64>("SELECT count(*) FROM pg_ls_tmpdir()"), 0);
    assert_eq!(cluster.restarts(), 0);
}
