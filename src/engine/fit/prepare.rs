//! From rows as they were read to matrices: everything learned on the way comes from the training rows.

use super::cleaning::Cleaning;
use super::split::{Parts, Split};
use super::target::{Answers, Scale};
use super::trial::Trials;
use super::{
    Choice, Construction, FitError, Progress, Request, columns, construct, features, guard, warm,
};
use crate::{
    artifact::Task,
    clean::report::Change,
    frame::Frame,
    linear,
    models::{self, Output},
    params::ValidParams,
    profile::leakage::Leak,
    recipe::{Construct, Recipe},
    select::Select,
    train::{self, Place, Rows, Step, TrainError, Trained},
};

/// A split that is ready to train on.
pub(super) struct Prepared {
    pub matrices: Matrices,
    pub params: ValidParams,
    /// What became of columns and rows on the way.
    pub notes: Notes,
}

/// The rows of a split as a recipe prepares them.
pub(super) struct Matrices {
    pub recipe: Recipe,
    pub train: Rows,
    pub validation: Rows,
    pub output: Output,
    pub outputs: usize,
    pub scale: Scale,
}

/// What became of columns and rows.
#[derive(Default)]
pub(super) struct Notes {
    pub excluded: Vec<(String, String)>,
    pub leaks: Vec<Leak>,
    pub shared_rows: usize,
    pub selection: Vec<Choice>,
    pub construction: Vec<Construction>,
    pub cleaned: Vec<Change>,
}

