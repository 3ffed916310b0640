//! Prediction: our own forward pass, SIMD-friendly, allocating nothing per row.

pub(crate) mod activation;
mod answer;
pub(crate) mod attention;
pub(crate) use activation::exp;
pub use answer::{Answer, answer, array_literal};
mod forward;
pub(crate) mod hidden;
mod kernel;
mod ordinal;
mod prepared;
pub(crate) mod rescale;
mod routes;
#[cfg(test)]
pub(crate) mod testing;
mod transformer;

use crate::{
    artifact::{Artifact, ArtifactError, Task},
    drift::Novelty,
    explain::Sample,
    frame::{Cell, Frame},
    models::{Model, Output, Part},
    recipe::{Features, Matrix},
};
use forward::Buffers;
pub(crate) use forward::Row;
use prepared::Prepared;
use rayon::prelude::*;
use rescale::Rescale;
use routes::Routes;
use std::any::Any;
use std::ops::Deref;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Rows prepared at a time when a frame is predicted: enough to spread what a column costs, few enough to stay small.
const CHUNK: usize = 16_384;

/// Buffers for one caller; reused from row to row.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub features: Features,
    layers: Buffers,
    sums: Vec<f32>,
    pub outputs: Vec<f64>,
}

/// What a model needs to answer. Nothing of it changes once it is there, so that processes can share it; but a text model is
/// attached to it.
#[derive(Clone)]
pub struct Core {
    artifact: Artifact,
    output: Output,
    /// Of each part.
    outputs: usize,
    parts: Vec<Prepared>,
    /// Which segment a row belongs to, and its parts.
    routes: Option<(Routes, Vec<Vec<Prepared>>)>,
    /// Numbers and categories of a prepared row.
    widths: (usize, usize),
    bytes: usize,
}

/// Whose it is.
enum Kept {
    Own(Box<Core>),
    /// Held by whatever the second is, which is dropped with the predictor.
    Lent(
        &'static Core,
        #[allow(dead_code)] Box<dyn Any + Send + Sync>,
    ),
}

/// A model ready to answer.
pub struct Predictor {
    core: Kept,
    /// See [`Predictor::sample`].
    sample: OnceLock<Sample>,
    /// See [`Predictor::background`].
    background: OnceLock<Frame>,
    /// The same, prepared.
    prepared: OnceLock<Matrix>,
    /// See [`Predictor::typical`].
    typical: OnceLock<Vec<Option<String>>>,
    /// See [`Predictor::rescaled`].
    rescaled: OnceLock<Vec<Option<Rescale>>>,
    /// See [`crate::explain`].
    pub(crate) apart: OnceLock<Option<Vec<f64>>>,
    /// What rows are compared with; `None` where too little was kept.
    novelty: OnceLock<Option<Novelty>>,
}

