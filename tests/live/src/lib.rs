//! Real clusters, real clients: what the tests in `tests/` share.
//!
//! The extension must be installed in the server's folders (`tests/run` does it). `INSIGHT_PG_BIN` names the folder of
//! `postgres` and `psql`; as root the servers run as the user `postgres`.

mod cluster;
mod data;
mod process;
mod scene;
mod session;

pub use cluster::{Cluster, Database, shared};
pub use data::{FAST, SLOW, customers};
pub use process::{alive, children, kill, wait_until};
pub use scene::Scene;
pub use session::{Call, Session, describe};
