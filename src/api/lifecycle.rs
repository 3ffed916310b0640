//! Versions: deploy, roll back, drop.

use crate::error::{must_write, or_raise};
use crate::messages::notice;
use crate::store::catalog;
use crate::versions;
use pgrx::pg_sys;
use pgrx::prelude::*;

pub(super) fn caller() -> pg_sys::Oid {
    // SAFETY: a plain read of this process's identity.
    unsafe { pg_sys::GetUserId() }
}

/// Deploys a version of a model: every session predicts with it from its next statement on.
#[pg_extern(strict)]
fn insight_deploy(model: &str, version: i32) -> i32 {
    must_write("insight_deploy()");
    or_raise(catalog::deploy(model, version, caller()))
}

/// Deploys the version before the deployed one and answers it.
#[pg_extern(strict)]
fn insight_rollback(model: &str) -> i32 {
    must_write("insight_rollback()");
    or_raise(catalog::rollback(model, caller()))
}

/// Drops a model with all its versions and answers how many there were.
#[pg_extern(strict)]
fn insight_drop(model: &str) -> i64 {
    must_write("insight_drop()");
    or_raise(catalog::drop_model(model, caller()))
}

fn count(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Says what DROP EXTENSION is about to take along: an event trigger.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_say_what_goes(
    fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    // SAFETY: PostgreSQL passes the event trigger's data as the call's context; every pointer is checked.
    let dropped = unsafe {
        let context = (*fcinfo).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            false
        } else {
            let statement = (*context.cast::<pg_sys::EventTriggerData>())
                .parsetree
                .cast::<pg_sys::DropStmt>();
            !statement.is_null()
                && (*statement).type_ == pg_sys::NodeTag::T_DropStmt
                && (*statement).removeType == pg_sys::ObjectType::OBJECT_EXTENSION
                && pgrx::PgList::<pg_sys::Node>::from_pg((*statement).objects)
                    .iter_ptr()
                    .any(|name| versions::node_text(name) == c"insight")
        }
    };
    if dropped && let Ok((models, versions, bytes)) = catalog::inventory() {
        notice(format!(
            "dropping extension insight takes along {} with {} ({} MB) and the history of their jobs",
            count(models, "model"),
            count(versions, "version"),
            (bytes as u64).div_ceil(1 << 20)
        ));
    }
    pg_sys::Datum::from(0usize)
}

super::call::version_1!(pg_finfo_insight_say_what_goes);

extension_sql!(
    r#"
CREATE FUNCTION insight.say_what_goes() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'insight_say_what_goes';
CREATE EVENT TRIGGER insight_say_what_goes ON ddl_command_start WHEN TAG IN ('DROP EXTENSION')
  EXECUTE FUNCTION insight.say_what_goes();
COMMENT ON EVENT TRIGGER insight_say_what_goes IS 'says what DROP EXTENSION insight is about to take along';
COMMENT ON FUNCTION insight.say_what_goes() IS 'says what DROP EXTENSION insight is about to take along';
COMMENT ON FUNCTION insight_deploy(text, integer) IS
'deploys a version of a model: every session predicts with it from its next statement on';
COMMENT ON FUNCTION insight_rollback(text) IS 'deploys the version before the deployed one and answers it';
COMMENT ON FUNCTION insight_drop(text) IS 'drops a model with all its versions and answers how many there were';
"#,
    name = "comment_lifecycle",
    requires = [insight_deploy, insight_rollback, insight_drop]
);
