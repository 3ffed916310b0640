//! Names are names: whatever they hold, nothing in them is run, and they come back as they were given.

use live::*;

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "it's",
        "say \"so\"",
        "x'; DROP TABLE customers; --",
        "x\"; DROP TABLE customers; --",
        "'||(SELECT pg_sleep(100))||'",
        "a.b",
        "select",
        "Ünïcödé ☃ 客户 🦀",
        "UPPER lower",
        "$1 %s {} \\ \\' $$",
        "-- no comment",
        "/* nor this",
        "(SELECT 1)",
        "\u{202e}thgir",
        "null",
    ]
    .map(str::to_owned)
    .into();
    // 63 bytes: all that an identifier can hold.
    names.push("n".repeat(63));
    names.push(format!("{}é", "é".repeat(30)) + "x");
    names
}

#[test]
fn hostile_names_of_tables_columns_and_models_work() {
    let db = shared().database();
    let mut m = Served::new(&db);
    for name in names() {
        let (id, text) = (identifier(&name), literal(&name));
        let feature = identifier(&format!("f{name}").chars().take(30).collect::<String>());
        let s = &mut m.session;
        s.exec(&format!("CREATE SCHEMA {id}"));
        s.exec(&format!(
            "CREATE TABLE {id}.{id} AS SELECT i AS key, i % 50 AS {feature}, i % 50 > 20 AS {id} FROM generate_series(1, 200) i"
        ));
        let relation = literal(&format!("{id}.{id}"));
        let options = literal(&format!(
            r#"{{"epochs": 2, "hidden": [4], "include": [{}]}}"#,
            serde_json::to_string(&feature[1..feature.len() - 1].replace("\"\"", "\"")).unwrap()
        ));
        let row = &s.rows(&format!(
            "SELECT model, status, rows FROM insight_train({relation}, {text}, {text}, {options})"
        ))[0];
        assert_eq!(row.get::<_, &str>(0), name);
        assert_eq!(row.get::<_, &str>(1), "succeeded");
        assert_eq!(row.get::<_, i64>(2), 200);
        let job: i64 = s.one(&format!(
            "SELECT job FROM insight_train({relation}, {text}, {text}, {options}::jsonb || '{{\"wait\": false}}')"
        ));
        let ended: String = s.one(&format!("SELECT insight_wait({job}, 60)"));
        let error: Option<String> = s.one(&format!(
            "SELECT concat_ws(' ', sqlstate, error, detail) FROM insight.jobs WHERE job = {job}"
        ));
        assert_eq!(ended, "succeeded", "{name}: {error:?}");
        let differences: i64 = s.one(&format!(
            "SELECT count(*) FROM {id}.{id} t WHERE insight_predict({text}, t) IS DISTINCT FROM insight_predict({text}, to_jsonb(t))
               OR insight_predict({text}, t) IS NULL"
        ));
        assert_eq!(differences, 0, "{name}");
        let keys: Vec<String> = s.all(&format!(
            "SELECT key FROM insight_predict_table({text}, {relation}, {text}) GROUP BY 1 ORDER BY 1"
        ));
        assert_eq!(keys, ["false", "true"]);
        s.exec(&format!(
            "SELECT * FROM insight_evaluate({text}, {relation})"
        ));
        s.exec(&format!(
            "SELECT insight_rollback({text}); SELECT insight_deploy({text}, 2)"
        ));
        let row = &s.rows(&format!(
            "SELECT model, target, version FROM insight.models WHERE model = {text}"
        ))[0];
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, &str>(1)),
            (name.as_str(), name.as_str())
        );
        // The name alone, not quoted as SQL wants it, finds the table too, and errors show it as it is.
        s.exec(&format!("SET search_path = {id}, public"));
        if !name.contains('.') && !name.starts_with(['-', '/', '(']) {
            s.exec(&format!("SELECT * FROM insight_evaluate({text}, {text})"));
        }
        let error = s.fails_with(
            "42703",
            &format!(
                "SELECT insight_train({relation}, {})",
                literal(&format!("{name}?"))
            ),
        );
        assert!(error.message().contains(&name), "{}", error.message());
        s.exec("RESET search_path");
        // What was added since: tables that are made, kept predictions, files, segments, keys.
        let scores = format!("s{name}").chars().take(30).collect::<String>();
        let into = literal(&format!("{id}.{}", identifier(&scores)));
        let scored: i64 = s.one(&format!(
            "SELECT rows FROM insight_score({text}, {relation}, {into}, 'key')"
        ));
        assert_eq!(scored, 200, "{name}");
        s.exec(&format!(
            "SELECT insight_log({text}, true, '{{\"key\": \"key\"}}')"
        ));
        s.exec(&format!(
            "SELECT insight_predict_logged({text}, t, {text}) FROM {id}.{id} t WHERE key = 1"
        ));
        let kept: i64 = s.one(&format!(
            "SELECT count(*) FROM insight.predictions WHERE model = {text} AND key = {text}"
        ));
        assert_eq!(kept, 1, "{name}");
        s.exec(&format!("SELECT insight_log({text}, false)"));
        s.exec(&format!(
            "SELECT length(insight_report({text})), length(insight_summary({text}));
             SELECT * FROM insight_importance({text});
             SELECT * FROM insight_drift({text}, {relation});
             SELECT * FROM insight_segments({relation}, jsonb_build_object('name', 'segments', 'target', {text}, 'k', 2));
             SELECT insight_drop('segments');
             SELECT * FROM insight_import(insight_export({text}), {text});
             SELECT * FROM insight_contains({text}, {text});
             SELECT insight_train({relation}, {text}, 'keyed', '{{\"algorithm\": \"linear\"}}'::jsonb || jsonb_build_object('key', 'key'));
             SELECT * FROM insight_forget({text}, 'keyed');
             SELECT insight_drop('keyed')"
        ));
        let gone: i64 = s.one(&format!("SELECT insight_drop({text})"));
        assert_eq!(gone, 3);
        s.exec(&format!("DROP SCHEMA {id} CASCADE"));
    }
    m.check();
    let jobs: i64 = m
        .session
        .one("SELECT count(*) FROM insight.jobs WHERE status <> 'succeeded'");
    assert_eq!(jobs, 0);
}

