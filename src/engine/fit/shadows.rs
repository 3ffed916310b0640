//! Models of halves of the rows, and what somebody who may ask them learns of the rows: see [`crate::privacy::leak`].

mod guess;

use super::finish::predictor;
use super::split::{Divider, Parts, Split, grouped};
use super::target::Answers;
use super::{Cleaning, FitError, Leakage, Progress, Request, on, private, target};
use crate::evaluate::{Truth, fairness::has_fairness};
use crate::frame::{Cell, Column, Frame, Kind, Values};
use crate::privacy::leak::{Findings, Guesses, Observed, Plan, attribute, exposure, membership};
use crate::random::Random;
use guess::guessable;
use std::collections::BTreeMap;
use std::time::Instant;

/// Fewer rows make no halves to train on.
const FEWEST_ROWS: usize = 50;
/// A shadow is scored on so many of the rows it has not seen: its scores are of no interest.
const SCORED: usize = 50;
/// Probabilities nearer to 0 and 1 are taken for these.
const NEAREST: f64 = 1e-7;

/// Trains shadows and attacks them: of a private model, models that are as private.
///
/// # Errors
/// Those of a fit, a task without one label or number for each row, a column that is no input of the model.
pub fn leak_test(
    mut request: Request,
    plan: &Plan,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Findings, FitError> {
    let started = Instant::now();
    if request.leakage == Leakage::Error {
        // The model is there: what it was trained on was let pass.
        request.leakage = Leakage::Warn;
    }
    let mut random = Random::new(plan.seed);
    let own = request.frame.rows();
    let known = target::prepare(&request)?;
    if !has_fairness(known.task) {
        return Err(FitError::new(
            "0A000",
            format!("leak tests are not for the task {}", known.task.name()),
        )
        .hint("They look at models of one label or number for each row."));
    }
    let unit = request
        .params
        .privacy
        .as_ref()
        .and_then(|own| own.unit.clone());
    let of = (&known, unit.as_deref());
    add_canaries(&mut request.frame, of, 2 * plan.canaries, &mut random);
    let mut answers = target::prepare(&request)?;
    match request.params.privacy {
        Some(_) => make_private(&mut request, &answers),
        None => drop(Cleaning::start(&request, &mut answers)?),
    }
    let rows = sample(&request, &mut answers, own, plan.rows, &mut random)?;
    let canaries: Vec<u32> = (own..request.frame.rows()).map(|row| row as u32).collect();
    let all: Vec<u32> = rows.iter().chain(&canaries).copied().collect();
    let (limit, most) = (plan.max_seconds, request.params.max_seconds);
    let mut shadows = Shadows {
        answers: &answers,
        rows: &rows,
        canaries: &canaries,
        truth: answers.truth(&all),
        all: &all,
        observed: Observed::default(),
        guessed: Vec::new(),
        guesses: BTreeMap::new(),
        cut_short: 0,
    };
    let mut trained = 0;
    while trained < plan.shadows {
        let gone = started.elapsed().as_secs_f64();
        let enough = trained >= Plan::FEWEST;
        // The next pair would take as long as those before did.
        if enough && gone * (1.0 + 2.0 / trained as f64) > limit {
            break;
        }
        let pair = shadows.halves(&request, &mut random)?;
        for (side, parts) in pair.into_iter().enumerate() {
            let gone = started.elapsed().as_secs_f64();
            let left = (limit - gone).max(limit / 20.0) / (plan.shadows - trained) as f64;
            request.params.max_seconds = Some(most.map_or(left, |most| left.min(most)));
            let mut of_shadow = |progress: &Progress| {
                report(&Progress {
                    fold: trained as u32 + 1,
                    folds: plan.shadows as u32,
                    ..progress.clone()
                })
            };
            // Of the first two shadows each has seen what the other has not.
            let guess = (trained < 2).then_some(plan.columns.as_deref());
            shadows.train(&mut request, parts, side, guess, &mut of_shadow)?;
            trained += 1;
        }
    }
    Ok(shadows.findings(plan, trained))
}

/// What is known of the shadows so far.
struct Shadows<'a> {
    answers: &'a Answers,
    rows: &'a [u32],
    canaries: &'a [u32],
    /// Both, and what is true of them.
    all: &'a [u32],
    truth: Truth,
    observed: Observed,
    guessed: Vec<String>,
    /// By column.
    guesses: BTreeMap<String, Guesses>,
    /// Shadows that `max_seconds` ended.
    cut_short: usize,
}

/// The rows of a shadow: which of all it has seen, and in which part they stand.
struct Half {
    parts: Parts,
    members: Vec<bool>,
}

