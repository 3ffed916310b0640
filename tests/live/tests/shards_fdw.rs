//! Customers on two clusters, read and scored through postgres_fdw from a third.

use live::*;

const LINEAR: &str = r#"{"algorithm": "linear"}"#;

const COLUMNS: &str = "id bigint, age integer, income double precision, tenure_months integer, contract text, plan text,
    monthly_fee double precision, support_tickets integer, last_login_days integer, satisfaction integer, signup_date date,
    churn boolean";

/// Rows of each shard.
const ROWS: i64 = 15_000;

/// Two clusters with half of the customers each.
struct Shards([Cluster; 2]);

impl Shards {
    fn start() -> Shards {
        Shards([0, 1].map(|shard: i64| {
            let cluster = Cluster::start("log_statement = 'all'\n");
            let mut s = cluster.connect("postgres", "postgres");
            s.exec("CREATE EXTENSION insight");
            customers(&mut s, 2 * ROWS as u32);
            s.exec(&format!(
                "DELETE FROM customers WHERE (id - 1) / {ROWS} <> {shard};
                 ALTER TABLE customers ADD PRIMARY KEY (id);
                 ANALYZE customers;
                 CREATE ROLE analyst LOGIN;
                 GRANT SELECT ON customers TO analyst"
            ));
            cluster
        }))
    }

    /// The table `customers` of the coordinator: its partitions are the shards' tables.
    #[track_caller]
    fn attach(&self, s: &mut Session) {
        s.exec(&format!(
            "CREATE EXTENSION postgres_fdw; CREATE ROLE analyst LOGIN;
             CREATE TABLE customers ({COLUMNS}) PARTITION BY RANGE (id);
             GRANT SELECT ON customers TO analyst"
        ));
        for (shard, cluster) in self.0.iter().enumerate() {
            let first = 1 + ROWS * shard as i64;
            s.exec(&format!(
                "CREATE SERVER shard{shard} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{}', dbname 'postgres',
                   async_capable 'true', fetch_size '10000', use_remote_estimate 'true', fdw_tuple_cost '0.2',
                   extensions 'insight');
                 CREATE USER MAPPING FOR postgres SERVER shard{shard} OPTIONS (user 'postgres');
                 CREATE USER MAPPING FOR analyst SERVER shard{shard} OPTIONS (user 'analyst', password_required 'false');
                 CREATE FOREIGN TABLE customers_{shard} PARTITION OF customers FOR VALUES FROM ({first}) TO ({})
                   SERVER shard{shard} OPTIONS (table_name 'customers')",
                cluster.dir().display(),
                first + ROWS
            ));
        }
        s.exec("ANALYZE customers");
    }

    /// The queries that a shard was asked since its log was `from` bytes long.
    fn asked(&self, shard: usize, from: usize) -> Vec<String> {
        let log = self.0[shard].log();
        let lines: Vec<&str> = log[from..].lines().collect();
        let declared = lines
            .iter()
            .zip(lines.iter().skip(1))
            .filter(|(line, _)| line.contains("DECLARE c") && line.ends_with("CURSOR FOR"));
        declared.map(|(_, next)| next.trim().to_owned()).collect()
    }
}

#[track_caller]
fn plan(s: &mut Session, query: &str) -> String {
    s.all::<String>(&format!("EXPLAIN (VERBOSE, COSTS OFF) {query}"))
        .join("\n")
}

#[test]
fn a_coordinator_trains_on_shards_and_shards_predict() {
    let shards = Shards::start();
    let coordinator = Cluster::start("");
    let db = coordinator.database();
    let mut s = db.session();
    if s.version() < 14 {
        skipped(
            "a_coordinator_trains_on_shards_and_shards_predict",
            "PostgreSQL 14, which reads foreign tables side by side",
        );
        return;
    }
    shards.attach(&mut s);
    reading(&shards, &mut s);
    measured(&mut s);
    let mut analyst = db.session_of("analyst");
    analyst.exec(&format!(
        "SELECT insight_train('SELECT * FROM customers WHERE id % 10 = 0', 'churn', 'of_analyst', '{LINEAR}')"
    ));
    profiled(&shards, &mut s, &mut analyst);
    predicting(&shards, &mut s);
    lost(&shards, &mut s);
    assert_eq!(coordinator.restarts(), 0);
}

