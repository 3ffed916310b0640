//! The encoder's forward pass (Devlin et al. 2019, "BERT"), mean pooling and length 1, on one text at a time.

use super::{CONFIG, EmbedError, damaged, json, unreadable};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::Path;

/// What `config.json` says.
pub(super) struct Config {
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) intermediate: usize,
    pub(super) positions: usize,
    pub(super) epsilon: f32,
    pub(super) activation: Activation,
    /// The vector of the first token instead of the mean of all.
    pub(super) first_token: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Activation {
    /// x · Φ(x).
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    Relu,
}

impl Config {
    pub(super) fn read(folder: &Path) -> Result<Config, EmbedError> {
        let file = folder.join(CONFIG);
        let config = json(&file)?.ok_or_else(|| unreadable(&file, &"it is not there"))?;
        let unsupported = |why: String| EmbedError::Unsupported {
            folder: folder.display().to_string(),
            why,
        };
        let text = |key: &str, default: &str| {
            let value = config.get(key).and_then(Value::as_str);
            value.unwrap_or(default).to_owned()
        };
        let kind = text("model_type", "bert");
        if kind != "bert" {
            return Err(unsupported(format!("model_type is {kind}, not bert")));
        }
        let positions = text("position_embedding_type", "absolute");
        if positions != "absolute" {
            return Err(unsupported(format!(
                "position_embedding_type is {positions}"
            )));
        }
        let activation = match text("hidden_act", "gelu").as_str() {
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "relu" => Activation::Relu,
            other => return Err(unsupported(format!("hidden_act is {other}"))),
        };
        let size = |key: &str| {
            let value = config.get(key).and_then(Value::as_u64);
            let value = value.filter(|n| (1..1 << 20).contains(n));
            value
                .map(|n| n as usize)
                .ok_or_else(|| damaged(&file, format!("{key} is not a size")))
        };
        let (hidden, heads) = (size("hidden_size")?, size("num_attention_heads")?);
        if !hidden.is_multiple_of(heads) {
            return Err(damaged(&file, "the heads do not share hidden_size evenly"));
        }
        let pooling = json(&folder.join("1_Pooling").join(CONFIG))?.unwrap_or_default();
        let pools = |key: &str| pooling.get(key).and_then(Value::as_bool) == Some(true);
        let first_token = pools("pooling_mode_cls_token");
        let others = [
            "max_tokens",
            "mean_sqrt_len_tokens",
            "weightedmean_tokens",
            "lasttoken",
        ];
        if let Some(other) = others.iter().find(|o| pools(&format!("pooling_mode_{o}"))) {
            return Err(unsupported(format!("pooling by {other}")));
        }
        Ok(Config {
            hidden,
            heads,
            layers: size("num_hidden_layers")?,
            intermediate: size("intermediate_size")?,
            positions: size("max_position_embeddings")?,
            epsilon: config
                .get("layer_norm_eps")
                .and_then(Value::as_f64)
                .unwrap_or(1e-12) as f32,
            activation,
            first_token,
        })
    }
}

/// y = x · weights + bias.
struct Linear {
    /// `[inputs][outputs]`: transposed once, when read.
    weights: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

pub(super) struct Bert {
    words: Array2<f32>,
    /// Positions, with the vector of the first segment added: there is only one text.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
    epsilon: f32,
    activation: Activation,
    first_token: bool,
}

/// The tensors of a file, by name and shape.
struct Tensors<'a> {
    all: SafeTensors<'a>,
    prefix: &'static str,
    file: &'a Path,
}

impl Tensors<'_> {
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self
            .all
            .tensor(&name)
            .map_err(|_| damaged(self.file, format!("it has no tensor {name}")))?;
        if tensor.shape() != shape {
            let found = format!("{name} has the shape {:?}, not {shape:?}", tensor.shape());
            return Err(damaged(self.file, found));
        }
        let data = tensor.data();
        let numbers: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            // The upper half of an f32.
            Dtype::BF16 => data
                .chunks_exact(2)
                .map(|b| f32::from_le_bytes([0, 0, b[0], b[1]]))
                .collect(),
            other => {
                let why = format!("{name} is stored as {other:?}, neither F32 nor BF16");
                return Err(damaged(self.file, why));
            }
        };
        if !numbers.iter().all(|x| x.is_finite()) {
            return Err(damaged(self.file, format!("{name} has NaN or infinity")));
        }
        Ok(numbers)
    }

    fn vector(&self, name: &str, size: usize) -> Result<Array1<f32>, EmbedError> {
        self.numbers(name, &[size]).map(Array1::from)
    }

    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Array2<f32>, EmbedError> {
        Array2::from_shape_vec(shape, self.numbers(name, &shape)?)
            .map_err(|e| damaged(self.file, e.to_string()))
    }

    /// The rows of a table whose height is not known.
    fn table(&self, name: &str, width: usize) -> Result<Array2<f32>, EmbedError> {
        let full = format!("{}{name}", self.prefix);
        let shape = self.all.tensor(&full).ok().map(|t| t.shape().to_vec());
        let rows = shape.and_then(|s| s.first().copied()).unwrap_or(0);
        self.matrix(name, [rows, width])
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, EmbedError> {
        let weights = self.matrix(&format!("{name}.weight"), [outputs, inputs])?;
        Ok(Linear {
            weights: weights.t().as_standard_layout().into_owned(),
            bias: self.vector(&format!("{name}.bias"), outputs)?,
        })
    }

    fn norm(&self, name: &str, size: usize) -> Result<Norm, EmbedError> {
        Ok(Norm {
            weight: self.vector(&format!("{name}.weight"), size)?,
            bias: self.vector(&format!("{name}.bias"), size)?,
        })
    }
}

