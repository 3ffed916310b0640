//! Who may do what with a model.

use super::lifecycle::caller;
use crate::error::{must_write, or_raise};
use crate::store::rights::{self, Right};
use pgrx::prelude::*;

/// Grants a role a right on a model; false where the role has it already.
#[pg_extern(strict)]
fn insight_grant(model: &str, role: &str, right: default!(&str, "'predict'")) -> bool {
    must_write("insight_grant()");
    or_raise(Right::parse(right).and_then(|right| rights::grant(model, role, right, caller())))
}

/// Takes a right, and those that hold it, away from a role; false where the role was granted none of them.
#[pg_extern(strict)]
fn insight_revoke(model: &str, role: &str, right: default!(&str, "'predict'")) -> bool {
    must_write("insight_revoke()");
    or_raise(Right::parse(right).and_then(|right| rights::revoke(model, role, right, caller())))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_grant(text, text, text) IS
'grants a role (public: everybody) a right on a model: predict, explain (and predict), or manage (and both); true where that changes anything';
COMMENT ON FUNCTION insight_revoke(text, text, text) IS
'takes a right on a model, and the rights that hold it, away from a role: predict takes all; true where that changes anything';
"#,
    name = "comment_rights",
    requires = [insight_grant, insight_revoke]
);
