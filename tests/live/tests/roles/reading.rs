//! Training reads what the calling role may read: tables, columns, rows.

use super::roles;
use live::*;

#[test]
fn a_table_without_select_is_refused_and_the_hint_helps() {
    let db = shared().database();
    let mut m = Served::new(&db);
    // A name that must be quoted in the hint's statement.
    let role = format!("{} it's \"Ann\"", db.name);
    m.session
        .exec(&format!("CREATE ROLE {} LOGIN", identifier(&role)));
    m.session.exec(
        "CREATE SCHEMA \"a b\"; CREATE TABLE \"a b\".\"c;d\" AS SELECT * FROM customers;
         GRANT USAGE ON SCHEMA \"a b\" TO PUBLIC",
    );
    let mut ann = db.session_of(&role);
    let call = "SELECT insight_train('\"a b\".\"c;d\"', 'churn', 'hers')";
    let error = ann.fails_with("42501", call);
    let hint = error.hint().unwrap_or_default();
    let (_, grant) = hint.split_once(": ").unwrap();
    m.session.exec(grant);
    ann.exec(call);
    let owner: String = m
        .session
        .one("SELECT owner::text FROM insight.models WHERE model = 'hers'");
    assert_eq!(owner, role);
    // A query over it is checked where it is run.
    m.session.exec(&format!(
        "REVOKE SELECT ON \"a b\".\"c;d\" FROM {}",
        identifier(&role)
    ));
    for wait in ["true", "false"] {
        let call = format!(
            "SELECT job FROM insight_train('SELECT * FROM \"a b\".\"c;d\"', 'churn', 'hers', '{{\"wait\": {wait}}}')"
        );
        if wait == "true" {
            ann.fails_with("42501", &call);
        } else {
            let job: i64 = ann.one(&call);
            assert_eq!(
                ann.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
                "failed"
            );
            let code: String = ann.one(&format!(
                "SELECT sqlstate FROM insight.jobs WHERE job = {job}"
            ));
            assert_eq!(code, "42501");
        }
    }
    ann.fails_with(
        "42501",
        "SELECT insight_predict_table('m', '\"a b\".\"c;d\"')",
    );
    ann.fails_with("42501", "SELECT insight_evaluate('m', '\"a b\".\"c;d\"')");
    m.check();
}

#[test]
fn a_column_without_select_is_refused_and_the_rest_trains() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    m.session.exec(&format!(
        "ALTER TABLE customers RENAME income TO \"in \"\"come\"\"'s\";
         GRANT SELECT (id, age, tenure_months, contract, plan, churn) ON customers TO {ann}"
    ));
    let mut a = db.session_of(&ann);
    let error = a.fails_with(
        "42501",
        "SELECT insight_train('customers', 'churn', 'hers')",
    );
    assert!(
        error.message().contains("\"in \"come\"'s\""),
        "{}",
        error.message()
    );
    assert!(!error.message().contains("\"age\""), "{}", error.message());
    let hint = error.hint().unwrap_or_default();
    let start = hint.find("options => ").unwrap();
    let end = hint.find("}'").unwrap() + 2;
    let options = &hint[start..end];
    let status: String = a.one(&format!(
        "SELECT status FROM insight_train('customers', 'churn', 'hers', {options})"
    ));
    assert_eq!(status, "succeeded");
    let features: String = a.one(
        "SELECT string_agg(f->>'name', ' ' ORDER BY 1) FROM insight.versions, jsonb_array_elements(features) f WHERE model = 'hers'",
    );
    assert!(
        !features.contains("come") && features.contains("age"),
        "{features}"
    );
    let rows: i64 = a.one(
        "SELECT count(insight_predict('hers', jsonb_build_object('age', age, 'plan', plan, 'contract', contract))) FROM customers",
    );
    assert_eq!(rows, 1000);
    let table: i64 =
        a.one("SELECT count(prediction) FROM insight_predict_table('hers', 'customers', 'id')");
    assert_eq!(table, 1000);
    let status: String = a.one(
        "SELECT status FROM insight_train('customers', 'churn', 'hers', '{\"include\": [\"age\", \"plan\"]}')",
    );
    assert_eq!(status, "succeeded");
    a.fails_with(
        "42501",
        "SELECT insight_train('customers', 'monthly_fee', 'hers', '{\"include\": [\"age\"]}')",
    );
}

