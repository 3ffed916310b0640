//! From a log to what the network reads: vocabularies and scales, learned from the past alone.

use super::columns::{Scale, Vocabulary};
use super::log::{Labels, Log, texts};
use super::periods::Periods;
use super::split::Part;
use super::statics::Statics;
use crate::fit::FitError;
use crate::frame::{Cell, Column, Kind};
use serde::{Deserialize, Serialize};

/// What is foretold of each step from the steps before it, or of each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The next step's category: which of [`Encoder::categories`].
    Category(usize),
    /// The next step's number: which of [`Encoder::numbers`].
    Value(usize),
    /// Seconds, or units of the order, to the next step.
    Gap,
    /// Events of each key within the horizon of [`Encoder::periods`].
    Count,
    /// One of [`Encoder::labels`] for each key, after its last step.
    Label,
    /// A number for each key, after its last step.
    KeyValue,
}

impl Target {
    /// Whether the answer belongs to a key as a whole.
    pub fn of_key(self) -> bool {
        matches!(self, Target::Label | Target::KeyValue)
    }

    /// Whether probabilities are answered.
    pub fn has_classes(self) -> bool {
        matches!(self, Target::Category(_) | Target::Label)
    }
}

/// What the user asks to have foretold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOf {
    /// A column of the next step; numbers are categories if so wished (as identifiers are).
    Next { column: String, category: bool },
    /// The time to the next step.
    Gap,
    /// Events within a time from now, in seconds or units of the order.
    Count { horizon: f64 },
    /// [`Log::labels`].
    Key,
}

/// How a log is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Encoder {
    pub key: String,
    pub order: Vec<String>,
    pub target: Target,
    /// The first is the target, where that is a category.
    pub categories: Vec<Vocabulary>,
    pub numbers: Vec<Scale>,
    /// Of the logarithm of 1 + the time since the step before.
    pub gap: Scale,
    /// Hours, weekdays and seasons are inputs.
    pub calendar: bool,
    pub statics: Vec<Scale>,
    /// What the numbers of [`Encoder::statics`] are made of.
    #[serde(default)]
    pub static_columns: Statics,
    /// What [`Target::Label`] answers, sorted.
    pub labels: Vec<String>,
    /// Of [`Target::KeyValue`].
    pub key_value: Scale,
    /// Of [`Target::Count`].
    #[serde(default)]
    pub periods: Option<Periods>,
    /// Columns left out and why.
    pub excluded: Vec<(String, String)>,
}

/// Inputs of [`Encoder::calendar`].
const CALENDAR: usize = 6;
/// A category with more different values than this share of the steps tells rows apart and nothing else.
const MOST_DISTINCT: f64 = 0.5;

impl Encoder {
    /// Learns vocabularies and scales from the training steps of `log` (`parts` of each step; of each key for
    /// [`TargetOf::Key`]), leaving out columns named in `aside`.
    ///
    /// # Errors
    /// 42703 and 42804 for a target that is not there or cannot be one, 22023 where there is nothing to learn.
    pub fn fit(
        log: &Log<'_>,
        parts: &[Part],
        target: &TargetOf,
        aside: &[String],
        max_items: usize,
    ) -> Result<Encoder, FitError> {
        let of_key = *target == TargetOf::Key;
        let mut train = Vec::with_capacity(log.steps());
        for (key, range) in log.offsets.windows(2).enumerate() {
            let steps = range[0]..range[1];
            train.extend(steps.filter(|s| parts[if of_key { key } else { *s }] == Part::Train));
        }
        let mut encoder = Encoder {
            gap: Scale::fit("", gaps(log, &train)),
            ..Encoder::new(log)
        };
        if let TargetOf::Next { column, category } = target {
            let column = log.frame.column(column).ok_or_else(|| {
                FitError::new("42703", format!("column \"{column}\" does not exist"))
            })?;
            encoder.aim_at(log, column, *category, &train, max_items)?;
        }
        for column in encoder.inputs(log, aside) {
            let known = encoder.categories.iter().any(|v| v.name == column.name)
                || encoder.numbers.iter().any(|s| s.name == column.name);
            if !known && let Err(reason) = encoder.add(log, column, &train, max_items) {
                encoder.excluded.push((column.name.clone(), reason.into()));
            }
        }
        let keys = log.offsets.windows(2).enumerate();
        let seen = |(key, range): &(usize, &[usize])| {
            if of_key {
                parts[*key] == Part::Train
            } else {
                parts[range[0]] == Part::Train
            }
        };
        let seen: Vec<usize> = keys.filter(seen).map(|(key, _)| key).collect();
        encoder.statics = static_scales(log, &seen);
        if of_key {
            encoder.aim_at_keys(log, &seen)?;
        }
        Ok(encoder)
    }

