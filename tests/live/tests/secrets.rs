//! Keys, encrypted models and logs, encrypted connections, and pgaudit.

use live::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A file in the cluster's folder that only the server's user can read.
fn secret(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let path = cluster.dir().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = Command::new("chown")
        .arg("--reference")
        .arg(cluster.dir())
        .arg(&path)
        .status()
        .unwrap();
    assert!(owner.success());
    path
}

fn key(version: u32, digit: &str) -> String {
    format!("{version}:{}\n", digit.repeat(64))
}

fn use_key(m: &mut Session, file: &std::path::Path) {
    m.exec(&format!(
        "ALTER SYSTEM SET insight.key_file = '{}'",
        file.display()
    ));
    m.exec("SELECT pg_reload_conf()");
    let wanted = file.display().to_string();
    wait_until("the key's file is known", 20, || {
        m.one::<String>("SELECT current_setting('insight.key_file')") == wanted
    });
}

#[test]
fn keys_rotate_while_sessions_predict_and_workers_train() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let file = secret(&cluster, "key", &key(1, "a"));
    use_key(&mut m.session, &file);
    let train = format!("SELECT insight_train('customers', 'churn', 'other', '{FAST}')");
    m.session.exec(&train);
    let versions =
        "SELECT key_version FROM insight.versions WHERE model IN ('m', 'other') ORDER BY model";
    assert_eq!(m.session.all::<Option<i32>>(versions), [None, Some(1)]);
    let busy = db.session().call(
        "DO $$ BEGIN FOR i IN 1..300 LOOP
           PERFORM insight_predict('m', c), insight_predict('other', c) FROM customers c LIMIT 3; COMMIT; END LOOP; END $$",
    );
    secret(&cluster, "key", &format!("{}{}", key(1, "a"), key(2, "b")));
    m.session.exec("SELECT * FROM insight_rotate_key()");
    m.session.exec(&train);
    assert_eq!(
        m.session.all::<Option<i32>>(versions),
        [Some(2), Some(2), Some(2)]
    );
    busy.rows();
    secret(&cluster, "key", &key(2, "b"));
    m.check();
    let mut fresh = db.session();
    fresh.exec(
        "SELECT insight_predict('m', c), insight_predict('other', c) FROM customers c LIMIT 1",
    );
    // A worker that cannot read the key stores nothing in plain.
    secret(&cluster, "key", "nonsense");
    let error = fresh.fails_with("F0000", &train);
    assert!(error.hint().is_some());
    assert!(!error.message().contains("nonsense"));
    secret(&cluster, "key", &key(2, "b"));
    m.check();
}

#[test]
fn an_encrypted_dump_opens_with_its_key_alone() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let file = secret(&cluster, "key", &key(1, "a"));
    use_key(&mut m.session, &file);
    m.session
        .exec("SELECT * FROM insight_rotate_key(); SELECT insight_log('m', true)");
    m.session
        .exec("SELECT insight_predict_logged('m', c, c.id::text) FROM customers c LIMIT 5");
    let dump = cluster.run_tool("pg_dump", &["-d", &db.name]);
    let version = m.session.one::<String>(
        "SELECT encode(substring(artifact FROM 200 FOR 40), 'hex') FROM insight.version",
    );
    assert!(
        dump.contains(&version),
        "the dump has the bytes as they are stored"
    );
    let path = cluster.dir().join("dump.sql");
    std::fs::write(&path, &dump).unwrap();
    cluster.run_tool("createdb", &["elsewhere"]);
    cluster.run_tool(
        "psql",
        &[
            "-qX",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            "elsewhere",
            "-f",
            path.to_str().unwrap(),
        ],
    );
    let mut s = cluster.connect("elsewhere", "postgres");
    let predicted = "SELECT insight_predict('m', c) FROM customers c WHERE id = 7";
    assert_eq!(s.one::<f64>(predicted), m.session.one::<f64>(predicted));
    assert_eq!(
        s.one::<i64>("SELECT count(*) FROM insight.predictions WHERE key <> ''"),
        5
    );
    // A thief has the dump and not the key, or a key of his own.
    for (text, detail) in [(key(2, "c"), "not there"), (key(1, "c"), "another key")] {
        secret(&cluster, "key", &text);
        let mut s = cluster.connect("elsewhere", "postgres");
        for sql in [predicted, "SELECT key FROM insight.predictions"] {
            let error = s.fails_with("28000", sql);
            assert!(error.detail().unwrap().contains(detail), "{error:?}");
        }
    }
}

