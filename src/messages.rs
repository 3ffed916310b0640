//! Messages in the user's language, through PostgreSQL's own message catalogues.
//!
//! Texts are made in English wherever something happens, and translated here, where they leave: the text is matched against
//! the msgids of sql/po, and gettext says what they are in the language of lc_messages. Without a catalogue it stays as it is.

mod template;

use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use template::Templates;

/// The name of the catalogues: LOCALEDIR/LANGUAGE/LC_MESSAGES/insight.mo.
const DOMAIN: &CStr = c"insight";

unsafe extern "C" {
    fn bind_textdomain_codeset(domain: *const c_char, codeset: *const c_char) -> *mut c_char;
    fn dgettext(domain: *const c_char, msgid: *const c_char) -> *mut c_char;
}

/// Whether lc_messages is a language that there is a catalogue for.
fn has_catalogue() -> bool {
    static BOUND: AtomicBool = AtomicBool::new(false);
    // SAFETY: plain look-ups in PostgreSQL's processes, which have one thread; the names are constants.
    unsafe {
        // Rust's texts are UTF-8, and what a database of another encoding is told must be in its own.
        if pg_sys::GetDatabaseEncoding() != pg_sys::pg_enc::PG_UTF8 as c_int {
            return false;
        }
        if !BOUND.swap(true, Relaxed) {
            pg_sys::pg_bindtextdomain(DOMAIN.as_ptr());
            bind_textdomain_codeset(DOMAIN.as_ptr(), c"UTF-8".as_ptr());
        }
        // The entry of the empty text is the catalogue's header.
        *dgettext(DOMAIN.as_ptr(), c"".as_ptr()) != 0
    }
}

/// What the catalogue has for a msgid.
fn look_up(msgid: &str) -> Option<String> {
    let asked = CString::new(msgid).ok()?;
    // SAFETY: both are texts that end; what comes back is one in the catalogue, or what was asked for.
    let found = unsafe {
        let found = dgettext(DOMAIN.as_ptr(), asked.as_ptr());
        if found.cast_const() == asked.as_ptr() {
            return None;
        }
        CStr::from_ptr(found)
    };
    Some(found.to_str().ok()?.to_owned())
}

/// The text in the user's language, or as it is.
pub fn translated(text: String) -> String {
    static TEMPLATES: OnceLock<Templates> = OnceLock::new();
    if !has_catalogue() {
        return text;
    }
    let templates = TEMPLATES.get_or_init(|| Templates::read(include_str!("../sql/po/msgids.txt")));
    templates.translate(&text, &look_up).unwrap_or(text)
}

/// Tells the user something, in the user's language.
pub fn notice(message: impl Into<String>) {
    let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
    say(PgLogLevel::NOTICE, code, message.into(), None, None);
}

/// Warns the user, in the user's language.
pub fn warning(message: impl Into<String>) {
    warn(message.into(), None, None);
}

/// Warns the user, and says more.
pub fn warn(message: String, detail: Option<String>, hint: Option<String>) {
    let code = PgSqlErrorCode::ERRCODE_WARNING;
    say(PgLogLevel::WARNING, code, message, detail, hint);
}

fn say(
    level: PgLogLevel,
    code: PgSqlErrorCode,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
) {
    if level.is_interesting() {
        let [message, detail, hint] = [Some(message), detail, hint].map(|t| t.map(translated));
        report(level, code, message.unwrap_or_default(), detail, hint);
    }
}

/// Reports texts as they are.
pub fn report(
    level: PgLogLevel,
    code: PgSqlErrorCode,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
) {
    let mut report = pg_sys::panic::ErrorReport::new(code, message, "insight");
    if let Some(detail) = detail {
        report = report.set_detail(detail);
    }
    if let Some(hint) = hint {
        report = report.set_hint(hint);
    }
    report.report(level);
}