/// The class code that one row's predictions stand for: binary 1 from a probability of `threshold`, else the first of the
/// largest probabilities.
pub fn decide(task: Task, threshold: f64, predictions: &[f64]) -> usize {
    match task {
        Task::Binary => usize::from(predictions.first().is_some_and(|&p| p >= threshold)),
        Task::Regression | Task::Multilabel | Task::Survival | Task::Uplift => 0,
        Task::Multiclass | Task::Ordinal => {
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

impl Deref for Predictor {
    type Target = Core;
    fn deref(&self) -> &Core {
        match &self.core {
            Kept::Own(core) => core,
            Kept::Lent(core, _) => core,
        }
    }
}

impl Predictor {
    /// Checks the artifact's shapes and prepares it. After this, no row can fail.
    pub fn new(artifact: Artifact) -> Result<Predictor, ArtifactError> {
        artifact.check()?;
        let inputs = artifact.recipe.inputs();
        let prepare = |parts: &[Part]| -> Vec<Prepared> {
            parts.iter().map(|part| Prepared::of(&part.model)).collect()
        };
        let parts = prepare(&artifact.parts);
        let routes = artifact.partition.as_ref().map(|partition| {
            let segments = partition.segments.iter();
            let segments: Vec<_> = segments.map(|s| prepare(&s.parts)).collect();
            (Routes::new(partition, &artifact.recipe), segments)
        });
        let segments = routes.iter().flat_map(|(_, parts)| parts.iter().flatten());
        let bytes = parts.iter().chain(segments).map(Prepared::bytes);
        Ok(Predictor::of(Kept::Own(Box::new(Core {
            bytes: bytes.sum::<usize>() + artifact.bytes(),
            widths: (inputs.numbers, inputs.categories.len()),
            output: artifact.output().0,
            outputs: artifact.output().1,
            artifact,
            parts,
            routes,
        }))))
    }

    fn of(core: Kept) -> Predictor {
        Predictor {
            core,
            sample: OnceLock::new(),
            background: OnceLock::new(),
            prepared: OnceLock::new(),
            typical: OnceLock::new(),
            rescaled: OnceLock::new(),
            apart: OnceLock::new(),
            novelty: OnceLock::new(),
        }
    }

    /// A predictor of a core that somebody else keeps, for as long as `held` is.
    pub fn lent(core: &'static Core, held: Box<dyn Any + Send + Sync>) -> Predictor {
        Predictor::of(Kept::Lent(core, held))
    }

    /// What others may be lent; `None` where a part of it is this process's own.
    pub fn core(&self) -> Option<&Core> {
        self.artifact.recipe.text_model().is_none().then_some(self)
    }

    /// Whether somebody else keeps what the model needs to answer.
    pub fn is_lent(&self) -> bool {
        matches!(self.core, Kept::Lent(..))
    }

    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// The rows kept with the model.
    pub fn sample(&self) -> &Sample {
        self.sample.get_or_init(|| self.artifact.sample())
    }

    /// The rows kept with the model, as a frame of the recipe's columns.
    pub fn background(&self) -> &Frame {
        let columns = self.artifact.recipe.columns();
        self.background.get_or_init(|| self.sample().frame(columns))
    }

    /// The typical value of one of the recipe's columns, see [`crate::explain::typical`].
    pub fn typical(&self, column: usize) -> Option<&str> {
        let typical = self.typical.get_or_init(|| {
            let columns = self.background().columns.iter();
            columns.map(crate::explain::typical).collect()
        });
        typical.get(column)?.as_deref()
    }

    /// [`Predictor::background`] as the models take it.
    pub(crate) fn prepared(&self) -> &Matrix {
        let frame = self.background();
        let rows: Vec<u32> = (0..frame.rows() as u32).collect();
        self.prepared
            .get_or_init(|| self.artifact.recipe.transform(frame, &rows))
    }

    /// Of each part that is a network with one output what tells a row apart from the first `rows` of the background;
    /// of a model without segments. `rows` must be the same in every call.
    pub(crate) fn rescaled(&self, rows: usize) -> &[Option<Rescale>] {
        let matrix = self.prepared();
        let of = |part: &Part| match &part.model {
            Model::Network(network) if self.outputs == 1 => {
                let recipe = &self.artifact.recipe;
                Some(Rescale::new(network, recipe, matrix, rows.min(matrix.rows)))
            }
            _ => None,
        };
        self.rescaled
            .get_or_init(|| self.artifact.parts.iter().map(of).collect())
    }

    /// How unlike the rows it was judged on a row is: the share of these that are nearer to one another than the row is to its
    /// nearest ones. `None` where the model keeps no rows or no statistics.
    pub fn novelty(&self, cells: &[Cell<'_>]) -> Option<f64> {
        let statistics = &self.artifact.statistics;
        let novelty = self.novelty.get_or_init(|| {
            Novelty::of(self.background(), |at| self.sample().hides(at), statistics)
        });
        novelty.as_ref().map(|novelty| novelty.score(cells))
    }

    /// What the parts that are no trees answer together to a row, by their shares, before it is read; of a model without segments.
    pub(crate) fn without_trees<'s>(
        &self,
        cells: &[Cell<'_>],
        scratch: &'s mut Scratch,
    ) -> &'s [f64] {
        let Scratch {
            features,
            layers,
            sums,
            outputs,
        } = scratch;
        self.artifact.recipe.apply(cells, features);
        let row = Row::single(features);
        outputs.fill(0.0);
        for (part, prepared) in self.artifact.parts.iter().zip(&self.parts) {
            if !matches!(part.model, Model::Trees(_)) {
                add_answer(part, prepared, self.output, row, layers, sums, outputs);
            }
        }
        outputs
    }

    pub fn into_artifact(self) -> Artifact {
        match self.core {
            Kept::Own(core) => core.artifact,
            Kept::Lent(core, _) => core.artifact.clone(),
        }
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn scratch(&self) -> Scratch {
        let segments = self
            .routes
            .iter()
            .flat_map(|(_, parts)| parts.iter().flatten());
        let widest = self
            .parts
            .iter()
            .chain(segments)
            .map(Prepared::widest)
            .max();
        Scratch {
            features: self.artifact.recipe.scratch(),
            layers: std::array::from_fn(|_| vec![0.0; widest.unwrap_or(0)]),
            sums: vec![0.0; self.outputs],
            outputs: vec![0.0; self.width()],
        }
    }

    /// Values per row, see [`Artifact::width`].
    pub fn width(&self) -> usize {
        self.artifact.width()
    }

    /// Cells in the recipe's feature order, one for each of its columns.
    pub fn predict<'s>(&self, cells: &[Cell<'_>], scratch: &'s mut Scratch) -> &'s [f64] {
        let Scratch {
            features,
            layers,
            sums,
            outputs,
        } = scratch;
        let (numbers, categories) = self.widths;
        if features.numbers.len() != numbers || features.codes.len() != categories {
            *features = self.artifact.recipe.scratch();
        }
        self.artifact.recipe.apply(cells, features);
        if outputs.len() != self.width() {
            *outputs = vec![0.0; self.width()];
            *sums = vec![0.0; self.outputs];
        }
        let row = Row::single(features);
        let segment = match &self.routes {
            Some((routes, _)) => routes.of(cells.get(routes.column).copied()),
            None => None,
        };
        self.answer(segment, row, layers, sums, outputs);
        outputs
    }

    /// The interval of the row that was predicted last with this scratch; see [`crate::conformal::Conformal::interval`].
    pub fn interval(&self, scratch: &Scratch, coverage: f64) -> (Option<f64>, Option<f64>) {
        let conformal = &self.artifact.settled.conformal;
        let features = &scratch.features;
        if (features.numbers.len(), features.codes.len()) != self.widths {
            return (None, None);
        }
        let prediction = scratch.outputs.first().copied().unwrap_or(f64::NAN);
        let spread = conformal.spread(prediction, &features.numbers, &features.codes);
        conformal.interval(prediction, spread, coverage)
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
        let partition = self.artifact.partition.as_ref();
        let column = partition.and_then(|p| frame.column(&p.column));
        let mut layers = Buffers::default();
        let mut sums = vec![0.0; self.outputs];
        for (i, out) in out.chunks_exact_mut(self.width()).enumerate() {
            let segment = match (&self.routes, column) {
                (Some((routes, _)), Some(column)) => routes.of(Some(column.cell(rows[i] as usize))),
                _ => None,
            };
            self.answer(segment, Row::of(&matrix, i), &mut layers, &mut sums, out);
        }
    }

    /// One prepared row to its predictions, `width` of them: the parts' answers by their shares, a network's being the mean
    /// of its members'. `trees` has room for the sums of trees.
    fn answer(
        &self,
        segment: Option<usize>,
        row: Row<'_>,
        layers: &mut Buffers,
        trees: &mut [f32],
        out: &mut [f64],
    ) {
        out.fill(0.0);
        let own = match (segment, &self.artifact.partition, &self.routes) {
            (Some(at), Some(partition), Some((_, prepared))) => {
                (&partition.segments[at].parts, &prepared[at])
            }
            _ => (&self.artifact.parts, &self.parts),
        };
        for (part, prepared) in own.0.iter().zip(own.1) {
            add_answer(part, prepared, self.output, row, layers, trees, out);
        }
        self.artifact.read(out);
        self.artifact.settled.calibration.apply(out);
    }

    /// The class code for one row's predictions (classification).
    pub fn class(&self, predictions: &[f64]) -> usize {
        decide(
            self.artifact.task,
            self.artifact.settled.threshold,
            predictions,
        )
    }
}

/// Adds one part's answer times its share.
fn add_answer(
    part: &Part,
    prepared: &Prepared,
    output: Output,
    row: Row<'_>,
    layers: &mut Buffers,
    trees: &mut [f32],
    out: &mut [f64],
) {
    match (&part.model, prepared) {
        (Model::Network(network), Prepared::Network(forward)) => {
            let share = part.share / network.members as f64;
            let sums = forward.run(row, layers);
            for sums in sums.chunks_exact(network.outputs()) {
                output.add(sums, share, out);
            }
        }
        (Model::Trees(own), _) => {
            own.sums(row.numbers, row.codes, trees);
            if own.plain && output != Output::Identity {
                let answers = trees.iter().map(|p| f64::from(p.clamp(0.0, 1.0)));
                let sums = out.iter_mut().zip(answers);
                sums.for_each(|(out, p)| *out += part.share * p);
            } else {
                output.add(trees, part.share, out);
            }
        }
        (Model::Transformer(_), Prepared::Transformer(own)) => {
            output.add(own.run(row, layers), part.share, out);
        }
        // A part is prepared as what it is.
        (Model::Network(_) | Model::Transformer(_), _) => {}
    }
}

/// What one model answers for each row of a matrix, row-major `[rows][outputs]`: probabilities, or standardised values.
/// Uses the threads of the pool it is called in.
pub(crate) fn answers(model: &Model, output: Output, outputs: usize, matrix: &Matrix) -> Vec<f64> {
    let part = Part {
        share: 1.0,
        model: model.clone(),
    };
    let prepared = Prepared::of(&part.model);
    let mut out = vec![0.0; matrix.rows * outputs];
    out.par_chunks_mut(CHUNK.min(1024) * outputs)
        .enumerate()
        .for_each(|(chunk, out)| {
            let (mut layers, mut trees) = (Buffers::default(), vec![0.0; outputs]);
            for (i, out) in out.chunks_exact_mut(outputs).enumerate() {
                let row = Row::of(matrix, chunk * CHUNK.min(1024) + i);
                add_answer(&part, &prepared, output, row, &mut layers, &mut trees, out);
            }
        });
    out
}

/// 1 / (1 + e^-x) without overflow.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Adds `share` · e^x_i / Σ e^x_j, shifted by the largest so that nothing overflows.
pub(crate) fn softmax(sums: &[f32], share: f64, out: &mut [f64]) {
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
