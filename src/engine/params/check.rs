//! From options as given to parameters that can train: combinations are checked, defaults filled in.

use super::{
    Algorithm, Averaging, Boosting, ClassWeight, Loss, NumberEncoding, Optimizer, ParamError,
    Params, Schedule, ValidParams, decision,
};
use crate::artifact::Task;
use crate::models::Activation;
use crate::recipe::{CategoryEncoding, Preparation, Standardise, Transform};

/// An epoch over this many rows is so many steps that few epochs tell whether more will help.
const MANY_ROWS: usize = 200_000;
/// Below so many rows an ensemble holds each part of the rows out in turn.
const FEW_ROWS: usize = 20_000;

/// How many parts of the rows an ensemble holds out in turn.
fn turns(rows: usize) -> usize {
    match rows {
        0..5_000 => 5,
        5_000..FEW_ROWS => 3,
        _ => 1,
    }
}

impl Params {
    /// Checks combinations and fills in defaults for a task and a table of `rows` training rows.
    pub fn check(&self, task: Task, rows: usize) -> Result<ValidParams, ParamError> {
        match &self.privacy {
            Some(privacy) => privacy.complete(self, rows).filled(task, rows),
            None => self.filled(task, rows),
        }
    }

    fn filled(&self, task: Task, rows: usize) -> Result<ValidParams, ParamError> {
        let algorithm = self.algorithm.unwrap_or_default();
        let plain = algorithm == Algorithm::Mlp;
        let optimizer = self.optimizer.unwrap_or(Optimizer::Adamw);
        if let Some(option) = self.of_others(algorithm) {
            let what = match algorithm {
                Algorithm::Gbdt => "boosted trees",
                Algorithm::RandomForest => "a random forest",
                Algorithm::Linear => "a linear model",
                Algorithm::Transformer => "a transformer",
                _ => "a network",
            };
            let name = algorithm.name();
            return Err(ParamError {
                option: option.into(),
                message: format!("option \"{option}\" means nothing to {what}"),
                hint: format!("Leave \"{option}\" out, or use another algorithm than {name}."),
            });
        }
        if self.momentum.is_some() && optimizer != Optimizer::Sgd {
            return Err(ParamError {
                option: "momentum".into(),
                message: "option \"momentum\" needs the optimizer sgd".into(),
                hint: "Add \"optimizer\": \"sgd\", or leave momentum out.".into(),
            });
        }
        let loss = self.loss_for(task)?;
        if matches!(algorithm, Algorithm::Linear | Algorithm::RandomForest)
            && !matches!(
                loss,
                Loss::MeanSquaredError | Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy
            )
        {
            let name = algorithm.name();
            return Err(ParamError {
                option: "loss".into(),
                message: format!("the algorithm {name} has no such loss"),
                hint: "Use dnn, mlp, transformer, gbdt or auto.".into(),
            });
        }
        if matches!(algorithm, Algorithm::Linear | Algorithm::RandomForest)
            && matches!(task, Task::Multilabel | Task::Ordinal | Task::Survival)
        {
            return Err(ParamError {
                option: "algorithm".into(),
                message: format!(
                    "the algorithm {} cannot learn the task {}",
                    algorithm.name(),
                    task.name()
                ),
                hint: "Use dnn, mlp, transformer, gbdt or auto.".into(),
            });
        }
        if self.label_smoothing.is_some()
            && !matches!(
                loss,
                Loss::BinaryCrossentropy | Loss::CategoricalCrossentropy
            )
        {
            return Err(ParamError {
                option: "label_smoothing".into(),
                message: "option \"label_smoothing\" needs labels and a loss crossentropy".into(),
                hint: "Leave \"label_smoothing\" out.".into(),
            });
        }
        let (hidden, batch_size, members) = match rows {
            0..5_000 => (vec![64, 32], 32, 8),
            5_000..20_000 => (vec![128, 64], 128, 8),
            20_000..200_000 => (vec![256, 128], 256, 4),
            _ => (vec![256, 128], 1024, 2),
        };
        let attention = match algorithm {
            Algorithm::Transformer => Some(self.attention.check(rows)?),
            _ => None,
        };
        // On tables that were tried, a transformer's average does better than its last step.
        let learning = self.learning.check(match algorithm {
            Algorithm::Transformer => Averaging::Ema,
            _ => Averaging::None,
        })?;
        let epochs = self.epochs.unwrap_or(100);
        let patience = match (learning.learning_rate_schedule, rows) {
            // Within a cycle the loss rises before it falls again.
            (Schedule::Coslog4, _) => epochs.min(10_000),
            (_, 0..MANY_ROWS) => 10,
            _ => 5,
        };
        let folds = match algorithm {
            Algorithm::Auto => self.folds.unwrap_or(turns(rows)),
            _ => 1,
        };
        // Several networks need fewer members each.
        let members = if folds > 1 { members.min(4) } else { members };
        let learning_rate = if optimizer == Optimizer::Sgd {
            0.02
        } else if plain {
            0.002
        } else if attention.is_some() {
            0.001
        } else {
            0.003
        };
        let l2 = match optimizer {
            Optimizer::Adamw if attention.is_some() => 1e-5,
            Optimizer::Adamw => 0.01,
            _ => 0.0,
        };
        let dropout = attention.map_or(0.1, |a| a.hidden_dropout());
        Ok(ValidParams {
            algorithm,
            hidden: self.hidden.clone().unwrap_or(hidden),
            activation: self.activation.unwrap_or(Activation::Silu),
            dropout: self.dropout.unwrap_or(dropout),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            warmup_epochs: self.warmup_epochs.unwrap_or(0.0),
            learning,
            loss,
            huber_delta: self.huber_delta.unwrap_or(1.0),
            quantile: self.quantile.unwrap_or(0.5),
            tweedie_power: self.tweedie_power.unwrap_or(1.5),
            focal_gamma: self.focal_gamma.unwrap_or(2.0),
            optimizer,
            learning_rate: self.learning_rate.unwrap_or(learning_rate),
            momentum: self.momentum.unwrap_or(0.9),
            l1: self.l1.unwrap_or(0.0),
            l2: self.l2.unwrap_or(l2),
            epochs,
            batch_size: self.batch_size.unwrap_or(batch_size),
            early_stopping: self.early_stopping.unwrap_or(true),
            patience: self.patience.unwrap_or(patience),
            validation_size: self.validation_size.unwrap_or(0.2),
            test_size: self.test_size.unwrap_or(0.2),
            class_weight: self.class_weight.clone().unwrap_or(ClassWeight::None),
            seed: self.seed.unwrap_or(42),
            max_seconds: self.max_seconds,
            number_embedding: self.number_embedding.unwrap_or(match plain {
                true => NumberEncoding::None,
                false => NumberEncoding::PiecewiseLinear,
            }),
            number_dim: self.number_dim.unwrap_or(8),
            bins: self.bins.unwrap_or(48),
            members: self.members.unwrap_or(if plain { 1 } else { members }),
            penalty: (self.l1.is_some() || self.l2.is_some())
                .then(|| [self.l1.unwrap_or(0.0), self.l2.unwrap_or(0.0)]),
            trees: self.trees.unwrap_or(300),
            folds,
            start: None,
            attention,
            boosting: self.boosting(task, algorithm, rows, folds),
            preparation: self.preparation(),
            select: self.select.unwrap_or_default(),
            construct: self.construct.unwrap_or_default(),
            calibration: decision::calibration(self.calibration, task)?,
            decision: decision::check(self.decision, task)?,
            privacy: self.privacy.clone(),
        })
    }

