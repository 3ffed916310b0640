//! The trainer: a child of the worker that fits the model and can be killed without the database noticing.
//!
//! The child is forked while the worker has one thread. It never calls PostgreSQL: it cuts itself off from shared memory,
//! asks to die with its parent and to be the kernel's first choice when memory is short, trains, and writes frames to a
//! pipe: a tag byte, a length of four bytes (little-endian), then the payload.

use super::duty::Duty;
use crate::alloc::{self, spill};
use crate::error::{Error, Result};
use crate::settings;
use insight_engine::fit::Progress;
use insight_engine::train::{Device, DeviceInfo, Gpu, TrainError};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// What a thread's stack takes of the memory that a child may use.
const STACK: usize = 2 << 20;

/// What the first panic of a child said.
static FIRST_PANIC: OnceLock<String> = OnceLock::new();

/// What the child says.
#[derive(Debug)]
pub enum Message {
    Progress(Progress),
    Artifact(Vec<u8>),
    Failed(Error),
}

/// A running child.
pub struct Child {
    pid: libc::pid_t,
    pipe: OwnedFd,
    buffer: Vec<u8>,
    reaped: Option<i32>,
    max_bytes: usize,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a child that does its duty. `threads` 0 means one per core; fewer where their stacks would take more than a quarter of the memory.
pub fn start(duty: Duty, threads: usize, max_bytes: usize) -> Result<Child> {
    let in_memory = match spill::file() {
        Some(_) => duty
            .frame_bytes()
            .min(spill::memory() + duty.short_text_bytes()),
        None => duty.frame_bytes(),
    };
    let left = max_bytes.saturating_sub(in_memory);
    let limit = match duty.device() {
        // CUDA maps far more than it uses; the limit would stop it before it starts.
        Device::Cuda(_) => None,
        Device::Cpu => Some(left),
    };
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted,
    };
    let threads = threads.min(left / 4 / STACK).max(1);
    // Where the CPU stands in, what CUDA has mapped does not count.
    let mut duty = Some(duty.or_on_cpu(move || limit_memory(Some(left))));
    let child = fork(max_bytes, limit, threads, |pipe| {
        let mut report = |progress: &Progress| {
            if let Ok(json) = serde_json::to_vec(progress) {
                send(pipe, b'P', &json);
            }
            true
        };
        // Where there is no room for them, there is none for the work either.
        if !insight_engine::train::start_threads() {
            return send_error(pipe, &out_of_memory(max_bytes));
        }
        spill::allow(limit.unwrap_or(max_bytes).saturating_sub(threads * STACK));
        match duty.take().map(|duty| duty.run(&mut report)) {
            Some(Ok(bytes)) => send(pipe, b'A', &bytes),
            Some(Err(error)) => send_error(pipe, &error),
            None => {}
        }
    });
    // What is dropped here is the child's from now on. What lies in the file the child changes: it must not even be looked at.
    if spill::is_used() {
        std::mem::forget(duty);
    }
    spill::leave();
    child
}

/// Runs `work` in a child; `work` talks through the pipe it is given.
fn fork(
    max_bytes: usize,
    limit: Option<usize>,
    threads: usize,
    work: impl FnOnce(i32),
) -> Result<Child> {
    let mut ends = [0i32; 2];
    // SAFETY: pipe2 fills the two descriptors, which are owned from here on.
    let (reader, writer) = unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(os_error("could not create the trainer's pipe"));
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: this process has one thread: PostgreSQL's processes start none and neither do we before the fork.
    let parent = unsafe { libc::getpid() };
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(os_error("could not fork the trainer")),
        0 => {
            let pipe = writer.as_raw_fd();
            isolate(parent, pipe, limit);
            if threads > 0 {
                // SAFETY: the child has one thread.
                unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
            }
            // The first panic is the cause; those that follow in other threads only say that it is gone.
            std::panic::set_hook(Box::new(|panic| {
                let _ = FIRST_PANIC.set(panic.payload_as_str().unwrap_or_default().to_owned());
            }));
            if catch_unwind(AssertUnwindSafe(|| work(pipe))).is_err() {
                send_error(
                    pipe,
                    &Error::new("XX000", "the trainer met an internal error"),
                );
            }
            // SAFETY: leaves without running PostgreSQL's exit handlers.
            unsafe { libc::_exit(0) }
        }
        _ => Ok(Child {
            pid,
            pipe: reader,
            buffer: Vec::new(),
            reaped: None,
            max_bytes,
        }),
    }
}

