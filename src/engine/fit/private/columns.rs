//! What must be known of columns: what is known without a look at rows, and what is asked.

use crate::artifact::Task;
use crate::evaluate::Baseline;
use crate::fit::target::{Answers, Scale, Told as TargetTold};
use crate::fit::{FitError, Request};
use crate::frame::{Column as Values, Frame, Kind};
use crate::params::ValidParams;
use crate::privacy::outcomes::LARGEST_ERROR;
use crate::privacy::{Asked, Column, Marginals, Privacy};
use crate::recipe::{Input, Told};

/// Values between given bounds that stand for a column.
const GRID: usize = 64;
/// A target of numbers whose common values are so few, and have so great a share of the rows, is one of classes.
const FEW_LABELS: usize = 10;
const MOST_ROWS: f64 = 0.95;

/// Why a column is left out of which too little came out.
pub(crate) const UNTOLD: &str = "what it looks like could not be told within the budget (options privacy.bounds and privacy.categories say it)";

/// The columns of a request, in its order.
pub(super) struct Columns {
    /// Features, with what is known of them; `None`: it is asked.
    features: Vec<(usize, Option<Told>)>,
    excluded: Vec<(String, String)>,
    target: usize,
    /// Columns by position and what is asked of them: features first, the target last.
    pub(super) asked: Vec<(usize, Asked)>,
    names: Vec<String>,
}

/// What was told.
pub(super) struct AllTold {
    pub(super) columns: Vec<(Input, Told)>,
    pub(super) excluded: Vec<(String, String)>,
    pub(super) target: TargetTold,
    pub(super) scale: TargetScale,
}

/// How the target is distributed.
pub(super) struct TargetScale {
    /// About how many rows have each label, in their order.
    labels: Vec<(String, f64)>,
    pub(super) mean: f64,
    pub(super) deviation: f64,
    /// The mean square of what the mean is off, as errors are counted.
    pub(super) variance: f64,
}

impl Columns {
    /// # Errors
    /// Bounds or categories of columns that are not there or not of that kind; no usable column; a target or a task that is not
    /// made private.
    pub(super) fn of(request: &Request, privacy: &Privacy) -> Result<Columns, FitError> {
        super::check_task(&request.params, request.task)?;
        check_given(&request.frame, Some(&request.target), privacy)?;
        let (mut features, mut excluded) = (Vec::new(), request.excluded.clone());
        let (mut asked, mut target) = (Vec::new(), 0);
        for (at, column) in request.frame.columns.iter().enumerate() {
            let name = &column.name;
            if *name == request.target {
                target = at;
                continue;
            }
            if let Some(why) = request.aside(name) {
                excluded.push((name.clone(), why.into()));
                continue;
            }
            if privacy.unit.as_ref() == Some(name) {
                excluded.push((name.clone(), "says whose rows they are".into()));
                continue;
            }
            let known = known(column, privacy);
            if known.is_none() {
                match question(column.kind) {
                    Some(question) => asked.push((at, question)),
                    None => {
                        let why = format!(
                            "type {} is not prepared under differential privacy",
                            column.type_name
                        );
                        excluded.push((name.clone(), why));
                        continue;
                    }
                }
            }
            features.push((at, known));
        }
        let of_target = &request.frame.columns[target];
        match (of_target.kind, request.task) {
            (Kind::Boolean | Kind::Category, Some(Task::Regression)) => {
                return Err(FitError::new(
                    "42804",
                    format!(
                        "task regression needs a numeric target, not {}",
                        of_target.type_name
                    ),
                ));
            }
            (Kind::Boolean | Kind::Category, _)
            | (Kind::Number, Some(Task::Binary | Task::Multiclass)) => {
                asked.push((target, Asked::Levels));
            }
            (Kind::Number | Kind::Duration, Some(Task::Regression)) | (Kind::Duration, _) => {
                asked.push((target, Asked::Numbers));
            }
            (Kind::Number, None) if privacy.categories.contains_key(&request.target) => {
                asked.push((target, Asked::Levels));
            }
            (Kind::Number, _) => {
                asked.extend([(target, Asked::Levels), (target, Asked::Numbers)]);
            }
            _ => {
                return Err(FitError::new(
                    "0A000",
                    format!(
                        "a target of type {} cannot be learned under differential privacy",
                        of_target.type_name
                    ),
                )
                .hint("Cast it to a number, boolean or text in a SELECT."));
            }
        }
        let names = asked.iter();
        let names = names.map(|(at, _)| request.frame.columns[*at].name.clone());
        let mut names: Vec<String> = names.collect();
        names.dedup();
        Ok(Columns {
            features,
            excluded,
            target,
            asked,
            names,
        })
    }

