//! Models on another cluster by logical replication: the subscriber predicts, the publisher trains.

use live::*;

/// What a model is; the rest of the catalog belongs to the cluster that trains.
const TABLES: &str = "insight.model, insight.version, insight.privilege, insight.metric, insight.epoch, insight.trial,
    insight.deployment";

const LINEAR: &str = r#"{"algorithm": "linear"}"#;

/// What a session sees of models, their versions and rights.
const SEEN: &str = "SELECT COALESCE((SELECT string_agg(v::text, ',' ORDER BY v::text) FROM insight.versions v), '')
    || COALESCE((SELECT string_agg(m::text, ',' ORDER BY m::text) FROM insight.models m), '')
    || COALESCE((SELECT string_agg(g::text, ',' ORDER BY g::text) FROM insight.grants g), '')
    || (SELECT count(*) FROM insight.deployments)::text";

const SUM: &str = "SELECT sum(insight_predict('m', c)) FROM customers c";

#[track_caller]
fn train(s: &mut Session, options: &str) {
    s.exec(&format!(
        "SELECT insight_train('customers', 'churn', 'm', '{options}')"
    ));
}

/// A cluster that publishes, with a role that carries, and one that subscribes, both with the same customers.
struct Pair {
    publisher: Cluster,
    subscriber: Cluster,
}

impl Pair {
    fn start() -> Pair {
        Pair {
            publisher: Cluster::start("wal_level = logical\n"),
            subscriber: Cluster::start("wal_retrieve_retry_interval = '200ms'\n"),
        }
    }

    #[track_caller]
    fn publish(p: &mut Session) {
        customers(p, 1000);
        p.exec(&format!(
            "CREATE PUBLICATION insight_models FOR TABLE {TABLES};
             CREATE ROLE carrier LOGIN REPLICATION;
             ALTER ROLE carrier SET row_security = off;
             GRANT USAGE ON SCHEMA insight TO carrier;
             GRANT SELECT ON {TABLES} TO carrier"
        ));
    }

    #[track_caller]
    fn subscribe(&self, from: &Database, s: &mut Session, name: &str) {
        s.exec(&format!(
            "CREATE SUBSCRIPTION {name}
               CONNECTION 'host={} dbname={} user=carrier' PUBLICATION insight_models",
            self.publisher.dir().display(),
            from.name
        ));
    }
}

/// Waits until the subscriber shows what the publisher shows.
#[track_caller]
fn follow(p: &mut Session, s: &mut Session) {
    let seen: String = p.one(SEEN);
    wait_until("the models have arrived", 30, || {
        s.one::<String>(SEEN) == seen
    });
}