/// The SQL of related tables names no column that no feature needs.
#[test]
fn columns_alone_suffice_for_related_tables() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    m.session.exec(&format!(
        "CREATE TABLE orders AS SELECT i % 1000 AS customer, date '2024-01-01' + i % 90 AS at, i % 7 AS amount, 'private' AS note,
           i % 3 = 0 AS gift FROM generate_series(1, 5000) i;
         CREATE TABLE homes AS SELECT id, id % 5 AS rooms, 'secret' AS street FROM customers;
         GRANT SELECT (customer, at, amount, gift) ON orders TO {ann};
         GRANT SELECT (id, rooms) ON homes TO {ann};
         GRANT SELECT (id, age, churn) ON customers TO {ann}"
    ));
    let mut a = db.session_of(&ann);
    let train = |orders: &str, others: &str| {
        format!(
            "SELECT status FROM insight_train('customers', 'churn', 'hers', '{FAST}'::jsonb || '{{\"key\": \"id\", \"as_of\": \"2024-03-01\",
               \"sources\": {{\"orders\": {{\"key\": \"customer\"{orders}}},
                             \"homes\": {{\"key\": \"id\", \"one_to_one\": true, \"exclude\": [\"street\"]}}}}{others}}}')"
        )
    };
    let exclude = ", \"exclude\": [\"note\"]";
    let error = a.fails_with("42501", &train("", ""));
    assert!(error.message().contains("\"note\""), "{}", error.message());
    let hint = error.hint().unwrap_or_default();
    assert!(
        hint.contains("\"orders\":{\"exclude\":[\"note\"]}"),
        "{hint}"
    );
    // Of the relation, too, only what is chosen is read.
    let error = a.fails_with("42501", &train(exclude, ""));
    assert!(
        error.message().contains("\"income\""),
        "{}",
        error.message()
    );
    let chosen =
        ", \"include\": [\"age\", \"orders.count\", \"orders.gift.share\", \"homes.rooms\"]";
    let status: String = a.one(&train(exclude, chosen));
    assert_eq!(status, "succeeded");
    // The amount is none of the model's features: nobody needs to read it any more.
    m.session
        .exec(&format!("REVOKE SELECT (amount) ON orders FROM {ann}"));
    let table: i64 =
        a.one("SELECT count(prediction) FROM insight_predict_table('hers', 'customers', 'id')");
    assert_eq!(table, 1000);
    let same: i64 = a.one(
        "SELECT count(*) FROM insight_predict_table('hers', 'customers', 'id') t JOIN (SELECT id, age FROM customers) c ON c.id::text = t.key
         WHERE abs(insight_predict('hers', c) - t.prediction) < 1e-9",
    );
    assert_eq!(same, 1000);
    let scored: f64 =
        a.one("SELECT value FROM insight_evaluate('hers', 'customers') WHERE metric = 'roc_auc'");
    assert!((0.0..=1.0).contains(&scored));
    m.session
        .exec(&format!("REVOKE SELECT (gift) ON orders FROM {ann}"));
    a.fails_with(
        "42501",
        "SELECT insight_predict('hers', '{\"id\": 7, \"age\": 30}')",
    );
}

/// A model trained under row-level security has counted the reader's rows alone.
#[test]
fn row_level_security_decides_what_is_read() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann, bob] = roles(&db, &mut m.session, ["ann", "bob"]);
    let as_caller = m.session.as_caller();
    m.session.exec(&format!(
        "CREATE TABLE sales AS
           SELECT i % 60 AS x, CASE WHEN i % 4 = 0 THEN '{ann}' ELSE '{bob}' END AS seller, i % 2 AS tenant, i % 60 > 30 AS y
           FROM generate_series(1, 800) i;
         GRANT SELECT ON sales TO {ann}, {bob};
         ALTER TABLE sales ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON sales USING (seller = current_user);
         CREATE VIEW all_sales AS SELECT * FROM sales;
         CREATE VIEW own_sales {as_caller} AS SELECT * FROM sales;
         GRANT SELECT ON all_sales, own_sales TO {ann}, {bob}"
    ));
    for (role, own) in [(&ann, 200), (&bob, 600)] {
        let mut s = db.session_of(role);
        for (relation, rows) in [
            ("sales", own),
            ("SELECT * FROM sales", own),
            ("own_sales", if as_caller.is_empty() { 800 } else { own }),
            // The view's owner may see everything and shows it.
            ("all_sales", 800),
        ] {
            let trained: i64 = s.one(&format!(
                "SELECT rows FROM insight_train('{relation}', 'y', '{role}', '{FAST}')"
            ));
            assert_eq!(trained, rows, "{relation} as {role}");
            let job: i64 = s.one(&format!(
                "SELECT job FROM insight_train('{relation}', 'y', '{role}', '{FAST}'::jsonb || '{{\"wait\": false}}')"
            ));
            s.exec(&format!("SELECT insight_wait({job}, 60)"));
            let trained: i64 = s.one(&format!(
                "SELECT v.rows FROM insight.versions v JOIN insight.jobs j USING (job) WHERE job = {job}"
            ));
            assert_eq!(trained, rows, "{relation} as {role}, queued");
            let scored: i64 = s.one(&format!(
                "SELECT count(*) FROM insight_predict_table('{role}', '{relation}')"
            ));
            assert_eq!(scored, rows);
        }
        s.exec("SET row_security = off");
        s.fails_with(
            "42501",
            &format!("SELECT insight_train('sales', 'y', '{role}')"),
        );
        s.exec("RESET row_security");
    }
    // The superuser sees all, and as somebody else what that one sees.
    let all: i64 = m.session.one(&format!(
        "SELECT rows FROM insight_train('sales', 'y', 'all', '{FAST}')"
    ));
    assert_eq!(all, 800);
    m.session.exec(&format!("SET ROLE {ann}"));
    let own: i64 = m.session.one(&format!(
        "SELECT rows FROM insight_train('sales', 'y', '{ann}', '{FAST}')"
    ));
    assert_eq!(own, 200);
    m.session.exec("RESET ROLE");
    m.check();
}

