//! What must be known of a log before a private training: what is known without a look at rows, and what is asked.
//!
//! Each key answers with one row: of each column the value at one of its steps, chosen at random, of the time between steps one of those, and
//! what is known of the key as a whole. More rows of a key would need as much more noise.

use super::super::columns::{Scale, Vocabulary};
use super::super::encode::{Encoder, Target, TargetOf, gap};
use super::super::log::{Labels, Log, text_of};
use super::super::statics::{MOST_LEVELS, Static, Statics};
use crate::fit::{FitError, MAX_CLASSES, UNTOLD, known, of_answer, question};
use crate::frame::{Cell, Column, Frame, Kind};
use crate::privacy::noise::Noise;
use crate::privacy::{Asked, Column as Question, Marginals, Privacy};
use crate::recipe::Told;
use hashbrown::HashMap;

/// What a column is to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Target,
    Input,
    Gap,
    /// Known of a key whatever the step.
    Static,
}

/// A column, what is known of it, and what each key answers where it is asked.
struct Need {
    role: Role,
    name: String,
    kind: Kind,
    known: Option<Told>,
    sample: Option<(Column, Asked)>,
}

/// The columns of a log.
pub(super) struct Columns<'a> {
    log: &'a Log<'a>,
    target: Target,
    needs: Vec<Need>,
    excluded: Vec<(String, String)>,
    excluded_statics: Vec<(String, String)>,
}

/// What was told.
pub(super) struct AllTold {
    pub(super) encoder: Encoder,
    pub(super) statics: Statics,
    /// About how many keys have each class at a step of theirs, by code less one.
    pub(super) counts: Vec<usize>,
    /// Values that are distributed about as the target's, as the network learns them but for their scale.
    pub(super) values: Vec<f64>,
}

