//! What a model may reveal of the rows it was trained on.

use super::call::given;
use super::json::Json;
use super::lifecycle::caller;
use crate::error::{must_write, or_raise};
use crate::job::leak;
use pgrx::prelude::*;

/// Attacks models trained as a version was; a row per figure.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_leak_test(
    model: Option<&str>,
    options: default!(Option<Json>, "'{}'"),
) -> TableIterator<
    'static,
    (
        name!(attack, String),
        name!(metric, String),
        name!(value, Option<f64>),
        name!(low, Option<f64>),
        name!(high, Option<f64>),
    ),
> {
    must_write("insight_leak_test()");
    let role = caller();
    let options = given(options);
    let found = or_raise(leak::leak_test(model, &options, role));
    let lines = found.findings.into_iter();
    TableIterator::new(lines.map(|f| (f.attack, f.metric, f.value, f.low, f.high)))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_leak_test(text, jsonb) IS
'what somebody who may ask a model learns of the rows it was trained on: membership inference, attribute inference and canaries on models trained as it was on halves of the rows; what is found is kept in insight.leaks';
"#,
    name = "comment_leak",
    requires = [insight_leak_test]
);
