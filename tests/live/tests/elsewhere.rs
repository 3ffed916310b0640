//! Training on another cluster, which reads the rows back through postgres_fdw; all of it over TLS with passwords.

use live::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What both clusters are called in their certificates.
const HOST: &str = "shop.example";
const TRAINER: &str = "gpu.example";

/// Its file is larger than a piece that travels at once.
const NETWORK: &str =
    r#"{"algorithm": "dnn", "epochs": 2, "hidden": [512, 512], "batch_size": 256}"#;
const LINEAR: &str = r#"{"algorithm": "linear"}"#;

fn train_on(server: &str, model: &str, options: &str) -> String {
    format!(
        "SELECT * FROM insight_train_on('{server}', 'customers', 'churn', '{model}', '{options}')"
    )
}

/// A file that only the cluster's user can read.
fn owned(cluster: &Cluster, name: &str, text: &[u8]) {
    let path = cluster.dir().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut chown = Command::new("chown");
    chown.arg("--reference").arg(cluster.dir()).arg(&path);
    assert!(chown.status().unwrap().success());
}

/// An authority in `folder`, or, with a name, a certificate that it signs.
fn certify(folder: &Path, name: Option<&str>) -> bool {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-new", "-x509", "-days", "2", "-nodes"])
        .current_dir(folder);
    match name {
        None => openssl.args([
            "-subj",
            "/CN=authority",
            "-out",
            "ca.crt",
            "-keyout",
            "ca.key",
        ]),
        Some(name) => openssl
            .args([
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-subj",
                &format!("/CN={name}"),
            ])
            .args(["-addext", &format!("subjectAltName=DNS:{name}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args([
                "-out",
                &format!("{name}.crt"),
                "-keyout",
                &format!("{name}.key"),
            ]),
    };
    openssl.output().is_ok_and(|made| made.status.success())
}

/// The cluster with the rows, the one that trains, and their addresses.
struct Pair {
    host: Cluster,
    trainer: Cluster,
    addresses: [String; 2],
}

impl Pair {
    /// Nothing where there is no openssl.
    fn start() -> Option<Pair> {
        let folder = tempfile::tempdir().unwrap();
        let names = [HOST, TRAINER];
        if !certify(folder.path(), None)
            || !names.iter().all(|name| certify(folder.path(), Some(name)))
        {
            return None;
        }
        // Addresses of this machine that no other test has.
        let pid = std::process::id();
        let addresses = [2, 3].map(|last| format!("127.{}.{}.{last}", pid >> 8 & 255, pid & 255));
        let clusters = [0, 1].map(|at: usize| {
            let cluster = Cluster::start("log_connections = on\n");
            let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
            owned(&cluster, "ca.crt", &read("ca.crt"));
            owned(&cluster, "server.crt", &read(&format!("{}.crt", names[at])));
            owned(&cluster, "server.key", &read(&format!("{}.key", names[at])));
            let rules = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n";
            owned(&cluster, "data/pg_hba.conf", rules.as_bytes());
            let (dir, mut s) = (
                cluster.dir().display(),
                cluster.connect("postgres", "postgres"),
            );
            for setting in [
                format!("ssl_cert_file = '{dir}/server.crt'"),
                format!("ssl_key_file = '{dir}/server.key'"),
                "ssl = on".into(),
                format!("listen_addresses = '{}'", addresses[at]),
            ] {
                s.exec(&format!("ALTER SYSTEM SET {setting}"));
            }
            cluster.stop("fast");
            cluster.up();
            cluster
        });
        let [host, trainer] = clusters;
        let pair = Pair {
            host,
            trainer,
            addresses,
        };
        pair.set_up();
        Some(pair)
    }

    /// Options of a server: the way from one cluster to the other.
    fn way(&self, to: usize, more: &str) -> String {
        let (from, name) = match to {
            0 => (&self.trainer, HOST),
            _ => (&self.host, TRAINER),
        };
        format!(
            "host '{name}', hostaddr '{}', dbname 'postgres', sslmode 'verify-full', sslrootcert '{}/ca.crt'{more}",
            self.addresses[to],
            from.dir().display()
        )
    }

    /// Rows and roles, as README.md has them.
    #[track_caller]
    fn set_up(&self) {
        let mut s = self.host.connect("postgres", "postgres");
        s.exec("CREATE EXTENSION insight; CREATE EXTENSION postgres_fdw");
        customers(&mut s, 1000);
        s.exec(&format!(
            "CREATE ROLE reader LOGIN PASSWORD 'reads'; CREATE ROLE analyst LOGIN; CREATE ROLE outsider LOGIN;
             GRANT SELECT ON customers TO reader, analyst;
             CREATE SERVER gpu FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({});
             GRANT USAGE ON FOREIGN SERVER gpu TO analyst;
             CREATE USER MAPPING FOR analyst SERVER gpu OPTIONS (user 'shop', password 'trains')",
            self.way(
                1,
                ", connect_timeout '10', keepalives_idle '60', tcp_user_timeout '60000'"
            )
        ));
        let mut s = self.trainer.connect("postgres", "postgres");
        s.exec(&format!(
            "CREATE EXTENSION insight; CREATE EXTENSION postgres_fdw;
             CREATE ROLE shop LOGIN PASSWORD 'trains';
             CREATE SERVER shop FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({});
             CREATE USER MAPPING FOR shop SERVER shop OPTIONS (user 'reader', password 'reads');
             GRANT USAGE ON FOREIGN SERVER shop TO shop; GRANT CREATE ON SCHEMA public TO shop;
             SET ROLE shop; IMPORT FOREIGN SCHEMA public LIMIT TO (customers) FROM SERVER shop INTO public",
            self.way(0, ", fetch_size '10000'")
        ));
    }

    fn analyst(&self) -> Session {
        self.host.connect("postgres", "analyst")
    }

    fn there(&self) -> Session {
        self.trainer.connect("postgres", "shop")
    }

    /// Further servers of the host that lead to the trainer.
    #[track_caller]
    fn server(&self, name: &str, wrapper: &str, options: &str, user: &str) {
        self.host.connect("postgres", "postgres").exec(&format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER {wrapper} OPTIONS ({options});
             GRANT USAGE ON FOREIGN SERVER {name} TO {user};
             CREATE USER MAPPING FOR {user} SERVER {name} OPTIONS (user 'shop', password 'trains')"
        ));
    }
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
