//! `insight`: customer insight in SQL. Modules stand in the order data flows.

use pgrx::prelude::*;

mod alloc;
mod api;
mod error;
mod job;
mod messages;
mod relation;
mod settings;
mod store;
mod versions;

::pgrx::pg_module_magic!();

#[cfg(not(panic = "unwind"))]
compile_error!(
    "insight needs panic = \"unwind\": errors must reach PostgreSQL, not end the process"
);

extension_sql_file!("../sql/catalog.sql", name = "catalog", bootstrap);
extension_sql_file!("../sql/views.sql", name = "views", finalize);
extension_sql_file!("../sql/help.sql", name = "help");
extension_sql_file!("../sql/elsewhere.sql", name = "elsewhere");

/// Called once per process that loads the library.
#[allow(non_snake_case)]
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    // pgrx would put a backtrace into the DETAIL of every error; it tells a user nothing.
    // SAFETY: PostgreSQL's processes have one thread.
    unsafe { std::env::set_var("RUST_BACKTRACE", "0") };
    settings::register();
    store::cache::register();
    store::keys::register();
    store::activity::register();
    store::lent::register();
    api::log::register();
    job::launcher::register();
}
