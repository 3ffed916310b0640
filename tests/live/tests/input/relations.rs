//! Relations of every kind train on the same rows and give the same model.

use live::*;

#[test]
fn every_kind_of_relation_trains_the_same_model() {
    let cluster = shared();
    let db = cluster.database();
    let mut s = db.session();
    customers(&mut s, 1000);
    let file = cluster.dir().join(format!("{}.csv", db.name));
    let (file, socket) = (literal(file.to_str().unwrap()), cluster.dir().display());
    let columns = "id bigint, age integer, income float8, tenure_months integer, contract text, plan text, monthly_fee numeric,
                   support_tickets integer, last_login_days integer, satisfaction int2, signup_date date, churn boolean";
    s.exec(&format!(
        "CREATE VIEW a_view AS SELECT * FROM customers;
         CREATE VIEW a_deep_view AS SELECT * FROM (SELECT * FROM a_view) v WHERE id > 0;
         CREATE MATERIALIZED VIEW a_materialized_view AS SELECT * FROM customers ORDER BY id;
         CREATE TABLE parts (LIKE customers) PARTITION BY RANGE (id);
         CREATE TABLE first PARTITION OF parts FOR VALUES FROM (0) TO (400);
         CREATE TABLE rest PARTITION OF parts DEFAULT;
         INSERT INTO parts SELECT * FROM customers;
         CREATE TABLE parent (LIKE customers);
         CREATE TABLE child () INHERITS (parent);
         INSERT INTO child SELECT * FROM customers;
         CREATE UNLOGGED TABLE unlogged AS SELECT * FROM customers;
         CREATE FUNCTION a_function() RETURNS SETOF customers STABLE LANGUAGE sql AS 'SELECT * FROM customers';
         COPY customers TO {file};
         CREATE EXTENSION file_fdw;
         CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE a_file ({columns}) SERVER files OPTIONS (filename {file});
         CREATE EXTENSION postgres_fdw;
         CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{socket}', dbname '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere;
         CREATE FOREIGN TABLE far_away ({columns}) SERVER elsewhere OPTIONS (table_name 'customers')",
        db.name
    ));
    let values = "VALUES (1, true)".to_owned()
        + &(2..60)
            .map(|i| format!(", ({}, {})", i % 20, i % 2 == 0))
            .collect::<String>();
    let fingerprint = "SELECT provenance->>'data_fingerprint' FROM insight.versions WHERE deployed";
    let predictions = "SELECT sum(insight_predict('m', c)) FROM customers c";
    let mut first: Option<(String, f64)> = None;
    for relation in [
        "customers",
        "public.customers",
        "PUBLIC.Customers",
        " \"public\" . \"customers\" ",
        "a_view",
        "a_deep_view",
        "a_materialized_view",
        "parts",
        "parent",
        "child",
        "unlogged",
        "a_file",
        "far_away",
        "SELECT * FROM customers",
        "  select * from customers;  ",
        "SELECT * FROM customers -- and no more",
        "/* all */ SELECT c.* FROM customers c ORDER BY id;",
        "-- all\nSELECT * FROM a_function()",
        "(SELECT * FROM customers)",
        "TABLE customers",
        "WITH c AS MATERIALIZED (SELECT * FROM customers) SELECT * FROM c",
        "SELECT * FROM first UNION ALL SELECT * FROM rest",
    ] {
        let row = &s.rows(&format!(
            "SELECT status, rows FROM insight_train({}, 'churn', 'm', '{FAST}')",
            literal(relation)
        ))[0];
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, i64>(1)),
            ("succeeded", 1000),
            "{relation}"
        );
        let found = (s.one::<String>(fingerprint), s.one::<f64>(predictions));
        let wanted = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, wanted, "{relation}");
        let table: i64 = s.one(&format!(
            "SELECT count(prediction) FROM insight_predict_table('m', {})",
            literal(relation)
        ));
        assert_eq!(table, 1000, "{relation}");
    }
    let rows: i64 = s.one(&format!(
        "SELECT rows FROM insight_train({}, 'column2', 'v', '{FAST}')",
        literal(&values)
    ));
    assert_eq!(rows, 59);
    let anonymous: f64 = s.one("SELECT insight_predict('v', ROW(3))");
    assert!((0.0..=1.0).contains(&anonymous));
}

/// A foreign server that cannot be reached, or a table that is gone on it, is its own error.
#[test]
fn a_foreign_table_that_fails_fails_the_job() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let socket = db.cluster.dir().display();
    m.session.exec(&format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{socket}', dbname '{0}');
         CREATE SERVER nowhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{socket}', dbname 'no such database');
         CREATE USER MAPPING FOR CURRENT_USER SERVER here;
         CREATE USER MAPPING FOR CURRENT_USER SERVER nowhere;
         CREATE FOREIGN TABLE gone (x integer, y boolean) SERVER here OPTIONS (table_name 'no such table');
         CREATE FOREIGN TABLE unreached (x integer, y boolean) SERVER nowhere",
        db.name
    ));
    m.refuses("42P01", "", "SELECT insight_train('gone', 'y')");
    m.refuses("08001", "", "SELECT insight_train('unreached', 'y')");
    let (status, sqlstate, _) = m.last_job();
    assert_eq!(
        (status.as_str(), sqlstate.as_deref()),
        ("failed", Some("08001"))
    );
}

#[test]
fn what_is_no_relation_is_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE SEQUENCE numbers; CREATE INDEX an_index ON customers (id); CREATE TYPE pair AS (x integer, y boolean)",
    );
    for relation in ["numbers", "an_index", "pair"] {
        m.refuses(
            "42809",
            "can be used",
            &format!("SELECT insight_train('{relation}', 'y')"),
        );
    }
    m.refuses(
        "42702",
        "AS",
        "SELECT insight_train('SELECT id, id, churn FROM customers', 'churn')",
    );
    m.refuses(
        "42P01",
        "",
        "SELECT insight_train('SELECT * FROM nothing', 'churn')",
    );
    m.refuses(
        "42703",
        "",
        "SELECT insight_train('SELECT nothing FROM customers', 'churn')",
    );
    m.refuses(
        "42P02",
        "",
        "SELECT insight_train('SELECT $1 AS x, churn FROM customers', 'churn')",
    );
}

/// A table that is dropped or changed between the call and the reading.
#[test]
fn a_relation_that_goes_away_in_the_queue_fails_the_job() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("CREATE TABLE gone AS SELECT * FROM customers; CREATE TABLE less AS SELECT * FROM customers");
    m.session.exec("SET insight.max_jobs = 1");
    m.session.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'slow', '{SLOW}'::jsonb || '{{\"wait\": false}}')"
    ));
    wait_until("the first job runs", 60, || {
        m.session
            .one::<i64>("SELECT count(*) FROM insight.jobs WHERE status = 'running'")
            == 1
    });
    for relation in ["gone", "less"] {
        m.session.exec(&format!(
            "SELECT insight_train('{relation}', 'churn', 'm', '{{\"wait\": false}}')"
        ));
    }
    m.session.exec(
        "DROP TABLE gone; ALTER TABLE less DROP age;
         SELECT insight_cancel(job) FROM insight.jobs WHERE model = 'slow'",
    );
    // Whoever waits starts what was left in the queue.
    m.session
        .exec("SELECT insight_wait(job, 60) FROM insight.jobs WHERE job > 2 ORDER BY job");
    let ended: Vec<String> = m
        .session
        .all("SELECT status || ' ' || sqlstate FROM insight.jobs WHERE job > 2 ORDER BY job");
    assert_eq!(ended, ["failed 42P01", "failed 42703"]);
    m.check();
}
