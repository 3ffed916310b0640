//! Processes by their pid, and waiting for what others do.

use std::time::{Duration, Instant};

/// Waits until `done` answers true; after `seconds` the test fails, naming what it waited for.
#[track_caller]
pub fn wait_until(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(
            Instant::now() < until,
            "waited {seconds} s in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The state letter and the parent of a process.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// Whether the process runs; one that ended and waits to be reaped does not.
pub fn alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// The living children of a process.
pub fn children(parent: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|(state, p)| p == parent && state != 'Z'))
        .collect()
}

/// Sends a signal.
#[track_caller]
pub fn kill(pid: i32, signal: i32) {
    assert!(pid > 1, "{pid} is no process to be signalled");
    // SAFETY: a plain system call.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "process {pid} could not be signalled");
}

/// Says that a test did not run, past the test runner, which shows only what failing tests print.
pub fn skipped(test: &str, why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {test} needs {why}");
}