impl Shadows<'_> {
    /// Two shadows' rows: what one sees the other does not.
    fn halves(&self, request: &Request, random: &mut Random) -> Result<[Half; 2], FitError> {
        let params = request
            .params
            .check(self.answers.task, self.rows.len() / 2)?;
        let divider = Divider::new(&request.frame, self.answers, &request.split, &params)?;
        let rows = divider.halves(self.rows, random);
        let mut canaries = self.canaries.to_vec();
        random.shuffle(&mut canaries);
        let (first, second) = canaries.split_at(canaries.len() / 2);
        let mut half = |own: usize, canaries: &[u32]| {
            let mut seen = vec![false; request.frame.rows()];
            rows[own]
                .iter()
                .chain(canaries)
                .for_each(|row| seen[*row as usize] = true);
            let mut parts = match request.params.privacy {
                // It learns from all of its rows, and the other half is none of it, not even for scores.
                Some(_) => Parts {
                    train: rows[own].clone(),
                    ..Parts::default()
                },
                None => divider.dealt(&rows[own], random),
            };
            // What is only looked at to stop is hardly learned.
            parts.train.extend(canaries);
            parts.train.sort_unstable();
            if request.params.privacy.is_none() {
                parts.test = rows[1 - own].iter().take(SCORED).copied().collect();
                parts.test.sort_unstable();
            }
            let members = self.all.iter().map(|row| seen[*row as usize]).collect();
            match self.answers.lacking(&parts.train) {
                None => Ok(Half { parts, members }),
                Some(class) => Err(FitError::new(
                    "22023",
                    format!(
                        "a half of {} rows has no training row of class \"{}\"",
                        rows[own].len(),
                        self.answers.labels[class]
                    ),
                )
                .hint("Raise the option \"rows\".")),
            }
        };
        Ok([half(0, first)?, half(1, second)?])
    }

    /// Trains a shadow and notes what it answers. `guess`: the columns to guess, or none by name; `side` says whose turn it is.
    fn train(
        &mut self,
        request: &mut Request,
        half: Half,
        side: usize,
        guess: Option<Option<&[String]>>,
        report: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<(), FitError> {
        let Half { parts, members } = half;
        let artifact = match &request.params.privacy {
            Some(privacy) => private::fit(request, privacy, Some(&parts.train), report)?,
            None => {
                let mut answers = self.answers.clone();
                let cleaning = Cleaning::start(request, &mut answers)?;
                let started = Instant::now();
                on(request, self.answers, parts, cleaning, started, report)?.artifact
            }
        };
        self.cut_short += usize::from(artifact.provenance.stopped_by == "max_seconds");
        let predictor = predictor(artifact)?;
        let predictions =
            predictor.predict_frame(&request.frame, self.all, rayon::current_num_threads());
        let (mut losses, mut statistics) = (Vec::new(), Vec::new());
        let width = predictor.width().max(1);
        for (row, answered) in predictions.chunks_exact(width).enumerate() {
            let (loss, statistic) = looked_at(&self.truth, row, answered);
            losses.push(loss);
            statistics.push(statistic);
        }
        if let Some(named) = guess {
            // The second of a pair guesses what the first has guessed: each has seen half of the rows.
            if side == 0 {
                self.guessed = guessable(&predictor, &request.frame, self.rows, named)?;
            }
            for column in self.guessed.clone() {
                self.guess(&predictor, &request.frame, &column, &members, &losses, side);
            }
        }
        self.observed.members.push(members);
        self.observed.losses.push(losses);
        self.observed.statistics.push(statistics);
        Ok(())
    }

    fn findings(self, plan: &Plan, shadows: usize) -> Findings {
        let (rows, all) = (self.rows.len(), self.all.len());
        let mut notes = Vec::new();
        let mut findings = membership(&self.observed.some(0..rows), "");
        if all > rows {
            let canaries = self.observed.some(rows..all);
            findings.extend(membership(&canaries, "canary_"));
            findings.extend(exposure(&canaries, "canary_loss_threshold"));
        }
        for (column, guesses) in &self.guesses {
            findings.extend(attribute(column, guesses));
        }
        if shadows < plan.shadows {
            notes.push(format!(
                "max_seconds left time for {shadows} of {} models",
                plan.shadows
            ));
        }
        if self.cut_short > 0 {
            notes.push(format!(
                "max_seconds ended the training of {} of {shadows} models: the real one has learned longer and may reveal more",
                self.cut_short
            ));
        }
        let untold = |attack: &str| {
            let lacks =
                |f: &&crate::privacy::leak::Finding| f.attack == attack && f.value.is_none();
            findings.iter().any(|f| lacks(&f))
        };
        if untold("lira") {
            notes.push(format!(
                "{rows} rows are too few to tell rates at the smallest shares of false positives"
            ));
        }
        Findings {
            findings,
            shadows,
            rows,
            notes,
        }
    }
}

