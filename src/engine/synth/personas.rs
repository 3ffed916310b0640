//! Typical customers: rows in the middle of groups, and what sets each group apart, in words and figures.

use super::gower::Points;
use super::{Synthesizer, fidelity, medoids};
use crate::fit::FitError;
use crate::frame::{Column, Frame};
use crate::segment::words::{Judged, Told, row};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows that are made to be grouped.
const MADE: usize = 5000;
/// Groups that are looked for where their number is not given.
const USUAL: std::ops::RangeInclusive<usize> = 2..=8;
pub const MOST_PERSONAS: usize = 50;
/// A typical customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Persona {
    pub name: String,
    /// Of all rows.
    pub share: f64,
    pub description: String,
    /// The row in the middle of the group, by column.
    pub typical: Map<String, Value>,
    /// What sets the group apart, by falling effect; see [`Told`].
    pub differs: Vec<Value>,
}

impl Synthesizer {
    /// Typical customers among rows that are made, or given; by falling share. Groups are medoids by Gower's distance.
    ///
    /// # Errors
    /// 22023 for too few rows, a number of groups that is too small or too large, no column to compare by.
    pub fn personas(
        &self,
        given: Option<Frame>,
        k: Option<usize>,
    ) -> Result<Vec<Persona>, FitError> {
        let frame = match given {
            Some(frame) => frame,
            None => self
                .rows(self.params.seed ^ 0x6a09_e667, &[])?
                .next(MADE, &mut || ())?,
        };
        // What follows from another column would count twice.
        let follows = |name: &str| {
            let mut known = self.columns();
            known.any(|(own, _, how)| own == name && how == "follows another column")
        };
        let columns = frame.columns.iter().filter(|c| !follows(&c.name));
        personas(
            &frame,
            &Frame {
                columns: columns.cloned().collect(),
            },
            k,
        )
    }
}

/// Typical rows of a frame, grouped by some of its columns.
fn personas(frame: &Frame, by: &Frame, k: Option<usize>) -> Result<Vec<Persona>, FitError> {
    let rows = frame.rows();
    let most = MOST_PERSONAS.min(rows.saturating_sub(1));
    if rows < 2 * USUAL.start() + 1 {
        return Err(
            FitError::new("22023", format!("{rows} rows are too few for personas"))
                .hint(format!("At least {} are needed.", 2 * USUAL.start() + 1)),
        );
    }
    if k.is_some_and(|k| !(*USUAL.start()..=most).contains(&k)) {
        return Err(FitError::new(
            "22023",
            format!("k must be an integer from {} to {most}", USUAL.start()),
        )
        .hint("Leave it out to have the number of groups found."));
    }
    let columns: Vec<&Column> = fidelity::common(by, by)
        .into_iter()
        .map(|(c, _)| c)
        .collect();
    if columns.is_empty() {
        return Err(
            FitError::new("22023", "there is no column to compare rows by").detail(
                "Keys, prose, vectors and columns that are always NULL say nothing of likeness.",
            ),
        );
    }
    let points = Points::of(&[by]);
    let Some(points) = points.first() else {
        return Ok(Vec::new());
    };
    let k = k.unwrap_or_else(|| medoids::count(points, rows, USUAL));
    let groups = medoids::clara(points, rows, k, 0);
    let mut sizes = vec![0usize; groups.medoids.len()];
    groups.of.iter().for_each(|group| sizes[*group] += 1);
    let judged: Vec<Judged<'_>> = columns.par_iter().map(|c| Judged::of(c)).collect();
    // Where rows are alike a medoid can be left without any.
    let mut order: Vec<usize> = (0..sizes.len()).filter(|g| sizes[*g] > 0).collect();
    order.sort_by_key(|group| (std::cmp::Reverse(sizes[*group]), groups.medoids[*group]));
    let mut names: Vec<String> = Vec::new();
    let each = order.into_iter().map(|group| {
        let inside: Vec<bool> = groups.of.iter().map(|own| *own == group).collect();
        let told = Told::of(&judged, &inside, &names);
        names.push(told.name.clone());
        Persona {
            name: told.name,
            share: sizes[group] as f64 / rows as f64,
            description: told.description,
            typical: row(frame, groups.medoids[group]),
            differs: told.differs,
        }
    });
    Ok(each.collect())
}

#[cfg(test)]
#[path = "personas_test.rs"]
mod tests;
