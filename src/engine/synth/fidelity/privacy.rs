//! How near generated rows come to those they were learned from.

use super::common;
use crate::evaluate::roc_auc;
use crate::frame::{Column, Frame};
use crate::random::Random;
use crate::synth::gower::Points;
use crate::synth::schema::number;
use std::collections::HashSet;

/// Rows whose distances are measured, and rows they are measured to.
const ASKED: usize = 2000;
const REFERENCE: usize = 20_000;

/// What was found of a set of generated rows.
pub(super) struct Privacy {
    /// Median distances of generated rows to the closest row that was learned from, and to the closest one that was not.
    pub(super) distance: f64,
    pub(super) distance_to_holdout: Option<f64>,
    /// Share of generated rows that are closer to a row that was learned from than to one that was not: a half where nothing is
    /// given away (SDMetrics' DCROverfittingProtection rests on it).
    pub(super) closer: Option<f64>,
    /// How well the distance to the closest generated row tells rows that were learned from from others: a half is a guess.
    pub(super) membership: Option<f64>,
    /// Share of generated rows that equal a row that was learned from.
    pub(super) copies: f64,
}

/// `learned` are the rows a model was trained on, `holdout` rows of the same kind that it has not seen.
pub(super) fn privacy(
    learned: &Frame,
    made: &Frame,
    holdout: Option<&Frame>,
    seed: u64,
) -> Privacy {
    let mut random = Random::new(seed ^ 0x510e_527f);
    let mut some = |rows: usize, most: usize| -> Vec<usize> {
        let mut all: Vec<usize> = (0..rows).collect();
        random.shuffle(&mut all);
        all.truncate(most);
        all
    };
    let mut frames = vec![learned];
    frames.extend(holdout);
    frames.push(made);
    let points = Points::of(&frames);
    let (real, synthetic) = (&points[0], &points[points.len() - 1]);
    let asked = some(made.rows(), ASKED);
    // As many of both: the more rows, the closer the closest.
    let count = holdout.map_or(REFERENCE, |h| h.rows().min(learned.rows()).min(REFERENCE));
    let own = synthetic.closest(&asked, real, &some(learned.rows(), count));
    let mut privacy = Privacy {
        distance: median(&own),
        distance_to_holdout: None,
        closer: None,
        membership: None,
        copies: copies(learned, made),
    };
    if let Some(holdout) = holdout {
        let held = &points[1];
        let theirs = synthetic.closest(&asked, held, &some(holdout.rows(), count));
        let closer = own.iter().zip(&theirs).map(|(a, b)| match a.total_cmp(b) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        });
        privacy.closer = Some(closer.sum::<f64>() / own.len().max(1) as f64);
        privacy.distance_to_holdout = Some(median(&theirs));
        let among = some(made.rows(), REFERENCE);
        let members = real.closest(&some(learned.rows(), ASKED), synthetic, &among);
        let others = held.closest(&some(holdout.rows(), ASKED), synthetic, &among);
        privacy.membership = Some(chance(&members, &others));
    }
    privacy
}

fn median(values: &[f32]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
        .get(sorted.len() / 2)
        .map_or(f64::NAN, |x| f64::from(*x))
}

/// The area under the ROC curve of telling members by how close they are.
fn chance(members: &[f32], others: &[f32]) -> f64 {
    let nearness: Vec<f64> = members
        .iter()
        .chain(others)
        .map(|d| -f64::from(*d))
        .collect();
    let member: Vec<bool> = (0..nearness.len()).map(|at| at < members.len()).collect();
    roc_auc(&nearness, &member)
}

/// Rows equal in every column that can be compared.
fn copies(learned: &Frame, made: &Frame) -> f64 {
    let (own, theirs): (Vec<&Column>, Vec<&Column>) = common(learned, made).into_iter().unzip();
    let known: HashSet<String> = (0..learned.rows()).map(|row| written(&own, row)).collect();
    let same = (0..made.rows())
        .filter(|row| known.contains(&written(&theirs, *row)))
        .count();
    same as f64 / made.rows().max(1) as f64
}

/// A row's values, so that equal rows give equal texts.
fn written(columns: &[&Column], row: usize) -> String {
    let value = |column: &&Column| match number(column.cell(row)) {
        Some(x) => format!("{x}\u{1}"),
        None => super::text(column.cell(row)) + "\u{1}",
    };
    columns.iter().map(value).collect()
}
