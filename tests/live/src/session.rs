//! One client connection, and calls that wait on it in a thread.

use crate::process::wait_until;
use postgres::error::DbError;
use postgres::types::FromSqlOwned;
use postgres::{Client, Config, Error, NoTls, Row};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A connection to a cluster.
pub struct Session {
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
    /// The backend's process.
    pub pid: i32,
}

/// An error as a test report shows it.
pub fn describe(error: &Error) -> String {
    match error.as_db_error() {
        None => error.to_string(),
        Some(e) => format!(
            "{} {} (detail: {}; hint: {})",
            e.code().code(),
            e.message(),
            e.detail().unwrap_or("none"),
            e.hint().unwrap_or("none")
        ),
    }
}

impl Session {
    /// Connects through the socket folder; no statement may take longer than two minutes.
    pub fn connect(socket: &Path, database: &str, user: &str) -> Result<Session, Error> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = notices.clone();
        let mut client = Config::new()
            .host_path(socket)
            .dbname(database)
            .user(user)
            .options("-c statement_timeout=120s")
            .notice_callback(move |notice| {
                let mut sink = sink.lock().unwrap();
                sink.push(notice.message().to_owned());
                sink.extend(notice.detail().map(str::to_owned));
            })
            .connect(NoTls)?;
        let pid = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        Ok(Session {
            client,
            notices,
            pid,
        })
    }

    /// Runs statements as one simple query.
    #[track_caller]
    pub fn exec(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{sql}\n{}", describe(&error));
        }
    }

    /// The server's version, such as 15.
    #[track_caller]
    pub fn version(&mut self) -> i32 {
        self.one("SELECT current_setting('server_version_num')::integer / 10000")
    }

    /// What makes a view read as its caller; before 15 all read as their owners.
    #[track_caller]
    pub fn as_caller(&mut self) -> &'static str {
        match self.version() {
            ..15 => "",
            _ => "WITH (security_invoker)",
        }
    }

    /// Plans are parallel even where that does not pay.
    #[track_caller]
    pub fn force_parallel(&mut self) {
        self.exec(
            "SELECT set_config(name, 'on', false) FROM pg_settings
             WHERE name IN ('force_parallel_mode', 'debug_parallel_query')",
        );
    }

    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        match self.client.query(sql, &[]) {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}\n{}", describe(&error)),
        }
    }

    /// The first column of the only row.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&mut self, sql: &str) -> T {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: one row is expected");
        match rows[0].try_get(0) {
            Ok(value) => value,
            Err(error) => panic!("{sql}\n{error}"),
        }
    }

    /// The first column of every row.
    #[track_caller]
    pub fn all<T: FromSqlOwned>(&mut self, sql: &str) -> Vec<T> {
        self.rows(sql).iter().map(|row| row.get(0)).collect()
    }

    /// The error of a statement that must fail while the connection lives on.
    #[track_caller]
    pub fn fails(&mut self, sql: &str) -> DbError {
        match self.client.query(sql, &[]) {
            Ok(_) => panic!("{sql}\nan error is expected"),
            Err(error) => match error.as_db_error() {
                Some(db_error) => db_error.clone(),
                None => panic!("{sql}\n{error}"),
            },
        }
    }

    /// Fails with this SQLSTATE and answers the error; an internal error never counts as clear.
    #[track_caller]
    pub fn fails_with(&mut self, sqlstate: &str, sql: &str) -> DbError {
        let error = self.fails(sql);
        assert_eq!(error.code().code(), sqlstate, "{sql}\n{}", error.message());
        error
    }

    /// The notices since the last call.
    pub fn notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock().unwrap())
    }

    /// The payloads of notifications since the last call.
    #[track_caller]
    pub fn heard(&mut self) -> Vec<String> {
        use postgres::fallible_iterator::FallibleIterator;
        self.exec("SELECT 1");
        let mut notifications = self.client.notifications();
        let heard = notifications.iter().map(|n| Ok(n.payload().to_owned()));
        match heard.collect() {
            Ok(heard) => heard,
            Err(error) => panic!("{}", describe(&error)),
        }
    }

    /// Runs one statement in a thread.
    pub fn call(mut self, sql: &str) -> Call {
        let pid = self.pid;
        let sql = sql.to_owned();
        let thread = std::thread::spawn(move || {
            let result = self.client.query(&sql, &[]);
            (self, result)
        });
        Call { pid, thread }
    }

    pub fn is_closed(&mut self) -> bool {
        self.client.is_closed() || self.client.batch_execute("SELECT 1").is_err()
    }
}

/// Waits until the standby has replayed what the primary has written.
#[track_caller]
pub fn catch_up(primary: &mut Session, standby: &mut Session) {
    let written: String = primary.one("SELECT pg_current_wal_lsn()::text");
    wait_until("the standby has caught up", 60, || {
        standby.one::<bool>(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'"))
    });
}

/// A statement that runs in a thread.
pub struct Call {
    /// The backend's process.
    pub pid: i32,
    thread: JoinHandle<(Session, Result<Vec<Row>, Error>)>,
}

impl Call {
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the statement.
    #[track_caller]
    pub fn result(self) -> (Session, Result<Vec<Row>, Error>) {
        wait_until("the statement has ended", 100, || self.is_finished());
        match self.thread.join() {
            Ok(answer) => answer,
            Err(_) => panic!("the thread of the statement panicked"),
        }
    }

    #[track_caller]
    pub fn rows(self) -> (Session, Vec<Row>) {
        match self.result() {
            (session, Ok(rows)) => (session, rows),
            (_, Err(error)) => panic!("{}", describe(&error)),
        }
    }

    /// The error of a statement that must fail.
    #[track_caller]
    pub fn error(self) -> (Session, Error) {
        match self.result() {
            (session, Err(error)) => (session, error),
            _ => panic!("an error is expected"),
        }
    }

    /// The SQLSTATE of a statement that must fail, on a connection that must live on.
    #[track_caller]
    pub fn sqlstate(self) -> (Session, String) {
        let (mut session, error) = self.error();
        let Some(code) = error.code() else {
            panic!("the connection was lost: {error}")
        };
        let code = code.code().to_owned();
        let pid: i32 = session.one("SELECT pg_backend_pid()");
        assert_eq!(pid, session.pid);
        (session, code)
    }
}