    /// Learns to count what comes: numbers, and what is known of keys, from the rows until `until`.
    pub(super) fn fit_counts(
        log: &Log<'_>,
        periods: &Periods,
        until: f64,
        aside: &[String],
    ) -> Encoder {
        let train: Vec<usize> = (0..log.steps())
            .filter(|s| log.times[*s] <= until)
            .collect();
        let mut encoder = Encoder {
            target: Target::Count,
            periods: Some(periods.clone()),
            ..Encoder::new(log)
        };
        for column in encoder.inputs(log, aside) {
            let reason = match column.kind {
                Kind::Number | Kind::Duration => encoder.add(log, column, &train, 0).err(),
                _ => Some("counts are foretold from times and numbers"),
            };
            let reason = reason.map(|reason| (column.name.clone(), reason.to_owned()));
            encoder.excluded.extend(reason);
        }
        let seen = log.offsets.windows(2).enumerate();
        let seen = seen.filter(|(_, range)| log.times[range[0]] <= until);
        let seen: Vec<usize> = seen.map(|(key, _)| key).collect();
        encoder.statics = static_scales(log, &seen);
        encoder
    }

    /// An encoder of nothing yet.
    pub(super) fn new(log: &Log<'_>) -> Encoder {
        let none = || Scale::fit("", std::iter::empty());
        Encoder {
            key: log.key.clone(),
            order: log.order.clone(),
            target: Target::Gap,
            categories: Vec::new(),
            numbers: Vec::new(),
            gap: none(),
            calendar: log.calendar,
            statics: Vec::new(),
            static_columns: Statics::default(),
            labels: Vec::new(),
            key_value: none(),
            periods: None,
            excluded: Vec::new(),
        }
    }