impl<'a> Columns<'a> {
    /// Chooses what is asked. `statics` has a row for each key, columns named in `aside` are not read.
    ///
    /// # Errors
    /// 42703 and 42804 for a target that is not there or cannot be one, 22023 where there are no labels.
    pub(super) fn of(
        log: &'a Log<'a>,
        statics: Option<&Frame>,
        target: &TargetOf,
        aside: &[String],
        privacy: &Privacy,
        noise: &mut Noise,
    ) -> Result<Columns<'a>, FitError> {
        let steps = log.offsets.windows(2);
        let steps = steps.map(|own| own[0] + noise.below(own[1] - own[0]));
        let rows: Vec<usize> = steps.map(|step| log.rows[step] as usize).collect();
        let mut columns = Columns {
            log,
            target: Target::Gap,
            needs: Vec::new(),
            excluded: Vec::new(),
            excluded_statics: Vec::new(),
        };
        let aim = columns.aim(target, &rows)?;
        if let Some(need) = aim {
            columns.needs.push(need);
        }
        for column in Encoder::new(log).inputs(log, aside) {
            if matches!(target, TargetOf::Next { column: own, .. } if *own == column.name) {
                continue;
            }
            let cells = || rows.iter().map(|row| column.cell(*row));
            let reason = match column.kind {
                Kind::Time => Some("is of a kind that steps cannot have".to_owned()),
                _ => columns.add(Role::Input, column, privacy, sampled(column, cells())),
            };
            columns
                .excluded
                .extend(reason.map(|reason| (column.name.clone(), reason)));
        }
        let need = columns.gap(noise);
        match target {
            TargetOf::Gap => columns.needs.insert(0, need),
            _ => columns.needs.push(need),
        }
        if let Some(frame) = statics {
            columns.add_statics(frame, privacy);
        }
        Ok(columns)
    }

    /// What is asked of the target; `None` where that is the time to the next step, which is asked in any case.
    fn aim(&mut self, target: &TargetOf, rows: &[usize]) -> Result<Option<Need>, FitError> {
        let log = self.log;
        let (aim, asked, sample) = match target {
            TargetOf::Next { column, category } => {
                let own = log.frame.column(column).ok_or_else(|| {
                    FitError::new("42703", format!("column \"{column}\" does not exist"))
                })?;
                let sample = sampled(own, rows.iter().map(|row| own.cell(*row)));
                match own.kind {
                    Kind::Number | Kind::Duration if !category => {
                        (Target::Value(0), Asked::Numbers, sample)
                    }
                    Kind::Category | Kind::Boolean | Kind::Number => {
                        (Target::Category(0), Asked::Levels, sample)
                    }
                    _ => {
                        let message = format!("column \"{column}\" cannot be foretold");
                        return Err(FitError::new("42804", message)
                            .detail(format!("Its type is {}.", own.type_name))
                            .hint("The next step's target is a text, a boolean or a number."));
                    }
                }
            }
            TargetOf::Key => match &log.labels {
                Some(Labels::Classes(own)) => {
                    let mut sample = Column::new(&*log.label, "text", Kind::Category);
                    let cells = own
                        .iter()
                        .map(|l| l.as_deref().map_or(Cell::Null, Cell::Text));
                    cells.for_each(|cell| sample.push(cell));
                    (Target::Label, Asked::Levels, sample)
                }
                Some(Labels::Values(own)) => {
                    let mut sample = Column::new(&*log.label, "double precision", Kind::Number);
                    own.iter().for_each(|x| sample.push(Cell::Number(*x)));
                    (Target::KeyValue, Asked::Numbers, sample)
                }
                None => return Err(FitError::new("22023", "there are no labels to learn")),
            },
            TargetOf::Gap => return Ok(None),
            TargetOf::Count { .. } => return Err(super::no_counts()),
        };
        self.target = aim;
        Ok(Some(Need {
            role: Role::Target,
            name: sample.name.clone(),
            kind: sample.kind,
            known: None,
            sample: Some((sample, asked)),
        }))
    }

    /// Adds a column, or says why not.
    fn add(
        &mut self,
        role: Role,
        column: &Column,
        privacy: &Privacy,
        sample: Column,
    ) -> Option<String> {
        let known = known(column, privacy);
        let asked = question(column.kind);
        let sample = match (&known, asked) {
            (Some(_), _) => None,
            (None, Some(asked)) => Some((sample, asked)),
            (None, None) => {
                return Some(format!(
                    "type {} is not prepared under differential privacy",
                    column.type_name
                ));
            }
        };
        self.needs.push(Need {
            role,
            name: column.name.clone(),
            kind: column.kind,
            known,
            sample,
        });
        None
    }

    /// The time between steps, of each key that has two.
    fn gap(&self, noise: &mut Noise) -> Need {
        let mut sample = Column::new(&*self.log.order[0], "double precision", Kind::Number);
        for own in self.log.offsets.windows(2) {
            sample.push(match own[1] - own[0] {
                0 | 1 => Cell::Null,
                steps => Cell::Number(gap(self.log, own[0] + 1 + noise.below(steps - 1))),
            });
        }
        Need {
            role: Role::Gap,
            name: sample.name.clone(),
            kind: Kind::Number,
            known: None,
            sample: Some((sample, Asked::Numbers)),
        }
    }

    fn add_statics(&mut self, frame: &Frame, privacy: &Privacy) {
        let Some(keys) = frame.column(&self.log.key) else {
            return;
        };
        let mut row_of = HashMap::new();
        for row in 0..keys.len() {
            if let Some(key) = text_of(keys.cell(row)) {
                row_of.insert(key, row);
            }
        }
        let rows: Vec<Option<usize>> = (self.log.keys.iter())
            .map(|key| row_of.get(key.as_str()).copied())
            .collect();
        for column in frame.columns.iter().filter(|c| c.name != self.log.key) {
            let cells = rows
                .iter()
                .map(|row| row.map_or(Cell::Null, |row| column.cell(row)));
            let reason = match column.kind {
                Kind::Time => Some(format!(
                    "type {} tells nothing of a key here",
                    column.type_name
                )),
                _ => self.add(Role::Static, column, privacy, sampled(column, cells)),
            };
            self.excluded_statics
                .extend(reason.map(|reason| (column.name.clone(), reason)));
        }
    }

    /// What is asked, a row for each key.
    pub(super) fn questions(&self) -> Vec<Question<'_>> {
        let asked = self.needs.iter().filter_map(|need| need.sample.as_ref());
        let of = asked.map(|(column, asked)| Question {
            column,
            asked: *asked,
            listed: &[],
        });
        of.collect()
    }

    /// The names of the columns that are asked about.
    pub(super) fn prepared(&self) -> Vec<String> {
        let asked = self.needs.iter().filter(|need| need.sample.is_some());
        asked.map(|need| need.name.clone()).collect()
    }

    /// How the log is read, with the answers in the order of the questions.
    ///
    /// # Errors
    /// 22023 for a target of which too little could be told.
    pub(super) fn told(
        self,
        found: Vec<Marginals>,
        privacy: &Privacy,
        max_items: usize,
    ) -> Result<AllTold, FitError> {
        let mut told = AllTold {
            encoder: Encoder {
                target: self.target,
                excluded: self.excluded,
                ..Encoder::new(self.log)
            },
            statics: Statics {
                columns: Vec::new(),
                excluded: self.excluded_statics,
            },
            counts: Vec::new(),
            values: Vec::new(),
        };
        let mut answers = found.into_iter();
        for need in self.needs {
            let answer = need.sample.as_ref().and_then(|_| answers.next());
            match need.role {
                Role::Target => told.aim(&need, answer.unwrap_or_default(), privacy, max_items)?,
                Role::Gap => told.gap(&need, answer.unwrap_or_default())?,
                Role::Input | Role::Static => {
                    let own = need.known.clone();
                    let own = own.or_else(|| answer.and_then(|own| of_answer(need.kind, own)));
                    told.add(&need, own, max_items);
                }
            }
        }
        Ok(told)
    }
}

