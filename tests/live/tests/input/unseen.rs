//! What a background worker cannot see or do: temporary tables, uncommitted rows, relations that raise errors,
//! read-only transactions.

use live::*;

#[test]
fn temporary_tables_are_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE TEMPORARY TABLE passing AS SELECT * FROM customers;
         CREATE VIEW over_passing AS SELECT * FROM passing",
    );
    for relation in [
        "passing",
        "pg_temp.passing",
        "over_passing",
        "SELECT * FROM customers UNION ALL SELECT * FROM passing",
        "WITH p AS (SELECT * FROM passing) SELECT * FROM p",
        "SELECT * FROM customers WHERE id IN (SELECT id FROM passing)",
    ] {
        for wait in ["true", "false"] {
            m.refuses(
                "0A000",
                "CREATE UNLOGGED TABLE",
                &format!("SELECT * FROM insight_train('{relation}', 'churn', 'm', '{{\"wait\": {wait}}}')"),
            );
        }
    }
    // Prediction happens in the session itself.
    let rows: i64 = m
        .session
        .one("SELECT count(insight_predict('m', p)) FROM passing p");
    let table: i64 = m
        .session
        .one("SELECT count(prediction) FROM insight_predict_table('m', 'passing')");
    assert_eq!((rows, table), (1000, 1000));
}

#[test]
fn uncommitted_rows_are_refused_and_committed_ones_train() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE TABLE whole (LIKE customers) PARTITION BY LIST (churn);
         CREATE TABLE churned PARTITION OF whole FOR VALUES IN (true);
         CREATE TABLE stayed PARTITION OF whole FOR VALUES IN (false);
         INSERT INTO whole SELECT * FROM customers;
         CREATE VIEW seen AS SELECT * FROM whole",
    );
    for (change, relation) in [
        ("CREATE TABLE fresh AS SELECT * FROM customers", "fresh"),
        (
            "INSERT INTO customers SELECT * FROM customers LIMIT 1",
            "customers",
        ),
        ("UPDATE customers SET age = 20 WHERE id = 1", "customers"),
        ("DELETE FROM customers WHERE id = 1", "customers"),
        ("TRUNCATE customers", "customers"),
        ("ALTER TABLE customers ADD extra integer", "customers"),
        ("UPDATE churned SET age = 20 WHERE id = 1", "whole"),
        ("UPDATE stayed SET age = 20 WHERE id = 1", "seen"),
        (
            "INSERT INTO customers SELECT * FROM customers LIMIT 1",
            "SELECT * FROM customers",
        ),
    ] {
        m.session.exec(&format!("BEGIN; {change}; SAVEPOINT here"));
        let error = m.session.fails_with(
            "55000",
            &format!("SELECT * FROM insight_train('{relation}', 'churn', 'm', '{FAST}')"),
        );
        assert!(
            error.hint().is_some_and(|h| h.contains("COMMIT")),
            "{change}"
        );
        m.session.exec("ROLLBACK");
        m.check();
    }
    m.session
        .exec("BEGIN; INSERT INTO whole SELECT * FROM customers; COMMIT");
    let rows: i64 = m.session.one(&format!(
        "SELECT rows FROM insight_train('seen', 'churn', 'seen', '{FAST}')"
    ));
    assert_eq!(rows, 2000);
}

