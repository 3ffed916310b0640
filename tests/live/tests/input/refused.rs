//! Calls that name what is not there, and targets that teach nothing.

use live::*;

#[test]
fn unknown_names_are_refused_with_what_there_is() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let near = "Did you mean";
    for (sqlstate, hint, call) in [
        ("42P01", near, "insight_train('custmers', 'churn')"),
        (
            "42P01",
            "Known are: customers.",
            "insight_train('nowhere_at_all', 'churn')",
        ),
        (
            "42P01",
            "Known are: customers.",
            "insight_train('no_schema.nowhere', 'churn')",
        ),
        (
            "42703",
            "Did you mean \"churn\"?",
            "insight_train('customers', 'chrun')",
        ),
        (
            "42703",
            "Did you mean \"age\"?",
            r#"insight_train('customers', 'churn', options => '{"include": ["agee"]}')"#,
        ),
        (
            "22023",
            "Did you mean \"epochs\"?",
            r#"insight_train('customers', 'churn', options => '{"epoch": 3}')"#,
        ),
        (
            "22023",
            "default",
            r#"insight_train('customers', 'churn', options => '{"epochs": 0}')"#,
        ),
        (
            "22023",
            "epochs",
            "insight_train('customers', 'churn', options => '[1]')",
        ),
        (
            "22023",
            "Leave \"algorithm\" out",
            r#"insight_train('customers', 'churn', options => '{"algorithm": "tree"}')"#,
        ),
        (
            "22023",
            "binary",
            r#"insight_train('customers', 'churn', options => '{"task": "ranking"}')"#,
        ),
        (
            "22023",
            "insight_devices",
            r#"insight_train('customers', 'churn', options => '{"device": "tpu"}')"#,
        ),
        (
            "22023",
            "false",
            r#"insight_train('customers', 'churn', options => '{"positive": "yes"}')"#,
        ),
        ("22023", "name of a table", "insight_train('', 'churn')"),
        (
            "42704",
            "Did you mean \"m\"?",
            "insight_predict('n', '{}'::jsonb)",
        ),
        (
            "42704",
            "Known are: m.",
            "insight_predict('unheard_of', '{}'::jsonb)",
        ),
        (
            "42704",
            "insight.versions",
            "insight_predict('m@9', '{}'::jsonb)",
        ),
        ("22023", "name@3", "insight_predict('m@best', '{}'::jsonb)"),
        ("42704", "Known are: 1.", "insight_deploy('m', 7)"),
        ("42704", "Known are: m.", "insight_deploy('unheard_of', 1)"),
        ("42704", "Known are: m.", "insight_rollback('unheard_of')"),
        ("42704", "Known are: m.", "insight_drop('unheard_of')"),
        ("42704", "Known are: m.", "insight_evaluate('unheard_of')"),
        ("42704", "Known are: m.", "insight_confusion('unheard_of')"),
        ("42704", "Known are: m.", "insight_roc('unheard_of')"),
        ("42704", "Known are: m.", "insight_lift('unheard_of')"),
        (
            "42704",
            "Known are: m.",
            "insight_calibration('unheard_of')",
        ),
        ("42704", "Known are: m.", "insight_profit('unheard_of')"),
        (
            "42704",
            "Known are: m.",
            "insight_compare('m', 'unheard_of')",
        ),
        (
            "42704",
            "Known are: m.",
            "insight_classes('unheard_of', '{}'::jsonb)",
        ),
        ("42P01", near, "insight_slices('m', 'id', 'custmers')"),
        ("42P01", near, "insight_compare('m', 'm', 'custmers')"),
        (
            "42704",
            "Known are: m.",
            "insight_predict_table('unheard_of', 'customers')",
        ),
        ("42P01", near, "insight_predict_table('m', 'custmers')"),
        ("42P01", near, "insight_evaluate('m', 'custmers')"),
        (
            "42703",
            near,
            "insight_predict_table('m', 'customers', 'idd')",
        ),
    ] {
        m.refuses(sqlstate, hint, &format!("SELECT * FROM {call}"));
    }
}

#[test]
fn targets_that_teach_nothing_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE TABLE odd AS SELECT i AS x, i % 7 AS z, NULL::boolean AS unknown, true AS always, 5 AS five,
           i = 1 AS once, CASE WHEN i = 1 THEN 'NaN'::float8 ELSE i END AS nan,
           CASE WHEN i = 1 THEN 'Infinity'::float8 ELSE i END AS infinite,
           date '2024-01-01' + i AS day, int4send(i) AS bytes, point(i, i) AS place
         FROM generate_series(1, 200) i",
    );
    for (sqlstate, hint, target) in [
        ("22023", "whose target is known", "unknown"),
        ("22023", "constant", "always"),
        ("22023", "constant", "five"),
        ("22023", "join it with another", "once"),
        ("22003", "WHERE", "nan"),
        ("22003", "WHERE", "infinite"),
        ("42804", "compute it in a SELECT", "day"),
        ("0A000", "Cast it", "bytes"),
        ("0A000", "Cast it", "place"),
    ] {
        let sql = format!("SELECT * FROM insight_train('odd', '{target}')");
        let error = m.refuses(sqlstate, hint, &sql);
        assert!(
            error.message().contains(target),
            "{} must name the target {target}",
            error.message()
        );
    }
    for call in [
        "insight_train('odd', NULL)",
        "insight_train(NULL, 'always')",
        "insight_train(NULL, NULL)",
    ] {
        m.refuses("22004", "", &format!("SELECT * FROM {call}"));
    }
    let models: Vec<String> = m.session.all("SELECT model FROM insight.models");
    assert_eq!(models, ["m"]);
}

