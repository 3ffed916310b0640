//! The time until an event: durations, and whether the event ended them.

use super::{Answers, FitError, Request, companion};
use crate::artifact::Task;
use crate::evaluate::Baseline;
use crate::frame::{Column, Values};
use crate::survival::{kaplan_meier, step_at};

/// Most intervals.
const INTERVALS: usize = 20;
/// Events of the training rows in an interval, on average, at least.
const EVENTS: usize = 10;
/// Steps of the censoring curve that are kept.
const STEPS: usize = 200;

pub(super) fn prepare(
    request: &Request,
    column: usize,
    mut rows: Vec<u32>,
) -> Result<Answers, FitError> {
    let target = &request.frame.columns[column];
    let Some(event) = &request.of_task.event else {
        return Err(
            FitError::new("22023", "task survival needs the option event").hint(
                "Name the column that says whether the event happened: {\"event\": \"churned\"}.",
            ),
        );
    };
    let marks = companion::marks(&request.frame, event)?;
    rows.retain(|row| marks[*row as usize].is_some());
    if rows.is_empty() {
        return Err(FitError::new(
            "22023",
            format!("no row has both \"{}\" and \"{event}\"", target.name),
        ));
    }
    durations(target, &rows)?;
    let happened = |row: &u32| marks[*row as usize] == Some(true);
    let events = rows.iter().filter(|row| happened(row)).count();
    if events < 2 {
        return Err(FitError::new(
            "22023",
            format!("the event of \"{event}\" happened in {events} rows"),
        )
        .hint(
            "A model learns from rows to which the event has happened: at least two are needed.",
        ));
    }
    let values = match &target.values {
        Values::Number(values) => values.clone(),
        _ => Vec::new(),
    };
    Ok(Answers {
        column,
        task: Task::Survival,
        labels: Vec::new(),
        rows,
        codes: Vec::new(),
        values,
        sets: Vec::new(),
        label_rows: Vec::new(),
        marks: marks.into_iter().map(Option::unwrap_or_default).collect(),
        fair: None,
    })
}

/// The durations of rows.
///
/// # Errors
/// A target that is no number or interval, and negative durations.
pub(super) fn durations(target: &Column, rows: &[u32]) -> Result<Vec<f64>, FitError> {
    let Values::Number(values) = &target.values else {
        return Err(FitError::new(
            "42804",
            format!(
                "task survival needs a number or an interval as its target, not {}",
                target.type_name
            ),
        )
        .hint("The target is the time until the event, or until the row was last seen."));
    };
    let found: Vec<f64> = rows.iter().map(|row| values[*row as usize]).collect();
    let negative = found.iter().filter(|v| **v < 0.0).count();
    if negative > 0 {
        return Err(FitError::new(
            "22023",
            format!("target \"{}\" is negative in {negative} rows", target.name),
        )
        .hint(
            "A time until an event cannot be negative: leave these rows out with a WHERE clause.",
        ));
    }
    Ok(found)
}

impl Answers {
    fn duration(&self, row: u32) -> f64 {
        self.values[row as usize]
    }

    /// Where intervals end: at quantiles of the times of events, the last at the last event.
    ///
    /// # Errors
    /// No event after the time 0.
    pub(super) fn intervals(&self, rows: &[u32]) -> Result<Vec<f64>, FitError> {
        let happened = rows.iter().filter(|row| self.marks[**row as usize]);
        let mut times: Vec<f64> = happened.map(|row| self.duration(*row)).collect();
        times.retain(|time| *time > 0.0);
        times.sort_unstable_by(f64::total_cmp);
        let Some(last) = times.len().checked_sub(1) else {
            return Err(FitError::new(
                "22023",
                "no event of the training rows happened after the time 0",
            )
            .hint("The target is the time until the event, or until the row was last seen."));
        };
        let count = (times.len() / EVENTS).clamp(1, INTERVALS);
        let mut ends: Vec<f64> = (1..=count).map(|i| times[i * last / count]).collect();
        ends.dedup();
        Ok(ends)
    }

    /// For each interval 1 where the event happened in it, 0 where it was survived, NaN where nothing is known of it: after the
    /// event, and after the row was last seen (in the first half of an interval: of all of it).
    pub(super) fn survived(&self, rows: &[u32], ends: &[f64]) -> Vec<f32> {
        let mut targets = Vec::with_capacity(rows.len() * ends.len());
        for &row in rows {
            let (time, event) = (self.duration(row), self.marks[row as usize]);
            let mut start = 0.0;
            let mut over = false;
            for &end in ends {
                targets.push(if over {
                    f32::NAN
                } else if time > end {
                    0.0
                } else {
                    over = true;
                    match event {
                        true => 1.0,
                        false if time >= (start + end) / 2.0 => 0.0,
                        false => f32::NAN,
                    }
                });
                start = end;
            }
        }
        targets
    }

    /// What one would say without a model.
    pub(super) fn kaplan_meier(&self, rows: &[u32], ends: &[f64]) -> Baseline {
        let times: Vec<f64> = rows.iter().map(|row| self.duration(*row)).collect();
        let events: Vec<bool> = rows.iter().map(|row| self.marks[*row as usize]).collect();
        let steps = kaplan_meier(&times, &events);
        let mut before = 1.0;
        let hazard = |end: &f64| {
            let now = step_at(&steps, *end, false);
            let hazard = if before > 0.0 {
                1.0 - now / before
            } else {
                0.0
            };
            before = now;
            hazard
        };
        let hazards = ends.iter().map(hazard).collect();
        let unseen: Vec<bool> = events.iter().map(|event| !event).collect();
        let seen = kaplan_meier(&times, &unseen);
        let every = seen.len().div_ceil(STEPS).max(1);
        Baseline::Survival {
            ends: ends.to_vec(),
            hazards,
            seen: seen.into_iter().step_by(every).collect(),
        }
    }

    /// How much earlier or more often than expected of all rows the event happened (martingale residuals by the Nelson-Aalen
    /// estimate): what one number can say of a time that is not known to the end.
    pub(super) fn residuals(&self, rows: &[u32]) -> Vec<f64> {
        let times: Vec<f64> = rows.iter().map(|row| self.duration(*row)).collect();
        let events: Vec<bool> = rows.iter().map(|row| self.marks[*row as usize]).collect();
        let steps = kaplan_meier(&times, &events);
        let residual = |(time, event): (&f64, &bool)| {
            let survival = step_at(&steps, *time, false).max(1e-3);
            f64::from(u8::from(*event)) + survival.ln()
        };
        times.iter().zip(&events).map(residual).collect()
    }
}
