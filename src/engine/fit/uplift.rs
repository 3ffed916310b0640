//! Models of the effect of a treatment: one model of the treated and one of the others, or one of an outcome that is transformed so
//! that its mean is the effect.

use super::prepare::Prepared;
use super::{FitError, Request, split::Parts, target::Answers};
use crate::artifact::{Uplift, UpliftMethod};
use crate::evaluate::qini_coefficient;
use crate::infer;
use crate::models::Output;
use crate::params::{Algorithm, Loss, NumberEncoding, ValidParams};
use crate::train::{self, Rows, Step, TrainError, Trained};

/// Rows that are asked whether the treatment can be foretold, at most.
const ASKED: usize = 20_000;
/// An area under the ROC curve below this is no reason to warn.
const FORETOLD: f64 = 0.55;

type Report<'r> = &'r mut dyn FnMut(&Step) -> bool;

/// What effects are made of: the parts with what makes effects, in the target's units, of the sum of their answers.
struct Effects {
    method: UpliftMethod,
    trained: Trained,
    mean: f64,
    factor: f64,
}

/// Trains by the method asked for, or by that with the better Qini coefficient on the validation rows. How the answers are scaled
/// is noted in `prepared`.
pub(super) fn train(
    prepared: &mut Prepared,
    request: &Request,
    answers: &Answers,
    parts: &Parts,
    params: &ValidParams,
    report: Report<'_>,
) -> Result<Trained, FitError> {
    let arms = Arms {
        prepared,
        request,
        binary: !answers.labels.is_empty(),
        train: answers.treated(&parts.train),
        validation: answers.treated(&parts.validation),
    };
    let (treatment_auc, confounded) = arms.foretold(params, report)?;
    let wanted = match request.of_task.uplift_method {
        // Nothing could choose.
        None if parts.validation.is_empty() => Some(UpliftMethod::TwoModel),
        wanted => wanted,
    };
    let mut params = params.clone();
    let trainings = match wanted {
        None => 3.0,
        Some(UpliftMethod::TwoModel) => 2.0,
        Some(UpliftMethod::Transformed) => 1.0,
    };
    params.max_seconds = params.max_seconds.map(|seconds| seconds / trainings);
    // The validation rows choose between the methods: no model may learn from them.
    params.folds = 1;
    let found = match wanted {
        Some(UpliftMethod::TwoModel) => arms.two_models(&params, report)?,
        Some(UpliftMethod::Transformed) => arms.transformed(&params, report)?,
        None => {
            let both = [
                arms.two_models(&params, report)?,
                arms.transformed(&params, report)?,
            ];
            let outcomes = answers.outcomes(&parts.validation);
            let qini =
                |e: &Effects| qini_coefficient(&arms.effects(e), &outcomes, &arms.validation);
            let [two, one] = both;
            if qini(&one) > qini(&two) { one } else { two }
        }
    };
    let treated = arms.train.iter().filter(|t| **t).count() as f64;
    let uplift = Uplift {
        method: found.method,
        treated: treated / arms.train.len().max(1) as f64,
        treatment_auc,
        confounded,
    };
    let scale = &mut prepared.matrices.scale;
    (scale.mean, scale.factor, scale.uplift) = (found.mean, found.factor, Some(uplift));
    Ok(found.trained)
}

/// The rows of a split by treatment.
struct Arms<'a> {
    prepared: &'a Prepared,
    request: &'a Request,
    /// The outcome is one of two labels.
    binary: bool,
    train: Vec<bool>,
    validation: Vec<bool>,
}

