//! The secrets that models and logs are encrypted with. They are never in the catalog: a file or a command gives them,
//! both named by settings that only superusers may see and set. They are in memory for a statement at most.

use super::cache::{self, Stamp};
use crate::error::{Error, Result, log_server};
use crate::settings;
use insight_engine::privacy::seal::{self, KEY, Ring, SealError};
use pgrx::pg_sys;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Far more than a list of keys has.
const LONGEST: u64 = 1 << 16;
const HINT: &str = "A file of lines VERSION:KEY, each key of 64 hexadecimal digits: (echo -n 1:; openssl rand -hex 32) > FILE; chmod 600 FILE.";

thread_local! {
    static RING: RefCell<Option<(Stamp, Rc<Ring>)>> = const { RefCell::new(None) };
}

/// Called from `_PG_init`.
pub fn register() {
    // SAFETY: a static function, registered once per process that loads the library.
    unsafe { pg_sys::RegisterXactCallback(Some(wipe), std::ptr::null_mut()) };
}

/// No key outlives its transaction.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn wipe(
    _event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    RING.with_borrow_mut(|ring| *ring = None);
}

/// The secrets; `None` where neither a file nor a command is set.
pub fn ring() -> Result<Option<Rc<Ring>>> {
    let stamp = cache::now();
    let known = RING.with_borrow(|ring| {
        let known = ring.as_ref().filter(|(at, _)| *at == stamp);
        known.map(|(_, ring)| Rc::clone(ring))
    });
    if known.is_some() {
        return Ok(known);
    }
    let text = match (settings::key_file(), settings::key_command()) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(
                unreadable("Both insight.key_file and insight.key_command are set.")
                    .hint("Set one of them only."),
            );
        }
        (Some(file), None) => of_file(&file)?,
        (None, Some(command)) => of_command(&command)?,
    };
    let ring = Rc::new(Ring::parse(&text).map_err(|e| unreadable(&e.to_string()).hint(HINT))?);
    RING.with_borrow_mut(|slot| *slot = Some((stamp, Rc::clone(&ring))));
    Ok(Some(ring))
}

/// The newest version of a key for one purpose; `None` where no key is set.
pub fn derive(purpose: &str) -> Result<Option<(u32, Zeroizing<[u8; KEY]>)>> {
    Ok(ring()?.and_then(|ring| Some((ring.newest(), ring.derive(ring.newest(), purpose)?))))
}

/// Bytes as they are stored for `context`: sealed where a key is set.
pub fn seal<'a>(context: &str, plain: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    match ring()? {
        None => Ok(plain.into()),
        Some(ring) => match ring.seal(context, plain) {
            Ok(sealed) => Ok(sealed.into()),
            Err(error) => {
                Err(Error::new("58000", "nothing can be encrypted").detail(error.to_string()))
            }
        },
    }
}

/// Stored bytes of `context`, opened where they are sealed; `what` names them in errors.
pub fn open(what: &str, context: &str, stored: Vec<u8>) -> Result<Vec<u8>> {
    let Some(version) = seal::sealed_with(&stored) else {
        return Ok(stored);
    };
    match ring()? {
        None => Err(closed(what, &SealError::NoKey(version))),
        Some(ring) => ring.open(context, &stored).map_err(|e| closed(what, &e)),
    }
}

fn closed(what: &str, error: &SealError) -> Error {
    let hint = match error {
        SealError::NoKey(_) | SealError::WrongKey(_) => {
            "Have a superuser set insight.key_file or insight.key_command to where the key of that version is."
        }
        SealError::Damaged | SealError::NoRandom => "Restore it from a backup, or train it again.",
    };
    let sqlstate = match error {
        SealError::Damaged | SealError::NoRandom => "XX001",
        SealError::NoKey(_) | SealError::WrongKey(_) => "28000",
    };
    Error::new(sqlstate, format!("{what} cannot be decrypted"))
        .detail(error.to_string())
        .hint(hint)
}

fn unreadable(detail: &str) -> Error {
    Error::new("F0000", "the encryption key cannot be read").detail(detail.to_owned())
}

/// Room for the longest text from the start: a text that grows leaves copies behind.
fn room() -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(2 * LONGEST as usize))
}

/// As PostgreSQL's own keys: of the server's user, or of root and its group; readable by nobody else.
fn of_file(file: &Path) -> Result<Zeroizing<String>> {
    let told = |what: &str| {
        log_server(format!("insight.key_file \"{}\": {what}", file.display()));
        unreadable(what)
            .hint("Have a superuser look at insight.key_file; the server's log has its name.")
    };
    if !file.is_absolute() {
        return Err(told("its path is not absolute"));
    }
    let mut open = std::fs::File::open(file).map_err(|e| told(&e.to_string()))?;
    let about = open.metadata().map_err(|e| told(&e.to_string()))?;
    // SAFETY: a plain read of this process's user.
    let me = unsafe { libc::geteuid() };
    let others = match about.uid() {
        0 => 0o027,
        owner if owner == me => 0o077,
        _ => return Err(told("it must be owned by the server's user or root")),
    };
    if !about.is_file() || about.mode() & others != 0 {
        return Err(told(
            "it must be a file that nobody else may read: mode 0600, or 0640 where root owns it",
        ));
    }
    let mut text = room();
    open.by_ref()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|e| told(&e.to_string()))?;
    Ok(text)
}

/// A command that has not ended when an error unwinds is ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// What a command of the shell prints. It may be cancelled.
fn of_command(command: &OsStr) -> Result<Zeroizing<String>> {
    let told = |what: String| {
        log_server(format!("insight.key_command: {what}"));
        unreadable(&what).hint("Have a superuser look at insight.key_command and the server's log.")
    };
    let started = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut running = Running(started.map_err(|e| told(e.to_string()))?);
    // What it prints fits into the pipe: it never waits for a reader.
    let status = loop {
        pgrx::check_for_interrupts!();
        match running.0.try_wait().map_err(|e| told(e.to_string()))? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if !status.success() {
        return Err(told(format!("the command ended with {status}")));
    }
    let mut text = room();
    if let Some(out) = running.0.stdout.as_mut() {
        out.take(LONGEST)
            .read_to_string(&mut text)
            .map_err(|e| told(e.to_string()))?;
    }
    Ok(text)
}
