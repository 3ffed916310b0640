//! What is trained, how long, and what is told of it.

use super::private;
use crate::artifact::Epoch;
use crate::params::{ParamError, reader::Reader};
use crate::privacy::Privacy;
use crate::train::{Step, TrainError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Reports come at least this often.
const REPORT: Duration = Duration::from_millis(200);
/// So many steps are the least, however few rows there are.
const LEAST_STEPS: usize = 2000;
/// Of the time there is so much is kept for scoring, seconds and share.
const SCORING: f64 = 2.0;
const SCORING_SHARE: f64 = 0.12;
/// An epoch of fewer steps than this, which a smaller table makes with smaller batches, teaches a GAN little.
const STEPS_OF_EPOCH: usize = 50;
const BATCHES: std::ops::RangeInclusive<usize> = 100..=500;
/// CTGAN's, where that leaves so many packs in a batch.
const PAC: usize = 10;
const PACKS: usize = 20;
const EPOCHS: u32 = 300;
/// Steps that are enough for the rows of children, and epochs that are the least.
const MOST_STEPS_OF_CHILDREN: usize = 6000;
const FEWEST_EPOCHS: u32 = 10;
const MOST_EPOCHS: u32 = 3000;

/// What imitates a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// A conditional generative adversarial network (CTGAN).
    Gan,
    /// A variational autoencoder (TVAE).
    Tvae,
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::Gan, Algorithm::Tvae];

    /// As it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Gan => "gan",
            Algorithm::Tvae => "tvae",
        }
    }

    pub fn of(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// What the networks of a GAN play for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The Wasserstein distance with a gradient penalty.
    Wasserstein,
    /// Binary cross-entropy, and -log D(G(z)) for the generator.
    Vanilla,
}

/// Hyper-parameters, all in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Params {
    pub algorithm: Algorithm,
    pub loss: Loss,
    pub epochs: u32,
    /// Rows of a step; of a GAN a multiple of `pac`.
    pub batch: usize,
    /// Rows that the critic sees at once.
    pub pac: usize,
    pub learning_rate: f64,
    /// Of the critic.
    pub dropout: f64,
    /// Width of the noise.
    pub noise: usize,
    /// Hidden layers of the generator, or the decoder.
    pub generator: Vec<usize>,
    /// Hidden layers of the critic, or the encoder.
    pub critic: Vec<usize>,
    pub seed: u64,
    pub max_seconds: Option<f64>,
    /// Differential privacy that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
}

impl Params {
    /// Options that are read here.
    pub const KEYS: &'static [&'static str] = &[
        "algorithm",
        "batch_size",
        "dropout",
        "epochs",
        "generator_layers",
        "critic_layers",
        "learning_rate",
        "loss",
        "max_seconds",
        "noise_size",
        "pac",
        "privacy",
        "seed",
    ];

    /// | option | default | range | why |
    /// |---|---|---|---|
    /// | epochs | 300, more for few rows | 1 to 100,000 | CTGAN's; 2,000 steps at least |
    /// | batch_size | 2% of the rows, 100 to 500 | 2 to 100,000 | CTGAN's 500; fewer make 50 steps an epoch; a multiple of `pac` |
    /// | pac | 10, so that there are 20 in a batch | 1 to 100 | PacGAN against mode collapse |
    /// | learning_rate | 2e-4, tvae 1e-3 | 1e-7 to 1 | CTGAN's, TVAE's |
    /// | dropout | 0.5 | 0 to below 1 | of the critic |
    /// | noise_size | 128 | 1 to 4,096 | width of the noise |
    /// | generator_layers, critic_layers | [256, 256], tvae [128, 128] | 1 to 8 layers of 1 to 4,096 | CTGAN's, TVAE's |
    /// | loss | `wasserstein` | `wasserstein`, `vanilla` | of a GAN |
    /// | seed | 0 | whole | same seed, same rows |
    /// | privacy | none | an object | differential privacy; other defaults then, see [`private::complete`] |
    ///
    /// # Errors
    /// A value of the wrong type or out of range.
    pub fn from_json(options: &Map<String, Value>, rows: usize) -> Result<Params, ParamError> {
        let reader = Reader { options };
        let names = Algorithm::ALL.map(|a| (a.name(), a));
        let algorithm = reader
            .choice("algorithm", &names)?
            .unwrap_or(Algorithm::Gan);
        let privacy = private::given(options, algorithm)?;
        let completed = privacy.as_ref().map(|_| private::complete(options, rows));
        let options = completed.as_ref().unwrap_or(options);
        let reader = Reader { options };
        let gan = algorithm == Algorithm::Gan;
        let only_gan = ["loss", "pac", "dropout"]
            .into_iter()
            .find(|key| !gan && reader.get(key).is_some());
        if let Some(key) = only_gan {
            return Err(Reader::wrong(
                key,
                "left out, for it is for the algorithm gan",
            ));
        }
        let usual = (rows / STEPS_OF_EPOCH).clamp(*BATCHES.start(), *BATCHES.end());
        let batch = reader.integer("batch_size", 2, 100_000)?;
        let batch = batch.map_or(usual, |rows| rows as usize);
        let pac = if gan {
            let usual = (batch / PACKS).clamp(1, PAC);
            reader.integer("pac", 1, 100)?.map_or(usual, |n| n as usize)
        } else {
            1
        };
        let batch = batch.div_ceil(pac) * pac;
        let few = LEAST_STEPS.div_ceil((rows / batch).max(1)) as u32;
        let losses = [
            ("wasserstein", Loss::Wasserstein),
            ("vanilla", Loss::Vanilla),
        ];
        let usual: &[usize] = if gan { &[256, 256] } else { &[128, 128] };
        let layers = |option| Ok(reader.widths(option)?.unwrap_or_else(|| usual.to_vec()));
        Ok(Params {
            algorithm,
            loss: reader.choice("loss", &losses)?.unwrap_or(Loss::Wasserstein),
            epochs: reader
                .integer("epochs", 1, 100_000)?
                .map_or(few.clamp(EPOCHS, MOST_EPOCHS), |n| n as u32),
            batch,
            pac,
            learning_rate: reader
                .number("learning_rate", 1e-7, 1.0)?
                .unwrap_or(if gan { 2e-4 } else { 1e-3 }),
            dropout: reader.number("dropout", 0.0, 0.99)?.unwrap_or(0.5),
            noise: reader.integer("noise_size", 1, 4096)?.unwrap_or(128) as usize,
            generator: layers("generator_layers")?,
            critic: layers("critic_layers")?,
            seed: reader.integer("seed", 0, 1 << 53)?.unwrap_or(0),
            max_seconds: reader.number("max_seconds", 1e-3, 1e9)?,
            privacy,
        })
    }

    /// Those of a table whose rows belong to those of another: always a conditional autoencoder, and fewer epochs by default, for
    /// such tables are long.
    ///
    /// # Errors
    /// As [`Params::from_json`].
    pub fn of_children(options: &Map<String, Value>, rows: usize) -> Result<Params, ParamError> {
        let mut own = options.clone();
        own.insert("algorithm".into(), Algorithm::Tvae.name().into());
        ["loss", "pac", "dropout"].into_iter().for_each(|key| {
            own.remove(key);
        });
        let mut params = Params::from_json(&own, rows)?;
        if options.get("epochs").is_none_or(Value::is_null) {
            let steps = rows.div_ceil(params.batch).max(1);
            let some = MOST_STEPS_OF_CHILDREN.div_ceil(steps) as u32;
            params.epochs = params.epochs.min(some.max(FEWEST_EPOCHS));
        }
        Ok(params)
    }
}

