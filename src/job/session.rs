//! What a worker must take over from the caller's session: settings that decide what is read.

use crate::error::{Error, Result};
use crate::versions::BEHIND_A_SETTING;
use pgrx::pg_sys;
use std::ffi::CString;

/// Settings that belong to the caller's connection and not to what it reads.
const NOT_CARRIED: &[&str] = &[
    "application_name",
    "client_encoding",
    "client_min_messages",
    "default_transaction_read_only",
    "default_transaction_isolation",
    "default_transaction_deferrable",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "statement_timeout",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
];

/// The settings of this session that were not there when it started: `SET`, connection options, and custom ones such as
/// those row-level security policies read.
///
/// PostgreSQL hands its settings to parallel workers as bytes; custom settings are listed nowhere else. The format:
/// name, value and source file as C strings, a line number if the file is not empty, then source, context and, from 15 on, role. To lose
/// one silently could be to read other rows: bytes that are of another format are an error.
pub fn capture() -> Result<Vec<(String, String)>> {
    // SAFETY: the buffer is as large as PostgreSQL says it needs to be.
    let bytes = unsafe {
        let size = pg_sys::EstimateGUCStateSpace();
        let mut bytes = vec![0u8; size];
        pg_sys::SerializeGUCState(size, bytes.as_mut_ptr().cast());
        bytes
    };
    parse(&bytes)
        .ok_or_else(|| Error::new("XX000", "the settings of this session could not be read"))
}

fn parse(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let (used, rest) = bytes.split_first_chunk()?;
    let mut rest = rest.get(..usize::from_ne_bytes(*used))?;
    let mut settings = Vec::new();
    while !rest.is_empty() {
        let (name, value, source) = next(&mut rest)?;
        if source >= pg_sys::GucSource::PGC_S_CLIENT && !NOT_CARRIED.contains(&name.as_str()) {
            settings.push((name, value));
        }
    }
    Some(settings)
}

fn next(rest: &mut &[u8]) -> Option<(String, String, u32)> {
    let name = text(rest)?;
    let value = text(rest)?;
    let file = text(rest)?;
    if !file.is_empty() {
        *rest = rest.get(4..)?;
    }
    let source = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?);
    *rest = rest.get(BEHIND_A_SETTING..)?;
    (!name.is_empty()).then_some((name, value, source))
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|&b| b == 0)?;
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(text)
}

/// Applies settings in a worker; one that the role may not set is skipped with a warning in the log.
pub fn apply(settings: &[(String, String)], superuser: bool) {
    let context = if superuser {
        pg_sys::GucContext::PGC_SUSET
    } else {
        pg_sys::GucContext::PGC_USERSET
    };
    for (name, value) in settings {
        let (Ok(name), Ok(value)) = (CString::new(name.as_str()), CString::new(value.as_str()))
        else {
            continue;
        };
        // SAFETY: two valid C strings; problems are logged, not raised.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                context,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SET,
                true,
                pg_sys::LOG as i32,
                false,
            );
        }
    }
}