/// What travels when insight reads: needed columns, of needed rows, of both shards at once.
#[track_caller]
fn reading(shards: &Shards, s: &mut Session) {
    let before = [0, 1].map(|shard: usize| shards.0[shard].log().len());
    s.exec(&format!(
        r#"SELECT insight_train('SELECT * FROM customers WHERE contract = ''monthly'' AND id % 10 < 5', 'churn', 'some',
             '{LINEAR}'::jsonb || '{{"exclude": ["signup_date", "income"]}}')"#
    ));
    let rows: i64 = s.one("SELECT rows FROM insight.models WHERE model = 'some'");
    let want = "SELECT count(*) FROM customers WHERE contract = 'monthly' AND id % 10 < 5";
    assert_eq!(rows, s.one::<i64>(want));
    for (shard, from) in before.into_iter().enumerate() {
        let asked = shards.asked(shard, from);
        let query = asked.first().expect("the shard was asked");
        assert!(
            !query.contains("signup_date") && !query.contains("income"),
            "{query}"
        );
        assert!(
            query.contains("contract = 'monthly'") && query.contains("id % 10"),
            "{query}"
        );
    }
    // The statement that reads, as it is planned.
    let of = plan(s, "SELECT age, plan, churn FROM public.customers");
    assert_eq!(of.matches("Async Foreign Scan").count(), 2, "{of}");
    assert_eq!(
        of.matches("Remote SQL: SELECT age, plan, churn FROM")
            .count(),
        2,
        "{of}"
    );

    // Of a query whole columns travel to a profile.
    let before = shards.0[0].log().len();
    let columns: i64 =
        s.one("SELECT count(*) FROM insight_profile('SELECT age, plan, churn FROM customers', 'churn') WHERE name !~ '^\\('");
    assert_eq!(columns, 3);
    let asked = shards.asked(0, before);
    assert_eq!(asked, ["SELECT age, plan, churn FROM public.customers"]);
    // Of a sample of rows the sample.
    let before = shards.0[0].log().len();
    s.exec("SELECT insight_profile('SELECT age, plan, churn FROM customers WHERE hashint8(id) % 10 = 0', 'churn')");
    assert_eq!(
        shards.asked(0, before),
        ["SELECT age, plan, churn FROM public.customers WHERE (((hashint8(id) % 10) = 0))"]
    );

    // PostgreSQL overlooks TABLESAMPLE where a partition is foreign; a condition on a hash is evaluated at the shards.
    let count = |s: &mut Session, from: &str| s.one::<i64>(&format!("SELECT count(*) FROM {from}"));
    assert_eq!(count(s, "customers TABLESAMPLE SYSTEM (10)"), 2 * ROWS);
    let sample = "customers WHERE hashint8(id) % 10 = 0";
    let share = count(s, sample) as f64 / (2 * ROWS) as f64;
    assert!((0.08..0.12).contains(&share), "{share}");
    let of = plan(
        s,
        &format!("SELECT age FROM (SELECT * FROM {sample}) AS source"),
    );
    assert_eq!(
        of.matches("WHERE (((hashint8(id) % 10) = 0))").count(),
        2,
        "{of}"
    );
}