/// Cuts the child off from everything that is PostgreSQL's.
fn isolate(parent: libc::pid_t, pipe: i32, limit: Option<usize>) {
    // SAFETY: plain system calls on this process alone, which has one thread.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != parent {
            libc::_exit(0);
        }
        // PostgreSQL signals whole process groups: what is meant for the worker must not end the trainer first.
        libc::setpgid(0, 0);
        for signal in 1..32 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"insight-trainer".as_ptr());
        // Data files, the postmaster's pipe, epoll: none of them is ours to hold.
        let mut kept = [pipe, spill::file().unwrap_or(pipe)];
        kept.sort_unstable();
        let mut first = 3;
        for own in kept {
            if own > first {
                libc::syscall(libc::SYS_close_range, first as u32, (own - 1) as u32, 0u32);
            }
            first = first.max(own + 1);
        }
        libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, 0u32);
    }
    // The kernel takes this process first when memory runs out.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    seal_shared_memory();
    limit_memory(limit);
    alloc::report_exhaustion_to(pipe);
}

/// A stray write of a driver must not reach the shared buffers: shared writable mappings become inaccessible.
fn seal_shared_memory() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else {
            continue;
        };
        if !(rights.starts_with("rw") && rights.ends_with('s')) {
            continue;
        }
        let bounds = range
            .split_once('-')
            .map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)));
        if let Some((Ok(start), Ok(end))) = bounds
            && !spill::holds(start)
        {
            // SAFETY: the child never touches PostgreSQL's shared memory again.
            unsafe { libc::mprotect(start as *mut libc::c_void, end - start, libc::PROT_NONE) };
        }
    }
}

/// Private writable memory may grow by `limit` bytes from here.
fn limit_memory(limit: Option<usize>) {
    // SAFETY: plain system calls.
    unsafe {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        let Some(limit) = limit else { return };
        let pages = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| {
                text.split_whitespace()
                    .nth(5)
                    .and_then(|field| field.parse::<u64>().ok())
            })
            .unwrap_or(0);
        let bytes = pages * libc::sysconf(libc::_SC_PAGESIZE).max(0) as u64 + limit as u64;
        let most = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: bytes,
        };
        libc::setrlimit(libc::RLIMIT_DATA, &most);
    }
}

fn send(pipe: i32, tag: u8, payload: &[u8]) {
    // SAFETY: the descriptor is the child's own end of the pipe; ManuallyDrop leaves it open.
    let mut file = std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(pipe) });
    if u32::try_from(payload.len()).is_err() {
        return send_error(pipe, &Error::new("54000", "the answer is larger than 4 GB"));
    }
    let mut head = [tag, 0, 0, 0, 0];
    head[1..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    // A reader that is gone kills the child by SIGPIPE, which is right.
    let _ = file.write_all(&head).and_then(|()| file.write_all(payload));
}

fn send_error(pipe: i32, error: &Error) {
    let mut error = error.clone();
    // A panic of a GPU's driver that the CPU stood in for is not why something else failed later.
    if error.sqlstate == "XX000" && error.detail.is_none() {
        error.detail = FIRST_PANIC.get().cloned();
    }
    let error = &error;
    send(pipe, b'E', &serde_json::to_vec(error).unwrap_or_default());
}

fn os_error(what: &str) -> Error {
    Error::new(
        "58000",
        format!("{what}: {}", std::io::Error::last_os_error()),
    )
}

impl Child {
    /// The descriptor to wait on.
    pub fn descriptor(&self) -> i32 {
        self.pipe.as_raw_fd()
    }

    /// The messages that have arrived. The last one, when the child has ended without a result, says why.
    pub fn receive(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut chunk = vec![0u8; 1 << 16];
        // SAFETY: reads into a buffer of the given length from our end of the pipe, only when it will not block.
        let ended = unsafe {
            loop {
                let mut ready = libc::pollfd {
                    fd: self.pipe.as_raw_fd(),
                    events: libc::POLLIN,
                    revents: 0,
                };
                if libc::poll(&mut ready, 1, 0) <= 0 {
                    break false;
                }
                let count = libc::read(
                    self.pipe.as_raw_fd(),
                    chunk.as_mut_ptr().cast(),
                    chunk.len(),
                );
                match count {
                    0 => break true,
                    n if n > 0 => self.buffer.extend_from_slice(&chunk[..n as usize]),
                    _ if std::io::Error::last_os_error().kind()
                        == std::io::ErrorKind::Interrupted => {}
                    _ => break true,
                }
            }
        };
        while let Some(message) = self.next_message() {
            messages.push(message);
        }
        let finished = messages.iter().any(|m| !matches!(m, Message::Progress(_)));
        if ended && !finished {
            messages.push(Message::Failed(self.cause_of_death()));
        }
        messages
    }

    fn next_message(&mut self) -> Option<Message> {
        let length = u32::from_le_bytes(self.buffer.get(1..5)?.try_into().ok()?) as usize;
        let payload = self.buffer.get(5..5 + length)?;
        let message = match self.buffer[0] {
            b'P' => serde_json::from_slice(payload).map(Message::Progress).ok(),
            b'A' => Some(Message::Artifact(payload.to_vec())),
            b'E' => serde_json::from_slice(payload).map(Message::Failed).ok(),
            b'M' => Some(Message::Failed(out_of_memory(self.max_bytes))),
            _ => None,
        };
        self.buffer.drain(..5 + length);
        message.or_else(|| {
            Some(Message::Failed(Error::new(
                "XX000",
                "the trainer sent something unreadable",
            )))
        })
    }

