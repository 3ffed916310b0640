//! Real clusters, real clients: what the tests in `tests/` share.
//!
//! The extension must be installed in the server's folders (`tests/run` does it). `INSIGHT_PG_BIN` names the folder of
//! `postgres` and `psql`; as root the servers run as the user `postgres`.

mod cluster;
mod data;
mod names;
mod process;
mod scene;
mod served;
mod session;

pub use cluster::{Cluster, Database, library, run_as_server_user, shared};
pub use data::{FAST, SLOW, customers};
pub use names::{identifier, literal};
pub use process::{alive, children, kill, skipped, wait_until};
pub use scene::Scene;
pub use served::Served;
pub use session::{Call, Session, catch_up, describe};