    /// The names of the columns that are asked about.
    pub(super) fn prepared(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Whether texts are asked for that are not known beforehand.
    pub(super) fn texts(&self) -> bool {
        self.asked.iter().any(|(_, asked)| *asked == Asked::Levels)
    }

    pub(super) fn questions<'a>(&self, request: &'a Request) -> Vec<Column<'a>> {
        let of = |(at, asked): &(usize, Asked)| Column {
            column: &request.frame.columns[*at],
            asked: *asked,
            listed: &[],
        };
        self.asked.iter().map(of).collect()
    }

    /// What is known of all columns with the answers, which are in the order of the questions and of so many rows.
    ///
    /// # Errors
    /// A target of which too little could be told; no column that could be prepared.
    pub(super) fn told(
        self,
        request: &Request,
        privacy: &Privacy,
        found: Vec<Marginals>,
        rows: usize,
    ) -> Result<AllTold, FitError> {
        let mut answers = found.into_iter();
        let mut excluded = self.excluded;
        let mut columns = Vec::new();
        for (at, known) in self.features {
            let column = &request.frame.columns[at];
            let told = match known {
                Some(known) => Some(known),
                None => answers.next().and_then(|own| of_answer(column.kind, own)),
            };
            match told {
                Some(told) => columns.push((input(column), told)),
                None => excluded.push((column.name.clone(), UNTOLD.into())),
            }
        }
        if columns.is_empty() {
            return Err(FitError::new("22023", "no usable feature column is left")
                .detail(format!(
                    "Left out: {}.",
                    excluded
                        .iter()
                        .map(|(name, why)| format!("\"{name}\" ({why})"))
                        .collect::<Vec<_>>()
                        .join(", ")
                ))
                .hint("Say what columns look like with privacy.bounds and privacy.categories, or give a larger epsilon."));
        }
        let column = &request.frame.columns[self.target];
        let rest: Vec<(Asked, Marginals)> = self
            .asked
            .iter()
            .filter(|(at, _)| *at == self.target)
            .map(|(_, asked)| *asked)
            .zip(answers)
            .collect();
        let (target, scale) = target(request, privacy, column, rest, rows)?;
        Ok(AllTold {
            columns,
            excluded,
            target,
            scale,
        })
    }
}

/// What can be asked of columns of a kind; `None`: nothing.
pub(crate) fn question(kind: Kind) -> Option<Asked> {
    match kind {
        Kind::Number | Kind::Duration => Some(Asked::Numbers),
        Kind::Category => Some(Asked::Levels),
        Kind::Time => Some(Asked::Times),
        Kind::Boolean | Kind::Vector | Kind::Tags | Kind::Json | Kind::Image => None,
    }
}

fn input(column: &Values) -> Input {
    Input {
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        kind: column.kind,
    }
}

/// What is known of a column without a look at its rows. Whether values are missing is not: it is made room for.
pub(crate) fn known(column: &Values, privacy: &Privacy) -> Option<Told> {
    if column.kind == Kind::Boolean {
        return Some(Told::Levels {
            levels: vec!["false".into(), "true".into()],
            missing: true,
        });
    }
    // Of histories, columns of several relations may have the same name.
    let levels = privacy.categories.get(&column.name);
    if let Some(levels) = levels.filter(|_| column.kind == Kind::Category) {
        return Some(Told::Levels {
            levels: levels.clone(),
            missing: true,
        });
    }
    let bounds = privacy.bounds.get(&column.name);
    let is_number = matches!(column.kind, Kind::Number | Kind::Duration);
    let (low, high) = bounds.filter(|_| is_number)?;
    let at = |i: usize| low + (high - low) * i as f64 / (GRID - 1) as f64;
    Some(Told::Values {
        values: (0..GRID).map(at).collect(),
        missing: 1,
    })
}

/// What came out about a column; `None`: nothing did.
pub(crate) fn of_answer(kind: Kind, own: Marginals) -> Option<Told> {
    let missing = own.missing > 0.0;
    if kind == Kind::Category {
        let levels: Vec<String> = own.levels.into_iter().map(|(level, _)| level).collect();
        return (!levels.is_empty()).then_some(Told::Levels { levels, missing });
    }
    (!own.values.is_empty()).then_some(Told::Values {
        values: own.values,
        missing: usize::from(missing),
    })
}

/// Whether bounds and categories are given for columns that can have them.
///
/// # Errors
/// 42703 for a column that is not there, 22023 for one of another kind.
pub(crate) fn check_given(
    frame: &Frame,
    target: Option<&str>,
    privacy: &Privacy,
) -> Result<(), FitError> {
    let given = |option: &str, name: &String, kinds: &[Kind], of: &str| {
        let Some(column) = frame.column(name) else {
            return Err(FitError::new(
                "42703",
                format!("column \"{name}\" of option \"privacy.{option}\" is not among those that are read"),
            )
            .hint("Name columns of the relation that are not left out."));
        };
        match kinds.contains(&column.kind) {
            true => Ok(()),
            false => Err(FitError::new(
                "22023",
                format!("option \"privacy.{option}\" is for columns of {of}"),
            )
            .detail(format!("\"{name}\" is of type {}.", column.type_name))),
        }
    };
    for name in privacy.bounds.keys() {
        given("bounds", name, &[Kind::Number, Kind::Duration], "numbers")?;
    }
    for name in privacy.categories.keys() {
        let kinds = match target == Some(name) {
            true => &[Kind::Category, Kind::Boolean, Kind::Number][..],
            false => &[Kind::Category],
        };
        given("categories", name, kinds, "texts, or the target")?;
    }
    Ok(())
}

