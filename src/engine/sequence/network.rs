//! The shapes and weights of a recurrent network.

use super::attentive::Blocks;
use super::encode::{Encoder, Target};
use super::intensity;
use super::params::{Cell, ValidParams};
use crate::models::{Block, WIDTH_STEP, WeightKind};
use crate::random::Random;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A category's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub codes: usize,
    pub dim: usize,
}

/// What the network answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A softmax over so many classes; class c has code c + 1. Tied: a class's vector is that of its code in the first table.
    Softmax { classes: usize, tied: bool },
    /// A standardised number.
    Value,
    /// How many events are to come: see [`super::intensity`].
    Intensity,
}

/// Reads the steps of a history one after another: embeddings and numbers, layers of cells, an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub cell: Cell,
    pub tables: Vec<Table>,
    /// Numbers of each step, those of the key included.
    pub numbers: usize,
    /// Units of each layer; of a transformer the width of each block, which is the same for all.
    pub hidden: Vec<usize>,
    /// Of a transformer: heads of its blocks, and steps that one looks at; else 0.
    pub heads: usize,
    pub context: usize,
    pub output: Output,
    /// All weights in the order of [`Layout`].
    #[serde(skip)]
    pub weights: Vec<f32>,
}

/// Where a layer's weights lie. The gates stand side by side in PyTorch's order: input, forget, cell, output of an LSTM; reset,
/// update, new of a GRU.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerLayout {
    pub(super) inputs: usize,
    pub(super) units: usize,
    /// `[inputs][gates · units]`.
    pub(super) input: Range<usize>,
    /// `[units][gates · units]`.
    pub(super) recurrent: Range<usize>,
    /// `[gates · units]`: of an LSTM the sum of PyTorch's two.
    pub(super) bias: Range<usize>,
    /// `[units]`: the new gate's bias within the reset gate; empty for an LSTM.
    pub(super) inner_bias: Range<usize>,
}

/// Where a transformer's weights lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AttentionLayout {
    pub(super) inputs: usize,
    /// `[inputs][width]` and `[width]`: from a step to its token.
    pub(super) input: Range<usize>,
    pub(super) bias: Range<usize>,
    /// `[context][width]`: added to the tokens.
    pub(super) positions: Range<usize>,
    pub(super) blocks: Blocks,
    /// Gain, then shift, of the last norm.
    pub(super) norm: Range<usize>,
}

/// Where the weights lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// `[codes][dim]`.
    pub(super) tables: Vec<Range<usize>>,
    pub(super) layers: Vec<LayerLayout>,
    /// Instead of layers of cells.
    pub(super) attention: Option<AttentionLayout>,
    /// `[units][dim]` and `[dim]`, where the classes' vectors are those of the first table; else empty.
    pub(super) projection: (Range<usize>, Range<usize>),
    /// `[classes][dim]`, or `[outputs][units]` of numbers; within the first table where tied.
    pub(super) classes: Range<usize>,
    /// `[outputs]`.
    pub(super) class_bias: Range<usize>,
    pub(super) len: usize,
}

/// What the input weights of the items are multiplied by where the next item is learned. Each number of an embedding of length 1
/// is small: the gates would hardly tell items apart at first, and learning would begin slowly. Longer embeddings instead would
/// do worse in the end where they also answer.
const LOUDER: f64 = 3.0;

/// Gates of a cell.
pub(super) fn gates(cell: Cell) -> usize {
    match cell {
        Cell::Lstm => 4,
        Cell::Gru => 3,
        Cell::Transformer => 0,
    }
}

impl Network {
    /// A network for what `encoder` prepares, with weights to begin with; `counts` are the training steps of each class.
    pub(super) fn new(encoder: &Encoder, params: &ValidParams, counts: &[usize]) -> Network {
        let tables = encoder.categories.iter().enumerate().map(|(i, v)| Table {
            codes: v.codes(),
            dim: match (encoder.target, i) {
                (Target::Category(_), 0) => params.embedding,
                // fastai's rule of thumb.
                _ => ((1.6 * (v.codes() as f64).powf(0.56)).round() as usize)
                    .clamp(1, params.embedding),
            },
        });
        let output = match encoder.target {
            Target::Category(_) | Target::Label => Output::Softmax {
                classes: encoder.classes() - 1,
                tied: params.tied && encoder.target != Target::Label,
            },
            Target::Count => Output::Intensity,
            _ => Output::Value,
        };
        let mut network = Network {
            cell: params.cell,
            tables: tables.collect(),
            numbers: encoder.width() + encoder.statics_width(),
            hidden: params.hidden.clone(),
            heads: params.heads,
            context: if params.cell == Cell::Transformer {
                params.window
            } else {
                0
            },
            output,
            weights: Vec::new(),
        };
        let own = match encoder.target {
            Target::Category(_) => network.tables.first().map_or(0, |t| t.dim),
            _ => 0,
        };
        network.initialise(params.seed, counts, own);
        network
    }