    /// With other algorithms, learning_rate and l2 are not those of trees.
    fn boosting(&self, task: Task, algorithm: Algorithm, rows: usize, folds: usize) -> Boosting {
        let default = Boosting::default();
        let own = algorithm == Algorithm::Gbdt;
        let leaves = match (task, rows) {
            (Task::Regression, _) => 31,
            // A label tells less than a value does.
            (_, 0..5_000) => 8,
            (_, 5_000..12_000) => 15,
            _ => 31,
        };
        let learning_rate = match rows {
            // The models of several turns steady each other.
            0..MANY_ROWS if folds > 1 => 0.07,
            0..MANY_ROWS => 0.05,
            _ => 0.1,
        };
        Boosting {
            max_leaf_nodes: self.max_leaf_nodes.unwrap_or(leaves),
            or_max_leaf_nodes: (matches!(algorithm, Algorithm::Auto | Algorithm::Gbdt)
                && self.max_leaf_nodes.is_none()
                // Trees of hazards stay small anyway.
                && task != Task::Survival
                && leaves < default.max_leaf_nodes)
                .then_some(default.max_leaf_nodes),
            min_samples_leaf: self.min_samples_leaf.unwrap_or(default.min_samples_leaf),
            max_features: self.max_features.unwrap_or(default.max_features),
            l2: self.l2.filter(|_| own).unwrap_or(default.l2),
            learning_rate: self.learning_rate.filter(|_| own).unwrap_or(learning_rate),
        }
    }

