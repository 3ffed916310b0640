//! What keeps the audit as it was written.

use crate::error::Error;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// Refuses to change the audit: a trigger.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn insight_keep_audit(
    _fcinfo: pg_sys::FunctionCallInfo,
) -> pg_sys::Datum {
    Error::new("42501", "the audit can only be added to")
        .hint("A superuser can disable the trigger insight_keep_audit of insight.audit_entry, to delete what is too old.")
        .raise()
}

super::call::version_1!(pg_finfo_insight_keep_audit);

extension_sql!(
    r#"
CREATE FUNCTION insight.keep_audit() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'insight_keep_audit';
COMMENT ON FUNCTION insight.keep_audit() IS 'refuses to change the audit';
CREATE TRIGGER insight_keep_audit BEFORE UPDATE OR DELETE OR TRUNCATE ON insight.audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION insight.keep_audit();
COMMENT ON TRIGGER insight_keep_audit ON insight.audit_entry IS 'refuses to change the audit';
"#,
    name = "audit_is_kept"
);
