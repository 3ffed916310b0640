//! Training on another cluster, which reads the rows back through postgres_fdw; all of it over TLS with passwords.

mod pair;

use live::*;
use pair::*;

/// Its file is larger than a piece that travels at once.
const NETWORK: &str =
    r#"{"algorithm": "dnn", "epochs": 2, "hidden": [512, 512], "batch_size": 256}"#;
const LINEAR: &str = r#"{"algorithm": "linear"}"#;

fn train_on(server: &str, model: &str, options: &str) -> String {
    format!(
        "SELECT * FROM insight_train_on('{server}', 'customers', 'churn', '{model}', '{options}')"
    )
}

#[test]
fn a_server_trains_for_another() {
    let Some(pair) = Pair::start() else {
        skipped("a_server_trains_for_another", "openssl");
        return;
    };
    without_dblink(&pair);
    pair.host
        .connect("postgres", "postgres")
        .exec("CREATE EXTENSION dblink");
    trained(&pair);
    versions(&pair);
    several(&pair);
    refused(&pair);
    unequal(&pair);
    told(&pair);
    roles(&pair);
    by_socket(&pair);
    cancelled(&pair);
    lost(&pair);
    assert_eq!((pair.host.restarts(), pair.trainer.restarts()), (0, 0));
}

#[track_caller]
fn without_dblink(pair: &Pair) {
    let error = pair
        .analyst()
        .fails_with("0A000", &train_on("gpu", "m", LINEAR));
    assert!(
        error.hint().unwrap().contains("CREATE EXTENSION dblink"),
        "{error:?}"
    );
}

/// The same predictions on both, from rows that came over TLS, by calls that came over TLS.
#[track_caller]
fn trained(pair: &Pair) {
    let mut s = pair.analyst();
    let sql = train_on("gpu", "m", NETWORK);
    let row = &s.rows(&sql)[0];
    assert_eq!(row.get::<_, &str>("model"), "m");
    assert_eq!(row.get::<_, i32>("version"), 1);
    assert_eq!(row.get::<_, &str>("status"), "succeeded");
    assert_eq!(row.get::<_, &str>("task"), "binary");
    assert_eq!(row.get::<_, &str>("algorithm"), "dnn");
    assert_eq!(row.get::<_, i64>("rows"), 1000);
    assert!(row.get::<_, bool>("deployed"));
    assert_eq!(row.get::<_, Option<i64>>("job"), None);
    let columns: Vec<&str> = row.columns().iter().map(|c| c.name()).collect();
    let sql =
        "SELECT * FROM insight_train('customers', 'churn', 'here', '{\"algorithm\": \"linear\"}')";
    let local = &s.rows(sql)[0];
    let wanted: Vec<&str> = local.columns().iter().map(|c| c.name()).collect();
    assert_eq!(columns, wanted);

    let score = "SELECT score FROM insight.versions WHERE model = 'm' AND version = 1";
    let predicted = "SELECT sum(insight_predict('m', c) ORDER BY id) FROM customers c";
    let mut there = pair.there();
    assert_eq!(Some(s.one::<f64>(score)), row.get("score"));
    assert_eq!(s.one::<f64>(score), there.one::<f64>(score));
    assert_eq!(s.one::<f64>(predicted), there.one::<f64>(predicted));
    assert!(s.one::<i32>("SELECT octet_length(insight_export('m'))") > 1 << 20);
    // It has what explaining needs, too.
    s.exec("SELECT e.* FROM customers c, insight_explain('m', c, 3) e WHERE id = 7");
    assert_eq!(
        s.one::<Option<i64>>("SELECT cardinality(dblink_get_connections())::bigint"),
        None
    );

    let over_tls = |cluster: &Cluster, user: &str| {
        let (log, begin) = (
            cluster.log(),
            format!("connection authorized: user={user} "),
        );
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains(&begin))
            .map(str::to_owned)
            .collect();
        lines.iter().any(|line| line.contains("SSL enabled"))
    };
    assert!(over_tls(&pair.trainer, "shop"));
    assert!(over_tls(&pair.host, "reader"));
}

/// A model's versions are counted here; which is deployed is what the option says.
#[track_caller]
fn versions(pair: &Pair) {
    let mut s = pair.analyst();
    let row = &s.rows(&train_on("gpu", "m", LINEAR))[0];
    assert_eq!(
        (row.get::<_, i32>("version"), row.get::<_, bool>("deployed")),
        (2, true)
    );
    let aside = LINEAR.replace('}', ", \"deploy\": false}");
    let row = &s.rows(&train_on("gpu", "m", &aside))[0];
    assert_eq!(
        (row.get::<_, i32>("version"), row.get::<_, bool>("deployed")),
        (3, false)
    );
    assert_eq!(
        s.one::<i32>("SELECT version FROM insight.models WHERE model = 'm'"),
        2
    );
    // The first of its name is not deployed either.
    s.exec(&train_on("gpu", "aside", &aside));
    assert_eq!(
        s.one::<Option<i32>>("SELECT version FROM insight.models WHERE model = 'aside'"),
        None
    );
    // What the other server has of this name does not count here.
    pair.there().exec(&format!(
        "SELECT insight_train('customers', 'churn', 'other', '{LINEAR}')"
    ));
    let row = &s.rows(&train_on("gpu", "other", LINEAR))[0];
    assert_eq!(row.get::<_, i32>("version"), 1);
    assert_eq!(
        pair.there()
            .one::<i32>("SELECT version FROM insight.models WHERE model = 'other'"),
        2
    );
    // A transaction that is rolled back leaves nothing here.
    s.exec(&format!(
        "BEGIN; {}; ROLLBACK",
        train_on("gpu", "undone", LINEAR)
    ));
    assert_eq!(
        s.one::<i64>("SELECT count(*) FROM insight.models WHERE model = 'undone'"),
        0
    );
}