    fn cause_of_death(&mut self) -> Error {
        /// With which the C library ends a process that has no memory for a thread's own data.
        const NO_THREAD_DATA: i32 = 127;
        let status = self.reap();
        let error = Error::new("58000", "the trainer ended before it finished").hint(
            "Other sessions and the deployed version are not affected. Call insight_train again; the server log may tell more.",
        );
        match status {
            Some(status) if libc::WIFSIGNALED(status) => {
                let signal = libc::WTERMSIG(status);
                let why = match signal {
                    libc::SIGKILL => " (killed, perhaps because the machine ran out of memory)",
                    libc::SIGSEGV => " (segmentation fault)",
                    libc::SIGABRT => " (abort)",
                    _ => "",
                };
                error.detail(format!("It was ended by signal {signal}{why}."))
            }
            Some(status) if libc::WIFEXITED(status) => match libc::WEXITSTATUS(status) {
                NO_THREAD_DATA => out_of_memory(self.max_bytes),
                code => error.detail(format!("It left with exit code {code}.")),
            },
            _ => error,
        }
    }

    fn reap(&mut self) -> Option<i32> {
        if self.reaped.is_none() {
            let mut status = 0;
            // SAFETY: waits for our own child, which has closed its pipe or was killed.
            while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {
                if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
                    return None;
                }
            }
            self.reaped = Some(status);
        }
        self.reaped
    }

    /// Ends the child and leaves no zombie.
    pub fn kill(&mut self) {
        if self.reaped.is_none() {
            // SAFETY: the child is not reaped yet, so its pid is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.reap();
        }
    }
}

fn out_of_memory(max_bytes: usize) -> Error {
    Error::new("53200", format!("training needs more than the {} MB it may use", max_bytes >> 20))
        .hint("Train on fewer rows or columns, choose a smaller network, or have a superuser raise insight.max_memory or temp_file_limit.")
}

/// Works inside this process, for debugging: `insight.isolate_training = off`.
pub fn work_here(duty: Duty, report: &mut dyn FnMut(&Progress) -> bool) -> Result<Vec<u8>> {
    let worked = catch_unwind(AssertUnwindSafe(|| duty.run(report)));
    worked.map_err(|_| Error::new("XX000", "the trainer met an internal error"))?
}

pub fn device_error(error: &TrainError) -> Error {
    let detail = match error {
        TrainError::Device { detail, .. } => Some(detail.clone()),
        _ => None,
    };
    let base = Error::new("22023", error.to_string())
        .hint("insight_devices() lists what there is; \"cpu\" always works.");
    Error { detail, ..base }
}

/// An unknown or absent device is an error before any data is read. Only a child loads the driver to find out.
pub fn check_device(device: &str) -> Result<()> {
    resolve_device(device, None).map(|_| ())
}

/// The device a name stands for; on a GPU rows may take `room` bytes, see [`insight_engine::train::resolve_device`].
pub fn resolve_device(device: &str, room: Option<u64>) -> Result<Device> {
    if device == "cpu" {
        return Ok(Device::Cpu);
    }
    let device = device.to_owned();
    let found = ask(1, move || {
        match insight_engine::train::resolve_device(&device, room) {
            Ok(Device::Cpu) => Ok(None),
            Ok(Device::Cuda(gpu)) => Ok(Some((gpu.index, gpu.room))),
            Err(error) => Err(device_error(&error)),
        }
    })??;
    Ok(found.map_or(Device::Cpu, |(index, room)| {
        Device::Cuda(Gpu { index, room })
    }))
}

/// What this machine can train on, found out in a child: a driver must not live in a backend.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    ask(1, insight_engine::train::devices)
}

/// The answer of a short-lived child with so many threads, 0 for one per core: a backend itself starts none.
pub fn ask<T: serde::Serialize + serde::de::DeserializeOwned>(
    threads: usize,
    question: impl FnOnce() -> T,
) -> Result<T> {
    // Looking for devices takes little memory but maps much.
    let most = settings::max_memory();
    let limit = (threads != 1).then_some(most);
    let mut child = fork(most, limit, threads, |pipe| {
        // The file is the worker's, who takes what it has not used yet for zeros.
        spill::leave();
        send(
            pipe,
            b'A',
            &serde_json::to_vec(&question()).unwrap_or_default(),
        )
    })?;
    loop {
        for message in child.receive() {
            match message {
                Message::Artifact(json) => {
                    return serde_json::from_slice(&json)
                        .map_err(|e| Error::new("XX000", e.to_string()));
                }
                Message::Failed(error) => return Err(error),
                Message::Progress(_) => {}
            }
        }
        pgrx::check_for_interrupts!();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
