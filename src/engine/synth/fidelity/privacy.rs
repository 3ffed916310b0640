//! How near generated rows come to those they were learned from.

use super::common;
use crate::frame::{Cell, Column, Frame};
use crate::random::Random;
use crate::synth::schema::number;
use rayon::prelude::*;
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

/// Rows as points: numbers divided by their range among the real rows, categories as numbers; NaN is NULL.
struct Points {
    columns: Vec<(bool, Vec<f32>)>,
}

impl Points {
    /// Of several frames, in one measure: that of the first.
    fn of(frames: &[&Frame]) -> Vec<Points> {
        let mut points: Vec<Points> = frames
            .iter()
            .map(|_| Points {
                columns: Vec::new(),
            })
            .collect();
        let real = frames[0];
        for (column, _) in common(real, frames[frames.len() - 1]) {
            let own: Vec<&Column> = frames
                .iter()
                .filter_map(|f| f.column(&column.name))
                .collect();
            if own.len() != frames.len() {
                continue;
            }
            let is_number = super::is_number(column.kind);
            let known: Vec<f64> = (0..column.len())
                .filter_map(|row| number(column.cell(row)))
                .collect();
            let low = known.iter().copied().fold(f64::INFINITY, f64::min);
            let range = known.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
            let range = if range > 0.0 { range } else { 1.0 };
            let mut codes = std::collections::HashMap::new();
            for (points, own) in points.iter_mut().zip(own) {
                let mut place = |row: usize| match own.cell(row) {
                    Cell::Null => f32::NAN,
                    cell if is_number => {
                        number(cell).map_or(f32::NAN, |x| ((x - low) / range) as f32)
                    }
                    cell => {
                        let next = codes.len() as u32;
                        *codes.entry(super::text(cell)).or_insert(next) as f32
                    }
                };
                points
                    .columns
                    .push((is_number, (0..own.len()).map(&mut place).collect()));
            }
        }
        points
    }

    /// Gower's distance (1971): the mean over columns of the share of the range, or of whether they differ.
    fn distance(&self, row: usize, other: &Points, other_row: usize) -> f32 {
        let mut sum = 0.0;
        for ((is_number, own), (_, theirs)) in self.columns.iter().zip(&other.columns) {
            let (a, b) = (own[row], theirs[other_row]);
            sum += match (a.is_nan(), b.is_nan()) {
                (true, true) => 0.0,
                (true, false) | (false, true) => 1.0,
                _ if *is_number => (a - b).abs().min(1.0),
                _ => f32::from(u8::from(a != b)),
            };
        }
        sum / self.columns.len().max(1) as f32
    }

    /// Distance of some rows to the closest of some rows of others.
    fn closest(&self, rows: &[usize], others: &Points, among: &[usize]) -> Vec<f32> {
        let of = |row: &usize| {
            let each = among
                .iter()
                .map(|other| self.distance(*row, others, *other));
            each.fold(f32::INFINITY, f32::min)
        };
        rows.par_iter().map(of).collect()
    }
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

/// The chance that a member is closer than another (the area under the ROC curve; Mann and Whitney 1947).
fn chance(members: &[f32], others: &[f32]) -> f64 {
    let mut others = others.to_vec();
    others.sort_unstable_by(f32::total_cmp);
    let above = |x: &f32| {
        let (low, high) = (
            others.partition_point(|o| o < x),
            others.partition_point(|o| o <= x),
        );
        (others.len() - high) as f64 + (high - low) as f64 / 2.0
    };
    members.iter().map(above).sum::<f64>() / (members.len().max(1) * others.len().max(1)) as f64
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