/// The error of a view reaches the caller and the job's row as it was raised, from the middle of the rows.
#[test]
fn a_view_that_raises_in_the_middle_fails_the_job() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE VIEW divides AS SELECT c.*, 1 / (id - 900) AS quotient FROM customers c;
         CREATE FUNCTION picky(id bigint) RETURNS integer LANGUAGE plpgsql STABLE AS $$
         BEGIN
           IF id = 900 THEN
             RAISE EXCEPTION 'customer % is not for training', id
               USING DETAIL = 'He said so.', HINT = 'Ask him.';
           END IF;
           RETURN id % 5;
         END $$;
         CREATE VIEW objects AS SELECT c.*, picky(id) AS picked FROM customers c",
    );
    let error = m.refuses(
        "22012",
        "",
        "SELECT * FROM insight_train('divides', 'churn', 'm')",
    );
    assert_eq!(error.message(), "division by zero");
    let error = m.refuses(
        "P0001",
        "Ask him.",
        "SELECT * FROM insight_train('objects', 'churn', 'm')",
    );
    assert_eq!(error.message(), "customer 900 is not for training");
    assert_eq!(error.detail(), Some("He said so."));
    let job: i64 = m
        .session
        .one("SELECT job FROM insight_train('objects', 'churn', 'm', '{\"wait\": false}')");
    let ended: String = m.session.one(&format!("SELECT insight_wait({job}, 60)"));
    assert_eq!(ended, "failed");
    let row = &m.session.rows(&format!(
        "SELECT sqlstate, error, detail, hint FROM insight.jobs WHERE job = {job}"
    ))[0];
    assert_eq!(row.get::<_, &str>(0), "P0001");
    assert_eq!(row.get::<_, &str>(1), "customer 900 is not for training");
    assert_eq!(row.get::<_, &str>(2), "He said so.");
    assert_eq!(row.get::<_, &str>(3), "Ask him.");
    for call in [
        "insight_predict_table('m', 'objects')",
        "insight_evaluate('m', 'SELECT * FROM objects')",
    ] {
        // The column that raises is no feature of the model: it is not read.
        m.session.exec(&format!("SELECT * FROM {call}"));
    }
    m.refuses(
        "P0001",
        "Ask him.",
        "SELECT * FROM insight_predict_table('m', 'SELECT * FROM customers WHERE picky(id) >= 0')",
    );
}

/// Nothing a relation runs can write, in the worker's read-only transaction.
#[test]
fn a_relation_that_writes_is_refused() {
    let db = shared().database();
    let mut m = Served::new(&db);
    m.session.exec(
        "CREATE TABLE diary (entry text);
         CREATE FUNCTION writes(id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
         BEGIN
           BEGIN
             SET transaction_read_only = off;
           EXCEPTION WHEN OTHERS THEN NULL;
           END;
           INSERT INTO diary VALUES ('written');
           RETURN id;
         END $$;
         CREATE VIEW writer AS SELECT c.*, writes(id) % 3 AS w FROM customers c",
    );
    m.refuses(
        "25006",
        "",
        "SELECT * FROM insight_train('writer', 'churn', 'm')",
    );
    m.refuses(
        "0A000",
        "",
        "SELECT * FROM insight_train('WITH d AS (DELETE FROM customers RETURNING *) SELECT * FROM d', 'churn', 'm')",
    );
    m.refuses(
        "42P01",
        "",
        "SELECT * FROM insight_train('DELETE FROM customers RETURNING *', 'churn', 'm')",
    );
    let left: i64 = m
        .session
        .one("SELECT (SELECT count(*) FROM diary) * 1000000 + count(*) FROM customers");
    assert_eq!(left, 1000);
}

#[test]
fn read_only_transactions_predict_but_do_not_train() {
    let db = shared().database();
    let mut m = Served::new(&db);
    for begin in [
        "BEGIN READ ONLY",
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        "SET default_transaction_read_only = on; BEGIN",
    ] {
        for wait in ["true", "false"] {
            for part in begin.split("; ") {
                m.session.exec(part);
            }
            m.session.exec(
                "SELECT insight_predict('m', c), insight_classify('m', c) FROM customers c;
                 SELECT * FROM insight_predict_table('m', 'customers');
                 SELECT * FROM insight_evaluate('m', 'customers');
                 SELECT * FROM insight.models, insight.jobs",
            );
            m.session.fails_with(
                "25006",
                &format!("SELECT insight_train('customers', 'churn', 'm', '{{\"wait\": {wait}}}')"),
            );
            m.session
                .exec("ROLLBACK; RESET default_transaction_read_only");
            m.check();
        }
    }
    for call in ["insight_deploy('m', 1)", "insight_drop('m')"] {
        m.session.exec("BEGIN READ ONLY");
        m.session.fails_with("25006", &format!("SELECT {call}"));
        m.session.exec("ROLLBACK");
        m.check();
    }
}