/// Settles what shadows of a private model must have in common, which is known of the model: its task and its labels. All rows of a unit
/// are in one half, and all that a shadow has are trained on.
fn make_private(request: &mut Request, answers: &Answers) {
    request.task = Some(answers.task);
    request.params.test_size = Some(0.0);
    if let Some(privacy) = &mut request.params.privacy {
        if let Some(unit) = &privacy.unit {
            request.split = Split::Group(unit.clone());
        }
        if !answers.labels.is_empty() {
            let labels = answers.labels.clone();
            privacy.categories.insert(request.target.clone(), labels);
        }
    }
}

/// The loss of a row, and what Gaussians are fitted to.
fn looked_at(truth: &Truth, row: usize, answered: &[f64]) -> (f64, f64) {
    match truth {
        Truth::Values(values) => {
            let error = answered[0] - values[row];
            (error * error, error)
        }
        Truth::Classes(codes) => {
            let code = codes[row] as usize;
            let p = match answered {
                [positive] if code == 0 => 1.0 - positive,
                [positive] => *positive,
                all => all.get(code).copied().unwrap_or(0.0),
            };
            let p = p.clamp(NEAREST, 1.0 - NEAREST);
            (-p.ln(), (p / (1.0 - p)).ln())
        }
        _ => (0.0, 0.0),
    }
}

/// Rows that were never there: each value from another row, and any label. Each is a unit by itself.
fn add_canaries(
    frame: &mut Frame,
    (answers, unit): (&Answers, Option<&str>),
    count: usize,
    random: &mut Random,
) {
    let rows = &answers.rows;
    let labels = answers.labels.len();
    let targets: Vec<u32> = (0..count)
        .map(|_| match labels {
            0 => rows[random.below(rows.len())],
            _ => {
                let label = random.below(labels) as u32;
                let start = random.below(rows.len());
                let mut turned = rows[start..].iter().chain(&rows[..start]);
                let found = turned.find(|row| answers.code(**row) == label);
                found.copied().unwrap_or(rows[start])
            }
        })
        .collect();
    if count == 0 {
        return;
    }
    for (at, column) in frame.columns.iter_mut().enumerate() {
        let before = column.clone();
        if unit == Some(column.name.as_str()) {
            add_strangers(column, count);
            continue;
        }
        for target in &targets {
            let row = match at == answers.column {
                true => *target,
                false => rows[random.below(rows.len())],
            };
            column.push(before.cell(row as usize));
        }
    }
}

/// Values that no row has.
fn add_strangers(column: &mut Column, count: usize) {
    let numbers = match &column.values {
        Values::Number(own) => own.iter().copied().fold(0.0, f64::max),
        _ => 0.0,
    };
    let times = match &column.values {
        Values::Time(own) => own.iter().copied().max().unwrap_or(0),
        _ => 0,
    };
    for i in 1..=count {
        match column.kind {
            Kind::Number => column.push(Cell::Number(numbers + i as f64)),
            Kind::Time => column.push(Cell::Time(times.saturating_add(i as i64))),
            Kind::Category => column.push(Cell::Text(&format!("\u{1}canary {i}"))),
            // Two units are too few to train on.
            _ => column.push(Cell::Null),
        }
    }
}

/// The rows that take part, ascending: as many as are wanted of the first `own` rows, whole groups where rows are grouped.
fn sample(
    request: &Request,
    answers: &mut Answers,
    own: usize,
    wanted: usize,
    random: &mut Random,
) -> Result<Vec<u32>, FitError> {
    let (mut rows, canaries): (Vec<u32>, Vec<u32>) =
        answers.rows.iter().partition(|row| (**row as usize) < own);
    if rows.len() > wanted {
        let params = request.params.check(answers.task, rows.len())?;
        let divider = Divider::new(&request.frame, answers, &request.split, &params)?;
        rows = divider.share(&rows, wanted, random);
    }
    let privacy = request.params.privacy.as_ref();
    let unit = privacy.and_then(|own| Some((own.unit.as_ref()?, own.rows_per_unit)));
    if let Some((name, most)) = unit
        && let Some(column) = request.frame.column(name)
    {
        // Those that a training would leave out are no members.
        let mut kept = Vec::new();
        for mut own in grouped(column, &rows) {
            random.shuffle(&mut own);
            kept.extend(own.into_iter().take(most));
        }
        kept.sort_unstable();
        rows = kept;
    }
    if rows.len() < FEWEST_ROWS {
        let found = rows.len();
        return Err(
            FitError::new("22023", format!("{found} rows are too few for a leak test"))
                .hint(format!("There must be {FEWEST_ROWS} with a target.")),
        );
    }
    answers.rows = rows.iter().chain(&canaries).copied().collect();
    Ok(rows)
}
