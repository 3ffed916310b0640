//! How much of a table may be told under differential privacy.

use crate::error::{must_write, or_raise};
use crate::job::budget;
use pgrx::prelude::*;

/// Sets the privacy budget of a table, or with NULL takes it away; answers where it stands.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn insight_privacy_budget(
    relation: Option<&str>,
    epsilon: Option<f64>,
    delta: default!(Option<f64>, "1e-4"),
) -> TableIterator<
    'static,
    (
        name!(relation, String),
        name!(epsilon, f64),
        name!(delta, f64),
        name!(epsilon_spent, f64),
        name!(delta_spent, f64),
        name!(epsilon_left, f64),
        name!(delta_left, f64),
    ),
> {
    must_write("insight_privacy_budget()");
    let standing = or_raise(budget::set(relation, epsilon, delta));
    TableIterator::new(standing.into_iter().map(|s| {
        let left = (s.epsilon_left(), s.delta_left());
        (
            s.relation,
            s.epsilon,
            s.delta,
            s.epsilon_spent,
            s.delta_spent,
            left.0,
            left.1,
        )
    }))
}

extension_sql!(
    r#"
COMMENT ON FUNCTION insight_privacy_budget(text, double precision, double precision) IS
'sets how much of a table may be told under differential privacy, in sum over all uses, by its owner; NULL takes the budget away; answers where it stands';
"#,
    name = "comment_privacy",
    requires = [insight_privacy_budget]
);