/// Several targets in one call, and names by default.
#[track_caller]
fn several(pair: &Pair) {
    let sql = r#"SELECT model FROM insight_train_on('gpu', 'customers', NULL, options => '{"targets": ["churn", "monthly_fee"], "algorithm": "linear"}')"#;
    let mut s = pair.analyst();
    assert_eq!(
        s.all::<String>(sql),
        ["customers_churn", "customers_monthly_fee"]
    );
    s.exec("SELECT insight_predict('customers_churn', c), insight_predict('customers_monthly_fee', c) FROM customers c");
}

/// No word, not even a password, goes to where it could be read or to whom it is not meant for.
#[track_caller]
fn refused(pair: &Pair) {
    let mut s = pair.analyst();
    let connections = |pair: &Pair| pair.trainer.log().matches("connection received").count();
    for (name, mode) in [("plain", "disable"), ("unverified", "require")] {
        let options = pair.way(1, "").replace("verify-full", mode);
        pair.server(name, "postgres_fdw", &options, "analyst");
        let before = connections(pair);
        let error = s.fails_with("28000", &train_on(name, "refused", LINEAR));
        assert!(error.hint().unwrap().contains("verify-full"), "{error:?}");
        assert_eq!(connections(pair), before, "{name}");
    }
    // Its name is not that of the certificate.
    let options = pair.way(1, "").replace(TRAINER, "rogue.example");
    pair.server("rogue", "dblink_fdw", &options, "analyst");
    let error = s.fails_with("08001", &train_on("rogue", "refused", LINEAR));
    assert!(
        error.detail().unwrap().contains("does not match host name"),
        "{error:?}"
    );
    assert!(
        error.detail().unwrap().contains("On server \"rogue\""),
        "{error:?}"
    );
    assert_eq!(
        s.one::<i64>("SELECT count(*) FROM insight.models WHERE model = 'refused'"),
        0
    );
}

/// A database without insight, and one with another version.
#[track_caller]
fn unequal(pair: &Pair) {
    let mut there = pair.trainer.connect("postgres", "postgres");
    there.exec("CREATE DATABASE bare");
    there.exec("CREATE DATABASE newer");
    pair.trainer.connect("newer", "postgres").exec(
        "CREATE EXTENSION insight; CREATE OR REPLACE FUNCTION insight_version() RETURNS text LANGUAGE sql AS $$ SELECT '99.0' $$",
    );
    let mut s = pair.analyst();
    for (name, hint) in [
        ("bare", "CREATE EXTENSION insight"),
        ("newer", "same version"),
    ] {
        let options = pair.way(1, "").replace("'postgres'", &format!("'{name}'"));
        pair.server(name, "dblink_fdw", &options, "analyst");
        let error = s.fails_with("0A000", &train_on(name, "unequal", LINEAR));
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert!(
            error
                .detail()
                .unwrap()
                .contains(&format!("On server \"{name}\"")),
            "{error:?}"
        );
    }
}

