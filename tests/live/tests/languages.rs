//! Messages in the language of lc_messages: Chinese where the server is told so, English with C.

use live::*;
use std::process::Command;

const CHINESE: &str = "zh_CN.UTF-8";

/// Whether the machine has the locale; root makes it where it is missing.
fn has_locale() -> bool {
    let known = || {
        let listed = Command::new("locale").arg("-a").output();
        listed.is_ok_and(|output| {
            let listed = String::from_utf8_lossy(&output.stdout);
            listed.lines().any(|l| l.eq_ignore_ascii_case("zh_CN.utf8"))
        })
    };
    let make = || {
        let arguments = ["-i", "zh_CN", "-f", "UTF-8", CHINESE];
        let made = Command::new("localedef").args(arguments).output();
        made.is_ok_and(|output| output.status.success())
    };
    known() || make() && known()
}

/// A cluster that speaks Chinese; a session says `SET lc_messages = 'C'` to hear English.
fn chinese(test: &str) -> Option<Cluster> {
    if !has_locale() {
        skipped(
            test,
            "the locale zh_CN.UTF-8 (localedef makes it, from Debian's package locales)",
        );
        return None;
    }
    Some(Cluster::start(&format!("lc_messages = '{CHINESE}'")))
}

/// Message, detail and hint of a statement that must fail with this SQLSTATE.
#[track_caller]
fn error(session: &mut Session, sqlstate: &str, sql: &str) -> [String; 3] {
    let error = session.fails_with(sqlstate, sql);
    [Some(error.message()), error.detail(), error.hint()].map(|text| text.unwrap_or("").to_owned())
}

#[test]
fn errors_and_their_hints() {
    let Some(cluster) = chinese("errors_and_their_hints") else {
        return;
    };
    let db = cluster.database();
    let mut session = db.session();
    customers(&mut session, 100);
    let unknown = "SELECT insight_drop('row')";
    let wrong = "SELECT insight_train('customers', 'churn', 'm', '{\"epoch\": 3}')";

    let [message, _, hint] = error(&mut session, "42704", unknown);
    // A name stays, even one that is a word elsewhere.
    assert_eq!(message, "模型 \"row\" 不存在");
    assert!(hint.contains("没有你可以使用的模型"), "{hint}");
    let [message, _, hint] = error(&mut session, "22023", wrong);
    assert_eq!(message, "未知的选项 \"epoch\"");
    assert!(hint.starts_with("你指的是 \"epochs\" 吗？"), "{hint}");
    assert!(
        hint.contains("已知的选项有: activation, algorithm"),
        "{hint}"
    );

    // Functions that are written in SQL.
    let elsewhere = "SELECT insight_train_on('gpu', 'customers', 'churn')";
    let [message, _, hint] = error(&mut session, "0A000", elsewhere);
    assert!(message.contains("需要扩展 dblink"), "{message}");
    assert_eq!(hint, "由超级用户执行 CREATE EXTENSION dblink。");
    session.exec("CREATE EXTENSION dblink");
    let [message, ..] = error(&mut session, "42704", elsewhere);
    assert_eq!(message, "服务器 \"gpu\" 不存在");

    // What a function takes from a hint it knows in every language.
    let help = "SELECT insight_help('train')";
    let helped: String = session.one(help);

    session.exec("SET lc_messages = 'C'");
    assert_eq!(session.one::<String>(help), helped);
    assert!(
        helped.contains("Options: activation, algorithm"),
        "{helped}"
    );
    let [message, _, hint] = error(&mut session, "42704", unknown);
    assert_eq!(message, "model \"row\" does not exist");
    assert!(hint.starts_with("There is none"), "{hint}");
    let [message, _, hint] = error(&mut session, "22023", wrong);
    assert_eq!(message, "unknown option \"epoch\"");
    assert!(hint.starts_with("Did you mean \"epochs\"?"), "{hint}");
    let [message, ..] = error(&mut session, "42704", elsewhere);
    assert_eq!(message, "server \"gpu\" does not exist");
}

#[test]
fn errors_of_background_jobs() {
    let Some(cluster) = chinese("errors_of_background_jobs") else {
        return;
    };
    let db = cluster.database();
    let mut session = db.session();
    session
        .exec("CREATE TABLE flat AS SELECT i % 7 AS a, true AS y FROM generate_series(1, 200) i");
    let train = "SELECT insight_train('flat', 'y')";
    let [message, _, hint] = error(&mut session, "22023", train);
    assert_eq!(message, "目标 \"y\" 始终为 true");
    assert_eq!(hint, "从恒定的目标中学不到任何东西。");
    // What is stored is for everybody.
    let stored: String = session.one("SELECT error FROM insight.jobs ORDER BY job DESC LIMIT 1");
    assert_eq!(stored, "target \"y\" is always true");

    session.exec("SET lc_messages = 'C'");
    let [message, _, hint] = error(&mut session, "22023", train);
    assert_eq!(message, "target \"y\" is always true");
    assert_eq!(hint, "There is nothing to learn from a constant target.");
}

#[test]
fn notices() {
    let Some(cluster) = chinese("notices") else {
        return;
    };
    let db = cluster.database();
    let mut session = db.session();
    customers(&mut session, 1000);
    let train = format!("SELECT insight_train('customers', 'churn', 'm', '{FAST}')");
    let told = |session: &mut Session, wanted: &str| {
        session.notices();
        session.exec(&train);
        let notices = session.notices();
        let found = notices.iter().any(|notice| notice.contains(wanted));
        assert!(found, "{wanted}: {notices:?}");
    };
    told(&mut session, "个未见过的行)");
    session.exec("SET lc_messages = 'C'");
    told(&mut session, " unseen rows)");
}
