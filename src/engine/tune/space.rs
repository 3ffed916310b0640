//! What can be tuned, and between which values.

use crate::artifact::Task;
use crate::params::{Algorithm, ParamError, Params};
use crate::random::Random;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Options that decide how rows are prepared, split or counted, or how long it may take: not searched.
const FIXED: &[&str] = &[
    "category_encoding",
    "class_weight",
    "construct",
    "early_stopping",
    "focal_gamma",
    "folds",
    "huber_delta",
    "loss",
    "max_seconds",
    "quantile",
    "seed",
    "select",
    "standardise",
    "test_size",
    "text_embedding_dim",
    "text_features",
    "transform",
    "tune",
    "tweedie_power",
    "validation_size",
];

/// The values an option may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Domain {
    Range {
        low: f64,
        high: f64,
        /// Even steps of the logarithm.
        log: bool,
        whole: bool,
    },
    Choice(Vec<Value>),
}

/// Options with the values they may take, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Space(pub Vec<(String, Domain)>);

/// A place in a space: per option its place from 0 to 1 in a range, or the number of a choice.
pub(super) type Point = Vec<f64>;

impl Domain {
    fn read(option: &str, value: &Value) -> Result<Domain, ParamError> {
        match value {
            Value::Array(items) if !items.is_empty() => Ok(Domain::Choice(items.clone())),
            Value::Object(range) => Self::range(option, range),
            _ => Err(wrong(option)),
        }
    }

    /// `{"min": 0.001, "max": 0.1, "log": true}`; whole numbers where both ends are written as such.
    fn range(option: &str, range: &Map<String, Value>) -> Result<Domain, ParamError> {
        let known = ["min", "max", "log"];
        let end = |name: &str| range.get(name).and_then(Value::as_f64);
        let log = match range.get("log") {
            None => Some(false),
            Some(value) => value.as_bool(),
        };
        let (Some(low), Some(high), Some(log)) = (end("min"), end("max"), log) else {
            return Err(wrong(option));
        };
        let fits = low < high && (!log || low > 0.0) && range.keys().all(|k| known.contains(&&**k));
        if !fits {
            return Err(wrong(option));
        }
        let whole = |name: &str| range.get(name).is_some_and(|v| v.is_u64() || v.is_i64());
        Ok(Domain::Range {
            low,
            high,
            log,
            whole: whole("min") && whole("max"),
        })
    }

    /// How many choices there are; `None` for a range.
    pub(super) fn choices(&self) -> Option<usize> {
        match self {
            Domain::Range { .. } => None,
            Domain::Choice(items) => Some(items.len()),
        }
    }

    fn draw(&self, random: &mut Random) -> f64 {
        match self.choices() {
            None => random.uniform(),
            Some(count) => random.below(count) as f64,
        }
    }

    fn value(&self, at: f64) -> Value {
        match self {
            Domain::Choice(items) => items.get(at as usize).cloned().unwrap_or(Value::Null),
            Domain::Range {
                low,
                high,
                log,
                whole,
            } => {
                let x = if *log {
                    (low.ln() + at * (high.ln() - low.ln())).exp()
                } else {
                    low + at * (high - low)
                };
                if *whole {
                    return json!(x.round().clamp(*low, *high) as i64);
                }
                // Three digits tell values apart and can be read.
                let rounded = format!("{:.2e}", x.clamp(*low, *high));
                json!(rounded.parse::<f64>().unwrap_or(x).clamp(*low, *high))
            }
        }
    }
}

fn wrong(option: &str) -> ParamError {
    ParamError {
        option: "tune".into(),
        message: format!(
            "tune.space: \"{option}\" must be an array of values or a range {{\"min\", \"max\"}}"
        ),
        hint: format!(
            "For example {{\"space\": {{\"{option}\": [1, 2]}}}}, or {{\"min\": 0.001, \"max\": 0.1, \"log\": true}}."
        ),
    }
}

impl Space {
    /// # Errors
    /// An option that is unknown or cannot be tuned, a value that the option does not take.
    pub(super) fn read(space: &Map<String, Value>) -> Result<Space, ParamError> {
        let mut domains = Vec::new();
        for (option, values) in space {
            if FIXED.contains(&option.as_str()) || !Params::KEYS.contains(&option.as_str()) {
                let open = Params::KEYS.iter().filter(|k| !FIXED.contains(k));
                let open: Vec<&str> = open.copied().collect();
                return Err(ParamError {
                    option: "tune".into(),
                    message: format!("tune.space: \"{option}\" cannot be tuned"),
                    hint: format!("Known are: {}.", open.join(", ")),
                });
            }
            domains.push((option.clone(), Domain::read(option, values)?));
        }
        let space = Space(domains);
        // Every value must be one that the option takes.
        for (option, domain) in &space.0 {
            let ends = match domain.choices() {
                None => vec![0.0, 1.0],
                Some(count) => (0..count).map(|i| i as f64).collect(),
            };
            for at in ends {
                let one = Map::from_iter([(option.clone(), domain.value(at))]);
                Params::from_json(&one).map_err(|e| ParamError {
                    message: format!("tune.space: {}", e.message),
                    ..e
                })?;
            }
        }
        Ok(space)
    }

