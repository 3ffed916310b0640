//! Settings `insight.*`. What could run code, reach a path, or weaken isolation is superuser-only.

use crate::versions;
use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_sys};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// `auto` takes the GPU where there is one, so that the same call is right on every machine.
static DEVICE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"auto"));
/// 0 = one per core: a trainer is short-lived and the kernel shares cores fairly.
static THREADS: GucSetting<i32> = GucSetting::<i32>::new(0);
/// Two trainers keep a small server responsive; each may use every core.
static MAX_JOBS: GucSetting<i32> = GucSetting::<i32>::new(2);
/// 0 = half of the machine's memory: the other half belongs to the database.
static MAX_MEMORY: GucSetting<i32> = GucSetting::<i32>::new(0);
const MB: usize = 1024 * 1024;

/// 0 = half of the GPU's: another job may train there at the same time, and the networks take some, too.
static MAX_GPU_MEMORY: GucSetting<i32> = GucSetting::<i32>::new(0);
/// 0 = no limit: early stopping ends most trainings in seconds.
static MAX_SECONDS: GucSetting<i32> = GucSetting::<i32>::new(0);
/// On: a crash of the trainer must never restart the cluster. Off is for debugging the engine.
static ISOLATE_TRAINING: GucSetting<bool> = GucSetting::<bool>::new(true);
/// Empty: no text model; a folder that a superuser names is read by whoever predicts.
static TEXT_MODEL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// Empty: nothing is encrypted. Only superusers see and set them: they reach a file, and run a command.
static KEY_FILE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static KEY_COMMAND: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static READING: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
/// Off: a line for each statement that predicts is much where applications predict.
static AUDIT_PREDICTIONS: GucSetting<bool> = GucSetting::<bool>::new(false);
/// Off: scripts should not have to filter notices.
static VERBOSE: GucSetting<bool> = GucSetting::<bool>::new(false);
/// 64 MB holds hundreds of default models in each backend.
static CACHE_MEMORY: GucSetting<i32> = GucSetting::<i32>::new(64);
/// As much as one session may keep by default.
static SHARED_MODELS: GucSetting<i32> = GucSetting::<i32>::new(64);
/// Seconds between the launcher's looks at each database; only used when preloaded.
static LAUNCHER_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);

struct Int {
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    min: i32,
    max: i32,
    context: GucContext,
    flags: GucFlags,
}

/// Called from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        c"insight.device",
        c"Where models are trained.",
        c"auto (a GPU where there is one), cpu, cuda, or cuda:N.",
        &DEVICE,
        GucContext::Userset,
        GucFlags::default(),
    );
    let ints = [
        Int {
            name: c"insight.threads",
            short: c"Threads a trainer uses.",
            long: c"0 means one per core. Valid range is 0..1024.",
            setting: &THREADS,
            min: 0,
            max: 1024,
            context: GucContext::Userset,
            flags: GucFlags::default(),
        },
        Int {
            name: c"insight.max_jobs",
            short: c"Training jobs that run at the same time in a database; the rest wait in order.",
            long: c"Each running job takes one background worker. Valid range is 1..64.",
            setting: &MAX_JOBS,
            min: 1,
            max: 64,
            context: GucContext::Suset,
            flags: GucFlags::default(),
        },
        Int {
            name: c"insight.max_memory",
            short: c"Memory one training job may use.",
            long: c"0 means half of the machine's memory. A job that needs more fails and harms nobody.",
            setting: &MAX_MEMORY,
            min: 0,
            max: i32::MAX,
            context: GucContext::Suset,
            flags: GucFlags::UNIT_MB,
        },
        Int {
            name: c"insight.max_gpu_memory",
            short: c"Memory of a GPU that the rows of one training job may take.",
            long: c"0 means half of the GPU's memory. Rows that take more are sent batch by batch; the network and its batches come on top.",
            setting: &MAX_GPU_MEMORY,
            min: 0,
            max: i32::MAX,
            context: GucContext::Suset,
            flags: GucFlags::UNIT_MB,
        },
        Int {
            name: c"insight.max_seconds",
            short: c"Longest time a network is trained; the best so far is kept.",
            long: c"0 means no limit. The option max_seconds of insight_train can only lower it.",
            setting: &MAX_SECONDS,
            min: 0,
            max: 30 * 24 * 3600,
            context: GucContext::Suset,
            flags: GucFlags::UNIT_S,
        },
        Int {
            name: c"insight.cache_memory",
            short: c"Memory for models kept ready in each session.",
            long: c"The least recently used are dropped; the one in use always stays.",
            setting: &CACHE_MEMORY,
            min: 0,
            max: 1024 * 1024,
            context: GucContext::Userset,
            flags: GucFlags::UNIT_MB,
        },
        Int {
            name: c"insight.shared_models",
            short: c"Memory for models that all sessions share.",
            long: c"Only where insight is in shared_preload_libraries; taken as it is used. 0 means that each session keeps its own.",
            setting: &SHARED_MODELS,
            min: 0,
            max: 1024 * 1024,
            // A library that is loaded later may not define such a setting.
            // SAFETY: a plain read of this process's state.
            context: match unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
                true => GucContext::Postmaster,
                false => GucContext::Sighup,
            },
            flags: GucFlags::UNIT_MB,
        },
        Int {
            name: c"insight.launcher_interval",
            short: c"Time between the launcher's looks for jobs left by a crash.",
            long: c"Only used when insight is in shared_preload_libraries.",
            setting: &LAUNCHER_INTERVAL,
            min: 1,
            max: 3600,
            context: GucContext::Sighup,
            flags: GucFlags::UNIT_S,
        },
    ];
    for i in ints {
        GucRegistry::define_int_guc(
            i.name, i.short, i.long, i.setting, i.min, i.max, i.context, i.flags,
        );
    }
    GucRegistry::define_bool_guc(
        c"insight.isolate_training",
        c"Trains in a child process of the worker.",
        c"Off trains inside the worker, where a crash restarts the whole cluster: for debugging only.",
        &ISOLATE_TRAINING,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"insight.verbose",
        c"Shows the progress of a waiting insight_train as notices.",
        c"One notice about every second.",
        &VERBOSE,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"insight.text_model",
        c"Folder of the text model that turns free texts into sentence vectors.",
        c"Of the BERT family: config.json, tokenizer.json or vocab.txt, and model.safetensors. Empty: none.",
        &TEXT_MODEL,
        GucContext::Suset,
        GucFlags::default(),
    );
    let keys = [
        (
            c"insight.key_file",
            c"File with the keys that models and logs are encrypted with.",
            c"Lines VERSION:KEY, each key of 64 hexadecimal digits; the greatest version encrypts. Empty: none.",
            &KEY_FILE,
        ),
        (
            c"insight.key_command",
            c"Command that prints the keys that models and logs are encrypted with.",
            c"Run by /bin/sh as the server's user; it prints what insight.key_file would hold. Empty: none.",
            &KEY_COMMAND,
        ),
    ];
    for (name, short, long, setting) in keys {
        GucRegistry::define_string_guc(
            name,
            short,
            long,
            setting,
            GucContext::Suset,
            GucFlags::SUPERUSER_ONLY,
        );
    }
    GucRegistry::define_string_guc(
        c"insight.reading",
        c"The scan that parallel workers take part in.",
        c"Set by insight itself for the time of a query.",
        &READING,
        GucContext::Suset,
        GucFlags::SUPERUSER_ONLY | GucFlags::NO_SHOW_ALL | GucFlags::DISALLOW_IN_FILE,
    );
    GucRegistry::define_bool_guc(
        c"insight.audit_predictions",
        c"Writes a line to the server's log for each statement and model that is predicted with.",
        c"Everything else that is done with models is in insight.audit anyway.",
        &AUDIT_PREDICTIONS,
        GucContext::Suset,
        GucFlags::default(),
    );
    // SAFETY: called once on the main thread while the library loads.
    unsafe { versions::reserve_settings(c"insight") };
}

