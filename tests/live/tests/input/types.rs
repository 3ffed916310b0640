//! Every supported type of column trains, and predicts the same for a row, ROW and jsonb.

use live::*;

const COLUMNS: &[(&str, &str)] = &[
    ("small", "(i % 7)::int2"),
    ("whole", "(i * 7919) % 1000"),
    ("big", "i::int8 * 3000000001 % 9007199254740993"),
    ("single", "(i % 13 / 10.0)::float4"),
    ("double", "sqrt(i)"),
    ("exact", "(i % 17)::numeric / 7"),
    ("price", "((i * 104729) % 1000)::numeric(9, 2) / 10"),
    ("flag", "i % 3 = 0"),
    ("word", "(ARRAY['red', 'green', '', 'it''s ☃'])[1 + i % 4]"),
    ("short", "(ARRAY['a', 'bb', 'ccc'])[1 + i % 3]::varchar(3)"),
    ("padded", "(ARRAY['x', 'yy', 'zzzz'])[1 + i % 3]::char(4)"),
    ("mood", "(ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood"),
    ("many", "'level ' || (i * 31) % 150"),
    ("day", "date '2020-02-28' + (i * 37) % 1000"),
    (
        "hour",
        "time '00:00:01.5' + (i % 1400) * interval '1 minute'",
    ),
    (
        "local",
        "timestamp '2021-01-01 12:00' + (i * 61) % 5000 * interval '1 hour'",
    ),
    (
        "moment",
        "timestamptz '2021-01-01 12:00+00' + (i * 61) % 5000 * interval '1 hour'",
    ),
    ("span", "(i % 40) * interval '1 month 2 days 03:04:05.6'"),
    (
        "uuid",
        "('00000000-0000-0000-0000-00000000000' || i % 8)::uuid",
    ),
    ("age", "(18 + i % 60)::age"),
    ("code", "(ARRAY['k', 'l'])[1 + i % 2]::code"),
    ("label", "(ARRAY['p', 'q'])[1 + i % 2]::label"),
    (
        "instant",
        "(timestamptz '2021-01-01 12:00+00' + (i * 61) % 500 * interval '1 hour')::instant",
    ),
    ("nested", "(1 + i % 9)::old"),
];

/// `types` has a column of every type, some of its values NULL, and a target `y`.
#[track_caller]
fn create(session: &mut Session) {
    session.exec(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
         CREATE DOMAIN age AS integer CHECK (VALUE > 0);
         CREATE DOMAIN old AS age;
         CREATE DOMAIN code AS char(3);
         CREATE DOMAIN label AS text;
         CREATE DOMAIN instant AS timestamptz",
    );
    let columns: Vec<String> = COLUMNS
        .iter()
        .zip(3..)
        .map(|((name, value), n)| format!("CASE WHEN i % {} > 0 THEN {value} END AS {name}", n * 3))
        .collect();
    session.exec(&format!(
        "CREATE TABLE types AS SELECT {}, (i * 7919) % 1000 > 400 AS y FROM generate_series(1, 500) i",
        columns.join(", ")
    ));
}