    /// What is worth trying for an algorithm.
    pub(super) fn of(algorithm: Algorithm) -> Space {
        let range = |low: f64, high: f64, log| Domain::Range {
            low,
            high,
            log,
            whole: false,
        };
        let choice = |items: Value| Domain::Choice(items.as_array().cloned().unwrap_or_default());
        let whole = |low: f64, high: f64| Domain::Range {
            low,
            high,
            log: true,
            whole: true,
        };
        let log = |low: f64, high: f64| range(low, high, true);
        match algorithm {
            Algorithm::Gbdt => {
                return Space::named(vec![
                    ("l2", log(0.1, 30.0)),
                    ("learning_rate", log(0.01, 0.2)),
                    ("max_features", range(0.3, 1.0, false)),
                    ("max_leaf_nodes", whole(7.0, 127.0)),
                    ("min_samples_leaf", whole(5.0, 100.0)),
                ]);
            }
            Algorithm::Linear => {
                return Space::named(vec![("l1", log(1e-5, 1.0)), ("l2", log(1e-5, 1.0))]);
            }
            Algorithm::RandomForest => {
                return Space::named(vec![("trees", choice(json!([100, 300, 1000])))]);
            }
            Algorithm::Transformer => {
                return Space::named(vec![
                    ("attention_dropout", range(0.0, 0.4, false)),
                    ("batch_size", choice(json!([64, 128, 256]))),
                    ("d_token", choice(json!([32, 64, 96, 128]))),
                    ("dropout", range(0.0, 0.4, false)),
                    ("l2", log(1e-6, 1e-3)),
                    ("learning_rate", log(1e-4, 3e-3)),
                    ("n_blocks", choice(json!([1, 2, 3]))),
                ]);
            }
            _ => {}
        }
        let mut space = vec![
            ("activation", choice(json!(["silu", "relu"]))),
            ("batch_size", choice(json!([32, 128, 512]))),
            ("dropout", range(0.0, 0.4, false)),
            (
                "hidden",
                choice(json!([
                    [64, 32],
                    [128, 64],
                    [256, 128],
                    [128, 128, 64],
                    [256, 256, 128]
                ])),
            ),
            ("l2", range(1e-4, 0.1, true)),
            ("learning_rate", range(5e-4, 0.01, true)),
        ];
        if algorithm != Algorithm::Mlp {
            space.extend([
                ("number_embedding_bins", choice(json!([16, 32, 48, 96]))),
                ("number_embedding_dim", choice(json!([4, 8, 16]))),
            ]);
        }
        Space::named(space)
    }

    fn named(space: Vec<(&str, Domain)>) -> Space {
        let named = space.into_iter().map(|(name, d)| (name.to_owned(), d));
        Space(named.collect())
    }

    /// What the first trial is told beside the call's options: the first of the algorithms there are.
    pub(super) fn start(&self) -> Map<String, Value> {
        let own = self.0.iter().filter(|(name, _)| name == "algorithm");
        own.map(|(name, domain)| (name.clone(), domain.value(0.0)))
            .collect()
    }

    /// Those options that mean something with these parameters.
    pub(super) fn fitting(&self, params: &Params, task: Task) -> Space {
        let fits = |(name, domain): &&(String, Domain)| {
            let one = Map::from_iter([(name.clone(), domain.value(0.0))]);
            let with = params.with(&one);
            with.is_ok_and(|with| with.check(task, 1_000).is_ok())
        };
        Space(self.0.iter().filter(fits).cloned().collect())
    }

    pub(super) fn draw(&self, random: &mut Random) -> Point {
        self.0
            .iter()
            .map(|(_, domain)| domain.draw(random))
            .collect()
    }

    /// Number `i` of all combinations; `None` beyond the last, or where a range has no end of values.
    pub(super) fn combination(&self, i: usize) -> Option<Point> {
        let mut rest = i;
        let mut point = Vec::with_capacity(self.0.len());
        for (_, domain) in &self.0 {
            let count = domain.choices()?;
            point.push((rest % count) as f64);
            rest /= count;
        }
        (rest == 0).then_some(point)
    }

    /// The options a place stands for.
    pub(super) fn options(&self, point: &Point) -> Map<String, Value> {
        let options = self.0.iter().zip(point);
        options
            .map(|((name, domain), at)| (name.clone(), domain.value(*at)))
            .collect()
    }
}