    /// Width of a step's inputs; `None` if that cannot be counted.
    pub(super) fn width(&self) -> Option<usize> {
        let dims = self.tables.iter().map(|t| t.dim);
        dims.chain([self.numbers])
            .try_fold(0usize, usize::checked_add)
    }

    /// Units of the last layer.
    pub(super) fn units(&self) -> usize {
        self.hidden.last().copied().unwrap_or(0)
    }

    /// Outputs: classes, or 1 of a number, or 2 of what is to come.
    pub fn outputs(&self) -> usize {
        match self.output {
            Output::Softmax { classes, .. } => classes,
            Output::Value => 1,
            Output::Intensity => intensity::OUTPUTS,
        }
    }

    /// Width of a class's vector.
    pub(super) fn class_dim(&self) -> usize {
        match (self.output, self.tables.first()) {
            (Output::Softmax { tied: true, .. }, Some(table)) => table.dim,
            _ => self.units(),
        }
    }

    /// `None` where the sizes cannot be counted.
    pub(super) fn layout(&self) -> Option<Layout> {
        let mut len = 0usize;
        let mut take = |rows: usize, columns: usize| {
            let size = rows.checked_mul(columns)?;
            let start = len;
            len = len.checked_add(size)?;
            Some(start..len)
        };
        let tables = self.tables.iter().map(|t| take(t.codes, t.dim));
        let tables = tables.collect::<Option<Vec<_>>>()?;
        let mut inputs = self.width()?;
        let mut attention = None;
        if self.cell == Cell::Transformer {
            let width = self.units();
            let block = Block {
                width,
                heads: self.heads,
                // As many weights as a plain layer of three times the width has.
                hidden: (2 * width).next_multiple_of(WIDTH_STEP),
                norm: true,
            };
            if !block.is_sound() || self.hidden.iter().any(|h| *h != width) || self.context == 0 {
                return None;
            }
            let parts = block.parts();
            let (input, bias) = (take(inputs, width)?, take(1, width)?);
            let positions = take(self.context, width)?;
            let starts = self.hidden.iter().map(|_| Some(take(1, parts.len)?.start));
            attention = Some(AttentionLayout {
                inputs,
                input,
                bias,
                positions,
                blocks: Blocks {
                    block,
                    starts: starts.collect::<Option<_>>()?,
                    parts,
                },
                norm: take(2, width)?,
            });
        }
        let recurrent = self.hidden.iter().filter(|_| attention.is_none());
        let mut layers = Vec::with_capacity(self.hidden.len());
        for &units in recurrent {
            let wide = units.checked_mul(gates(self.cell))?;
            layers.push(LayerLayout {
                inputs,
                units,
                input: take(inputs, wide)?,
                recurrent: take(units, wide)?,
                bias: take(1, wide)?,
                inner_bias: take(if self.cell == Cell::Gru { units } else { 0 }, 1)?,
            });
            inputs = units;
        }
        let units = self.units();
        let (projection, classes) = match (self.output, tables.first()) {
            (Output::Softmax { tied: true, .. }, Some(table)) => {
                let dim = self.class_dim();
                let projection = (take(units, dim)?, take(1, dim)?);
                // Code 0 is never answered.
                (projection, (table.start + dim).min(table.end)..table.end)
            }
            _ => ((take(0, 0)?, take(0, 0)?), take(self.outputs(), units)?),
        };
        let class_bias = take(self.outputs(), 1)?;
        Some(Layout {
            tables,
            layers,
            attention,
            projection,
            classes,
            class_bias,
            len,
        })
    }