impl Arms<'_> {
    /// Rows of a part, with a target for each.
    fn pick(part: &Rows, rows: &[u32], targets: Vec<f32>) -> Rows {
        Rows {
            matrix: part.matrix.some(rows),
            targets,
            weights: Vec::new(),
        }
    }

    fn fit(
        &self,
        train: &Rows,
        validation: &Rows,
        output: Output,
        params: &ValidParams,
        report: Report<'_>,
    ) -> Result<Trained, TrainError> {
        let held_out = !validation.targets.is_empty();
        self.request.device.train(params, |params, device| {
            train::train(
                train.examples(),
                held_out.then(|| validation.examples()),
                output,
                1,
                params,
                device,
                report,
            )
        })
    }

    /// A model of the treated rows, and one of the others, whose answers are taken from those of the first (Radcliffe and Surry
    /// 1999; "T-learner" in Künzel et al. 2019).
    fn two_models(&self, params: &ValidParams, report: Report<'_>) -> Result<Effects, TrainError> {
        let matrices = &self.prepared.matrices;
        let (output, loss) = match self.binary {
            true => (Output::Sigmoid, Loss::BinaryCrossentropy),
            false => (Output::Identity, Loss::MeanSquaredError),
        };
        let params = ValidParams {
            loss,
            ..params.clone()
        };
        let mut arm = |treated: bool| {
            let of = |part: &Rows, flags: &[bool]| {
                let rows = flags.iter().enumerate().filter(|(_, t)| **t == treated);
                let rows: Vec<u32> = rows.map(|(row, _)| row as u32).collect();
                let targets = rows.iter().map(|row| part.targets[*row as usize]).collect();
                Arms::pick(part, &rows, targets)
            };
            let (train, validation) = (
                of(&matrices.train, &self.train),
                of(&matrices.validation, &self.validation),
            );
            self.fit(&train, &validation, output, &params, report)
        };
        let mut trained = arm(true)?;
        let others = arm(false)?;
        trained
            .parts
            .extend(others.parts.into_iter().map(|mut part| {
                part.share = -part.share;
                part
            }));
        Ok(Effects {
            method: UpliftMethod::TwoModel,
            trained,
            // The means of both cancel.
            mean: 0.0,
            factor: matrices.scale.factor,
        })
    }

    /// One model of (y - c) (t - e) / (e (1 - e)), whose mean is the effect, where a share e of the rows is treated by chance
    /// (Jaskowski and Jaroszewicz 2012; Athey and Imbens 2015). Any c will do; the mean of y leaves the least noise.
    fn transformed(&self, params: &ValidParams, report: Report<'_>) -> Result<Effects, TrainError> {
        let matrices = &self.prepared.matrices;
        let count = self.train.len().max(1) as f64;
        let share = self.train.iter().filter(|t| **t).count() as f64 / count;
        let targets = &matrices.train.targets;
        let centre = targets.iter().map(|y| f64::from(*y)).sum::<f64>() / count;
        let all = |part: &Rows, flags: &[bool]| -> Vec<f64> {
            let rows = part.targets.iter().zip(flags);
            rows.map(|(y, t)| {
                let t = f64::from(u8::from(*t));
                (f64::from(*y) - centre) * (t - share) / (share * (1.0 - share))
            })
            .collect()
        };
        let train = all(&matrices.train, &self.train);
        let mean = train.iter().sum::<f64>() / count;
        let squares = train.iter().map(|z| (z - mean).powi(2)).sum::<f64>();
        let deviation = (squares / count).sqrt();
        let factor = if deviation > 0.0 { deviation } else { 1.0 };
        let part = |part: &Rows, targets: Vec<f64>| {
            let rows: Vec<u32> = (0..targets.len() as u32).collect();
            let scaled = targets.iter().map(|z| ((z - mean) / factor) as f32);
            Arms::pick(part, &rows, scaled.collect())
        };
        let validation = all(&matrices.validation, &self.validation);
        let params = ValidParams {
            loss: Loss::MeanSquaredError,
            ..params.clone()
        };
        let trained = self.fit(
            &part(&matrices.train, train),
            &part(&matrices.validation, validation),
            Output::Identity,
            &params,
            report,
        )?;
        Ok(Effects {
            method: UpliftMethod::Transformed,
            trained,
            mean: mean * matrices.scale.factor,
            factor: factor * matrices.scale.factor,
        })
    }

    /// The effects of the validation rows.
    fn effects(&self, of: &Effects) -> Vec<f64> {
        let matrix = &self.prepared.matrices.validation.matrix;
        let output = of.method.output(self.binary);
        let mut effects = vec![of.mean; matrix.rows];
        for part in &of.trained.parts {
            let answers = infer::answers(&part.model, output, 1, matrix);
            let both = effects.iter_mut().zip(answers);
            both.for_each(|(effect, answer)| *effect += of.factor * part.share * answer);
        }
        effects
    }

    /// How well a small network tells the treated validation rows from the others, as area under the ROC curve, and whether that is
    /// more than chance: effects are then mixed up with why rows were treated.
    fn foretold(
        &self,
        params: &ValidParams,
        report: Report<'_>,
    ) -> Result<(Option<f64>, bool), TrainError> {
        let treated = self.validation.iter().filter(|t| **t).count() as f64;
        let others = self.validation.len() as f64 - treated;
        if treated < 1.0 || others < 1.0 {
            return Ok((None, false));
        }
        let matrices = &self.prepared.matrices;
        let params = ValidParams {
            algorithm: Algorithm::Mlp,
            hidden: vec![16],
            epochs: 10,
            patience: 3,
            members: 1,
            learning_rate: 0.005,
            number_embedding: NumberEncoding::None,
            loss: Loss::BinaryCrossentropy,
            max_seconds: params.max_seconds.map(|seconds| seconds / 10.0),
            ..params.clone()
        };
        let of = |part: &Rows, flags: &[bool]| {
            let every = flags.len().div_ceil(ASKED).max(1);
            let rows: Vec<u32> = (0..flags.len() as u32).step_by(every).collect();
            let targets = rows
                .iter()
                .map(|row| f32::from(u8::from(flags[*row as usize])));
            Arms::pick(part, &rows, targets.collect())
        };
        let train = of(&matrices.train, &self.train);
        let validation = of(&matrices.validation, &self.validation);
        let trained = match self.fit(&train, &validation, Output::Sigmoid, &params, report) {
            Err(TrainError::Diverged { .. }) => return Ok((None, false)),
            trained => trained?,
        };
        let Some(part) = trained.parts.first() else {
            return Ok((None, false));
        };
        let answers = infer::answers(&part.model, Output::Sigmoid, 1, &validation.matrix);
        let flags: Vec<bool> = validation.targets.iter().map(|t| *t == 1.0).collect();
        let auc = crate::evaluate::roc_auc(&answers, &flags);
        // Of the Mann-Whitney statistic where both come from one distribution.
        let error = ((treated + others + 1.0) / (12.0 * treated * others)).sqrt();
        let auc = Some(auc).filter(|auc| auc.is_finite());
        let confounded = auc.is_some_and(|auc| auc > FORETOLD && auc > 0.5 + 3.0 * error);
        Ok((auc, confounded))
    }
}