/// Errors there arrive as they are, with whose they are; those of this side come before anything is done.
#[track_caller]
fn told(pair: &Pair) {
    let mut s = pair.analyst();
    let mut there = pair.there();
    let (call, wrong) = (
        "SELECT insight_train_on('gpu', 'customers', 'chrn', 'm')",
        "SELECT insight_train('customers', 'chrn', 'm')",
    );
    let (error, same) = (
        s.fails_with("42703", call),
        there.fails_with("42703", wrong),
    );
    assert_eq!(
        (error.message(), error.hint()),
        (same.message(), same.hint())
    );
    assert!(error.hint().unwrap().contains("churn"), "{error:?}");
    assert!(
        error.detail().unwrap().ends_with("On server \"gpu\"."),
        "{error:?}"
    );
    // Of the training itself.
    there.exec("CREATE VIEW broken AS SELECT *, 1 / (id - 500) AS part FROM customers");
    let error = s.fails_with(
        "22012",
        "SELECT insight_train_on('gpu', 'broken', 'churn', 'm')",
    );
    assert!(
        error.detail().unwrap().ends_with("On server \"gpu\"."),
        "{error:?}"
    );
    s.fails_with("22023", &train_on("gpu", "m", r#"{"epoch": 1}"#));

    let jobs = "SELECT count(*) FROM insight.jobs";
    let before: i64 = there.one(jobs);
    let error = s.fails_with("0A000", &train_on("gpu", "m", r#"{"wait": false}"#));
    assert!(
        error.hint().unwrap().contains("session of its own"),
        "{error:?}"
    );
    s.fails_with("42704", &train_on("nowhere", "m", LINEAR));
    s.fails_with(
        "22004",
        "SELECT insight_train_on(NULL, 'customers', 'churn')",
    );
    s.fails_with("42602", &train_on("gpu", "a@b", LINEAR));
    pair.host.connect("postgres", "postgres").exec(
        "SELECT insight_train('customers', 'churn', 'not_hers', '{\"algorithm\": \"linear\"}')",
    );
    s.fails_with("42501", &train_on("gpu", "not_hers", LINEAR));
    s.exec("SET default_transaction_read_only = on");
    s.fails_with("25006", &train_on("gpu", "m", LINEAR));
    assert_eq!(there.one::<i64>(jobs), before);
}

/// Who is nobody there, may not use the server, or has no right password.
#[track_caller]
fn roles(pair: &Pair) {
    let mut s = pair.host.connect("postgres", "outsider");
    let mut m = pair.host.connect("postgres", "postgres");
    let call = train_on("gpu", "theirs", LINEAR);
    let error = s.fails_with("42704", &call);
    assert!(
        error.message().contains("user mapping not found"),
        "{error:?}"
    );
    m.exec("CREATE USER MAPPING FOR outsider SERVER gpu OPTIONS (user 'shop', password 'wrong')");
    let error = s.fails_with("42501", &call);
    assert!(error.message().contains("foreign server gpu"), "{error:?}");
    m.exec("GRANT USAGE ON FOREIGN SERVER gpu TO outsider");
    s.fails_with("08001", &call);
}

/// A socket leaves no machine: no TLS is asked for. dblink lets only superusers in without a password.
#[track_caller]
fn by_socket(pair: &Pair) {
    let options = format!("host '{}', dbname 'postgres'", pair.trainer.dir().display());
    pair.server("near", "dblink_fdw", &options, "postgres");
    let mut m = pair.host.connect("postgres", "postgres");
    m.exec(&train_on("near", "near", LINEAR));
    m.exec("GRANT USAGE ON FOREIGN SERVER near TO analyst; CREATE USER MAPPING FOR analyst SERVER near OPTIONS (user 'shop', password 'trains')");
    pair.analyst()
        .fails_with("2F003", &train_on("near", "near_too", LINEAR));
}

/// The job there ends with the call here: cancelled, too late, or killed.
#[track_caller]
fn cancelled(pair: &Pair) {
    let mut m = pair.host.connect("postgres", "postgres");
    let mut there = pair.trainer.connect("postgres", "postgres");
    let mut ended = |model: &str, end: &mut dyn FnMut(i32)| {
        let call = pair.analyst().call(&train_on("gpu", model, SLOW));
        let (job, _) = Scene::wait_for_epoch(&mut there, model);
        end(call.pid);
        let status = format!("SELECT status FROM insight.jobs WHERE job = {job}");
        wait_until("the job there has ended", 20, || {
            there.one::<String>(&status) != "running"
        });
        assert_eq!(there.one::<String>(&status), "cancelled", "{model}");
        call
    };
    let call = ended("stopped", &mut |pid| {
        assert!(m.one::<bool>(&format!("SELECT pg_cancel_backend({pid})")));
    });
    let (mut s, sqlstate) = call.sqlstate();
    assert_eq!(sqlstate, "57014");
    // The session goes on, and has no connection left.
    s.exec(&train_on("gpu", "after", LINEAR));
    assert_eq!(
        s.one::<i64>("SELECT count(*) FROM insight.models WHERE model = 'stopped'"),
        0
    );
    ended("killed", &mut |pid| {
        assert!(m.one::<bool>(&format!("SELECT pg_terminate_backend({pid})")));
    })
    .error();
    s.exec("SET statement_timeout = '1s'");
    s.fails_with("57014", &train_on("gpu", "late", SLOW));
    let open = "SELECT count(*) FROM insight.jobs WHERE status IN ('queued', 'running')";
    wait_until("no job is left there", 20, || there.one::<i64>(open) == 0);
}

/// The other server goes away.
#[track_caller]
fn lost(pair: &Pair) {
    let mut there = pair.trainer.connect("postgres", "postgres");
    let call = pair.analyst().call(&train_on("gpu", "lost", SLOW));
    Scene::wait_for_epoch(&mut there, "lost");
    pair.trainer.stop("immediate");
    let (mut s, error) = call.error();
    let error = error.as_db_error().unwrap();
    assert!(
        error.detail().unwrap().ends_with("On server \"gpu\"."),
        "{error:?}"
    );
    s.fails_with("08001", &train_on("gpu", "lost", LINEAR));
}