#[test]
fn a_subscriber_predicts_with_the_models_of_the_publisher() {
    let pair = Pair::start();
    let (here, there) = (pair.publisher.database(), pair.subscriber.database());
    let (mut p, mut s) = (here.session(), there.session());
    Pair::publish(&mut p);
    customers(&mut s, 1000);
    train(&mut p, LINEAR);

    // Rows of the catalog are guarded: a role that policies apply to copies nothing, and is told so.
    pair.subscribe(&here, &mut s, "models");
    wait_until("the first copy is refused", 20, || {
        pair.subscriber
            .log()
            .contains("query would be affected by row-level security policy")
    });
    assert_eq!(s.one::<i64>("SELECT count(*) FROM insight.version"), 0);
    p.exec("ALTER ROLE carrier BYPASSRLS");
    follow(&mut p, &mut s);
    wait_until("the copy is complete", 30, || {
        s.one("SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel")
    });
    for query in [
        SUM,
        "SELECT sum(insight_predict('m@1', to_jsonb(c)::text)) FROM customers c",
        "SELECT sum(prediction) FROM insight_predict_table('m', 'customers')",
        "SELECT sum(contribution) FROM customers c, insight_explain('m', c) WHERE id < 10",
        "SELECT sum(importance) FROM insight_importance('m')",
        "SELECT sum(value) FROM insight_evaluate('m')",
        "SELECT sum(value) FROM insight_evaluate('m', 'customers')",
        "SELECT sum(psi) FROM insight_drift('m', 'customers')",
        "SELECT sum(validation_loss) FROM insight.history",
    ] {
        let of_publisher: Option<f64> = p.one(query);
        assert_eq!(of_publisher, s.one::<Option<f64>>(query), "{query}");
    }
    for query in [
        "SELECT insight_report('m')",
        "SELECT insight_summary('m')",
        "SELECT string_agg(m::text, ',') FROM insight.metrics m",
        "SELECT string_agg(f::text, ',') FROM insight.features f",
    ] {
        assert_eq!(p.one::<String>(query), s.one::<String>(query), "{query}");
    }

    // The open session takes what the publisher deploys, rolls back, grants and drops.
    let first: f64 = s.one(SUM);
    train(&mut p, r#"{"algorithm": "gbdt"}"#);
    follow(&mut p, &mut s);
    let second: f64 = s.one(SUM);
    assert_ne!(first, second);
    assert_eq!(p.one::<f64>(SUM), second);
    p.exec("SELECT insight_rollback('m')");
    follow(&mut p, &mut s);
    assert_eq!(s.one::<f64>(SUM), first);
    for session in [&mut p, &mut s] {
        session.exec("CREATE ROLE reader LOGIN; GRANT SELECT ON customers TO reader");
    }
    let mut reader = there.session_of("reader");
    reader.fails_with("42501", SUM);
    p.exec("SELECT insight_grant('m', 'reader')");
    follow(&mut p, &mut s);
    assert_eq!(reader.one::<f64>(SUM), first);

    // Jobs, audit, kept predictions, secrets and fingerprints stay where they are.
    train(&mut p, r#"{"algorithm": "linear", "key": "id"}"#);
    follow(&mut p, &mut s);
    let known = "SELECT contained FROM insight_contains('m', '7') WHERE version = 3";
    assert_eq!(p.one::<Option<bool>>(known), Some(true));
    assert_eq!(s.one::<Option<bool>>(known), None);
    for table in ["job", "audit_entry", "salt", "fingerprint", "prediction"] {
        let rows: i64 = s.one(&format!("SELECT count(*) FROM insight.{table}"));
        assert_eq!(rows, 0, "{table}");
    }
    p.exec("SELECT insight_drop('m')");
    follow(&mut p, &mut s);
    reader.fails_with("42704", SUM);
    s.exec("DROP SUBSCRIPTION models");
    assert_eq!(
        (pair.publisher.restarts(), pair.subscriber.restarts()),
        (0, 0)
    );
}

/// A subscriber that trains, too, takes numbers far from the publisher's, and other names.
#[test]
fn a_subscriber_that_trains_needs_numbers_of_its_own() {
    let pair = Pair::start();
    let (here, there) = (pair.publisher.database(), pair.subscriber.database());
    let (mut p, mut s) = (here.session(), there.session());
    Pair::publish(&mut p);
    p.exec("ALTER ROLE carrier BYPASSRLS");
    customers(&mut s, 1000);
    train(&mut p, LINEAR);
    pair.subscribe(&here, &mut s, "models");
    follow(&mut p, &mut s);
    let own = format!("SELECT insight_train('customers', 'churn', 'own', '{LINEAR}')");
    s.fails_with("23505", &own);
    s.exec(
        "ALTER TABLE insight.model ALTER COLUMN id RESTART WITH 1000000000;
         ALTER TABLE insight.version ALTER COLUMN id RESTART WITH 1000000000;
         ALTER TABLE insight.deployment ALTER COLUMN deployment RESTART WITH 1000000000;
         ALTER TABLE insight.job ALTER COLUMN job RESTART WITH 1000000000",
    );
    s.exec(&own);
    train(&mut p, LINEAR);
    wait_until("the next version has arrived", 30, || {
        s.one::<i64>("SELECT count(*) FROM insight.versions WHERE model = 'm'") == 2
    });
    assert_eq!(p.one::<f64>(SUM), s.one::<f64>(SUM));
    // Jobs are the subscriber's own: none has a version that came from elsewhere.
    assert_eq!(
        s.one::<i64>(
            "SELECT count(*) FROM insight.jobs WHERE version IS NOT NULL AND job >= 1000000000"
        ),
        1
    );

    // The same name on both sides stops everything until one of them goes.
    p.exec(&own);
    wait_until("the subscription has failed", 30, || {
        pair.subscriber
            .log()
            .contains("duplicate key value violates unique constraint")
    });
    s.exec("SELECT insight_drop('own')");
    follow(&mut p, &mut s);
    s.exec("DROP SUBSCRIPTION models");
}
