//! What a hot standby answers as its primary does, and what it refuses.

use live::*;

/// Models of each kind, read in every way there is, answer on a standby what they answer on its primary.
#[test]
fn a_hot_standby_explains_profiles_and_reports() {
    let primary = Cluster::start("");
    let db = primary.database();
    let mut p = db.session();
    customers(&mut p, 1000);
    for call in [
        "ALTER TABLE customers ADD PRIMARY KEY (id)",
        "CREATE TABLE orders AS SELECT * FROM insight_sample_orders(500)",
        r#"SELECT insight_train('customers', 'churn', 'm', '{"algorithm": "linear", "key": "id", "sensitive": ["contract"]}')"#,
        r#"SELECT insight_train('customers', 'monthly_fee', 'fee', '{"algorithm": "gbdt"}')"#,
        r#"SELECT insight_train('SELECT age, monthly_fee, tenure_months FROM customers', NULL, 'groups',
             '{"algorithm": "kmeans", "k": 3}')"#,
        "SELECT insight_log('m', true, '{\"key\": \"id\"}')",
        "SELECT insight_predict_logged('m', c, id) FROM customers c",
        "SELECT insight_performance('m', 'customers')",
        "SELECT insight_grant('m', 'public', 'explain')",
        "SELECT insight_privacy_budget('customers', 10)",
    ] {
        p.exec(call);
    }
    let cluster = Cluster::standby_of(&primary);
    let mut s = cluster.connect(&db.name, "postgres");
    catch_up(&mut p, &mut s);
    for function in [
        "insight_importance('m')",
        "insight_dependence('m', 'age')",
        "insight_interactions('m')",
        "insight_rules('m')",
        "insight_coefficients('m')",
        "insight_recipe('m')",
        "insight_slices('m', 'plan', 'customers')",
        "insight_fairness('m', 'customers')",
        "insight_fairness('m')",
        "insight_precision_recall('m', 'customers')",
        "insight_drift('m', 'customers')",
        "insight_evaluate('fee', 'customers')",
        "insight_predict_table('fee', 'customers')",
        "insight_profile('customers', 'churn')",
        "insight_segment_profiles('groups')",
        "insight_contains('m', '7')",
        "insight_rfm('orders', 'customer_id', 'ordered_at', 'amount')",
        "insight_clv('orders', 'customer_id', 'ordered_at', 'amount')",
        "insight_clean(NULL::customers, relation => 'customers')",
        "insight_risk('customers', ARRAY['age', 'plan'])",
        "insight_find_pii('customers')",
        r#"insight_anonymize('customers', '{"k": 5, "quasi_identifiers": ["age", "plan"], "columns": {"id": "keep"}}', NULL::customers)"#,
        "insight.activity",
        "insight.alerts",
        "insight.audit",
        "insight.deployments",
        "insight.features",
        "insight.grants",
        "insight.leaks",
        "insight.logs",
        "insight.performance",
        "insight.predictions",
        "insight.privacy",
        "insight.privacy_ledger",
        "insight.rights",
        "insight.segments",
        "insight.trials",
    ] {
        let query = format!(
            "SELECT COALESCE(string_agg(f::text, ',' ORDER BY f::text), '') FROM {function} f"
        );
        let (of_primary, of_standby) = (p.one::<String>(&query), s.one::<String>(&query));
        // How much a session predicts, each counts for itself.
        if function != "insight.activity" {
            assert_eq!(of_primary, of_standby, "{function}");
        }
    }
    for query in [
        "SELECT string_agg(insight_interval('fee', c, 0.8)::text, ',' ORDER BY id) FROM customers c",
        "SELECT string_agg(e::text, ',' ORDER BY id) FROM customers c, insight_explain('m', c, 3) e WHERE id < 10",
        "SELECT string_agg(e::text, ',') FROM customers c, insight_counterfactual('m', c, 'false') e WHERE id = 3",
        "SELECT string_agg(insight_novelty('m', c)::text, ',' ORDER BY id) FROM customers c WHERE id < 10",
        "SELECT string_agg(insight_classify('groups', c), ',' ORDER BY id) FROM customers c",
        "SELECT insight_summary('m')",
        "SELECT insight_report('m')",
        "SELECT insight_report('m', 'customers')",
        "SELECT insight_report('fee')",
        "SELECT insight_plot('m', 'importance')",
        "SELECT md5(insight_export('m'))",
        "SELECT insight_predict_logged('m', c, id)::text FROM customers c WHERE id = 3",
    ] {
        assert_eq!(
            p.one::<Option<String>>(query),
            s.one::<Option<String>>(query),
            "{query}"
        );
    }
    for call in [
        "SELECT insight_train_on('gpu', 'customers', 'churn')",
        "SELECT insight_retrain('m')",
        "SELECT insight_retrain_if('m', 'drift > 0.2')",
        "SELECT insight_reproduce('m')",
        "SELECT insight_schedule('m', '@daily')",
        "SELECT insight_unschedule('m')",
        "SELECT insight_cross_validate('customers', 'churn')",
        "SELECT insight_segments('customers')",
        "SELECT insight_score('m', 'customers', 'scored')",
        "SELECT insight_log('m', false)",
        "SELECT insight_leak_test('m')",
        "SELECT insight_grant('m', 'public')",
        "SELECT insight_revoke('m', 'public')",
        "SELECT insight_forget('5')",
        "SELECT insight_import(insight_export('m'), 'copy')",
        "SELECT insight_privacy_budget('customers', 1)",
        "SELECT insight_rotate_key()",
        r#"SELECT insight_features('customers', '{"sources": {"orders": {"key": "customer_id"}}, "key": "id", "as_of": "2025-06-30",
             "into": "prepared"}')"#,
        // It notes what it spends.
        "SET statement_timeout = '10s'; SELECT insight_private_profile('customers')",
    ] {
        let (setting, call) = call.split_once("; ").unwrap_or(("", call));
        s.exec(setting);
        let error = s.fails_with("25006", call);
        assert!(
            error.message().starts_with("cannot execute "),
            "{}",
            error.message()
        );
    }
    assert_eq!((primary.restarts(), cluster.restarts()), (0, 0));
}
