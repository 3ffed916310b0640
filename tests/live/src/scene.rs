//! A training in progress, to be harmed, and what must be true afterwards.

use crate::cluster::Database;
use crate::data::{FAST, SLOW, customers};
use crate::process::{alive, children, wait_until};
use crate::session::{Call, Session};

/// The model `m` has a deployed version 1 and a second version is being trained.
pub struct Scene<'a> {
    pub database: &'a Database<'a>,
    /// An idle session of somebody else, opened before the training began.
    pub watcher: Session,
    /// The waiting call; `None` where nobody waits.
    pub call: Option<Call>,
    pub job: i64,
    /// The background worker's process.
    pub worker: i32,
    /// The forked trainer's process.
    pub trainer: i32,
    before: f64,
    restarts: usize,
}

const PREDICTION: &str =
    "SELECT sum(insight_predict('m', c)) FROM (SELECT * FROM customers WHERE id <= 100) c";

impl<'a> Scene<'a> {
    /// Somebody waits for the training.
    #[track_caller]
    pub fn waiting(database: &'a Database<'a>) -> Scene<'a> {
        Scene::start(database, true)
    }

    /// Nobody waits for the training.
    #[track_caller]
    pub fn queued(database: &'a Database<'a>) -> Scene<'a> {
        Scene::start(database, false)
    }

    #[track_caller]
    fn start(database: &'a Database<'a>, wait: bool) -> Scene<'a> {
        let mut watcher = database.session();
        customers(&mut watcher, 20_000);
        watcher.exec(&format!(
            "SELECT * FROM insight_train('customers', 'churn', 'm', '{FAST}')"
        ));
        let before = watcher.one(PREDICTION);
        let mut caller = database.session();
        let call = if wait {
            Some(caller.call(&format!(
                "SELECT * FROM insight_train('customers', 'churn', 'm', '{SLOW}')"
            )))
        } else {
            caller.exec(&format!(
                "SELECT insight_train('customers', 'churn', 'm', '{SLOW}'::jsonb || '{{\"wait\": false}}')"
            ));
            None
        };
        let (job, worker) = Scene::wait_for_epoch(&mut watcher, "m");
        let trainers = children(worker);
        assert_eq!(trainers.len(), 1, "the trainer is the worker's only child");
        Scene {
            database,
            watcher,
            call,
            job,
            worker,
            trainer: trainers[0],
            before,
            restarts: database.cluster.restarts(),
        }
    }

    /// Waits until a job of the model has finished an epoch; answers it and its worker.
    #[track_caller]
    pub fn wait_for_epoch(session: &mut Session, model: &str) -> (i64, i32) {
        let mut found = None;
        wait_until("an epoch is over", 60, || {
            let rows = session.rows(&format!(
                "SELECT job, pid FROM insight.progress WHERE epoch >= 1 AND model = '{model}'"
            ));
            found = rows.first().map(|row| (row.get(0), row.get(1)));
            found.is_some()
        });
        found.unwrap()
    }

    /// The status and SQLSTATE of the job.
    #[track_caller]
    pub fn outcome(&mut self) -> (String, Option<String>) {
        outcome(&mut self.watcher, self.job)
    }

    /// What must hold after a fault that is not the server's own: the job ended as said, its processes are gone, no other
    /// session noticed, and the deployed version answers as before.
    #[track_caller]
    pub fn check(&mut self, status: &str, sqlstate: &str) {
        let job = self.job;
        let pid: i32 = self.watcher.one("SELECT pg_backend_pid()");
        assert_eq!(pid, self.watcher.pid, "another session lost its backend");
        let (watcher, mut last) = (&mut self.watcher, String::new());
        wait_until("the job has ended", 15, || {
            last = outcome(watcher, job).0;
            last != "running"
        });
        assert_eq!(self.outcome(), (status.into(), Some(sqlstate.into())));
        self.check_stored();
        self.check_processes();
        assert_eq!(self.database.cluster.restarts(), self.restarts);
        self.check_deployed();
    }

    /// The row, not only the view, says how the job ended.
    #[track_caller]
    fn check_stored(&mut self) {
        let job = self.job;
        let error: Option<String> = self
            .watcher
            .one(&format!("SELECT error FROM insight.jobs WHERE job = {job}"));
        assert!(
            error.is_some_and(|e| !e.is_empty()),
            "the job has no error text"
        );
    }

    /// Neither the worker nor the trainer is left.
    #[track_caller]
    pub fn check_processes(&self) {
        let (worker, trainer) = (self.worker, self.trainer);
        wait_until("the trainer is gone", 5, || !alive(trainer));
        wait_until("the worker is gone", 10, || !alive(worker));
    }

    /// The version deployed before still serves, and no other was stored.
    #[track_caller]
    pub fn check_deployed(&mut self) {
        check_deployed(&mut self.watcher, self.before);
    }

    /// After a restart of the server: the job has ended, nothing is left of it, the deployed version answers as before and
    /// the next training works.
    #[track_caller]
    pub fn check_after_restart(&mut self) {
        self.check_processes();
        self.watcher = self.database.session();
        let (status, sqlstate) = self.outcome();
        assert_eq!(status, "failed");
        assert!(sqlstate.is_some(), "the job has no SQLSTATE");
        self.check_stored();
        self.check_deployed();
        self.watcher.exec(&format!(
            "SELECT insight_train('customers', 'churn', 'm', '{FAST}')"
        ));
        let version: i32 = self
            .watcher
            .one("SELECT version FROM insight.models WHERE model = 'm'");
        assert_eq!(version, 2);
        let stored: String = self.watcher.one(&format!(
            "SELECT status FROM insight.job WHERE job = {}",
            self.job
        ));
        assert_eq!(
            stored, "failed",
            "the next job makes the row of a dead one true"
        );
    }
}

#[track_caller]
fn outcome(session: &mut Session, job: i64) -> (String, Option<String>) {
    let rows = session.rows(&format!(
        "SELECT status, sqlstate FROM insight.jobs WHERE job = {job}"
    ));
    assert_eq!(rows.len(), 1, "job {job} must be known");
    (rows[0].get(0), rows[0].get(1))
}

#[track_caller]
fn check_deployed(session: &mut Session, before: f64) {
    let after: f64 = session.one(PREDICTION);
    assert_eq!(before, after, "the deployed version must answer as before");
    let versions: Vec<i32> =
        session.all("SELECT version FROM insight.versions WHERE model = 'm' AND deployed");
    assert_eq!(versions, [1]);
    let stored: i64 = session.one("SELECT count(*) FROM insight.versions WHERE model = 'm'");
    assert_eq!(stored, 1, "a version without a successful job was stored");
}