/// The default name of a model is made from both names.
#[test]
fn the_default_name_is_one_that_can_be_used() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let long = "é".repeat(31);
    for (table, target) in [
        ("a@b", "c@d"),
        (long.as_str(), long.as_str()),
        ("x y", "it's"),
    ] {
        let s = &mut m.session;
        s.exec(&format!(
            "CREATE TABLE {0} AS SELECT i % 50 AS x, i % 50 > 20 AS {1} FROM generate_series(1, 100) i",
            identifier(table),
            identifier(target)
        ));
        let model: String = s.one(&format!(
            "SELECT model FROM insight_train({}, {}, options => '{FAST}')",
            literal(&identifier(table)),
            literal(target)
        ));
        assert_eq!(model, format!("{table}_{target}").replace('@', "_"));
        s.exec(&format!(
            "SELECT insight_predict({}, '{{}}'::jsonb)",
            literal(&model)
        ));
    }
    m.check();
}

#[test]
fn names_that_cannot_be_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let long = literal(&"n".repeat(201));
    for model in [
        "''",
        "'   '",
        "'a@b'",
        "'@'",
        "E'two\\nlines'",
        "E'\\x01'",
        long.as_str(),
    ] {
        m.refuses(
            "42602",
            "1 to 200 characters",
            &format!("SELECT insight_train('customers', 'churn', {model})"),
        );
    }
    for relation in [
        "customers x",
        "customers, customers",
        "\"customers",
        "a.b.c.d",
        "1",
        "customers; DROP TABLE customers",
        "--",
        "/*",
    ] {
        m.refuses(
            "42P01",
            "",
            &format!("SELECT insight_train({}, 'churn')", literal(relation)),
        );
    }
    for relation in [
        "SELECT 1; DROP TABLE customers",
        "(SELECT",
        "SELECT 1) AS a; DROP TABLE customers; --",
        "WITH x",
    ] {
        m.refuses(
            "42601",
            "",
            &format!("SELECT insight_train({}, 'churn')", literal(relation)),
        );
    }
    for call in [
        "insight_predict('m@1@1', '{}'::jsonb)",
        "insight_predict('m''; DROP TABLE customers; --', '{}'::jsonb)",
        "insight_deploy('m''; DROP TABLE customers; --', 1)",
        "insight_drop('%')",
        "insight_rollback('m''--')",
    ] {
        m.refuses("42704", "", &format!("SELECT {call}"));
    }
    m.refuses(
        "42703",
        "",
        "SELECT insight_predict_table('m', 'customers', 'id, age')",
    );
}
