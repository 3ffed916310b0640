//! Roles: who may read, train, deploy and cancel what, and code that tries to run with somebody else's rights.

mod hostile;
mod models;
mod reading;

use live::*;

/// Creates login roles of this test alone and answers their names: `d0_ann`, `d0_bob`, ...
#[track_caller]
fn roles<const N: usize>(db: &Database, session: &mut Session, names: [&str; N]) -> [String; N] {
    names.map(|name| {
        let role = format!("{}_{name}", db.name);
        session.exec(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON SCHEMA public TO {role}"
        ));
        role
    })
}
