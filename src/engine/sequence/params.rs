//! Hyper-parameters of sequence models.

use super::split::SplitBy;
use crate::models::WIDTH_STEP;
use crate::params::{ParamError, Reader};
use crate::privacy::{self, Privacy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What reads the histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997) with a forget gate (Gers et al. 2000).
    #[default]
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014).
    Gru,
    /// Attention to the steps before (Kang and McAuley 2018).
    Transformer,
}

const CELLS: &[(&str, Cell)] = &[
    ("lstm", Cell::Lstm),
    ("gru", Cell::Gru),
    ("transformer", Cell::Transformer),
];
const SPLITS: &[(&str, SplitBy)] = &[("time", SplitBy::Time), ("last", SplitBy::Last)];

impl Cell {
    /// As it is written in options.
    pub fn name(self) -> &'static str {
        let found = CELLS.iter().find(|(_, c)| *c == self);
        found.map_or("", |(name, _)| name)
    }

    /// The one of a name, as for option `algorithm`.
    pub fn of(name: &str) -> Option<Cell> {
        let found = CELLS.iter().find(|(n, _)| *n == name);
        found.map(|(_, cell)| *cell)
    }
}

/// Hyper-parameters as given; `None` means the default, which may depend on the data.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pub cell: Option<Cell>,
    pub hidden: Option<Vec<usize>>,
    pub heads: Option<usize>,
    pub embedding: Option<usize>,
    pub dropout: Option<f64>,
    pub tied: Option<bool>,
    pub mixture: Option<bool>,
    pub learning_rate: Option<f64>,
    pub l2: Option<f64>,
    pub gradient_clip: Option<f64>,
    pub epochs: Option<u32>,
    pub batch_size: Option<usize>,
    pub window: Option<usize>,
    pub negatives: Option<usize>,
    pub max_items: Option<usize>,
    pub early_stopping: Option<bool>,
    pub patience: Option<u32>,
    pub split: Option<SplitBy>,
    pub validation_size: Option<f64>,
    pub test_size: Option<f64>,
    pub seed: Option<u64>,
    pub max_seconds: Option<f64>,
    /// Differential privacy, where it is asked for.
    pub privacy: Option<Privacy>,
}

/// Checked and completed hyper-parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidParams {
    pub cell: Cell,
    /// Units of each layer.
    pub hidden: Vec<usize>,
    /// Heads of a transformer's blocks.
    pub heads: usize,
    pub embedding: usize,
    pub dropout: f64,
    pub tied: bool,
    pub mixture: bool,
    pub learning_rate: f64,
    pub l2: f64,
    pub gradient_clip: f64,
    pub epochs: u32,
    pub batch_size: usize,
    pub window: usize,
    pub negatives: usize,
    pub max_items: usize,
    pub early_stopping: bool,
    pub patience: u32,
    pub split: SplitBy,
    pub validation_size: f64,
    pub test_size: f64,
    pub seed: u64,
    pub max_seconds: Option<f64>,
}

/// Enough for a steady gradient, and few enough for many updates in an epoch.
const STEPS_OF_AN_UPDATE: f64 = 1024.0;
/// What each step looks at is held for all steps of a window, heads and blocks: of a block so many numbers at most.
pub(super) const MOST_ATTENTION: usize = 1 << 24;
/// With more classes than this the softmax is learned from a sample of them.
const LARGEST_SOFTMAX: usize = 10_000;

