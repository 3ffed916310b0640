//! A damaged artifact in the catalog is an error of that version alone.

use live::*;

/// Adds version `number` of the model `m`, whose artifact is the expression of that of version 1.
#[track_caller]
fn add(session: &mut Session, number: i32, artifact: &str) {
    session.exec(&format!(
        "INSERT INTO insight.version (model, version, task, algorithm, relation, target, rows, seconds, device, options,
                                      summary, artifact, created_by)
         SELECT model, {number}, task, algorithm, relation, target, rows, seconds, device, options, summary, {artifact}, created_by
         FROM insight.version WHERE version = 1"
    ));
}

#[test]
fn damaged_artifacts_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let length: i32 = m.session.one("SELECT bytes FROM insight.versions");
    let mut artifacts = vec!["''::bytea".to_owned(), "'\\x00'::bytea".into()];
    artifacts.push("convert_to('no model at all, but a text of some length', 'UTF8')".into());
    artifacts.push("artifact || '\\x00'".into());
    artifacts.push("substr(artifact, 2)".into());
    // Lengths that would be read far too large.
    for at in 12..24 {
        artifacts.push(format!("set_byte(artifact, {at}, 255)"));
    }
    for kept in [
        7,
        8,
        11,
        12,
        20,
        24,
        100,
        length / 2,
        length - 8,
        length - 1,
    ] {
        artifacts.push(format!("substr(artifact, 1, {kept})"));
    }
    for step in 0..60 {
        let bit = i64::from(length) * 8 * step / 60 + step % 8;
        artifacts.push(format!(
            "set_bit(artifact, {bit}, 1 - get_bit(artifact, {bit}))"
        ));
    }
    for (artifact, number) in artifacts.iter().zip(2..) {
        add(&mut m.session, number, artifact);
        let error = m.session.fails(&format!(
            "SELECT insight_predict('m@{number}', '{{}}'::jsonb)"
        ));
        let code = error.code().code();
        // A flipped bit of the format's number makes it one that only a later extension reads.
        assert!(
            code == "XX001" || code == "0A000" && artifact.contains("set_bit"),
            "{artifact}: {code} {error}"
        );
        assert!(error.hint().is_some(), "{artifact}: {error}");
    }
    m.check();
    let last = artifacts.len() + 1;
    for call in [
        "insight_classify('m', '{}'::jsonb)",
        "insight_probabilities('m', '{}'::jsonb)",
        "insight_predict_table('m', 'customers')",
        "insight_evaluate('m')",
        "insight_evaluate('m', 'customers')",
        "insight_confusion('m')",
        "insight_roc('m')",
        "insight_calibration('m')",
        "insight_compare('m', 'm')",
        "insight_classes('m', '{}'::jsonb)",
    ] {
        let call = call.replace("'m'", &format!("'m@{last}'"));
        let error = m
            .session
            .fails_with("XX001", &format!("SELECT * FROM {call}"));
        assert!(error.hint().is_some_and(|h| h.contains("insight_deploy")));
    }
    m.check();
}

#[test]
fn a_later_format_asks_for_an_update() {
    let db = shared().database();
    let mut m = Served::new(&db);
    add(&mut m.session, 2, "set_byte(artifact, 8, 200)");
    m.refuses(
        "0A000",
        "ALTER EXTENSION insight UPDATE",
        "SELECT insight_predict('m@2', '{}'::jsonb)",
    );
}

/// The way out that the hint names.
#[test]
fn another_version_replaces_a_damaged_one() {
    let db = shared().database();
    let mut m = Served::new(&db);
    add(&mut m.session, 2, "substr(artifact, 1, 1000)");
    m.session.exec("SELECT insight_deploy('m', 2)");
    m.session
        .fails_with("XX001", "SELECT insight_predict('m', c) FROM customers c");
    m.session.exec("SELECT insight_rollback('m')");
    m.check();
    m.session.exec(&format!(
        "SELECT insight_deploy('m', 2); SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
    ));
    let version: i32 = m.session.one("SELECT version FROM insight.models");
    assert_eq!(version, 3);
    m.check();
}
