//! Dates and timestamps: how long ago, and the parts of the calendar that vary.

use super::number::Number;
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
    /// From 0 (included) to 1 (excluded).
    fn phase(self, microseconds: i64) -> f64 {
        let days = microseconds.div_euclid(DAY);
        let (month, day) = month_and_day(days);
        match self {
            Part::Month => f64::from(month - 1) / 12.0,
            Part::DayOfMonth => f64::from(day - 1) / 31.0,
            // 2000-01-01 was a Saturday; only that the same days meet matters.
            Part::DayOfWeek => days.rem_euclid(7) as f64 / 7.0,
            Part::Hour => microseconds.rem_euclid(DAY) as f64 / DAY as f64,
        }
    }
}

/// Month 1 to 12 and day 1 to 31 of a day counted from 2000-01-01 (Hinnant's days-from-civil, reversed).
fn month_and_day(days: i64) -> (u32, u32) {
    let shifted = days.saturating_add(730_425);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (month as u32, day as u32)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Time {
    /// Elapsed time, standardised; carries the missing flag.
    elapsed: Number,
    parts: Vec<Part>,
}

impl Time {
    pub(super) fn fit(column: &Column, rows: &[u32]) -> Time {
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
            elapsed: Number::fit(super::present_numbers(column, rows), rows.len()),
            parts,
        }
    }

    pub(super) fn width(&self) -> usize {
        self.elapsed.width() + 2 * self.parts.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        for (days, month, day) in [
            (0, 1, 1),
            (31, 2, 1),
            (59, 2, 29),
            (60, 3, 1),
            (366, 1, 1),
            (-1, 12, 31),
            (9131, 12, 31),
        ] {
            assert_eq!(month_and_day(days), (month, day), "day {days}");
        }
    }
}
