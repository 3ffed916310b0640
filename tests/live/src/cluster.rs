//! A private PostgreSQL cluster in a temporary folder.
//!
//! A watchdog process ends the server and removes the folder as soon as the test process is gone, however it ended: it
//! waits for the end of a pipe whose other end only the test process holds.

use crate::session::Session;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

const SETTINGS: &str = "
listen_addresses = ''
fsync = off
shared_buffers = 64MB
max_connections = 60
max_worker_processes = 40
insight.max_jobs = 30
log_line_prefix = '%m [%p] %b '
lc_messages = 'C'
";

/// Ends every server under the folder, unmounts what a test mounted there, removes the folder.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
for file in "$1"/*/postmaster.pid; do
  pid=$(head -n 1 "$file" 2>/dev/null) || continue
  kill -QUIT "$pid" 2>/dev/null
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
  kill -KILL "$pid" 2>/dev/null
done
umount "$1"/tiny 2>/dev/null
rm -rf "$1"
"#;

/// A running server.
pub struct Cluster {
    dir: PathBuf,
    watchdog: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    // SAFETY: a plain system call.
    unsafe { libc::geteuid() == 0 }
}

fn program(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("INSIGHT_PG_BIN").unwrap_or_else(|| "/usr/lib/postgresql/15/bin".into());
    Path::new(&folder).join(name)
}

/// A library of another extension, where it is installed.
pub fn library(name: &str) -> Option<PathBuf> {
    Some(program("../lib").join(name)).filter(|path| path.exists())
}

/// The user the servers run as: never root.
fn as_server_user(name: &str) -> Command {
    if !is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program(name));
    command
}

/// Runs a program as the user the servers run as, to its end; `name` is a path or one of PostgreSQL's own.
#[track_caller]
pub fn run_as_server_user(name: &str, arguments: &[&str]) -> String {
    run(as_server_user(name).args(arguments))
}

/// Runs a command to its end; a failure shows what it said.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The cluster of this test program's tests that do not restart the server.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    extern "C" fn end() {
        if let Some(cluster) = SHARED.get() {
            cluster.end();
        }
    }
    SHARED.get_or_init(|| {
        // SAFETY: registers a function without arguments; statics are not dropped by Rust.
        unsafe { libc::atexit(end) };
        Cluster::start("")
    })
}

impl Cluster {
    /// Starts a new cluster with further lines for postgresql.conf.
    pub fn start(settings: &str) -> Cluster {
        let cluster = Cluster::folder();
        run(as_server_user("initdb")
            .arg("-D")
            .arg(cluster.data())
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ]));
        cluster.configure(&format!("{SETTINGS}{settings}\n"));
        cluster.up();
        cluster
    }

    /// Starts a hot standby of another cluster.
    pub fn standby_of(primary: &Cluster) -> Cluster {
        let cluster = Cluster::folder();
        run(as_server_user("pg_basebackup")
            .arg("-D")
            .arg(cluster.data())
            .arg("-h")
            .arg(&primary.dir)
            .args(["-U", "postgres", "-c", "fast", "-X", "stream", "-R", "-N"]));
        cluster.configure("hot_standby = on\n");
        cluster.up();
        cluster
    }

    fn folder() -> Cluster {
        // Names of sockets are at most 107 bytes long: the folder stands right under /tmp.
        let dir = tempfile::Builder::new()
            .prefix("live")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&dir));
        }
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog"]).arg(&dir);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // A group of its own: Ctrl-C is for the tests.
        let watchdog = command.process_group(0).spawn().unwrap();
        Cluster {
            dir,
            watchdog: Mutex::new(Some(watchdog)),
            databases: AtomicU32::new(0),
        }
    }

    fn configure(&self, settings: &str) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .unwrap();
        let socket = self.dir.display();
        write!(file, "{settings}unix_socket_directories = '{socket}'\n").unwrap();
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The cluster's folder, which is also where its socket is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts the server again after [`Cluster::stop`] or its death.
    #[track_caller]
    pub fn up(&self) {
        let output = as_server_user("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(self.dir.join("log"))
            .args(["-w", "-t", "60", "start"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(output.success(), "the server did not start\n{}", self.log());
    }

    /// Stops the server: `fast` or `immediate`.
    #[track_caller]
    pub fn stop(&self, mode: &str) {
        run(as_server_user("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .args(["-w", "-t", "30", "-m", mode, "stop"]));
    }

    /// The postmaster's process.
    pub fn pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// How often the postmaster restarted everything because a process of it crashed.
    pub fn restarts(&self) -> usize {
        self.log()
            .matches("terminating any other active server processes")
            .count()
    }

    #[track_caller]
    pub fn connect(&self, database: &str, user: &str) -> Session {
        match Session::connect(&self.dir, database, user) {
            Ok(session) => session,
            Err(error) => panic!("{}\n{}", crate::describe(&error), self.log()),
        }
    }

    /// Whether the server accepts connections.
    pub fn accepts(&self) -> bool {
        Session::connect(&self.dir, "postgres", "postgres").is_ok()
    }

    /// A new database with the extension, dropped together with whatever runs in it when the value is.
    #[track_caller]
    pub fn database(&self) -> Database<'_> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("d{number}");
        let mut session = self.connect("postgres", "postgres");
        session.exec(&format!("CREATE DATABASE {name}"));
        let database = Database {
            cluster: self,
            name,
        };
        database.session().exec("CREATE EXTENSION insight");
        database
    }

    /// A client program of PostgreSQL, as the superuser on this cluster.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.arg("-h").arg(&self.dir).args(["-U", "postgres"]);
        command
    }

    /// Runs a client program to its end and answers what it printed.
    #[track_caller]
    pub fn run_tool(&self, name: &str, arguments: &[&str]) -> String {
        run(self.tool(name).args(arguments))
    }

    /// Ends the server and removes its folder.
    fn end(&self) {
        let watchdog = self.watchdog.lock().ok().and_then(|mut w| w.take());
        if let Some(mut watchdog) = watchdog {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }
}

/// A database of one test.
pub struct Database<'a> {
    pub cluster: &'a Cluster,
    /// `d0`, `d1`, ...; tests name roles after it, for roles belong to the cluster.
    pub name: String,
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A test may have stopped the server.
        if let Ok(mut session) = Session::connect(self.cluster.dir(), "postgres", "postgres") {
            let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            if !std::thread::panicking() {
                session.exec(&drop);
            } else {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    session.exec(&drop);
                }));
            }
        }
    }
}

impl Database<'_> {
    /// A superuser's session.
    #[track_caller]
    pub fn session(&self) -> Session {
        self.cluster.connect(&self.name, "postgres")
    }

    #[track_caller]
    pub fn session_of(&self, user: &str) -> Session {
        self.cluster.connect(&self.name, user)
    }
}
