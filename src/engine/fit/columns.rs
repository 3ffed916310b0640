//! Which columns are features: identifiers and constants are left out, with the reason.

use super::{FitError, Request};
use crate::frame::Column;
use crate::profile::unfit::{Unfit, unfit};
use rayon::prelude::*;

/// Positions of the feature columns, and the columns left out with the reason.
pub(super) type Chosen = (Vec<usize>, Vec<(String, String)>);

/// Chooses by names and by the features' values in the training rows; the target is not looked at.
pub(super) fn choose(request: &Request, target: usize, rows: &[u32]) -> Result<Chosen, FitError> {
    let why_not = |column: &Column| {
        if let Some(why) = request.aside(&column.name) {
            return Some(why.into());
        }
        let asked_for = request.include.contains(&column.name);
        unfit(column, rows)
            .filter(|why| !asked_for || !matches!(why, Unfit::Identifier(_)))
            .map(|why| why.to_string())
    };
    let frame = &request.frame;
    let judged: Vec<Option<String>> = frame.columns.par_iter().map(why_not).collect();
    let (mut columns, mut excluded) = (Vec::new(), Vec::new());
    for (position, why) in judged
        .into_iter()
        .enumerate()
        .filter(|(at, _)| *at != target)
    {
        match why {
            Some(why) => excluded.push((frame.columns[position].name.clone(), why)),
            None => columns.push(position),
        }
    }
    if columns.is_empty() {
        let list: Vec<String> = excluded
            .iter()
            .map(|(name, reason)| format!("\"{name}\" ({reason})"))
            .collect();
        return Err(FitError::new("22023", "no usable feature column is left")
            .detail(if list.is_empty() {
                "The target is the only column.".into()
            } else {
                format!("Left out: {}.", list.join(", "))
            })
            .hint("Name columns in the option include to use them all the same."));
    }
    Ok((columns, excluded))
}
