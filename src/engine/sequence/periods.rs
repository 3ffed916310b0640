//! Histories as equal periods up to now, to count what comes.

use super::columns::Scale;
use super::encode::number;
use super::histories::Histories;
use super::log::Log;
use crate::fit::FitError;
use crate::frame::Column;
use crate::value::Behaviour;
use serde::{Deserialize, Serialize};

const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.2425 * DAY;
/// Periods of a horizon.
const FEWEST: f64 = 4.0;
pub(super) const MOST: f64 = 60.0;
/// Periods of the longest history; of one that is longer the first part only counts.
const LONGEST: usize = 400;
/// Inputs of a period but those of its season and of columns.
const INPUTS: usize = 6;
/// Inputs of a season.
const SEASON: usize = 2;

/// How histories are cut into periods, the last of which ends now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Periods {
    /// How far is looked ahead, in seconds or units of the order.
    pub horizon: f64,
    /// Periods of the horizon.
    pub count: u32,
    /// The last moment of the log that was learned from.
    pub now: f64,
    /// Whether two years or more were seen, so that seasons are inputs.
    pub seasonal: bool,
}

impl Periods {
    /// Periods for a log: about weeks, or what a history of at most 400 of them needs.
    ///
    /// # Errors
    /// 22023 for a horizon beyond twice what the log spans, or one that is not above 0.
    pub(super) fn fit(log: &Log<'_>, horizon: f64) -> Result<Periods, FitError> {
        let bounds = |of: fn(f64, f64) -> f64| log.times.iter().copied().reduce(of);
        let (Some(first), Some(now)) = (bounds(f64::min), bounds(f64::max)) else {
            return Err(FitError::new("22023", "there are no rows to learn from"));
        };
        let span = now - first;
        if !(horizon > 0.0 && horizon <= 2.0 * span) {
            let unit = if log.calendar { DAY } else { 1.0 };
            let name = if log.calendar { " days" } else { "" };
            return Err(FitError::new(
                "22023",
                "option \"horizon\" is further than can be foretold",
            )
            .detail(format!(
                "The rows span {:.1}{name}, the horizon is {:.1}{name}.",
                span / unit,
                horizon / unit
            ))
            .hint("It may be twice the time that the rows span, at most."));
        }
        let weeks = if log.calendar {
            horizon / (7.0 * DAY)
        } else {
            MOST / 5.0
        };
        let longest = (LONGEST as f64 * horizon / span).max(1.0);
        let count = weeks.round().clamp(FEWEST, MOST).min(longest.floor());
        Ok(Periods {
            horizon,
            count: count as u32,
            now,
            seasonal: log.calendar && span >= 2.0 * YEAR,
        })
    }

    /// The length of a period.
    pub(super) fn length(&self) -> f64 {
        self.horizon / f64::from(self.count)
    }

    /// Inputs of a period but those of columns.
    pub(super) fn width(&self) -> usize {
        INPUTS + if self.seasonal { SEASON } else { 0 }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.horizon.is_finite()
            && self.horizon > 0.0
            && (1..=MOST as u32).contains(&self.count)
            && self.now.is_finite()
    }

    /// The periods of some of a log's keys up to `until`; a key without a row until then has none. `numbers` are columns of which
    /// the mean so far is an input. Values are the events after the first, counted to the end of each period: rows of the same
    /// moment are one event.
    pub(super) fn histories(
        &self,
        log: &Log<'_>,
        numbers: &[Scale],
        statics: &[Scale],
        keys: &[usize],
        until: f64,
    ) -> Histories {
        let columns: Vec<Option<&Column>> =
            numbers.iter().map(|s| log.frame.column(&s.name)).collect();
        let wide: usize = numbers.iter().map(Scale::width).sum();
        let mut out = Histories {
            offsets: vec![0],
            width: self.width() + wide,
            statics_width: statics.iter().map(Scale::width).sum(),
            ..Histories::default()
        };
        for &key in keys {
            self.key(log, (numbers, &columns), key, until, &mut out);
            out.offsets.push(out.values.len());
            let none = Behaviour {
                x: 0.0,
                t_x: 0.0,
                t: 0.0,
            };
            out.behaviours
                .push(behaviour(log, key, until).unwrap_or(none));
            for (i, scale) in statics.iter().enumerate() {
                let known = log.statics.get(key * log.statics_width + i);
                let x = known.filter(|_| i < log.statics_width);
                scale.write(x.map_or(f64::NAN, |x| f64::from(*x)), &mut out.statics);
            }
        }
        out
    }

