//! Dates and timestamps: how long ago, and the parts of the calendar that vary.

use super::number::Number;
use super::options::{Scaling, Standardise};
use crate::calendar;
use crate::frame::{Cell, Column};
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400_000_000;

/// A part of the calendar that comes round again, as a point on a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Month,
    DayOfMonth,
    DayOfWeek,
    Hour,
}

const PARTS: [Part; 4] = [Part::Month, Part::DayOfMonth, Part::DayOfWeek, Part::Hour];

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Month => "month",
            Part::DayOfMonth => "day of the month",
            Part::DayOfWeek => "day of the week",
            Part::Hour => "hour",
        }
    }
    /// From 0 (included) to 1 (excluded).
    fn phase(self, microseconds: i64) -> f64 {
        let days = microseconds.div_euclid(DAY);
        let (_, month, day) = calendar::date(days);
        match self {
            Part::Month => f64::from(month - 1) / 12.0,
            Part::DayOfMonth => f64::from(day - 1) / 31.0,
            // 2000-01-01 was a Saturday; only that the same days meet matters.
            Part::DayOfWeek => days.rem_euclid(7) as f64 / 7.0,
            Part::Hour => microseconds.rem_euclid(DAY) as f64 / DAY as f64,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Time {
    /// Elapsed time, standardised; carries the missing flag.
    elapsed: Number,
    parts: Vec<Part>,
}

impl Time {
    pub(super) fn fit(column: &Column, rows: &[u32], how: Scaling) -> Time {
        let times: Vec<i64> = rows
            .iter()
            .filter_map(|&row| match column.cell(row as usize) {
                Cell::Time(t) => Some(t),
                _ => None,
            })
            .collect();
        let varies = |part: &Part| times.iter().any(|t| part.phase(*t) != part.phase(times[0]));
        let parts = PARTS
            .into_iter()
            .filter(|part| !times.is_empty() && varies(part))
            .collect();
        Time {
            elapsed: Number::fit(
                super::present_numbers(column, rows),
                rows.len(),
                // Microseconds as they are would drown everything else.
                Scaling {
                    standardise: match how.standardise {
                        Standardise::None => Standardise::Auto,
                        other => other,
                    },
                    ..how
                },
            ),
            parts,
        }
    }

    /// Of times that are distributed as those of a column, and `missing` rows more without one; all parts of the calendar that a day, or
    /// a time of the day, has.
    pub(super) fn of_values(values: Vec<f64>, missing: usize, day: bool, how: Scaling) -> Time {
        let rows = values.len() + missing;
        let parts = PARTS.into_iter().filter(|part| !day || *part != Part::Hour);
        Time {
            elapsed: Number::fit(values, rows, how),
            parts: parts.collect(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.elapsed.width() + 2 * self.parts.len()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.elapsed.is_sound()
    }

    pub(super) fn elapsed(&self) -> &Number {
        &self.elapsed
    }

    /// The parts of the calendar, each two inputs.
    pub(super) fn part_names(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().map(|part| part.name())
    }

    /// What is done, in words.
    pub(super) fn words(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.name()).collect();
        let elapsed = format!("time elapsed: {}", self.elapsed.words());
        if parts.is_empty() {
            return elapsed;
        }
        format!("{elapsed}; {} as points on a circle", parts.join(", "))
    }

    pub(super) fn parameters(&self) -> serde_json::Value {
        serde_json::json!({"elapsed": self.elapsed.parameters(), "parts": self.parts})
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut [f32]) {
        let (elapsed, circles) = out.split_at_mut(self.elapsed.width());
        self.elapsed.write(cell, elapsed);
        for (part, out) in self.parts.iter().zip(circles.chunks_exact_mut(2)) {
            // A missing date is the centre of the circle.
            let (sin, cos) = match cell {
                Cell::Time(t) => (part.phase(t) * std::f64::consts::TAU).sin_cos(),
                _ => (0.0, 0.0),
            };
            out[0] = sin as f32;
            out[1] = cos as f32;
        }
    }
}