impl AllTold {
    fn aim(
        &mut self,
        need: &Need,
        found: Marginals,
        privacy: &Privacy,
        max_items: usize,
    ) -> Result<(), FitError> {
        let encoder = &mut self.encoder;
        if encoder.target.has_classes() {
            let mut levels = found.levels;
            let boolean = ["false".to_owned(), "true".to_owned()];
            let given = match need.kind {
                Kind::Boolean => Some(&boolean[..]),
                _ => privacy.categories.get(&need.name).map(Vec::as_slice),
            };
            if let Some(given) = given {
                let count = |label: &String| {
                    let own = levels.iter().find(|(name, _)| name == label);
                    (label.clone(), own.map_or(1.0, |(_, count)| *count))
                };
                levels = given.iter().map(count).collect();
            }
            if levels.len() < 2 {
                return Err(untold(
                    &need.name,
                    "fewer than two values of it are common enough",
                )
                .hint("Say which there are with the option privacy.categories, or give a larger epsilon."));
            }
            let whole = |count: f64| count.round().max(1.0) as usize;
            let counted = levels.iter().map(|(name, count)| (&**name, whole(*count)));
            let vocabulary = Vocabulary::new(&need.name, counted, max_items);
            let known: HashMap<&str, usize> = levels
                .iter()
                .map(|(name, count)| (&**name, whole(*count)))
                .collect();
            let count = |label: &String| known.get(label.as_str()).copied().unwrap_or(1);
            if encoder.target == Target::Label && vocabulary.labels.len() > MAX_CLASSES {
                let message = format!(
                    "target \"{}\" has {} labels, more than the {MAX_CLASSES} there can be",
                    need.name,
                    vocabulary.labels.len()
                );
                return Err(FitError::new("22023", message));
            }
            if encoder.target == Target::Label {
                encoder.labels = vocabulary.labels;
                encoder.labels.sort_unstable();
                self.counts = encoder.labels.iter().map(count).collect();
            } else {
                self.counts = vocabulary.labels.iter().map(count).collect();
                encoder.categories.push(vocabulary);
            }
            return Ok(());
        }
        let bounds = privacy.bounds.get(&need.name);
        let clamp = |x: &f64| bounds.map_or(*x, |(low, high)| x.clamp(*low, *high));
        self.values = found.values.iter().map(clamp).collect();
        if self.values.is_empty() {
            return Err(untold(&need.name, "its values are too few")
                .hint("Give a larger epsilon, or a larger share of it with the option privacy.preparation."));
        }
        let missing = found.missing > 0.0;
        match encoder.target {
            Target::KeyValue => encoder.key_value = scale("", &self.values, false),
            _ => encoder
                .numbers
                .push(scale(&need.name, &self.values, missing)),
        }
        Ok(())
    }

