//! A log as numbers.

use super::columns::{Scale, Vocabulary};
use super::encode::{Encoder, Target, gap, number};
use super::log::{Labels, Log, text_of};
use crate::frame::{Column, Kind, Values};
use crate::value::Behaviour;

/// A log as numbers: what the network reads.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// `keys.len() + 1` places among the steps.
    pub offsets: Vec<usize>,
    /// When each step was, as in [`Log::times`].
    pub times: Vec<f64>,
    /// Of each category column, a code for each step.
    pub codes: Vec<Vec<u32>>,
    /// Row-major `[steps][width]`.
    pub dense: Vec<f32>,
    pub width: usize,
    /// Row-major `[keys][statics_width]`.
    pub statics: Vec<f32>,
    pub statics_width: usize,
    /// What each step answers as the next step of the one before, or each key: a code (0: none), or a standardised number
    /// (NaN: none). One of the two is empty. Where events are counted, the events so far.
    pub classes: Vec<u32>,
    pub values: Vec<f32>,
    /// Where events are counted: what a model of purchases knows of each key.
    pub behaviours: Vec<Behaviour>,
}

impl Histories {
    pub fn keys(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn steps(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }
}

impl Encoder {
    /// One key of a log, up to `now`.
    pub fn encode_key(&self, log: &Log<'_>, key: usize, now: f64) -> Histories {
        match &self.periods {
            Some(periods) => periods.histories(log, &self.numbers, &self.statics, &[key], now),
            None => Histories::default(),
        }
    }

    /// Reads a log as it was learned. Columns that the log lacks are unknown or missing throughout.
    pub fn encode(&self, log: &Log<'_>) -> Histories {
        if let Some(periods) = &self.periods {
            let keys: Vec<usize> = (0..log.keys.len()).collect();
            let now = self.now(log);
            return periods.histories(log, &self.numbers, &self.statics, &keys, now);
        }
        let steps = log.steps();
        let column = |name: &str| log.frame.column(name);
        let codes: Vec<Vec<u32>> = self
            .categories
            .iter()
            .map(|v| column(&v.name).map_or_else(|| vec![0; steps], |c| codes(log, c, v)))
            .collect();
        let numbers: Vec<(&Scale, Option<&Column>)> =
            self.numbers.iter().map(|s| (s, column(&s.name))).collect();
        let width = self.width();
        let mut dense = Vec::with_capacity(steps * width);
        let mut values = Vec::new();
        for range in log.offsets.windows(2) {
            for step in range[0]..range[1] {
                let row = log.rows[step] as usize;
                let of = |c: &Option<&Column>| c.map_or(f64::NAN, |c| number(c, row));
                for (scale, column) in &numbers {
                    scale.write(of(column), &mut dense);
                }
                let first = step == range[0];
                let gap = if first { f64::NAN } else { gap(log, step) };
                dense.push(self.gap.input(gap));
                dense.push(f32::from(u8::from(first)));
                dense.push(((1 + step - range[0]) as f32).ln() / 4.0);
                if self.calendar {
                    calendar(log.times[step], &mut dense);
                }
                match self.target {
                    Target::Value(at) => {
                        let (scale, column) = &numbers[at];
                        values.push(scale.standardise(of(column)));
                    }
                    Target::Gap => values.push(self.gap.standardise(gap)),
                    _ => {}
                }
            }
        }
        let mut classes = Vec::new();
        match (&log.labels, self.target) {
            (Some(Labels::Classes(own)), Target::Label) => {
                let code = |label: &Option<String>| {
                    let found = label
                        .as_ref()
                        .and_then(|l| self.labels.binary_search(l).ok());
                    found.map_or(0, |at| at as u32 + 1)
                };
                classes = own.iter().map(code).collect();
            }
            (Some(Labels::Values(own)), Target::KeyValue) => {
                values = own.iter().map(|x| self.key_value.standardise(*x)).collect();
            }
            (None, Target::Label) => classes = vec![0; log.keys.len()],
            (None, Target::KeyValue) => values = vec![f32::NAN; log.keys.len()],
            (_, Target::Category(at)) => classes.clone_from(&codes[at]),
            _ => {}
        }
        let mut statics = Vec::with_capacity(log.keys.len() * self.statics_width());
        for key in 0..log.keys.len() {
            for (i, scale) in self.statics.iter().enumerate() {
                let known = log.statics.get(key * log.statics_width + i);
                let x = known.filter(|_| i < log.statics_width);
                scale.write(x.map_or(f64::NAN, |x| f64::from(*x)), &mut statics);
            }
        }
        Histories {
            offsets: log.offsets.clone(),
            times: log.times.clone(),
            codes,
            dense,
            width,
            statics,
            statics_width: self.statics_width(),
            classes,
            values,
            behaviours: Vec::new(),
        }
    }
}

/// Hour, weekday and season, each as a point on a circle.
fn calendar(seconds: f64, out: &mut Vec<f32>) {
    const DAY: f64 = 86_400.0;
    // 2000-01-01 was a Saturday, which only turns the circle.
    for period in [DAY, 7.0 * DAY, 365.2425 * DAY] {
        let angle = 2.0 * std::f64::consts::PI * seconds.rem_euclid(period) / period;
        out.push(angle.sin() as f32);
        out.push(angle.cos() as f32);
    }
}

/// Codes of a column, looked up once per different text where the column keeps these apart already.
fn codes(log: &Log<'_>, column: &Column, vocabulary: &Vocabulary) -> Vec<u32> {
    if let (Values::Category { codes, dictionary }, Kind::Category) = (&column.values, column.kind)
        && dictionary.len() < log.steps()
    {
        let known: Vec<u32> = (0..dictionary.len() as u32)
            .map(|code| vocabulary.code(dictionary.text(code)))
            .collect();
        let of = |row: usize| match column.nulls.get(row) {
            true => 0,
            false => known[codes[row] as usize],
        };
        return log.rows.iter().map(|row| of(*row as usize)).collect();
    }
    let of = |row: &u32| text_of(column.cell(*row as usize)).map_or(0, |t| vocabulary.code(&t));
    log.rows.iter().map(of).collect()
}
