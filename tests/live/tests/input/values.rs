//! Odd values in features: they train, and predict finite numbers.

use live::*;

#[test]
fn missing_infinite_and_nan_values_train_and_predict() {
    let db = shared().database();
    let mut m = Served::new(&db);
    // Before 14 decimal numbers have no infinity.
    let far = match m.session.version() {
        ..14 => "1e300",
        _ => "Infinity",
    };
    m.session.exec(&format!(
        "CREATE TABLE odd AS
           SELECT i % 100 AS x, NULL::float8 AS never,
                  CASE i % 5 WHEN 0 THEN 'Infinity' WHEN 1 THEN '-Infinity' WHEN 2 THEN 'NaN' WHEN 3 THEN i / 7.0::float8 END AS float,
                  CASE i % 5 WHEN 0 THEN '{far}' WHEN 1 THEN '-{far}' WHEN 2 THEN 'NaN' WHEN 3 THEN i / 7.0 END::numeric AS number,
                  CASE i % 4 WHEN 0 THEN 1e300 WHEN 1 THEN -1e300 WHEN 2 THEN 1e-300 END AS huge,
                  CASE i % 4 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN date '2024-01-01' + i END::date AS day,
                  CASE i % 4 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN timestamptz '2024-01-01' + i * interval '1 hour' END::timestamptz AS moment,
                  CASE i % 3 WHEN 0 THEN '' WHEN 1 THEN repeat('long ', 10000) END AS word,
                  CASE i % 3 WHEN 0 THEN NULL ELSE i % 2 = 0 END AS flag,
                  i % 100 > 40 AS y
           FROM generate_series(1, 600) i",
    ));
    m.session.notices();
    m.session
        .exec("SELECT insight_train('odd', 'y', 'odd', '{\"epochs\": 30, \"learning_rate\": 0.01, \"dropout\": 0}')");
    let notices = m.session.notices();
    assert!(
        notices
            .iter()
            .any(|n| n.contains("\"never\"") && n.contains("no value")),
        "{notices:?}"
    );
    let auc: f64 = m
        .session
        .one("SELECT value FROM insight.metrics WHERE model = 'odd' AND metric = 'roc_auc'");
    assert!(
        auc > 0.9,
        "x alone decides; the other columns must not hide it: {auc}"
    );
    let wrong: i64 = m.session.one(
        "SELECT count(*) FROM odd o WHERE insight_predict('odd', o) BETWEEN 0 AND 1 IS NOT TRUE",
    );
    assert_eq!(wrong, 0, "every row gets a probability");
    let rows: Vec<String> = m.session.all(
        "SELECT to_jsonb(o)::text FROM odd o
         WHERE insight_predict('odd', o) IS DISTINCT FROM insight_predict('odd', to_jsonb(o)) LIMIT 5",
    );
    let rows: Vec<&str> = rows.iter().map(|r| &r[..r.len().min(300)]).collect();
    assert!(rows.is_empty(), "rows and jsonb differ: {rows:#?}");
    m.check();
}

/// A feature whose every test value is out of what training saw still gives a probability.
#[test]
fn values_far_outside_of_training_predict() {
    let db = shared().database();
    let mut m = Served::new(&db);
    for row in [
        r#"{"age": 1e308, "income": -1e308, "monthly_fee": 1e308}"#,
        r#"{"age": "Infinity", "income": "-Infinity", "monthly_fee": "NaN"}"#,
        r#"{"contract": "never heard of", "plan": ""}"#,
        r#"{"signup_date": "infinity"}"#,
        r#"{"signup_date": "4714-11-24 BC"}"#,
        r#"{"signup_date": "5874897-12-31"}"#,
        r#"{"signup_date": "-infinity"}"#,
    ] {
        let risk: f64 = m
            .session
            .one(&format!("SELECT insight_predict('m', '{row}'::jsonb)"));
        assert!((0.0..=1.0).contains(&risk), "{row} gives {risk}");
    }
    let risk: f64 = m
        .session
        .one("SELECT insight_predict('m', c) FROM (SELECT age, income, tenure_months, contract, plan, monthly_fee, support_tickets,
               last_login_days, satisfaction, date '5874897-12-31' AS signup_date FROM customers WHERE id = 1) c");
    assert!((0.0..=1.0).contains(&risk), "{risk}");
    m.check();
}

#[test]
fn sixteen_hundred_columns_train_and_predict() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "DO $$
         DECLARE columns text; vals text;
         BEGIN
           SELECT string_agg('c' || n || ' real', ', '), string_agg('(i * ' || n || ') % 97', ', ')
             INTO columns, vals FROM generate_series(1, 1599) n;
           EXECUTE 'CREATE TABLE wide (' || columns || ', y boolean)';
           EXECUTE 'INSERT INTO wide SELECT ' || vals || ', i % 97 > 40 FROM generate_series(1, 200) i';
         END $$",
    );
    let columns: i64 = m
        .session
        .one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 0");
    assert_eq!(columns, 1600);
    m.session.exec(&format!(
        "SELECT insight_train('wide', 'y', 'wide', '{FAST}')"
    ));
    let features: i32 = m
        .session
        .one("SELECT jsonb_array_length(features) FROM insight.versions WHERE model = 'wide'");
    assert!(features > 1500, "{features}");
    let differences: i64 = m.session.one(
        "SELECT count(*) FROM (SELECT insight_predict('wide', w) AS row, insight_predict('wide', to_jsonb(w)) AS json FROM wide w LIMIT 20) p
         WHERE row IS DISTINCT FROM json OR row BETWEEN 0 AND 1 IS NOT TRUE",
    );
    assert_eq!(differences, 0);
    let scored: i64 = m
        .session
        .one("SELECT count(prediction) FROM insight_predict_table('wide', 'wide')");
    assert_eq!(scored, 200);
    m.check();
}