    fn preparation(&self) -> Preparation {
        let default = Preparation::default();
        Preparation {
            text_features: self.text_features.unwrap_or(default.text_features),
            text_dim: self.text_dim.unwrap_or(match self.algorithm {
                Some(Algorithm::Mlp | Algorithm::Linear) => 0,
                _ => default.text_dim,
            }),
            standardise: self.standardise.unwrap_or(match self.algorithm {
                // One unit of the column must stay one unit.
                Some(Algorithm::Linear) => Standardise::Standard,
                _ => default.standardise,
            }),
            transform: self.transform.unwrap_or(match self.algorithm {
                Some(Algorithm::Linear) => Transform::None,
                _ => default.transform,
            }),
            category_encoding: self.category_encoding.unwrap_or(match self.algorithm {
                Some(Algorithm::Linear) => CategoryEncoding::OneHot,
                _ => default.category_encoding,
            }),
            text_model: self.text_model.clone(),
        }
    }

    fn loss_for(&self, task: Task) -> Result<Loss, ParamError> {
        let known = losses(task);
        if task == Task::Uplift && self.loss.is_some() {
            return Err(ParamError {
                option: "loss".into(),
                message: "option \"loss\" means nothing to the task uplift".into(),
                hint: "Leave loss out: each of the models has its own.".into(),
            });
        }
        let loss = self.loss.unwrap_or(known[0]);
        let error = |option: &str, message: String, hint: String| {
            Err(ParamError {
                option: option.into(),
                message: message.to_lowercase(),
                hint,
            })
        };
        if !known.contains(&loss) {
            let names: Vec<&str> = known.iter().map(|loss| loss.name()).collect();
            return error(
                "loss",
                format!("loss {} does not fit a {task:?} target", loss.name()),
                format!("Use {}.", names.join(" or ")),
            );
        }
        if self.algorithm == Some(Algorithm::Gbdt)
            && loss == Loss::MeanSquaredError
            && known[0] != loss
        {
            return error(
                "loss",
                "boosted trees cannot learn probabilities by loss mean_squared_error".into(),
                format!("Use {}, or another algorithm than gbdt.", known[0].name()),
            );
        }
        let given = [
            (self.huber_delta.is_some(), Loss::Huber),
            (self.quantile.is_some(), Loss::Quantile),
            (self.tweedie_power.is_some(), Loss::Tweedie),
            (self.focal_gamma.is_some(), Loss::Focal),
        ];
        match given.into_iter().find(|(given, l)| *given && *l != loss) {
            Some((_, other)) => {
                let option = other.parameter().unwrap_or_default();
                error(
                    option,
                    format!("option \"{option}\" needs the loss {}", other.name()),
                    format!("Add \"loss\": \"{}\", or leave {option} out.", other.name()),
                )
            }
            None => Ok(loss),
        }
    }
}

/// The losses that fit a task, the first by default.
fn losses(task: Task) -> &'static [Loss] {
    match task {
        Task::Binary => &[
            Loss::BinaryCrossentropy,
            Loss::MeanSquaredError,
            Loss::Focal,
        ],
        Task::Multiclass => &[
            Loss::CategoricalCrossentropy,
            Loss::MeanSquaredError,
            Loss::Focal,
        ],
        Task::Multilabel => &[Loss::BinaryCrossentropy, Loss::Focal],
        // Each of its models has a loss of its own.
        Task::Uplift => &[Loss::MeanSquaredError],
        Task::Ordinal | Task::Survival => &[Loss::BinaryCrossentropy],
        Task::Regression => &[
            Loss::MeanSquaredError,
            Loss::MeanAbsoluteError,
            Loss::Huber,
            Loss::Quantile,
            Loss::Poisson,
            Loss::Tweedie,
        ],
    }
}