pub fn device() -> String {
    DEVICE
        .get()
        .map_or_else(|| "auto".into(), |d| d.to_string_lossy().into_owned())
}

/// The folder of the text model, if there is one.
pub fn text_model() -> Option<PathBuf> {
    path(&TEXT_MODEL)
}

/// The file with the keys, if there is one.
pub fn key_file() -> Option<PathBuf> {
    path(&KEY_FILE)
}

/// The command that prints the keys, if there is one.
pub fn key_command() -> Option<OsString> {
    path(&KEY_COMMAND).map(PathBuf::into_os_string)
}

/// The segment of shared memory of the scan that this process takes part in.
pub fn reading() -> Option<u32> {
    READING.get()?.to_str().ok()?.parse().ok()
}

pub fn audit_predictions() -> bool {
    AUDIT_PREDICTIONS.get()
}

fn path(setting: &GucSetting<Option<CString>>) -> Option<PathBuf> {
    let path = setting.get()?;
    let path = OsStr::from_bytes(path.to_bytes());
    (!path.is_empty()).then(|| path.into())
}

/// 0 = one per core.
pub fn threads() -> usize {
    THREADS.get() as usize
}

pub fn max_jobs() -> i64 {
    i64::from(MAX_JOBS.get())
}

/// Bytes a job may use; half of the machine's memory where the setting is 0.
pub fn max_memory() -> usize {
    match MAX_MEMORY.get() as usize {
        0 => machine_memory() / 2,
        megabytes => megabytes.saturating_mul(MB),
    }
}

/// Bytes of a GPU that rows may take; `None`: half of what it has.
pub fn max_gpu_bytes() -> Option<u64> {
    let megabytes = MAX_GPU_MEMORY.get();
    (megabytes > 0).then(|| megabytes as u64 * MB as u64)
}

pub fn max_seconds() -> Option<f64> {
    (MAX_SECONDS.get() > 0).then(|| f64::from(MAX_SECONDS.get()))
}

pub fn isolate_training() -> bool {
    ISOLATE_TRAINING.get()
}

pub fn verbose() -> bool {
    VERBOSE.get()
}

pub fn cache_bytes() -> usize {
    CACHE_MEMORY.get() as usize * 1024 * 1024
}

/// Bytes of memory for models that all sessions share.
pub fn shared_models() -> usize {
    SHARED_MODELS.get() as usize * 1024 * 1024
}

pub fn launcher_interval() -> std::time::Duration {
    std::time::Duration::from_secs(LAUNCHER_INTERVAL.get() as u64)
}

/// Physical memory, or the control group's limit where that is less.
fn machine_memory() -> usize {
    // SAFETY: sysconf has no preconditions.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    let physical = (pages.max(0) as usize).saturating_mul(size.max(0) as usize);
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|t| t.trim().parse::<usize>().ok());
    limit.map_or(physical, |l| l.min(physical))
}

/// Changes a setting until the level of settings that the caller has begun (`NewGUCNestLevel`) ends.
///
/// # Safety
/// The caller has begun such a level, and ends it.
pub unsafe fn set_in_level(name: &CStr, value: &CStr) {
    // SAFETY: both texts end in 0; the level is promised by the caller.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}