/// Tells how far training is, and when to stop.
pub(super) struct Watch<'a> {
    report: &'a mut dyn FnMut(&Step) -> bool,
    epochs: u32,
    rows: usize,
    started: Instant,
    last: Instant,
    deadline: Option<Instant>,
    pub(super) history: Vec<Epoch>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        params: &Params,
        rows: usize,
        report: &'a mut dyn FnMut(&Step) -> bool,
    ) -> Watch<'a> {
        let started = Instant::now();
        let limit = params
            .max_seconds
            .map(|s| Duration::from_secs_f64((s - SCORING.min(s * SCORING_SHARE)).clamp(0.0, 1e9)));
        Watch {
            report,
            epochs: params.epochs,
            rows,
            started,
            last: started,
            deadline: limit.map(|limit| started + limit),
            history: Vec::new(),
        }
    }

    pub(super) fn out_of_time(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    fn tell(&mut self, epoch: u32, loss: f64, ended: bool) -> Result<(), TrainError> {
        self.last = Instant::now();
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let done = f64::from(epoch) - if ended { 0.0 } else { 0.5 };
        let left = seconds / done.max(0.5) * (f64::from(self.epochs) - done);
        let until = self
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()).as_secs_f64());
        let step = Step {
            boosting: false,
            ended,
            epoch,
            epochs: self.epochs,
            rows_per_second: done * self.rows as f64 / seconds,
            loss,
            validation_loss: None,
            eta_seconds: until.map_or(left, |until| left.min(until)),
        };
        if (self.report)(&step) {
            Ok(())
        } else {
            Err(TrainError::Canceled)
        }
    }

    /// Between two steps.
    pub(super) fn pause(&mut self, epoch: u32, loss: f64) -> Result<(), TrainError> {
        if !loss.is_finite() {
            return Err(TrainError::Diverged { epoch });
        }
        if self.last.elapsed() >= REPORT {
            self.tell(epoch, loss, false)
        } else {
            Ok(())
        }
    }

    /// After an epoch of so many rows; whether to go on.
    pub(super) fn epoch(
        &mut self,
        epoch: u32,
        loss: f64,
        other: Option<f64>,
        rate: f64,
        rows: usize,
    ) -> Result<bool, TrainError> {
        let before = self.history.last().map_or(0.0, |e| e.seconds);
        let seconds = self.started.elapsed().as_secs_f64();
        self.history.push(Epoch {
            epoch,
            train_loss: loss,
            validation_loss: other,
            learning_rate: rate,
            rows_per_second: rows as f64 / (seconds - before).max(1e-9),
            seconds,
        });
        self.tell(epoch, loss, true)?;
        Ok(!self.out_of_time())
    }
}