/// Which task it is, its labels, and how it is distributed.
fn target(
    request: &Request,
    privacy: &Privacy,
    column: &Values,
    found: Vec<(Asked, Marginals)>,
    rows: usize,
) -> Result<(TargetTold, TargetScale), FitError> {
    let of = |asked: Asked| found.iter().find(|(a, _)| *a == asked).map(|(_, own)| own);
    let (levels, numbers) = (of(Asked::Levels), of(Asked::Numbers));
    let given = match column.kind {
        Kind::Boolean => Some(vec!["false".to_owned(), "true".to_owned()]),
        _ => privacy.categories.get(&column.name).cloned(),
    };
    let mut labels = levels.map_or(Vec::new(), |own| own.levels.clone());
    if let Some(given) = &given {
        let count = |label: &String| {
            let own = labels.iter().find(|(name, _)| name == label);
            (label.clone(), own.map_or(1.0, |(_, count)| *count))
        };
        labels = given.iter().map(count).collect();
    }
    if column.kind == Kind::Number {
        let value = |label: &str| label.parse::<f64>().unwrap_or(f64::NAN);
        labels.sort_by(|a, b| value(&a.0).total_cmp(&value(&b.0)));
    }
    let all = rows.max(1) as f64;
    let share = labels.iter().map(|(_, count)| count).sum::<f64>() / all;
    let is_value = numbers.is_some()
        && !(levels.is_some()
            && labels.len() <= FEW_LABELS
            && labels.len() > 1
            && share > MOST_ROWS);
    if !is_value {
        if labels.len() < 2 {
            return Err(FitError::new(
                "22023",
                format!(
                    "fewer than two labels of target \"{}\" could be told within the budget",
                    column.name
                ),
            )
            .hint(
                "Say which there are with the option privacy.categories, or give a larger epsilon.",
            ));
        }
        let task = match request.task {
            Some(Task::Multiclass) => Task::Multiclass,
            _ if labels.len() == 2 => Task::Binary,
            _ => Task::Multiclass,
        };
        if request.task == Some(Task::Binary) && labels.len() != 2 {
            return Err(FitError::new(
                "22023",
                format!(
                    "task binary needs a target of two values, not {}",
                    labels.len()
                ),
            )
            .hint("Leave the option task out, or use multiclass."));
        }
        let names = labels.iter().map(|(name, _)| name.clone()).collect();
        let scale = TargetScale {
            labels,
            mean: 0.0,
            deviation: 1.0,
            variance: 1.0,
        };
        return Ok((TargetTold::Labels { task, names }, scale));
    }
    let values = numbers.map_or(&[][..], |own| &own.values);
    if values.is_empty() {
        return Err(FitError::new(
            "22023",
            format!(
                "how target \"{}\" is distributed could not be told within the budget",
                column.name
            ),
        )
        .hint(
            "Give a larger epsilon, or a larger share of it with the option privacy.preparation.",
        ));
    }
    let clip = privacy.bounds.get(&column.name);
    let values: Vec<f64> = values
        .iter()
        .map(|x| clip.map_or(*x, |(low, high)| x.clamp(*low, *high)))
        .collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let deviation = match variance.sqrt() {
        d if d > 0.0 && d.is_finite() => d,
        _ => 1.0,
    };
    let largest = LARGEST_ERROR * deviation;
    let square = |x: &f64| (x - mean).abs().min(largest).powi(2);
    let variance = match values.iter().map(square).sum::<f64>() / count {
        v if v > 0.0 => v,
        _ => 1.0,
    };
    Ok((
        TargetTold::Values,
        TargetScale {
            labels: Vec::new(),
            mean,
            deviation,
            variance,
        },
    ))
}

impl TargetScale {
    pub(super) fn scale(&self, params: &ValidParams) -> Scale {
        let log = params.loss.of_logarithms();
        let (mean, factor) = match log {
            false => (self.mean, self.deviation),
            true if self.mean > 0.0 => (0.0, self.mean),
            true => (0.0, 1.0),
        };
        Scale {
            mean,
            factor,
            log,
            ends: Vec::new(),
            uplift: None,
        }
    }

    /// What one would answer without a model.
    pub(super) fn baseline(&self, answers: &Answers) -> Baseline {
        if answers.labels.is_empty() {
            return Baseline::Mean(self.mean);
        }
        let total: f64 = self.labels.iter().map(|(_, count)| count.max(1.0)).sum();
        let share = |label: &String| {
            let own = self.labels.iter().find(|(name, _)| name == label);
            own.map_or(0.0, |(_, count)| count.max(1.0) / total)
        };
        Baseline::Shares(answers.labels.iter().map(share).collect())
    }
}
