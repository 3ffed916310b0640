//! Prediction: our own forward pass, SIMD-friendly, allocating nothing per row.

mod activation;
pub(crate) use activation::exp;
mod forward;
mod kernel;
#[cfg(test)]
pub(crate) mod testing;

use crate::{
    artifact::{Artifact, ArtifactError, Task},
    frame::{Cell, Frame},
    recipe::Features,
};
use forward::{Buffers, Forward, Level, Row};
use std::sync::{Mutex, PoisonError};

/// Rows prepared at a time when a frame is predicted: enough to spread what a column costs, few enough to stay small.
const CHUNK: usize = 16_384;

/// Buffers for one caller; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub features: Features,
    layers: Buffers,
    pub outputs: Vec<f64>,
}

/// A model ready to answer.
pub struct Predictor {
    artifact: Artifact,
    forward: Forward,
    bytes: usize,
}

/// The class code that one row's predictions stand for: binary 1 from a probability of 0.5, else the first of the
/// largest probabilities.
pub fn decide(task: Task, predictions: &[f64]) -> usize {
    match task {
        Task::Binary => usize::from(predictions.first().is_some_and(|&p| p >= 0.5)),
        Task::Regression => 0,
        Task::Multiclass => {
            let mut best = 0;
            for (i, p) in predictions.iter().enumerate() {
                if *p > predictions[best] {
                    best = i;
                }
            }
            best
        }
    }
}

impl Predictor {
    /// Checks the artifact's shapes and prepares it. After this, no row can fail.
    pub fn new(artifact: Artifact) -> Result<Predictor, ArtifactError> {
        artifact.check()?;
        let forward = Forward::new(&artifact.network, Level::detect());
        let bytes = forward.bytes() + artifact.bytes();
        Ok(Predictor {
            artifact,
            forward,
            bytes,
        })
    }

    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    pub fn into_artifact(self) -> Artifact {
        self.artifact
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn scratch(&self) -> Scratch {
        Scratch {
            features: self.artifact.recipe.scratch(),
            layers: self.forward.buffers(),
            outputs: vec![0.0; self.width()],
        }
    }

    /// Values per row: binary 1 (probability of the positive class), multiclass one probability per label, regression 1 (the value).
    pub fn width(&self) -> usize {
        match self.artifact.task {
            Task::Binary | Task::Regression => 1,
            Task::Multiclass => self.artifact.target.labels.len(),
        }
    }

    /// Cells in the recipe's feature order, one for each of its columns.
    pub fn predict<'s>(&self, cells: &[Cell<'_>], scratch: &'s mut Scratch) -> &'s [f64] {
        let Scratch {
            features,
            layers,
            outputs,
        } = scratch;
        let inputs = &self.artifact.network.inputs;
        if features.numbers.len() != inputs.numbers
            || features.codes.len() != inputs.categories.len()
        {
            *features = self.artifact.recipe.scratch();
        }
        self.artifact.recipe.apply(cells, features);
        if outputs.len() != self.width() {
            *outputs = vec![0.0; self.width()];
        }
        let row = Row {
            numbers: &features.numbers,
            codes: &features.codes,
            tokens: &features.tokens,
            token_ends: &features.token_ends,
            tokens_before: 0,
        };
        self.answer(row, layers, outputs);
        outputs
    }

    /// Row-major `[rows.len()][width]`; columns are found by name. No thread is started unless `threads` > 1.
    pub fn predict_frame(&self, frame: &Frame, rows: &[u32], threads: usize) -> Vec<f64> {
        let width = self.width();
        let mut out = vec![0.0; rows.len() * width];
        let part = rows.len().div_ceil(threads.max(1)).clamp(1, CHUNK);
        let parts = Mutex::new(rows.chunks(part).zip(out.chunks_mut(part * width)));
        let work = || {
            let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some((rows, out)) = next() {
                self.fill(frame, rows, out);
            }
        };
        if threads > 1 {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    // Where a thread cannot be had, the others do its part.
                    let _ = std::thread::Builder::new().spawn_scoped(scope, work);
                }
                work();
            });
        } else {
            work();
        }
        out
    }

    /// Predicts rows of a frame on this thread.
    fn fill(&self, frame: &Frame, rows: &[u32], out: &mut [f64]) {
        let matrix = self.artifact.recipe.transform(frame, rows);
        let mut layers = self.forward.buffers();
        let inputs = &matrix.inputs;
        let (numbers, codes, bags) = (inputs.numbers, inputs.categories.len(), inputs.bags.len());
        let mut before = 0;
        for (i, out) in out.chunks_exact_mut(self.width()).enumerate() {
            let row = Row {
                numbers: &matrix.numbers[i * numbers..(i + 1) * numbers],
                codes: &matrix.codes[i * codes..(i + 1) * codes],
                tokens: &matrix.tokens[before..],
                token_ends: &matrix.token_ends[i * bags..(i + 1) * bags],
                tokens_before: before,
            };
            before = row.token_ends.last().copied().unwrap_or(before);
            self.answer(row, &mut layers, out);
        }
    }

    /// One prepared row to its predictions, `width` of them: the mean of the members' answers.
    fn answer(&self, row: Row<'_>, layers: &mut Buffers, out: &mut [f64]) {
        let network = &self.artifact.network;
        let share = 1.0 / network.members as f64;
        let sums = self.forward.run(row, layers);
        out.fill(0.0);
        for sums in sums.chunks_exact(network.outputs()) {
            match self.artifact.task {
                Task::Binary => out[0] += share * sigmoid(f64::from(sums[0])),
                Task::Multiclass => softmax(sums, share, out),
                Task::Regression => out[0] += share * f64::from(sums[0]),
            }
        }
        if self.artifact.task == Task::Regression {
            let target = &self.artifact.target;
            out[0] = out[0] * target.scale + target.mean;
        }
    }

    /// The class code for one row's predictions (classification).
    pub fn class(&self, predictions: &[f64]) -> usize {
        decide(self.artifact.task, predictions)
    }
}

/// 1 / (1 + e^-x) without overflow.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Adds `share` · e^x_i / Σ e^x_j, shifted by the largest so that nothing overflows.
fn softmax(sums: &[f32], share: f64, out: &mut [f64]) {
    let largest = f64::from(sums.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let e = |x: &f32| (f64::from(*x) - largest).exp();
    let share = share / sums.iter().map(e).sum::<f64>();
    for (out, x) in out.iter_mut().zip(sums) {
        *out += share * e(x);
    }
}

#[cfg(test)]
#[path = "predictor_test.rs"]
mod tests;
