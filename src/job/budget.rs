//! `insight_privacy_budget`: its arguments.

use crate::error::{Error, Result, required};
use crate::relation::resolve;
use crate::store::budget::{self, Standing};

/// Sets the budget of a table, named as in SQL; without an epsilon it has none from then on.
pub fn set(
    relation: Option<&str>,
    epsilon: Option<f64>,
    delta: Option<f64>,
) -> Result<Option<Standing>> {
    let source = resolve::resolve(required(relation, "relation")?)?;
    let table = source.relation.ok_or_else(|| {
        Error::new("22023", "a table is needed, not a query")
            .hint("A budget belongs to the table that has the rows; queries on it count for it.")
    })?;
    let Some(epsilon) = epsilon else {
        return budget::set(table, None);
    };
    let delta = required(delta, "delta")?;
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        return Err(Error::new("22023", "epsilon must be a number from 0"));
    }
    if !(0.0..1.0).contains(&delta) {
        return Err(Error::new(
            "22023",
            "delta must be a number from 0 to below 1",
        ));
    }
    budget::set(table, Some((epsilon, delta)))
}