/// Policies may ask for settings of the session, and so may views.
#[test]
fn policies_see_the_settings_of_the_callers_session() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    m.session.exec(&format!(
        "CREATE TABLE sales AS SELECT i % 60 AS x, i % 4 AS tenant, i % 60 > 30 AS y FROM generate_series(1, 800) i;
         GRANT SELECT ON sales TO {ann};
         ALTER TABLE sales ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON sales USING (tenant = current_setting('app.tenant')::int)"
    ));
    let mut s = db.session_of(&ann);
    s.fails_with("42704", "SELECT insight_train('sales', 'y', 'hers')");
    // Behind others, of which one has a name that is not of ASCII.
    s.exec("SET \"aö\".x = '1'; SET app.tenant = '3'");
    let rows: i64 = s.one(&format!(
        "SELECT rows FROM insight_train('sales', 'y', 'hers', '{FAST}')"
    ));
    assert_eq!(rows, 200);
    s.exec("BEGIN; SET LOCAL app.tenant = '9'");
    s.fails_with(
        "22023",
        &format!("SELECT rows FROM insight_train('sales', 'y', 'hers', '{FAST}')"),
    );
    s.exec("ROLLBACK");
    let job: i64 = s.one(&format!(
        "SELECT job FROM insight_train('sales', 'y', 'hers', '{FAST}'::jsonb || '{{\"wait\": false}}')"
    ));
    assert_eq!(
        s.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
        "succeeded"
    );
}

/// A role that may not log in trains through those that may become it.
#[test]
fn roles_that_cannot_log_in_train_through_set_role() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    let team = format!("{}_team", db.name);
    m.session.exec(&format!(
        "CREATE ROLE {team} NOLOGIN; ALTER ROLE {ann} NOINHERIT; GRANT {team} TO {ann};
         CREATE TABLE shared AS SELECT * FROM customers; GRANT SELECT ON shared TO {team}"
    ));
    let mut s = db.session_of(&ann);
    s.fails_with("42501", "SELECT insight_train('shared', 'churn', 'ours')");
    s.exec(&format!("SET ROLE {team}"));
    s.exec(&format!(
        "SELECT insight_train('shared', 'churn', 'ours', '{FAST}')"
    ));
    let job: i64 = s.one(&format!(
        "SELECT job FROM insight_train('shared', 'churn', 'ours', '{FAST}'::jsonb || '{{\"wait\": false}}')"
    ));
    assert_eq!(
        s.one::<String>(&format!("SELECT insight_wait({job}, 60)")),
        "succeeded"
    );
    let roles: Vec<String> =
        s.all("SELECT DISTINCT role::text || ' ' || session_role FROM insight.jobs");
    assert_eq!(roles, [format!("{team} {ann}")]);
    let owner: String = s.one("SELECT owner::text FROM insight.models WHERE model = 'ours'");
    assert_eq!(owner, team);
    s.exec("RESET ROLE");
    s.fails_with("42501", "SELECT insight_drop('ours')");
    // The superuser becomes it without a password; here the session's user itself may not log in.
    for become_it in [
        format!("SET ROLE {team}"),
        format!("SET SESSION AUTHORIZATION {team}"),
    ] {
        m.session.exec(&become_it);
        m.session.exec(&format!(
            "SELECT insight_train('shared', 'churn', 'ours', '{FAST}')"
        ));
        m.session.exec("RESET SESSION AUTHORIZATION; RESET ROLE");
    }
    m.check();
}

/// A function that runs as its owner trains as its owner.
#[test]
fn a_security_definer_function_trains_as_its_owner() {
    let db = shared().database();
    let mut m = Served::new(&db);
    let [ann] = roles(&db, &mut m.session, ["ann"]);
    m.session.exec(&format!(
        "CREATE FUNCTION train_for_me() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public AS
           $$ SELECT status FROM insight_train('customers', 'churn', 'm', '{FAST}') $$"
    ));
    let mut s = db.session_of(&ann);
    s.fails_with("42501", "SELECT insight_train('customers', 'churn', 'm')");
    assert_eq!(s.one::<String>("SELECT train_for_me()"), "succeeded");
    let owner: String = m.session.one("SELECT owner::text FROM insight.models");
    assert_eq!(owner, "postgres");
}
