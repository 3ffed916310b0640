//! Gower's distance between rows of mixed columns.

use super::fidelity::{common, is_number, text};
use super::schema::number;
use crate::frame::{Cell, Column, Frame};
use rayon::prelude::*;

/// Rows as points: numbers divided by their range among the real rows, categories as numbers; NaN is NULL.
pub(super) struct Points {
    columns: Vec<(bool, Vec<f32>)>,
}

impl Points {
    /// Of several frames, in one measure: that of the first.
    pub(super) fn of(frames: &[&Frame]) -> Vec<Points> {
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
            let is_number = is_number(column.kind);
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
                        *codes.entry(text(cell)).or_insert(next) as f32
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
    pub(super) fn distance(&self, row: usize, other: &Points, other_row: usize) -> f32 {
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
    pub(super) fn closest(&self, rows: &[usize], others: &Points, among: &[usize]) -> Vec<f32> {
        let of = |row: &usize| {
            let each = among
                .iter()
                .map(|other| self.distance(*row, others, *other));
            each.fold(f32::INFINITY, f32::min)
        };
        rows.par_iter().map(of).collect()
    }
}
