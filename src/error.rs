//! Errors as users read them: SQLSTATE, message, detail and hint, in PostgreSQL's style.

use crate::messages;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// An error on its way to the user: raised here, stored in a job row, or handed from a worker to its caller.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Five characters, such as `42P01`.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Error {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Raises the error in the user's language; Rust frames above are unwound by pgrx.
    pub fn raise(self) -> ! {
        let code = PgSqlErrorCode::from(sqlstate_code(&self.sqlstate));
        let message = messages::translated(self.message.clone());
        let detail = self.detail.clone().map(messages::translated);
        let hint = self.hint.clone().map(messages::translated);
        let differs = message != self.message || detail != self.detail || hint != self.hint;
        RAISED.set(differs.then(|| (message.clone(), self)));
        messages::report(PgLogLevel::ERROR, code, message, detail, hint);
        unreachable!("ERROR does not return")
    }

    /// The error that was raised last, in English, if this is what it said: what is stored is not in the language of whoever
    /// met it first.
    pub fn raised(message: &str) -> Option<Error> {
        let raised = RAISED.take();
        let error = raised
            .as_ref()
            .filter(|(said, _)| said == message)
            .map(|(_, error)| error.clone());
        RAISED.set(raised);
        error
    }
}

thread_local! {
    /// What [`Error::raise`] said last, and of which error.
    static RAISED: Cell<Option<(String, Error)>> = const { Cell::new(None) };
}

/// A line in the server's log that no client is shown, whatever it asks for.
pub fn log_server(message: String) {
    let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
    pg_sys::panic::ErrorReport::new(code, message, "insight").report(PgLogLevel::LOG_SERVER_ONLY);
}

/// Answers the value or raises the error.
pub fn or_raise<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| error.raise())
}

/// Raises 25006 in a read-only transaction, such as all are on a standby.
pub fn must_write(function: &str) {
    // SAFETY: plain reads of this process's state.
    let (read_only, standby) = unsafe { (pg_sys::XactReadOnly, pg_sys::RecoveryInProgress()) };
    if read_only {
        let hint = match standby {
            true => "This is a standby: call it on the primary.",
            false => "Call it in a transaction that is READ WRITE.",
        };
        Error::new(
            "25006",
            format!("cannot execute {function} in a read-only transaction"),
        )
        .hint(hint)
        .raise();
    }
}

/// Raises 25006 on a standby.
pub fn must_be_primary(function: &str) {
    // SAFETY: a plain read of this process's state.
    if unsafe { pg_sys::RecoveryInProgress() } {
        Error::new(
            "25006",
            format!("cannot execute {function} during recovery"),
        )
        .hint("This is a standby: call it on the primary.")
        .raise();
    }
}

/// An argument that must not be NULL.
pub fn required<T>(value: Option<T>, name: &str) -> Result<T> {
    value.ok_or_else(|| Error::new("22004", format!("{name} must not be NULL")))
}

/// PostgreSQL packs five characters into six bits each (`MAKE_SQLSTATE`).
fn sqlstate_code(sqlstate: &str) -> i32 {
    let valid = sqlstate.len() == 5
        && sqlstate
            .bytes()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let text = if valid { sqlstate } else { "XX000" };
    text.bytes().enumerate().fold(0, |code, (i, b)| {
        code | ((i32::from(b) - i32::from(b'0')) & 0x3F) << (6 * i)
    })
}

impl From<insight_engine::fit::FitError> for Error {
    fn from(e: insight_engine::fit::FitError) -> Self {
        Error {
            sqlstate: e.sqlstate,
            message: e.message,
            detail: e.detail,
            hint: e.hint,
        }
    }
}

impl From<insight_engine::embed::EmbedError> for Error {
    fn from(e: insight_engine::embed::EmbedError) -> Self {
        Error::new("55000", e.to_string()).hint(
            "The setting insight.text_model names a folder with config.json, tokenizer.json or vocab.txt, and model.safetensors.",
        )
    }
}

impl From<insight_engine::params::ParamError> for Error {
    fn from(e: insight_engine::params::ParamError) -> Self {
        Error::new("22023", e.message).hint(e.hint)
    }
}

impl From<pgrx::spi::Error> for Error {
    fn from(e: pgrx::spi::Error) -> Self {
        Error::new("XX000", format!("the catalog could not be read: {e}"))
    }
}