impl Linear {
    fn of(&self, x: &Array2<f32>) -> Array2<f32> {
        x.dot(&self.weights) + &self.bias
    }
}

impl Norm {
    /// Each row to mean 0 and variance 1, then scaled (Ba et al. 2016, "Layer normalization").
    fn apply(&self, x: &mut Array2<f32>, epsilon: f32) {
        for mut row in x.rows_mut() {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            row -= mean;
            let variance = row.iter().map(|x| x * x).sum::<f32>() / count;
            row *= 1.0 / (variance + epsilon).sqrt();
            row *= &self.weight;
            row += &self.bias;
        }
    }
}

impl Activation {
    fn of(self, x: f32) -> f32 {
        match self {
            Activation::Relu => x.max(0.0),
            Activation::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
            Activation::GeluTanh => {
                let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
        }
    }
}

impl Bert {
    pub(super) fn read(config: &Config, bytes: &[u8], file: &Path) -> Result<Bert, EmbedError> {
        let all = SafeTensors::deserialize(bytes).map_err(|e| damaged(file, e.to_string()))?;
        let bare = all.tensor("embeddings.word_embeddings.weight").is_ok();
        let prefix = if bare { "" } else { "bert." };
        let tensors = Tensors { all, prefix, file };
        let (hidden, wide) = (config.hidden, config.intermediate);
        let mut positions = tensors.matrix(
            "embeddings.position_embeddings.weight",
            [config.positions, hidden],
        )?;
        let segments = tensors.table("embeddings.token_type_embeddings.weight", hidden)?;
        if let Some(first) = segments.rows().into_iter().next() {
            positions += &first;
        }
        let layer = |i: usize| {
            let linear = |name: &str, inputs, outputs| {
                tensors.linear(&format!("encoder.layer.{i}.{name}"), inputs, outputs)
            };
            let norm = |name: &str| tensors.norm(&format!("encoder.layer.{i}.{name}"), hidden);
            Ok(Layer {
                query: linear("attention.self.query", hidden, hidden)?,
                key: linear("attention.self.key", hidden, hidden)?,
                value: linear("attention.self.value", hidden, hidden)?,
                attended: linear("attention.output.dense", hidden, hidden)?,
                attended_norm: norm("attention.output.LayerNorm")?,
                wide: linear("intermediate.dense", hidden, wide)?,
                narrow: linear("output.dense", wide, hidden)?,
                norm: norm("output.LayerNorm")?,
            })
        };
        Ok(Bert {
            words: tensors.table("embeddings.word_embeddings.weight", hidden)?,
            positions,
            norm: tensors.norm("embeddings.LayerNorm", hidden)?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            heads: config.heads,
            epsilon: config.epsilon,
            activation: config.activation,
            first_token: config.first_token,
        })
    }

    pub(super) fn dimension(&self) -> usize {
        self.positions.ncols()
    }

    pub(super) fn vocabulary(&self) -> usize {
        self.words.nrows()
    }

    /// The vector of one text, of length 1; zeros for no token.
    pub(super) fn vector(&self, tokens: &[u32]) -> Vec<f32> {
        let known = tokens
            .iter()
            .map(|t| *t as usize)
            .filter(|t| *t < self.vocabulary());
        let tokens: Vec<usize> = known.take(self.positions.nrows()).collect();
        if tokens.is_empty() {
            return vec![0.0; self.dimension()];
        }
        let mut x = self.words.select(Axis(0), &tokens);
        x += &self.positions.slice(s![..tokens.len(), ..]);
        self.norm.apply(&mut x, self.epsilon);
        for layer in &self.layers {
            x = self.layer(layer, x);
        }
        let pooled = if self.first_token {
            x.row(0).to_owned()
        } else {
            // Nothing is padded, so that every token counts.
            x.sum_axis(Axis(0)) / tokens.len() as f32
        };
        let length = pooled.dot(&pooled).sqrt().max(1e-12);
        pooled.iter().map(|x| x / length).collect()
    }

    fn layer(&self, layer: &Layer, x: Array2<f32>) -> Array2<f32> {
        let (query, key, value) = (layer.query.of(&x), layer.key.of(&x), layer.value.of(&x));
        let width = self.dimension() / self.heads;
        let mut attended = Array2::zeros(x.dim());
        for head in 0..self.heads {
            let own = s![.., head * width..(head + 1) * width];
            let mut weights = query.slice(own).dot(&key.slice(own).t());
            weights /= (width as f32).sqrt();
            weights.rows_mut().into_iter().for_each(|mut row| {
                let largest = maximum(row.view());
                row.mapv_inplace(|w| (w - largest).exp());
                let total = row.sum();
                row /= total;
            });
            attended
                .slice_mut(own)
                .assign(&weights.dot(&value.slice(own)));
        }
        let mut x = x + layer.attended.of(&attended);
        layer.attended_norm.apply(&mut x, self.epsilon);
        let mut wide = layer.wide.of(&x);
        wide.mapv_inplace(|w| self.activation.of(w));
        let mut x = x + layer.narrow.of(&wide);
        layer.norm.apply(&mut x, self.epsilon);
        x
    }
}

fn maximum(row: ArrayView1<'_, f32>) -> f32 {
    row.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
