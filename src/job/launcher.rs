//! The optional launcher, with insight in shared_preload_libraries: after a crash or a restart nobody else may come by to
//! start the jobs that were left. It visits every database now and then with a short-lived worker.

use super::worker;
use crate::settings;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::time::Duration;

/// Called from `_PG_init`.
pub fn register() {
    // SAFETY: plain reads of flags PostgreSQL sets while it preloads libraries, and while pg_upgrade works, which reckons with no jobs.
    if unsafe { !pg_sys::process_shared_preload_libraries_in_progress || pg_sys::IsBinaryUpgrade } {
        return;
    }
    BackgroundWorkerBuilder::new("insight launcher")
        .set_type("insight launcher")
        .set_library("$libdir/insight")
        .set_function("insight_launcher_main")
        .enable_spi_access()
        .set_restart_time(Some(Duration::from_secs(10)))
        .load();
}

/// Entry point of the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn insight_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: no database: only shared catalogs can be read.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(pg_sys::InvalidOid, pg_sys::InvalidOid, 0)
    };
    loop {
        for database in BackgroundWorker::transaction(databases) {
            worker::launch_visit(database);
        }
        if !BackgroundWorker::wait_latch(Some(settings::launcher_interval())) {
            return;
        }
        if BackgroundWorker::sighup_received() {
            // SAFETY: the documented way to follow a reload.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
    }
}

/// Databases that accept connections, from the shared catalog pg_database.
fn databases() -> Vec<pg_sys::Oid> {
    let mut found = Vec::new();
    // SAFETY: a sequential scan of a shared catalog inside a transaction, closed in the reverse order.
    unsafe {
        let relation =
            pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if (*form).datallowconn && !(*form).datistemplate {
                found.push((*form).oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
    }
    found
}