    fn gap(&mut self, need: &Need, found: Marginals) -> Result<(), FitError> {
        let encoder = &mut self.encoder;
        if !found.values.is_empty() {
            encoder.gap = scale("", &found.values, false);
        } else if encoder.target == Target::Gap {
            return Err(untold(&need.name, "the times between rows are too few")
                .hint("Give a larger epsilon, or a larger share of it with the option privacy.preparation."));
        } else {
            let reason = format!("as the time between rows, {UNTOLD}");
            encoder.excluded.push((need.name.clone(), reason));
        }
        if encoder.target == Target::Gap {
            self.values = found.values;
        }
        Ok(())
    }

    fn add(&mut self, need: &Need, told: Option<Told>, max_items: usize) {
        let (encoder, statics) = (&mut self.encoder, &mut self.statics);
        let name = &need.name;
        let is_static = need.role == Role::Static;
        match told {
            None if is_static => statics.excluded.push((name.clone(), UNTOLD.into())),
            None => encoder.excluded.push((name.clone(), UNTOLD.into())),
            Some(Told::Values { values, missing }) => {
                let own = scale(if is_static { "" } else { name }, &values, missing > 0);
                if is_static {
                    statics.columns.push(Static {
                        name: name.clone(),
                        levels: None,
                    });
                    encoder.statics.push(own);
                } else {
                    encoder.numbers.push(own);
                }
            }
            Some(Told::Levels { levels, .. }) if is_static && levels.len() > MOST_LEVELS => {
                let reason = format!("it does not have 1 to {MOST_LEVELS} values");
                statics.excluded.push((name.clone(), reason));
            }
            Some(Told::Levels { levels, .. }) if is_static => {
                let levels = (need.kind != Kind::Boolean).then_some(levels);
                let inputs = levels.as_ref().map_or(1, Vec::len);
                encoder.statics.extend(std::iter::repeat_n(flag(), inputs));
                statics.columns.push(Static {
                    name: name.clone(),
                    levels,
                });
            }
            Some(Told::Levels { levels, .. }) => {
                let counted = levels.iter().map(|level| (&**level, 1));
                encoder
                    .categories
                    .push(Vocabulary::new(name, counted, max_items));
            }
        }
    }
}

/// A column of cells like those of another.
fn sampled<'c>(like: &Column, cells: impl Iterator<Item = Cell<'c>>) -> Column {
    let mut sample = Column::new(&*like.name, &*like.type_name, like.kind);
    cells.for_each(|cell| sample.push(cell));
    sample
}

fn scale(name: &str, values: &[f64], missing: bool) -> Scale {
    Scale {
        missing,
        ..Scale::fit(name, values.iter().copied())
    }
}

/// The scale of what is 0 or 1: what is neither stands between.
fn flag() -> Scale {
    Scale {
        name: String::new(),
        centre: 0.5,
        scale: 0.5,
        missing: false,
        mean: 0.5,
        deviation: 0.5,
    }
}

fn untold(target: &str, why: &str) -> FitError {
    let message =
        format!("how target \"{target}\" is distributed could not be told within the budget");
    FitError::new("22023", message).detail(format!("By what was told, {why}."))
}