/// Everything a driver does, over TLS alone.
#[test]
fn connections_are_encrypted_where_the_server_says_so() {
    let cluster = Cluster::start("");
    let db = cluster.database();
    let mut m = Served::new(&db);
    let data = cluster.dir().join("data");
    let made = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-x509",
            "-days",
            "2",
            "-nodes",
            "-subj",
            "/CN=127.0.0.77",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.77"])
        .arg("-out")
        .arg(cluster.dir().join("server.crt"))
        .arg("-keyout")
        .arg(cluster.dir().join("made.key"))
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        skipped(
            "connections_are_encrypted_where_the_server_says_so",
            "openssl",
        );
        return;
    }
    let made = std::fs::read_to_string(cluster.dir().join("made.key")).unwrap();
    secret(&cluster, "server.key", &made);
    std::fs::write(
        data.join("pg_hba.conf"),
        "local all all trust\nhostssl all all 127.0.0.0/8 trust\n",
    )
    .unwrap();
    for setting in [
        format!("ssl_cert_file = '{}/server.crt'", cluster.dir().display()),
        format!("ssl_key_file = '{}/server.key'", cluster.dir().display()),
        "ssl = on".into(),
        "listen_addresses = '127.0.0.77'".into(),
    ] {
        m.session.exec(&format!("ALTER SYSTEM SET {setting}"));
    }
    cluster.stop("fast");
    cluster.up();
    let psql = |mode: &str, sql: &str| {
        Command::new("psql")
            .args(["-XAtq", "-h", "127.0.0.77", "-U", "postgres", "-c", sql])
            .args(["-d", &db.name])
            .env("PGSSLMODE", mode)
            .env("PGSSLROOTCERT", cluster.dir().join("server.crt"))
            .output()
            .unwrap()
    };
    let sql = format!(
        "SELECT status FROM insight_train('customers', 'churn', 'over_tls', '{FAST}');
         SELECT insight_classify('over_tls', c) FROM customers c LIMIT 1;
         SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    );
    let over = psql("verify-full", &sql);
    let text = String::from_utf8_lossy(&over.stdout).into_owned();
    assert!(over.status.success(), "{over:?}");
    assert!(
        text.starts_with("succeeded\n") && text.ends_with("t\n"),
        "{text}"
    );
    let plain = psql("disable", "SELECT 1");
    assert!(!plain.status.success());
    assert!(String::from_utf8_lossy(&plain.stderr).contains("no pg_hba.conf entry"));
}

#[test]
fn pgaudit_sees_the_calls_and_nothing_breaks() {
    if library("pgaudit.so").is_none() {
        skipped(
            "pgaudit_sees_the_calls_and_nothing_breaks",
            "the server's Debian package of pgaudit",
        );
        return;
    }
    let cluster = Cluster::start(
        "shared_preload_libraries = 'pgaudit'\npgaudit.log = 'all'\ninsight.audit_predictions = on\n",
    );
    let db = cluster.database();
    let mut m = Served::new(&db);
    m.session.exec("CREATE EXTENSION pgaudit");
    m.session.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'seen', '{FAST}')"
    ));
    m.session.exec("SELECT insight_grant('seen', 'public')");
    m.session
        .exec("SELECT insight_predict('seen', c) FROM customers c LIMIT 5");
    let error = m
        .session
        .fails_with("42501", "DELETE FROM insight.audit_entry");
    assert!(error.message().contains("only be added to"));
    m.check();
    let log = cluster.log();
    for told in [
        "AUDIT: SESSION",
        "insight_grant('seen', 'public')",
        "insight audit: use of model \"seen\" by role \"postgres\"",
    ] {
        assert!(log.contains(told), "{told}");
    }
    let lines = log.matches("insight audit: use of model \"seen\"").count();
    assert_eq!(lines, 1, "one line for a statement, not for each row");
    let deeds: Vec<String> = m
        .session
        .all("SELECT action FROM insight.audit WHERE model = 'seen' ORDER BY entry");
    assert_eq!(deeds, ["train", "grant"]);
}