    fn key(
        &self,
        log: &Log<'_>,
        (scales, columns): (&[Scale], &[Option<&Column>]),
        key: usize,
        until: f64,
        out: &mut Histories,
    ) {
        let steps = steps_until(log, key, until);
        let Some(&first) = log.times.get(steps.start).filter(|_| !steps.is_empty()) else {
            return;
        };
        let length = self.length();
        let all = ((until - first) / length).floor().max(0.0) as usize + 1;
        let mut sums = vec![(0.0, 0.0); scales.len()];
        let (mut at, mut events, mut last) = (steps.start, 0usize, first);
        // What is older than the longest history is read at once.
        for back in (0..all.min(LONGEST + 1)).rev() {
            let end = until - length * back as f64;
            let before = events;
            while at < steps.end && log.times[at] <= end {
                if log.times[at] > last {
                    events += 1;
                    last = log.times[at];
                }
                for ((sum, count), column) in sums.iter_mut().zip(columns) {
                    let row = log.rows[at] as usize;
                    let x = column.map_or(f64::NAN, |c| number(c, row));
                    if x.is_finite() {
                        *sum += x;
                        *count += 1.0;
                    }
                }
                at += 1;
            }
            if back == LONGEST {
                continue;
            }
            let periods = |time: f64| time / length;
            let (known, age) = (events as f64, periods(end - first) + 1.0);
            let inputs = [
                ((events - before) as f64).ln_1p(),
                known.ln_1p(),
                periods(end - last).ln_1p(),
                age.ln_1p(),
                periods(last - first).ln_1p(),
                // About the rate of events, as if there had been 0.3 in 6 periods before.
                ((known + 0.3) / (age + 6.0)).ln(),
            ];
            out.dense.extend(inputs.map(|x| x as f32));
            if self.seasonal {
                let angle = 2.0 * std::f64::consts::PI * end.rem_euclid(YEAR) / YEAR;
                out.dense.extend([angle.sin() as f32, angle.cos() as f32]);
            }
            for (scale, (sum, count)) in scales.iter().zip(&sums) {
                scale.write(sum / count, &mut out.dense);
            }
            out.times.push(end);
            out.values.push(events as f32);
        }
    }
}

/// The steps of a key that were not after `until`.
fn steps_until(log: &Log<'_>, key: usize, until: f64) -> std::ops::Range<usize> {
    let start = log.offsets[key];
    let own = &log.times[start..log.offsets[key + 1]];
    start..start + own.partition_point(|time| *time <= until)
}

/// What the models of purchases know of a key; `None` before its first row.
pub(super) fn behaviour(log: &Log<'_>, key: usize, until: f64) -> Option<Behaviour> {
    let own = &log.times[steps_until(log, key, until)];
    let (first, last) = (own.first()?, own.last()?);
    Some(Behaviour {
        x: own.windows(2).filter(|pair| pair[1] > pair[0]).count() as f64,
        t_x: last - first,
        t: until - first,
    })
}

/// Events of a key after `from` and until `to`.
pub(super) fn events(log: &Log<'_>, key: usize, from: f64, to: f64) -> usize {
    let (before, own) = (steps_until(log, key, from), steps_until(log, key, to));
    let times = &log.times[before.end..own.end];
    let first = usize::from(!times.is_empty());
    first + times.windows(2).filter(|pair| pair[1] > pair[0]).count()
}
