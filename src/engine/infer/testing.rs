//! Random networks and a plain f64 forward pass to hold the fast one against.

use crate::models::{Activation, CategoryInput, Dense, Encoding, Inputs, Network, Output};

/// A small generator (Steele et al. 2014, SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// Uniform in -1 .. 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

pub fn one_hot(levels: usize) -> CategoryInput {
    CategoryInput {
        levels,
        encoding: Encoding::OneHot,
    }
}

pub fn embedding(levels: usize, dim: usize) -> CategoryInput {
    CategoryInput {
        levels,
        encoding: Encoding::Embedding { dim },
    }
}

/// A network with random weights of a size that keeps the sums near 1.
pub fn network(
    inputs: Inputs,
    hidden: &[usize],
    outputs: usize,
    activation: Activation,
    output: Output,
    random: &mut Random,
) -> Network {
    let mut widths = vec![inputs.width()];
    widths.extend(hidden);
    widths.push(outputs);
    let layers = widths
        .windows(2)
        .map(|w| {
            let size = (3.0 / w[0].max(1) as f32).sqrt();
            Dense {
                inputs: w[0],
                outputs: w[1],
                weights: (0..w[0] * w[1]).map(|_| random.unit() * size).collect(),
                bias: (0..w[1]).map(|_| random.unit() * 0.5).collect(),
            }
        })
        .collect();
    let embeddings = inputs
        .categories
        .iter()
        .filter_map(|c| match c.encoding {
            Encoding::Embedding { dim } => {
                Some((0..(c.levels + 1) * dim).map(|_| random.unit()).collect())
            }
            Encoding::OneHot => None,
        })
        .collect();
    Network {
        inputs,
        activation,
        output,
        embeddings,
        layers,
    }
}

/// A random row for a network.
pub fn row(inputs: &Inputs, random: &mut Random) -> (Vec<f32>, Vec<u32>) {
    let numbers = (0..inputs.numbers).map(|_| 2.0 * random.unit()).collect();
    let codes = inputs
        .categories
        .iter()
        .map(|c| random.below(c.levels + 1) as u32)
        .collect();
    (numbers, codes)
}

/// The output layer's sums, computed in the plainest way from the definition of a [`Network`].
pub fn reference(network: &Network, numbers: &[f32], codes: &[u32]) -> Vec<f64> {
    let categories = || network.inputs.categories.iter().zip(codes);
    let mut x: Vec<f64> = numbers.iter().map(|&v| f64::from(v)).collect();
    for (c, &code) in categories() {
        if c.encoding == Encoding::OneHot {
            x.extend((1..=c.levels).map(|level| f64::from(u8::from(level == code as usize))));
        }
    }
    let mut tables = network.embeddings.iter();
    for (c, &code) in categories() {
        if let Encoding::Embedding { dim } = c.encoding {
            let table = tables.next().unwrap();
            let at = code as usize * dim;
            x.extend(table[at..at + dim].iter().map(|&v| f64::from(v)));
        }
    }
    for (i, layer) in network.layers.iter().enumerate() {
        if i > 0 {
            for v in &mut x {
                *v = match network.activation {
                    Activation::Sigmoid => 1.0 / (1.0 + (-*v).exp()),
                    Activation::Relu => v.max(0.0),
                    Activation::Tanh => v.tanh(),
                    Activation::Silu => *v / (1.0 + (-*v).exp()),
                };
            }
        }
        x = (0..layer.outputs)
            .map(|o| {
                let products = x.iter().enumerate();
                let sum: f64 = products
                    .map(|(i, v)| v * f64::from(layer.weights[i * layer.outputs + o]))
                    .sum();
                sum + f64::from(layer.bias[o])
            })
            .collect();
    }
    x
}