/// All rows arrive; in the order of a key they are those of a local table, bit for bit.
#[track_caller]
fn measured(s: &mut Session) {
    s.exec("CREATE TABLE one_table AS SELECT * FROM customers ORDER BY id; ANALYZE one_table");
    let options = |seed: u32| format!(r#"{{"algorithm": "linear", "seed": {seed}}}"#);
    for (model, relation) in [
        ("sharded", "customers"),
        ("single", "one_table"),
        ("ordered", "SELECT * FROM customers ORDER BY id"),
    ] {
        s.exec(&format!(
            "SELECT insight_train('{relation}', 'churn', '{model}', '{}')",
            options(7)
        ));
        let read: i64 = s.one(&format!(
            "SELECT read_rows FROM insight.jobs WHERE model = '{model}'"
        ));
        assert_eq!(read, 2 * ROWS, "{model}");
        let rate: f64 = s.one(&format!(
            "SELECT read_rows / read_seconds FROM insight.jobs WHERE model = '{model}'"
        ));
        println!("{model}: {rate:.0} rows read per second");
    }
    let sum = |s: &mut Session, model: &str| {
        s.one::<f64>(&format!(
            "SELECT sum(insight_predict('{model}', c)) FROM one_table c"
        ))
    };
    assert_eq!(sum(s, "ordered"), sum(s, "single"));
}

const VISITS: &str = "id bigint, at timestamp, day date, seen timestamptz, lasted interval, amount numeric(10, 2), score float8,
    huge float8, number integer, plan text, paid boolean, tags text[], more jsonb";

/// A profile of many rows is counted at the shards, but for a sample.
#[track_caller]
fn profiled(shards: &Shards, s: &mut Session, analyst: &mut Session) {
    const EACH: i64 = 80_000;
    s.exec(&format!(
        "CREATE TABLE visits ({VISITS}) PARTITION BY RANGE (id); GRANT SELECT ON visits TO analyst"
    ));
    for (shard, cluster) in shards.0.iter().enumerate() {
        let first = 1 + EACH * shard as i64;
        // Each row but the first of a thousand repeats the one before but for its key.
        cluster.connect("postgres", "postgres").exec(&format!(
            "CREATE TABLE visits ({VISITS});
             INSERT INTO visits SELECT id,
               CASE WHEN n % 5000 = 0 THEN 'infinity' ELSE timestamp '2020-01-01' + n * interval '7 min' END,
               date '2020-01-01' + (n % 400)::int, timestamptz '2020-01-01 00:00:00+00' + n * interval '11 min',
               (n % 90) * interval '1 min', CASE WHEN n % 3 > 0 THEN (n * 7919 % 100003)::numeric / 100 END,
               CASE WHEN n % 1000 = 1 THEN 'NaN' WHEN n % 1000 = 2 THEN '-infinity' ELSE sin(n) * 1000 END,
               1e200 * cos(n), n % 70000, (ARRAY['free', 'basic', 'plus', NULL])[1 + n % 4], n % 10 = 0,
               ARRAY['t' || n % 3, 'u'], CASE WHEN n % 2 = 0 THEN '{{\"a\": 1}}'::jsonb END
             FROM (SELECT id, id - (id % 1000 = 0)::int AS n FROM generate_series({first}, {}) id) AS rows;
             GRANT SELECT ON visits TO analyst",
            first + EACH - 1
        ));
        s.exec(&format!(
            "CREATE FOREIGN TABLE visits_{shard} PARTITION OF visits FOR VALUES FROM ({first}) TO ({})
               SERVER shard{shard} OPTIONS (table_name 'visits')",
            first + EACH
        ));
    }
    s.exec("CREATE TABLE all_visits AS SELECT * FROM visits ORDER BY id");
    let before = [0, 1].map(|shard: usize| shards.0[shard].log().len());
    let profile = |of: &str| format!("insight_profile('{of}', 'paid')");
    s.exec(&format!(
        "CREATE TABLE counted AS SELECT * FROM {}; CREATE TABLE want AS SELECT * FROM {}",
        profile("visits"),
        profile("all_visits")
    ));
    for (shard, from) in before.into_iter().enumerate() {
        let asked = shards.asked(shard, from);
        let drawn = asked
            .iter()
            .filter(|query| query.contains("WHERE (((hashtidextended(ctid"));
        assert_eq!(drawn.count(), 1, "{asked:?}");
        let counted = asked.iter().filter(|query| query.contains("count("));
        assert_eq!(counted.count(), asked.len() - 1, "{asked:?}");
        // Figures of all columns; the values of those that have few; repeated rows.
        let grouped = asked.iter().filter(|query| query.contains("GROUP BY"));
        assert_eq!(grouped.count(), 6, "{asked:?}");
    }
    let differing = |s: &mut Session, columns: &str, rows: &str| {
        s.all::<String>(&format!(
            "SELECT name || ': ' || a::text || ' / ' || b::text FROM (SELECT name, ROW({columns}) AS a FROM counted WHERE {rows}) a
               FULL JOIN (SELECT name, ROW({columns}) AS b FROM want WHERE {rows}) b USING (name)
             WHERE a::text IS DISTINCT FROM b::text"
        ))
    };
    let none: [&str; 0] = [];
    assert_eq!(
        differing(s, "rows", "name <> '(near-duplicate rows)'"),
        none
    );
    let columns = "name !~ '^\\('";
    assert_eq!(
        differing(s, "kind, nulls", &format!("{columns} AND name <> 'more'")),
        none
    );
    let few = "name IN ('day', 'lasted', 'plan', 'paid', 'tags')";
    assert_eq!(
        differing(s, "distinct_values, quantiles, top_values, outliers", few),
        none
    );
    assert_eq!(differing(s, "distinct_values", "name = 'id'"), none);
    assert_eq!(
        differing(s, "quantiles->'minimum', quantiles->'maximum'", columns),
        none
    );
    let apart = |s: &mut Session, of: &str, names: &str| {
        s.one::<f64>(&format!(
            "SELECT max(abs(a.x - b.x) / abs(b.x)) FROM (SELECT name, ({of})::float8 x FROM counted) a
               JOIN (SELECT name, ({of})::float8 x FROM want) b USING (name) WHERE name IN ({names})"
        ))
    };
    let numbers = "'id', 'amount', 'score', 'number'";
    for figure in ["mean", "standard_deviation"] {
        let figure = format!("quantiles->>'{figure}'");
        assert!(apart(s, &figure, numbers) < 1e-9);
    }
    assert!(
        apart(
            s,
            "extract(epoch FROM (quantiles->>'mean')::timestamp)",
            "'at', 'seen'"
        ) < 1e-3
    );
    assert!(apart(s, "quantiles->>'median'", "'id', 'amount', 'number'") < 0.02);
    assert!(apart(s, "distinct_values", "'at', 'amount', 'score', 'number'") < 0.1);
    let advice = "SELECT advice FROM counted WHERE name = ";
    let of_id: String = s.one(&format!("{advice} 'id'"));
    assert!(of_id.contains("left out of training"), "{of_id}");
    let of_score: String = s.one(&format!("{advice} 'score'"));
    assert!(
        of_score.contains("320 values are NaN or infinite"),
        "{of_score}"
    );
    for (what, of) in [
        ("counted at the shards", "visits"),
        ("all rows sent", "SELECT * FROM visits"),
    ] {
        let begun = std::time::Instant::now();
        s.exec(&format!("SELECT {}", profile(of)));
        println!(
            "profile of {} rows, {what}: {:.2} s",
            2 * EACH,
            begun.elapsed().as_secs_f64()
        );
    }
    // Who may not read the partitions by themselves has the rows sent.
    let before = shards.0[0].log().len();
    let rows: i64 = analyst.one(&format!(
        "SELECT rows FROM {} WHERE name = 'plan'",
        profile("visits")
    ));
    assert_eq!(rows, 2 * EACH);
    assert_eq!(shards.asked(0, before).len(), 1);
    s.exec("DROP TABLE visits, all_visits, counted, want");
    refused(shards, s);
}

/// What a sample is not misled by, and what is not sent away.
#[track_caller]
fn refused(shards: &Shards, s: &mut Session) {
    // Each row twice, and a value that a third of them has.
    shards.0[0].connect("postgres", "postgres").exec(
        "CREATE TABLE twice AS SELECT i % 60000 AS x, CASE WHEN i % 3 = 0 THEN 0 ELSE i % 60000 END AS often
           FROM generate_series(1, 120000) i;
         CREATE VIEW seen AS SELECT * FROM twice",
    );
    for table in ["twice", "seen"] {
        s.exec(&format!(
            "CREATE FOREIGN TABLE {table} (x integer, often integer) SERVER shard0"
        ));
    }
    // Somebody else's operator, which fits better than PostgreSQL's own.
    s.exec(
        "CREATE FUNCTION other(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE OPERATOR % (FUNCTION = other, LEFTARG = bigint, RIGHTARG = integer)",
    );
    let figures = |s: &mut Session, of: &str| {
        s.one::<String>(&format!(
            "SELECT string_agg(concat_ws(' ', name, rows, distinct_values, top_values), '; ') FROM insight_profile('{of}')"
        ))
    };
    let before = shards.0[0].log().len();
    let found = figures(s, "twice");
    assert!(shards.asked(0, before).len() > 3);
    assert!(found.contains("(duplicate rows) 60000"), "{found}");
    let distinct = |s: &mut Session, name: &str| {
        s.one::<i64>(&format!(
            "SELECT distinct_values FROM insight_profile('twice') WHERE name = '{name}'"
        ))
    };
    assert!((54_000..66_000).contains(&distinct(s, "x")));
    assert!((35_000..45_000).contains(&distinct(s, "often")));
    let top: i64 = s.one("SELECT (top_values->0->>'rows')::bigint FROM insight_profile('twice') WHERE name = 'often' AND top_values->0->>'value' = '0'");
    assert!((38_000..42_000).contains(&top), "{top}");
    // Rows of a view have no places: all of them travel.
    let before = shards.0[0].log().len();
    let found = figures(s, "seen");
    assert!(
        found.contains("x 120000 60000") && found.contains("often 120000 40001"),
        "{found}"
    );
    let asked = shards.asked(0, before);
    assert!(
        asked
            .iter()
            .any(|query| query == "SELECT x, often FROM public.seen"),
        "{asked:?}"
    );
    // The same values in the same places of both shards.
    s.exec("CREATE TABLE alike (part integer, x integer) PARTITION BY LIST (part)");
    for (shard, cluster) in shards.0.iter().enumerate() {
        cluster.connect("postgres", "postgres").exec(&format!(
            "CREATE TABLE alike AS SELECT {shard} AS part, x FROM generate_series(1, 60000) x"
        ));
        s.exec(&format!(
            "CREATE FOREIGN TABLE alike_{shard} PARTITION OF alike FOR VALUES IN ({shard}) SERVER shard{shard} OPTIONS (table_name 'alike')"
        ));
    }
    let distinct: i64 =
        s.one("SELECT distinct_values FROM insight_profile('alike') WHERE name = 'x'");
    assert!((54_000..66_000).contains(&distinct), "{distinct}");
    let advice: String =
        s.one("SELECT advice FROM insight_profile('alike') WHERE name = '(duplicate rows)'");
    assert!(advice.contains("different partitions"), "{advice}");
    s.exec("DROP TABLE alike; DROP FOREIGN TABLE twice, seen; DROP OPERATOR % (bigint, integer)");
}

/// A view on each shard predicts there, beside its rows.
#[track_caller]
fn predicting(shards: &Shards, s: &mut Session) {
    // A call on foreign rows is not sent away: the function is STABLE, and postgres_fdw sends what is IMMUTABLE.
    let of = plan(
        s,
        "SELECT id FROM customers c WHERE insight_predict('single', c) > 0.5",
    );
    assert_eq!(of.matches("Filter: (insight_predict(").count(), 2, "{of}");

    let file: Vec<u8> = s.one("SELECT insight_export('single')");
    let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
    for cluster in &shards.0 {
        let mut shard = cluster.connect("postgres", "postgres");
        shard.exec(&format!(
            "SELECT insight_import('\\x{hex}'::bytea);
             SELECT insight_grant('single', 'analyst');
             CREATE VIEW scored AS SELECT id, plan, insight_predict('single', c) AS risk FROM customers c;
             GRANT SELECT ON scored TO analyst"
        ));
    }
    s.exec("CREATE TABLE scored (id bigint, plan text, risk double precision) PARTITION BY RANGE (id); GRANT SELECT ON scored TO analyst");
    for shard in 0..2 {
        let first = 1 + ROWS * shard;
        s.exec(&format!(
            "CREATE FOREIGN TABLE scored_{shard} PARTITION OF scored FOR VALUES FROM ({first}) TO ({})
               SERVER shard{shard} OPTIONS (table_name 'scored')",
            first + ROWS
        ));
    }
    let query = "SELECT id, risk FROM scored WHERE risk > 0.6 AND plan = 'basic'";
    let of = plan(s, query);
    assert_eq!(of.matches("Async Foreign Scan").count(), 2, "{of}");
    assert_eq!(
        of.matches("WHERE ((risk > 0.6::double precision))").count(),
        2,
        "{of}"
    );
    let here =
        "SELECT id, insight_predict('single', c) AS risk FROM one_table c WHERE plan = 'basic'";
    let wrong: i64 = s.one(&format!(
        "SELECT count(*) FROM ({query}) a FULL JOIN (SELECT * FROM ({here}) p WHERE risk > 0.6) b USING (id)
         WHERE a.risk IS DISTINCT FROM b.risk"
    ));
    assert_eq!(wrong, 0);
    assert!(s.one::<i64>(&format!("SELECT count(*) FROM ({query}) q")) > 0);
    // Sorted at the shards; only the first rows of each travel.
    let of = plan(s, "SELECT id, risk FROM scored ORDER BY risk DESC LIMIT 10");
    assert!(of.contains("Merge Append"), "{of}");
    assert_eq!(of.matches("scored ORDER BY risk DESC").count(), 2, "{of}");
    // The mapped role needs the right to predict.
    let sum = "SELECT count(*) FROM scored WHERE risk > 0.5";
    s.exec("SET ROLE analyst");
    assert!(s.one::<i64>(sum) > 0);
    for cluster in &shards.0 {
        let mut shard = cluster.connect("postgres", "postgres");
        shard.exec("SELECT insight_revoke('single', 'analyst')");
    }
    s.fails_with("42501", sum);
    s.exec("RESET ROLE");
    for (what, query) in [
        ("the shards", "SELECT sum(risk) FROM scored"),
        (
            "one session",
            "SELECT sum(insight_predict('single', c)) FROM one_table c",
        ),
        (
            "one session, rows from the shards",
            "SELECT sum(insight_predict('single', c)) FROM customers c",
        ),
    ] {
        let begun = std::time::Instant::now();
        s.one::<f64>(query);
        let rate = (2 * ROWS) as f64 / begun.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} predictions per second");
    }
}

/// A shard that is gone ends the training with the reason.
#[track_caller]
fn lost(shards: &Shards, s: &mut Session) {
    shards.0[1].stop("immediate");
    let error = s.fails_with(
        "08001",
        &format!("SELECT insight_train('customers', 'churn', 'lost', '{LINEAR}')"),
    );
    assert!(error.message().contains("shard1"), "{}", error.message());
}