impl Params {
    /// Names of every option understood by [`Params::from_json`], sorted.
    pub const KEYS: &'static [&'static str] = &[
        "algorithm",
        "attention_heads",
        "batch_size",
        "dropout",
        "early_stopping",
        "embedding_dim",
        "epochs",
        "gradient_clip",
        "hidden",
        "l2",
        "learning_rate",
        "max_items",
        "max_seconds",
        "mixture",
        "negatives",
        "patience",
        "privacy",
        "seed",
        "split",
        "test_size",
        "tied",
        "validation_size",
        "window",
    ];

    /// Reads the options that are hyper-parameters; other keys are left to the caller.
    ///
    /// | name | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | lstm | lstm, gru, transformer | the longest memory |
    /// | hidden | \[128\], transformer \[64, 64\] | 1 to 8 layers of 1 to 4096 | a second layer of cells seldom pays for next items (Hidasi et al. 2016) |
    /// | attention_heads | 2 | 1 to 64 | transformer: parts of a block that look at different steps |
    /// | embedding_dim | 64 | 1 to 1024 | width of the target's vectors, and of other categories at most |
    /// | dropout | 0.2 | 0 to 0.95 | of inputs, states and outputs, the same at all steps of a history (Gal and Ghahramani 2016) |
    /// | tied | true | | the output layer is the embedding of the items (Inan et al. 2017) |
    /// | mixture | true | | popularity, transitions and the own history answer along by shares found on validation steps |
    /// | learning_rate | 0.003, transformer 0.001 | above 0 to 10 | adamw |
    /// | l2 | 0.01 | 0 to 10 | adamw's decoupled weight decay |
    /// | gradient_clip | 1 | above 0 to 1e6 | norm to which a step's gradient is shortened (Pascanu et al. 2013) |
    /// | epochs | 30 | 1 to 1,000,000 | early stopping ends most runs before |
    /// | batch_size | by length: 32 to 256 | 1 to 65,536 | histories side by side: about 1,000 steps between two updates |
    /// | window | 32, transformer 64 | 1 to 4096 | steps that the gradient goes back, while the state goes on; all that a transformer looks at |
    /// | negatives | 0 to 10,000 items, then 2048 | 0 to 100,000 | items besides the true one in a sampled softmax; 0: all |
    /// | max_items | 50,000 | 1 to 1,000,000 | the rarest beyond it count as unknown and are never answered |
    /// | early_stopping, patience | true, 3 | 1 to 10,000 epochs | an epoch is many steps |
    /// | split | time, or last | time, last | see [`SplitBy`] |
    /// | validation_size | 0.1 | 0 to 0.5 | of the steps not held out for testing |
    /// | test_size | 0.1 | 0 to 0.9 | steps that are not learned from |
    /// | seed | 42 | 0 to 2^53 | same seed and data: same model |
    /// | max_seconds | none | above 0 | the best so far is kept |
    /// | privacy | none | see [`privacy::given`] | other defaults go with it |
    pub fn from_json(options: &Map<String, Value>) -> Result<Params, ParamError> {
        let reader = Reader { options };
        let size = |name, low, high| -> Result<Option<usize>, ParamError> {
            Ok(reader.integer(name, low, high)?.map(|n| n as usize))
        };
        let privacy = privacy::given(options)?;
        if privacy.is_some() {
            super::private::check_beside(options)?;
        }
        Ok(Params {
            cell: reader.choice("algorithm", CELLS)?,
            hidden: reader.widths("hidden")?,
            heads: size("attention_heads", 1, 64)?,
            embedding: size("embedding_dim", 1, 1024)?,
            dropout: reader.number("dropout", 0.0, 0.95)?,
            tied: reader.boolean("tied")?,
            mixture: reader.boolean("mixture")?,
            learning_rate: reader.number("learning_rate", 1e-9, 10.0)?,
            l2: reader.number("l2", 0.0, 10.0)?,
            gradient_clip: reader.number("gradient_clip", 1e-6, 1e6)?,
            epochs: reader.integer("epochs", 1, 1_000_000)?.map(|n| n as u32),
            batch_size: size("batch_size", 1, 65_536)?,
            window: size("window", 1, 4096)?,
            negatives: size("negatives", 0, 100_000)?,
            max_items: size("max_items", 1, 1_000_000)?,
            early_stopping: reader.boolean("early_stopping")?,
            patience: reader.integer("patience", 1, 10_000)?.map(|n| n as u32),
            split: reader.choice("split", SPLITS)?,
            validation_size: reader.number("validation_size", 0.0, 0.5)?,
            test_size: reader.number("test_size", 0.0, 0.9)?,
            seed: reader.integer("seed", 0, 1 << 53)?,
            max_seconds: reader.number("max_seconds", 1e-3, 1e9)?,
            privacy,
        })
    }

    /// How many values of a category are kept.
    pub fn max_items(&self) -> usize {
        self.max_items.unwrap_or(50_000)
    }

    /// Fills in the defaults for a log whose order is a time (`calendar`), histories of so many steps on average and a target of
    /// so many classes.
    ///
    /// # Errors
    /// For a `validation_size` of 0 where validation steps are needed.
    pub fn check(
        &self,
        calendar: bool,
        mean_steps: f64,
        classes: usize,
    ) -> Result<ValidParams, ParamError> {
        let by_order = if calendar {
            SplitBy::Time
        } else {
            SplitBy::Last
        };
        let sampled = if classes > LARGEST_SOFTMAX { 2048 } else { 0 };
        let cell = self.cell.unwrap_or_default();
        let attends = cell == Cell::Transformer;
        let window = self.window.unwrap_or(if attends { 64 } else { 32 });
        let hidden = if attends { vec![64; 2] } else { vec![128] };
        let hidden = self.hidden.clone().unwrap_or(hidden);
        let heads = self.heads.unwrap_or(2);
        let rate = if attends { 0.001 } else { 0.003 };
        if attends {
            let width = hidden[0];
            let fits = hidden.iter().all(|h| *h == width)
                && width.is_multiple_of(WIDTH_STEP)
                && width.is_multiple_of(heads);
            if !fits {
                return Err(ParamError {
                    option: "hidden".into(),
                    message: "option \"hidden\" does not fit a transformer".into(),
                    hint: format!(
                        "All blocks have one width, a multiple of {WIDTH_STEP} and of \"attention_heads\", such as [64, 64]."
                    ),
                });
            }
        }
        if attends && heads * window * window > MOST_ATTENTION {
            return Err(ParamError {
                option: "window".into(),
                message: "option \"window\" is too large for a transformer".into(),
                hint: format!(
                    "\"attention_heads\" times the square of \"window\" must not be above {MOST_ATTENTION}."
                ),
            });
        }
        let rows = STEPS_OF_AN_UPDATE / mean_steps.clamp(1.0, window as f64);
        let valid = ValidParams {
            cell,
            hidden,
            heads,
            embedding: self.embedding.unwrap_or(64),
            dropout: self.dropout.unwrap_or(0.2),
            tied: self.tied.unwrap_or(true),
            mixture: self.mixture.unwrap_or(true),
            learning_rate: self.learning_rate.unwrap_or(rate),
            l2: self.l2.unwrap_or(0.01),
            gradient_clip: self.gradient_clip.unwrap_or(1.0),
            epochs: self.epochs.unwrap_or(30),
            batch_size: self.batch_size.unwrap_or((rows as usize).clamp(32, 256)),
            window,
            negatives: self.negatives.unwrap_or(sampled),
            max_items: self.max_items(),
            early_stopping: self.early_stopping.unwrap_or(true),
            patience: self.patience.unwrap_or(3),
            split: self.split.unwrap_or(by_order),
            validation_size: self.validation_size.unwrap_or(0.1),
            test_size: self.test_size.unwrap_or(0.1),
            seed: self.seed.unwrap_or(42),
            max_seconds: self.max_seconds,
        };
        if valid.early_stopping && valid.validation_size == 0.0 && self.early_stopping.is_some() {
            return Err(ParamError {
                option: "early_stopping".into(),
                message: "option \"early_stopping\" needs validation steps".into(),
                hint: "Set \"validation_size\" above 0, or \"early_stopping\" to false.".into(),
            });
        }
        Ok(valid)
    }
}