/// Chooses and cleans the columns of `request`, whose frame is as it was read again when this is done, and prepares the rows of
/// `parts`, of which some may be left out.
pub(super) fn prepare(
    request: &mut Request,
    answers: &Answers,
    parts: &mut Parts,
    mut cleaning: Cleaning,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Prepared, FitError> {
    if let Some(start) = &request.start {
        return warm::prepare(start, request, answers, parts);
    }
    cleaning.values(request, answers, parts);
    let learned = learn(request, answers, parts, &mut cleaning, report);
    // The model is judged on the values as they were read: that is how it will meet them.
    let (clean, cleaned) = cleaning.finish(request);
    let mut prepared = learned?;
    prepared.notes.cleaned = cleaned;
    prepared.matrices.recipe = prepared.matrices.recipe.after(clean);
    Ok(prepared)
}

fn learn(
    request: &mut Request,
    answers: &Answers,
    parts: &mut Parts,
    cleaning: &mut Cleaning,
    report: &mut dyn FnMut(&Progress) -> bool,
) -> Result<Prepared, FitError> {
    let (mut columns, mut excluded) = columns::choose(request, answers.column, &parts.train)?;
    excluded.splice(0..0, request.excluded.iter().cloned());
    let (leaks, shared_rows) = guard::watch(request, answers, &mut columns, &mut excluded, parts)?;
    let params = request.params.check(answers.task, parts.train.len())?;
    let mut step = |step: &Step| report(&Progress::of_step(step));
    let selection = if params.select == Select::None {
        Vec::new()
    } else {
        let trials = Trials {
            request,
            answers,
            parts,
            params: &params,
        };
        features::select(&trials, &mut columns, &mut step)?
    };
    let dropped = selection.iter().filter(|choice| !choice.kept);
    excluded.extend(dropped.map(|c| (c.column.clone(), format!("not selected: {}", c.reason))));
    cleaning.rows_and_gaps(request, &columns, answers, parts)?;
    let mut params = request.params.check(answers.task, parts.train.len())?;
    if request.split != Split::Random && params.folds > 1 {
        if request.params.folds.is_some() {
            return Err(
                FitError::new("22023", "option \"folds\" needs a random split")
                    .hint("Leave \"folds\" out, or split at random."),
            );
        }
        // Folds at random would put what belongs apart together.
        params.folds = 1;
    }
    let (made, construction) = if params.construct == Construct::None {
        Default::default()
    } else {
        let trials = Trials {
            request,
            answers,
            parts,
            params: &params,
        };
        construct::construct(&trials, &columns, &mut step)?
    };
    let frame = &request.frame;
    let truth = answers.guide(&parts.train);
    let how = &params.preparation;
    let recipe = Recipe::fit_with(frame, &columns, &parts.train, Some(&truth), how)
        .with_constructed(&made, frame, &parts.train, Some(&truth), how);
    let (recipe, not_made) = recipe.with_forecasts(&request.purchases, frame, &parts.train, how);
    excluded.extend(not_made);
    check_memory(&recipe, request, answers, parts)?;
    let matrices = Matrices::of(recipe, frame, answers, parts, &params)?;
    Ok(Prepared {
        matrices,
        params,
        notes: Notes {
            excluded,
            leaks,
            shared_rows,
            selection,
            construction,
            cleaned: Vec::new(),
        },
    })
}

impl Matrices {
    /// Prepares the rows of a split. The recipe is fitted to its training rows.
    pub(super) fn of(
        recipe: Recipe,
        frame: &Frame,
        answers: &Answers,
        parts: &Parts,
        params: &ValidParams,
    ) -> Result<Matrices, FitError> {
        let scale = answers.scale(&parts.train, params)?;
        Matrices::scaled((recipe, true), frame, answers, parts, params, scale)
    }

    /// The same with targets on a scale that is known, and whether the recipe was fitted to the training rows.
    pub(super) fn scaled(
        (recipe, fitted): (Recipe, bool),
        frame: &Frame,
        answers: &Answers,
        parts: &Parts,
        params: &ValidParams,
        scale: Scale,
    ) -> Result<Matrices, FitError> {
        let (output, outputs) = answers.output(&scale);
        Ok(Matrices {
            train: Rows {
                matrix: match fitted {
                    true => recipe.transform_training(frame, &parts.train),
                    false => recipe.transform_in_parallel(frame, &parts.train),
                },
                targets: answers.network_targets(&parts.train, &scale),
                weights: answers.weights(&parts.train, &params.class_weight)?,
            },
            validation: Rows {
                matrix: recipe.transform_in_parallel(frame, &parts.validation),
                targets: answers.network_targets(&parts.validation, &scale),
                weights: Vec::new(),
            },
            recipe,
            output,
            outputs,
            scale,
        })
    }

    /// What a linear model trained on these rows says of each input.
    pub(super) fn coefficients(
        &self,
        parts: &[models::Part],
        labels: &[String],
    ) -> Vec<linear::Coefficient> {
        let goal = linear::Goal {
            output: self.output,
            outputs: self.outputs,
            targets: &self.train.targets,
            weights: &self.train.weights,
            until: None,
        };
        let unit = (self.scale.mean, self.scale.factor);
        linear::coefficients(parts, &self.recipe, &self.train.matrix, &goal, labels, unit)
    }

    /// Mean loss of a model on the rows it was not trained on.
    pub(super) fn loss(&self, trained: &Trained, params: &ValidParams) -> f64 {
        match self.losses(trained, params) {
            losses if losses.is_empty() => f64::INFINITY,
            losses => losses.iter().sum::<f64>() / losses.len() as f64,
        }
    }

    /// The loss of each row that was held out, in their order.
    pub(super) fn losses(&self, trained: &Trained, params: &ValidParams) -> Vec<f64> {
        let (train, validation) = (self.train.examples(), self.validation.examples());
        let losses =
            trained.held_out_losses(&train, &validation, self.output, self.outputs, params);
        losses.unwrap_or_default()
    }

    /// Trains on these rows.
    pub(super) fn train(
        &self,
        params: &ValidParams,
        place: &Place,
        report: &mut dyn FnMut(&Step) -> bool,
    ) -> Result<Trained, TrainError> {
        self.train_beside(1, params, place, report)
    }

    /// Trains on these rows; so many trainings share the device.
    pub(super) fn train_beside(
        &self,
        trainings: usize,
        params: &ValidParams,
        place: &Place,
        report: &mut dyn FnMut(&Step) -> bool,
    ) -> Result<Trained, TrainError> {
        let held_out = !self.validation.targets.is_empty();
        place.train_beside(trainings, params, |params, device| {
            train::train(
                self.train.examples(),
                held_out.then(|| self.validation.examples()),
                self.output,
                self.outputs,
                params,
                device,
                report,
            )
        })
    }
}

/// Whether the prepared rows fit in, before they are prepared: a free text alone takes some 258 numbers a row.
pub(super) fn check_memory(
    recipe: &Recipe,
    request: &Request,
    answers: &Answers,
    parts: &Parts,
) -> Result<(), FitError> {
    let frame = &request.frame;
    let Some(limit) = request.max_bytes else {
        return Ok(());
    };
    let inputs = recipe.inputs();
    let width = inputs.numbers + inputs.categories.len();
    let rows = parts.train.len() + parts.validation.len();
    // Generated rows are prepared, and put together with a copy of the training rows.
    let generated = request.augment.as_ref();
    let generated = generated.map_or(0, |a| parts.train.len() + 2 * a.rows(parts.train.len()));
    let rows = rows.saturating_add(generated);
    // And the bins of trees.
    let prepared = rows.saturating_mul(width * size_of::<f32>() + train::bin_bytes(width));
    // Both kinds of rows are copied out.
    let prepared = match answers.task {
        Task::Uplift => prepared.saturating_mul(2),
        _ => prepared,
    };
    if frame.bytes().saturating_add(prepared) <= limit {
        return Ok(());
    }
    let widest = recipe.describe().into_iter().max_by_key(|d| d.inputs);
    let widest = widest.map_or(String::new(), |d| {
        format!(", {} of them of column \"{}\"", d.inputs, d.column)
    });
    Err(FitError::new(
        "53200",
        format!("training needs more than the {} MB it may use", limit >> 20),
    )
    .detail(format!(
        "The data takes {} MB, and {rows} prepared rows of {width} numbers{widest} take {} MB.",
        frame.bytes() >> 20,
        prepared >> 20
    ))
    .hint(
        "Train on fewer rows or columns, lower text_features, or have a superuser raise insight.max_memory.",
    ))
}