    /// Glorot's uniform weights (2010) for inputs, orthogonal-like small ones for states, a forget gate that starts open
    /// (Jozefowicz et al. 2015), and classes by their frequency. `own` is the width of the items' vectors where the next item is
    /// learned, else 0.
    fn initialise(&mut self, seed: u64, counts: &[usize], own: usize) {
        let Some(layout) = self.layout() else {
            return;
        };
        let mut random = Random::new(seed ^ 0x7265_6375_7272);
        let mut weights = vec![0f32; layout.len];
        let mut fill = |range: &Range<usize>, limit: f64| {
            for w in &mut weights[range.clone()] {
                *w = ((2.0 * random.uniform() - 1.0) * limit) as f32;
            }
        };
        for (range, table) in layout.tables.iter().zip(&self.tables) {
            // Of length 1, so that embeddings weigh as much as a standardised number.
            fill(range, (3.0 / table.dim.max(1) as f64).sqrt());
        }
        for (i, layer) in layout.layers.iter().enumerate() {
            let glorot = |inputs: usize| (6.0 / (inputs + layer.units).max(1) as f64).sqrt();
            let of_items = if i == 0 { own * layer.bias.len() } else { 0 };
            let others = layer.input.start + of_items;
            fill(&(layer.input.start..others), LOUDER * glorot(layer.inputs));
            fill(&(others..layer.input.end), glorot(layer.inputs));
            fill(&layer.recurrent, glorot(layer.units) / 1.7);
        }
        if let Some(attention) = &layout.attention {
            fill(
                &attention.input,
                (3.0 / attention.inputs.max(1) as f64).sqrt(),
            );
        }
        let units = self.units();
        let glorot = (6.0 / (units + self.class_dim()).max(1) as f64).sqrt();
        fill(&layout.projection.0, glorot);
        if layout.projection.0.is_empty() {
            fill(&layout.classes, (3.0 / units.max(1) as f64).sqrt());
        }
        for (range, table) in layout.tables.iter().zip(&self.tables) {
            weights[range.start..range.start + table.dim.min(range.len())].fill(0.0);
        }
        if let Some(attention) = &layout.attention {
            let blocks = &attention.blocks;
            for &start in &blocks.starts {
                let own = blocks.block.init(&mut random);
                weights[start..start + own.len()].copy_from_slice(&own);
            }
            weights[attention.norm.clone()][..units].fill(1.0);
            sinusoids(&mut weights[attention.positions.clone()], units);
        }
        if self.cell == Cell::Lstm {
            for layer in &layout.layers {
                let units = layer.units;
                weights[layer.bias.clone()][units..2 * units].fill(1.0);
            }
        }
        if let Output::Softmax { classes, .. } = self.output {
            let total = counts.iter().sum::<usize>() as f64;
            for (class, bias) in weights[layout.class_bias.clone()].iter_mut().enumerate() {
                let count = counts.get(class).copied().unwrap_or(0) as f64;
                *bias = ((count + 1.0) / (total + classes as f64)).ln() as f32;
            }
        }
        self.weights = weights;
    }
}

/// Positions as waves of many lengths, so that a distance is the same turn everywhere (Vaswani et al. 2017); half as high as
/// standardised numbers.
fn sinusoids(positions: &mut [f32], width: usize) {
    for (at, row) in positions.chunks_exact_mut(width.max(1)).enumerate() {
        for (i, x) in row.iter_mut().enumerate() {
            let length = 1000f64.powf((i / 2 * 2) as f64 / width as f64);
            let angle = at as f64 / length;
            *x = (0.7 * if i % 2 == 0 { angle.sin() } else { angle.cos() }) as f32;
        }
    }
}

impl Layout {
    /// The kind of each weight: those of layers are penalised.
    pub(super) fn kinds(&self) -> Vec<WeightKind> {
        let both = |l: &LayerLayout| [l.input.clone(), l.recurrent.clone()];
        let mut penalised: Vec<_> = self.layers.iter().flat_map(both).collect();
        penalised.push(self.projection.0.clone());
        if let Some(attention) = &self.attention {
            penalised.push(attention.input.clone());
            for start in &attention.blocks.starts {
                let own = attention.blocks.parts.matrices();
                penalised.extend(own.map(|range| range.start + start..range.end + start));
            }
        }
        let mut kinds = vec![WeightKind::Bias; self.len];
        for range in penalised {
            kinds[range].fill(WeightKind::Weight);
        }
        kinds
    }

    /// Width of a step's inputs.
    pub(super) fn inputs(&self) -> usize {
        let attention = self.attention.as_ref().map(|a| a.inputs);
        attention
            .or(self.layers.first().map(|l| l.inputs))
            .unwrap_or(0)
    }
}