#[test]
fn a_target_of_a_hundred_thousand_texts_is_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("CREATE TABLE texts AS SELECT i % 10 AS x, md5(i::text) AS name FROM generate_series(1, 100000) i");
    let error = m.refuses(
        "22023",
        "Group the values",
        "SELECT * FROM insight_train('texts', 'name')",
    );
    let detail = error.detail().unwrap_or_default();
    assert!(detail.contains("100000"), "{detail}");
    let (status, sqlstate, _) = m.last_job();
    assert_eq!(
        (status.as_str(), sqlstate.as_deref()),
        ("failed", Some("22023"))
    );
}

#[test]
fn no_rows_and_too_few_rows_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec("CREATE TABLE few (x integer, y boolean)");
    m.refuses(
        "22023",
        "Load data",
        "SELECT * FROM insight_train('few', 'y')",
    );
    m.refuses(
        "22023",
        "Load data",
        "SELECT * FROM insight_train('SELECT * FROM customers WHERE false', 'churn')",
    );
    for rows in [1, 9] {
        m.session.exec(&format!(
            "TRUNCATE few; INSERT INTO few SELECT i, i % 2 = 0 FROM generate_series(1, {rows}) i"
        ));
        let error = m.refuses("22023", "", "SELECT * FROM insight_train('few', 'y')");
        assert!(error.message().contains("too few"), "{}", error.message());
        assert!(error.detail().is_some_and(|d| d.contains("10 rows")));
    }
    m.session
        .exec("INSERT INTO few SELECT i, i % 2 = 0 FROM generate_series(1, 3) i");
    m.session.exec(&format!(
        "SELECT * FROM insight_train('few', 'y', options => '{FAST}')"
    ));
    // A model of one sort of rows meets no row at all.
    let none: i64 = m.session.one(
        "SELECT count(*) FROM insight_predict_table('m', 'SELECT * FROM customers WHERE false')",
    );
    assert_eq!(none, 0);
    m.refuses(
        "22023",
        "",
        "SELECT * FROM insight_evaluate('m', 'SELECT * FROM customers WHERE false')",
    );
}

#[test]
fn relations_without_a_feature_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE TABLE bare AS SELECT i % 2 = 0 AS y FROM generate_series(1, 100) i;
         CREATE TABLE dull AS SELECT i AS id, 1 AS one, NULL::text AS nothing, i % 2 = 0 AS y FROM generate_series(1, 100) i;
         CREATE TABLE places AS SELECT point(i, i) AS place, i % 2 = 0 AS y FROM generate_series(1, 100) i",
    );
    m.refuses(
        "22023",
        "can be used",
        "SELECT * FROM insight_train('bare', 'y')",
    );
    m.refuses(
        "22023",
        "can be used",
        "SELECT * FROM insight_train('places', 'y')",
    );
    let error = m.refuses(
        "22023",
        "include",
        "SELECT * FROM insight_train('dull', 'y')",
    );
    let detail = error.detail().unwrap_or_default();
    for name in [
        "\"id\" (identifier",
        "\"one\" (constant",
        "\"nothing\" (no value",
    ] {
        assert!(detail.contains(name), "{detail}");
    }
}

#[test]
fn rows_that_do_not_fit_the_model_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    for (sqlstate, hint, call) in [
        ("42804", "ROW(...)", "insight_predict('m', 5)"),
        ("22023", "in this order", "insight_predict('m', ROW(1, 2))"),
        (
            "42703",
            "missing key",
            "insight_predict('m', c) FROM (SELECT age FROM customers) c",
        ),
        (
            "22P02",
            "",
            r#"insight_predict('m', '{"age": "old"}'::jsonb)"#,
        ),
        (
            "22007",
            "",
            r#"insight_predict('m', '{"signup_date": "yesterweek"}'::jsonb)"#,
        ),
        (
            "22023",
            "",
            r#"insight_predict('m', '{"age": [1]}'::jsonb)"#,
        ),
        ("22023", "income", "insight_predict('m', '[1, 2]'::jsonb)"),
        ("22023", "income", "insight_predict('m', 'null'::jsonb)"),
        ("22P02", "income", "insight_predict('m', 'not JSON')"),
    ] {
        m.refuses(sqlstate, hint, &format!("SELECT {call}"));
    }
    // No error: NULL asks for nothing, and a missing key is a missing value.
    let nothing: Option<f64> = m.session.one("SELECT insight_predict('m', NULL::jsonb)");
    assert_eq!(nothing, None);
    let nobody: Option<f64> = m.session.one("SELECT insight_predict(NULL, '{}'::jsonb)");
    assert_eq!(nobody, None);
    let blank: f64 = m.session.one("SELECT insight_predict('m', '{}'::jsonb)");
    assert!((0.0..=1.0).contains(&blank));
}