    /// Columns that may be inputs.
    pub(super) fn inputs<'l>(&self, log: &Log<'l>, aside: &[String]) -> Vec<&'l Column> {
        let taken = |name: &String| aside.contains(name) || self.order.contains(name);
        let own = |c: &&Column| c.name != self.key && !taken(&c.name);
        log.frame.columns.iter().filter(own).collect()
    }

    /// Makes the next step's column the target.
    fn aim_at(
        &mut self,
        log: &Log<'_>,
        column: &Column,
        category: bool,
        train: &[usize],
        max_items: usize,
    ) -> Result<(), FitError> {
        let wrong = || {
            let message = format!("column \"{}\" cannot be foretold", column.name);
            FitError::new("42804", message)
                .detail(format!("Its type is {}.", column.type_name))
                .hint("The next step's target is a text, a boolean or a number.")
        };
        match column.kind {
            Kind::Number | Kind::Duration if !category => {
                let values = train.iter().map(|s| number(column, log.rows[*s] as usize));
                self.numbers.push(Scale::fit(&column.name, values));
                self.target = Target::Value(0);
            }
            Kind::Category | Kind::Boolean | Kind::Number => {
                let vocabulary = count(log, column, train, max_items);
                if vocabulary.labels.is_empty() {
                    let message = format!("column \"{}\" has no values to learn", column.name);
                    return Err(FitError::new("22023", message));
                }
                self.categories.push(vocabulary);
                self.target = Target::Category(0);
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn aim_at_keys(&mut self, log: &Log<'_>, seen: &[usize]) -> Result<(), FitError> {
        match &log.labels {
            Some(Labels::Classes(classes)) => {
                let mut labels: Vec<&String> =
                    seen.iter().filter_map(|k| classes[*k].as_ref()).collect();
                labels.sort_unstable();
                labels.dedup();
                if labels.len() < 2 {
                    return Err(FitError::new(
                        "22023",
                        "there are fewer than two labels to learn",
                    ));
                }
                self.labels = labels.into_iter().cloned().collect();
                self.target = Target::Label;
            }
            Some(Labels::Values(values)) => {
                if !seen.iter().any(|k| values[*k].is_finite()) {
                    return Err(FitError::new("22023", "no key has a label to learn")
                        .hint("The relation of labels must have the keys of the histories, written alike."));
                }
                self.key_value = Scale::fit("", seen.iter().map(|k| values[*k]));
                self.target = Target::KeyValue;
            }
            None => return Err(FitError::new("22023", "there are no labels to learn")),
        }
        Ok(())
    }

    /// Adds a column as input, or says why not.
    fn add(
        &mut self,
        log: &Log<'_>,
        column: &Column,
        train: &[usize],
        max_items: usize,
    ) -> Result<(), &'static str> {
        match column.kind {
            Kind::Number | Kind::Duration => {
                let values = || train.iter().map(|s| number(column, log.rows[*s] as usize));
                let mut known = values().filter(|x| x.is_finite());
                let first = known.next().ok_or("has no values")?;
                if known.all(|x| x == first) && values().all(f64::is_finite) {
                    return Err("is always the same");
                }
                self.numbers.push(Scale::fit(&column.name, values()));
            }
            Kind::Category | Kind::Boolean => {
                let vocabulary = count(log, column, train, max_items);
                match vocabulary.labels.len() {
                    0 => return Err("has no values"),
                    1 if column.nulls.count() == 0 => return Err("is always the same"),
                    n if n > 100 && n as f64 > MOST_DISTINCT * train.len() as f64 => {
                        return Err("looks like an identifier");
                    }
                    _ => self.categories.push(vocabulary),
                }
            }
            _ => return Err("is of a kind that steps cannot have"),
        }
        Ok(())
    }

    /// Width of [`Histories::dense`].
    pub fn width(&self) -> usize {
        let numbers: usize = self.numbers.iter().map(Scale::width).sum();
        if let Some(periods) = &self.periods {
            return numbers + periods.width();
        }
        // The gap, whether there is one, and how many steps there were.
        numbers + 3 + if self.calendar { CALENDAR } else { 0 }
    }

    /// Width of [`Histories::statics`].
    pub fn statics_width(&self) -> usize {
        self.statics.iter().map(Scale::width).sum()
    }

    /// Classes of the target, if it has any, with the code 0 of anything else that is never answered.
    pub fn classes(&self) -> usize {
        match self.target {
            Target::Category(at) => self.categories[at].codes(),
            Target::Label => self.labels.len() + 1,
            _ => 0,
        }
    }

    /// The label of a class code from 1.
    pub fn class_label(&self, code: u32) -> Option<&str> {
        match self.target {
            Target::Category(at) => self.categories[at].label(code),
            Target::Label => self
                .labels
                .get((code as usize).checked_sub(1)?)
                .map(String::as_str),
            _ => None,
        }
    }

    /// The scale of a target that is a number, in the unit of the answer.
    pub(super) fn value_scale(&self) -> Option<&Scale> {
        match self.target {
            Target::Value(at) => self.numbers.get(at),
            Target::Gap => Some(&self.gap),
            Target::KeyValue => Some(&self.key_value),
            _ => None,
        }
    }

    /// A network's output as the user's number: the time to the next step in seconds (or units of the order).
    pub fn restore(&self, output: f64) -> f64 {
        let value = self
            .value_scale()
            .map_or(output, |scale| scale.restore(output));
        match self.target {
            // Never before now.
            Target::Gap => value.min(700.0).exp_m1().max(0.0),
            _ => value,
        }
    }

    /// Whether keys can be read one by one, by [`Encoder::encode_key`]: then [`Encoder::now`] is needed.
    pub fn reads_keys(&self) -> bool {
        self.periods.is_some()
    }

    /// Up to when a log's histories are looked at, where the time that has passed since counts.
    pub fn now(&self, log: &Log<'_>) -> f64 {
        let learned = self.periods.as_ref().map_or(f64::NEG_INFINITY, |p| p.now);
        log.times.iter().copied().fold(learned, f64::max)
    }

    /// Makes look-ups possible after reading.
    pub(super) fn index(&mut self) {
        self.categories.iter_mut().for_each(Vocabulary::index);
    }

    /// Whether the parts hold together.
    pub(super) fn is_sound(&self) -> bool {
        let scales = self.numbers.iter().chain(&self.statics);
        let scales = scales.chain([&self.gap, &self.key_value]);
        let aims = match self.target {
            Target::Category(at) => at == 0 && !self.categories.is_empty(),
            Target::Value(at) => at < self.numbers.len(),
            Target::Label => self.labels.len() > 1,
            Target::Gap | Target::KeyValue => true,
            Target::Count => self.categories.is_empty(),
        };
        let counts = self.target == Target::Count;
        let periods = self.periods.as_ref();
        aims && counts == periods.is_some()
            && periods.is_none_or(Periods::is_sound)
            && !self.order.is_empty()
            && scales.into_iter().all(Scale::is_sound)
    }
}

/// Scales of what is known of keys, from those that were seen.
fn static_scales(log: &Log<'_>, seen: &[usize]) -> Vec<Scale> {
    let width = log.statics_width;
    let scale = |i| {
        let of = |key: &usize| f64::from(log.statics[key * width + i]);
        Scale::fit("", seen.iter().map(of))
    };
    (0..width).map(scale).collect()
}

/// The logarithm of 1 + the time since the step before, of a step that has one before it.
pub(super) fn gap(log: &Log<'_>, step: usize) -> f64 {
    (log.times[step] - log.times[step - 1]).max(0.0).ln_1p()
}

/// [`gap`] of those of the steps that have one before them.
fn gaps<'a>(log: &'a Log<'_>, steps: &'a [usize]) -> impl Iterator<Item = f64> + 'a {
    // Both are ascending.
    let mut first = log.offsets.iter().peekable();
    steps.iter().filter_map(move |&step| {
        while first.next_if(|&&f| f < step).is_some() {}
        (first.peek() != Some(&&step)).then(|| gap(log, step))
    })
}

pub(super) fn number(column: &Column, row: usize) -> f64 {
    match column.cell(row) {
        Cell::Number(x) | Cell::Duration(x) => x,
        _ => f64::NAN,
    }
}

/// A vocabulary of what the training steps have.
fn count(log: &Log<'_>, column: &Column, train: &[usize], most: usize) -> Vocabulary {
    let (texts, own) = texts(column);
    let mut counts = vec![0usize; texts.len()];
    for &step in train {
        if let Some(count) = counts.get_mut(own[log.rows[step] as usize] as usize) {
            *count += 1;
        }
    }
    let counted = texts.iter().map(AsRef::as_ref).zip(counts);
    Vocabulary::new(&column.name, counted, most)
}
