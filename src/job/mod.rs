//! Jobs: the specification, the queue, the worker, the isolated trainer and its progress.

pub mod access;
pub mod again;
pub mod budget;
pub mod control;
pub mod cron;
pub mod cross_validate;
pub mod due;
pub mod duty;
pub mod elsewhere;
pub mod forget;
pub mod launcher;
pub mod leak;
pub mod ledger;
pub mod notices;
pub mod options;
pub mod queue;
pub mod run;
pub mod session;
pub mod shared;
pub mod spec;
pub mod submit;
pub mod targets;
pub mod trainer;
pub mod usage;
pub mod worker;

use crate::error::Error;
use pgrx::pg_sys::panic::CaughtError;

/// What a caught PostgreSQL error or panic says to the user.
pub fn error_of(caught: &CaughtError) -> Error {
    let report = match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
        CaughtError::RustPanic { ereport, .. } => ereport,
    };
    if let Some(error) = Error::raised(report.message()) {
        return error;
    }
    let code = report.sql_error_code() as i32;
    let sqlstate: String = (0..5)
        .map(|i| char::from((((code >> (6 * i)) & 0x3F) as u8).wrapping_add(b'0')))
        .collect();
    Error {
        sqlstate,
        message: report.message().to_owned(),
        detail: report.detail().map(str::to_owned),
        hint: report.hint().map(str::to_owned),
    }
}