#[test]
fn every_type_predicts_the_same_as_row_and_json() {
    let db = shared().database();
    let mut s = db.session();
    create(&mut s);
    let all: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    // Alone, so that a difference cannot hide; `include` keeps what would be left out as an identifier.
    let mut failures = Vec::new();
    let alone: Vec<Vec<&str>> = all.iter().map(|name| vec![*name]).collect();
    for names in alone.iter().chain([&all]) {
        let options = format!(
            r#"{{"algorithm": "mlp", "epochs": 2, "hidden": [8], "include": {}}}"#,
            serde_json::to_string(names).unwrap()
        );
        s.exec(&format!(
            "SELECT insight_train('types', 'y', 't', '{options}')"
        ));
        let features: i32 =
            s.one("SELECT jsonb_array_length(v.features) FROM insight.versions v WHERE v.model = 't' AND v.deployed");
        assert_eq!(features as usize, names.len(), "{names:?}");
        let values: Vec<String> = names.iter().map(|n| format!("t.{n}")).collect();
        for (form, value) in [
            ("ROW", format!("ROW({})", values.join(", "))),
            ("jsonb", "to_jsonb(t)".into()),
            ("text", "to_jsonb(t)::text".into()),
        ] {
            let differences: Vec<String> = s.all(&format!(
                "SELECT to_jsonb(t)::text FROM types t WHERE insight_predict('t', t) IS DISTINCT FROM insight_predict('t', {value}) LIMIT 1"
            ));
            if let Some(row) = differences.first() {
                failures.push(format!("{names:?} as {form}: {row}"));
            }
        }
        let table: i64 = s.one(
            "SELECT count(*) FROM (SELECT insight_predict('t', t) p, row_number() OVER () n FROM types t) a
             JOIN (SELECT prediction p, row_number() OVER () n FROM insight_predict_table('t', 'types')) b USING (n)
             WHERE a.p IS DISTINCT FROM b.p",
        );
        if table > 0 {
            failures.push(format!("{names:?} as table: {table} rows"));
        }
        let different: i64 = s.one("SELECT count(DISTINCT insight_predict('t', t)) FROM types t");
        assert!(different > 1, "{names:?} changes no prediction");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// How the session shows dates, intervals and zones changes nothing.
#[test]
fn session_settings_change_no_prediction() {
    let db = shared().database();
    let mut s = db.session();
    create(&mut s);
    let options = r#"{"algorithm": "mlp", "epochs": 2, "hidden": [8], "include": ["day", "hour", "local", "moment", "span", "instant", "double"]}"#;
    s.exec(&format!(
        "SELECT insight_train('types', 'y', 't', '{options}')"
    ));
    let sum = "SELECT sum(insight_predict('t', t)) FROM types t";
    let before: f64 = s.one(sum);
    let fingerprint = "SELECT provenance->>'data_fingerprint' FROM insight.versions WHERE deployed";
    let data: String = s.one(fingerprint);
    s.exec(
        "SET timezone = 'Asia/Kathmandu'; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'sql_standard';
         SET extra_float_digits = -10; SET bytea_output = 'escape'; SET lc_numeric = 'C'; SET standard_conforming_strings = off",
    );
    assert_eq!(s.one::<f64>(sum), before);
    s.exec(&format!(
        "SELECT insight_train('types', 'y', 't', '{options}')"
    ));
    assert_eq!(
        s.one::<String>(fingerprint),
        data,
        "the worker reads the same values"
    );
    assert_eq!(s.one::<f64>(sum), before);
    // With so few digits a double's JSON would be another number.
    s.exec("RESET extra_float_digits");
    let json: i64 = s.one(
        "SELECT count(*) FROM types t WHERE insight_predict('t', t) IS DISTINCT FROM insight_predict('t', to_jsonb(t))",
    );
    assert_eq!(json, 0);
}

/// Targets of every type that has classes or values; labels come back as they were written.
#[test]
fn labels_come_back_as_written() {
    let db = shared().database();
    let mut s = db.session();
    s.exec(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
         CREATE DOMAIN grade AS text;
         CREATE TABLE targets AS SELECT i % 60 AS x, i % 60 > 30 AS bool, (i % 60 > 30)::int AS int, (i % 3)::int2 AS few,
           (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood AS mood, (ARRAY['it''s', ' ☃ ', ''])[1 + i % 3] AS word,
           (ARRAY['a', 'bb'])[1 + i % 2]::char(5) AS padded, (ARRAY['A', 'B'])[1 + i % 2]::grade AS grade,
           (i % 60) / 7.0 AS number, (i % 60) * interval '1 hour' AS span
         FROM generate_series(1, 300) i",
    );
    for (target, task, labels) in [
        ("bool", "binary", Some("{false,true}")),
        ("int", "binary", Some("{0,1}")),
        ("few", "multiclass", Some("{0,1,2}")),
        ("mood", "multiclass", Some("{happy,ok,sad}")),
        ("word", "multiclass", Some("{\"\",\" ☃ \",it's}")),
        ("padded", "binary", Some("{a,bb}")),
        ("grade", "binary", Some("{A,B}")),
        ("number", "regression", None),
        ("span", "regression", None),
    ] {
        let inferred: String = s.one(&format!(
            "SELECT task FROM insight_train('SELECT x, {target} FROM targets', '{target}', 't', '{FAST}')"
        ));
        assert_eq!(inferred, task, "{target}");
        match labels {
            Some(labels) => {
                let known: String = s.one(
                    "SELECT array(SELECT l FROM jsonb_array_elements_text(labels) l ORDER BY l COLLATE \"C\")::text FROM insight.versions WHERE deployed",
                );
                assert_eq!(known, labels, "{target}");
                let unknown: i64 = s.one(
                    "SELECT count(*) FROM targets t, insight.versions v WHERE v.deployed AND NOT v.labels ? insight_classify('t', t)",
                );
                assert_eq!(unknown, 0, "{target}");
                let keys: i32 = s.one("SELECT (SELECT count(*) FROM jsonb_object_keys(insight_probabilities('t', t)))::int FROM targets t LIMIT 1");
                assert_eq!(keys as usize, labels.split(',').count());
            }
            None => {
                s.fails_with("22023", "SELECT insight_classify('t', t) FROM targets t");
                s.exec("SELECT insight_predict('t', t) FROM targets t");
            }
        }
        s.exec(&format!(
            "SELECT * FROM insight_evaluate('t', 'SELECT x, {target} FROM targets')"
        ));
    }
}
