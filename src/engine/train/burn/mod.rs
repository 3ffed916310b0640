//! Training with Burn, generic over its backends: what a GPU runs. The rows and the weights lie on the device; a step sends the numbers
//! of its rows, and nothing comes back but the loss of many steps together, when it is asked for.

mod check;
mod line;

use super::averaging::Average;
use super::batch::Source;
use super::epochs::Learner;
use super::loss::tensors::mean_answer;
use super::{Examples, Task};
use crate::models::network::{Dropout, Drops, Trainable};
use crate::models::{Inputs, Model, NumberEmbedding};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
pub(super) use check::check;
#[cfg(test)]
pub(super) use check::sizes;
use line::Line;

/// Numbers that a forward pass over the validation part may hold at a time, about.
const VALIDATION_NUMBERS: usize = 1 << 26;

/// So many rows of it.
fn at_once(model: &Model) -> usize {
    (VALIDATION_NUMBERS / held(model)).max(1)
}

/// A model in Burn with its optimiser on a device.
pub(super) struct Burn<'a, B: AutodiffBackend, N: AutodiffModule<B>> {
    task: &'a Task<'a>,
    shapes: Model,
    net: Option<N>,
    line: Line<B>,
    train: Source<'a, B>,
    validation: Option<Source<'a, B::InnerBackend>>,
    best: Option<Tensor<B::InnerBackend, 1>>,
    drops: Drops,
    average: Option<(Average, Tensor<B::InnerBackend, 1>)>,
    /// The losses of steps that have not been asked for.
    owed: Option<Tensor<B::InnerBackend, 1>>,
}

impl<'a, B, N> Burn<'a, B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Trainable<B>,
{
    /// `net` is `model` on the device, where rows may take so many bytes.
    pub(super) fn new(
        task: &'a Task<'a>,
        model: Model,
        net: N,
        device: &B::Device,
        mut room: u64,
    ) -> Self {
        let params = task.params;
        let of = params.attention.unwrap_or_default();
        // Dropout draws there.
        B::seed(device, params.seed ^ 0x2545_f491);
        let line = Line::new(&net, params, device);
        let inputs = inputs(&model, &task.train).clone();
        let learned = task.objective().smoothed(params.label_smoothing);
        let train = Source::new(task.train, &inputs, learned, device, &mut room);
        let validation = task.validation.map(|part| {
            let objective = task.objective();
            Source::new(part, &inputs, objective, device, &mut room)
        });
        Burn {
            average: Average::new(task).map(|average| (average, line.weights.clone())),
            net: Some(net),
            shapes: model,
            best: None,
            drops: Drops {
                hidden: Dropout::new(params.dropout),
                attention: Dropout::new(of.dropout),
                residual: Dropout::new(of.residual_dropout),
            },
            owed: None,
            line,
            train,
            validation,
            task,
        }
    }

    /// The weights that would be kept.
    fn kept(&self) -> Tensor<B::InnerBackend, 1> {
        match &self.average {
            Some((_, mean)) => mean.clone(),
            None => self.line.weights.clone(),
        }
    }
}

/// Numbers that a forward pass holds for each row, about.
fn held(model: &Model) -> usize {
    let functions = |curves: &[NumberEmbedding]| -> usize {
        curves.iter().map(NumberEmbedding::functions).sum()
    };
    match model {
        Model::Network(own) => {
            let layers = own.layers.iter().map(|layer| layer.outputs);
            functions(&own.number_embeddings) + own.members * (own.width() + layers.sum::<usize>())
        }
        Model::Transformer(own) => {
            let of_token = 4 * own.width + 2 * own.hidden + own.heads * own.tokens.count;
            functions(&own.number_embeddings) + own.tokens.count * of_token
        }
        Model::Trees(_) => 1,
    }
}

/// How a model takes its rows.
fn inputs<'m>(model: &'m Model, part: &'m Examples<'_>) -> &'m Inputs {
    match model {
        Model::Network(network) => &network.inputs,
        Model::Transformer(own) => &own.inputs,
        Model::Trees(_) => &part.matrix.inputs,
    }
}

impl<B: AutodiffBackend, N> Learner for Burn<'_, B, N>
where
    N: AutodiffModule<B> + Trainable<B>,
    N::InnerModule: Trainable<B::InnerBackend>,
{
    fn step(&mut self, rows: &[u32], rate: f64) -> (f64, f64) {
        let weight = self.task.train.weight(rows);
        // It is missing only while a step runs.
        let Some(net) = self.net.take() else {
            return (f64::NAN, weight);
        };
        let (batch, truth) = self.train.batch(rows);
        let sums = net.forward(&batch, Some(&self.drops));
        let loss = truth.mean_loss_sum(sums, &self.train.objective);
        let told = loss.clone().inner();
        self.owed = Some(match self.owed.take() {
            Some(owed) => owed + told,
            None => told,
        });
        let gradients = loss.div_scalar(weight.max(f64::MIN_POSITIVE)).backward();
        self.line.step(&net, &gradients, rate);
        if let Some((average, mean)) = &mut self.average {
            let away = self.line.weights.clone() - mean.clone();
            *mean = mean.clone() + away * average.next();
        }
        self.net = Some(self.line.put(net));
        (0.0, weight)
    }

    fn owed(&mut self) -> f64 {
        let owed = self.owed.take();
        owed.map_or(0.0, |sum| sum.into_scalar().elem::<f64>())
    }

    fn validation_loss(&mut self) -> Option<f64> {
        let part = self.validation.as_ref()?;
        let net = line::with(self.net.as_ref()?.valid(), &self.kept());
        let rows: Vec<u32> = (0..part.examples.matrix.rows as u32).collect();
        let mut sum: Option<Tensor<B::InnerBackend, 1>> = None;
        for chunk in rows.chunks(at_once(&self.shapes)) {
            let (batch, truth) = part.batch(chunk);
            let answer = mean_answer(net.forward(&batch, None), self.task.output);
            let own = truth.mean_loss_sum(answer, &part.objective);
            sum = Some(sum.map_or(own.clone(), |sum| sum + own));
        }
        let sum = sum.map_or(0.0, |sum| sum.into_scalar().elem::<f64>());
        Some(sum / part.examples.weight(&rows).max(f64::MIN_POSITIVE))
    }

    fn keep(&mut self) {
        self.best = Some(self.kept());
    }

    fn finish(self) -> Model {
        let last = self.kept();
        let mut model = self.shapes;
        if let Some(net) = self.net {
            line::with(net.valid(), &self.best.unwrap_or(last)).export(&mut model);
        }
        model
    }
}
