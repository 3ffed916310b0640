//! A deployed model and a session that must outlive whatever a test asks of them.

use crate::cluster::Database;
use crate::data::{FAST, customers};
use crate::session::Session;
use postgres::error::DbError;

/// The table `customers` and its model `m` with one deployed version.
pub struct Served<'a> {
    pub database: &'a Database<'a>,
    pub session: Session,
    before: f64,
}

const PREDICTION: &str = "SELECT sum(insight_predict('m', c)) FROM customers c WHERE id <= 100";

impl<'a> Served<'a> {
    #[track_caller]
    pub fn new(database: &'a Database<'a>) -> Served<'a> {
        let mut session = database.session();
        customers(&mut session, 1000);
        session.exec(&format!(
            "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
        ));
        let before = session.one(PREDICTION);
        Served {
            database,
            session,
            before,
        }
    }

    /// The statement fails with this SQLSTATE and a hint that holds `hint`; nothing is lost.
    #[track_caller]
    pub fn refuses(&mut self, sqlstate: &str, hint: &str, sql: &str) -> DbError {
        let error = self.session.fails_with(sqlstate, sql);
        let given = error.hint().unwrap_or_default();
        assert!(given.contains(hint), "{sql}\n{error}\nhint: {given}");
        self.check();
        error
    }

    /// The session lives, the deployed version answers as before, and every job has ended and says how.
    #[track_caller]
    pub fn check(&mut self) {
        let pid: i32 = self.session.one("SELECT pg_backend_pid()");
        assert_eq!(pid, self.session.pid, "the session lost its backend");
        let after: f64 = self.session.one(PREDICTION);
        assert_eq!(
            self.before, after,
            "the deployed version must answer as before"
        );
        let unclear: Vec<i64> = self.session.all(
            "SELECT job FROM insight.jobs WHERE status IN ('queued', 'running')
               OR status IN ('failed', 'cancelled') AND (error IS NULL OR sqlstate IS NULL)",
        );
        assert!(
            unclear.is_empty(),
            "jobs {unclear:?} have no true final state"
        );
        assert_eq!(self.database.cluster.restarts(), 0);
    }

    /// Status, SQLSTATE and error of the last job.
    #[track_caller]
    pub fn last_job(&mut self) -> (String, Option<String>, Option<String>) {
        let row = &self
            .session
            .rows("SELECT status, sqlstate, error FROM insight.jobs ORDER BY job DESC LIMIT 1")[0];
        (row.get(0), row.get(1), row.get(2))
    }
}
