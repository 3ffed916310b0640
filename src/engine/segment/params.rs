//! How rows are grouped.

use crate::params::{ParamError, reader::Reader};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// More groups tell nobody anything.
const MOST: u64 = 50;

/// What finds the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Centres that the rows of a group are close to (k-means++, Arthur and Vassilvitskii 2007).
    Kmeans,
    /// A mixture of Gaussian distributions, each of a shape of its own.
    Gmm,
    /// Places where rows lie close together; the others belong to no group (HDBSCAN, Campello and others 2013).
    Hdbscan,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Kmeans, Algorithm::Gmm, Algorithm::Hdbscan];

    /// As it is written in options.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Kmeans => "kmeans",
            Algorithm::Gmm => "gmm",
            Algorithm::Hdbscan => "hdbscan",
        }
    }

    pub fn of(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// Hyper-parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Params {
    pub algorithm: Algorithm,
    /// Groups; `None`: as many as stand apart and come again.
    pub k: Option<usize>,
    /// Rows of a group, at least, among those that are learned from; `None`: by how many there are.
    pub min_rows: Option<usize>,
    pub seed: u64,
    pub max_seconds: Option<f64>,
}

impl Params {
    /// Options that are read here.
    pub const KEYS: &'static [&'static str] =
        &["algorithm", "k", "max_seconds", "min_rows", "seed"];

    /// | option | default | range | why |
    /// |---|---|---|---|
    /// | algorithm | `kmeans` | `kmeans`, `gmm`, `hdbscan` | every row has a group, and it is fast |
    /// | k | of 2 to 10 those that stand apart and come again | 2 to 50 | not of hdbscan, which finds it |
    /// | min_rows | hdbscan: 2% of the rows, 5 at least | 2 to 1,000,000 | of hdbscan |
    /// | seed | 0 | whole | same seed, same groups |
    ///
    /// # Errors
    /// A value of the wrong type or out of range.
    pub fn from_json(options: &Map<String, Value>) -> Result<Params, ParamError> {
        let reader = Reader { options };
        let names = Algorithm::ALL.map(|a| (a.name(), a));
        let algorithm = reader.choice("algorithm", &names)?;
        let algorithm = algorithm.unwrap_or(Algorithm::Kmeans);
        let k = reader.integer("k", 2, MOST)?;
        if k.is_some() && algorithm == Algorithm::Hdbscan {
            return Err(Reader::wrong(
                "k",
                "left out, for the algorithm hdbscan finds how many groups there are",
            ));
        }
        let min_rows = reader.integer("min_rows", 2, 1_000_000)?;
        if min_rows.is_some() && algorithm != Algorithm::Hdbscan {
            return Err(Reader::wrong(
                "min_rows",
                "left out, for it is for the algorithm hdbscan",
            ));
        }
        Ok(Params {
            algorithm,
            k: k.map(|k| k as usize),
            min_rows: min_rows.map(|n| n as usize),
            seed: reader.integer("seed", 0, 1 << 53)?.unwrap_or(0),
            max_seconds: reader.number("max_seconds", 1e-3, 1e9)?,
        })
    }
}
