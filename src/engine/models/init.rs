//! A network before training.

use super::{Activation, Dense, Encoding, Inputs, Network, NumberEmbedding, Output};
use crate::random::Random;

/// What a network is made of, apart from its inputs.
#[derive(Debug, Clone)]
pub struct Architecture {
    pub hidden: Vec<usize>,
    pub activation: Activation,
    pub output: Output,
    pub outputs: usize,
    pub members: usize,
    /// Width of each number embedding.
    pub number_dim: usize,
    /// The dense numbers that get one: by knots where they are given, else periodic.
    pub embedded: Vec<(usize, Option<Vec<f32>>)>,
}

impl Network {
    /// Weights drawn by our own generator: He et al. 2015 for relu and silu, Glorot and Bengio 2010 else. Piecewise-linear
    /// embeddings begin at zero beside the number itself; members differ by their factors, one for each input column as it
    /// was before encoding, normal with number embeddings and else a sign (Gorishniy et al. 2025).
    pub fn init(inputs: &Inputs, of: &Architecture, seed: u64) -> Network {
        let mut random = Random::new(seed);
        let mut normal = |count: usize, std: f64| -> Vec<f32> {
            (0..count).map(|_| (random.normal() * std) as f32).collect()
        };
        let embeddings = inputs
            .embedded()
            .map(|(_, levels, dim)| normal((levels + 1) * dim, 0.3))
            .collect();
        let bags = inputs
            .bags
            .iter()
            .map(|bag| normal(bag.vocabulary * bag.dim, 0.3))
            .collect();
        let number_embeddings: Vec<NumberEmbedding> = of
            .embedded
            .iter()
            .map(|(input, knots)| {
                NumberEmbedding::init(*input, knots.clone(), of.number_dim, &mut normal)
            })
            .collect();
        let width = inputs.width() + number_embeddings.len() * of.number_dim;
        let he = matches!(of.activation, Activation::Relu | Activation::Silu);
        let mut dense = |inputs: usize, outputs: usize, last: bool| {
            let (fan_in, fan_out) = (inputs.max(1) as f64, outputs as f64);
            let std = if he && !last {
                (2.0 / fan_in).sqrt()
            } else {
                (2.0 / (fan_in + fan_out)).sqrt()
            };
            Dense {
                inputs,
                outputs,
                weights: normal(inputs * outputs, std),
                bias: vec![0.0; outputs],
            }
        };
        let mut layers = Vec::new();
        let mut last = width;
        for &hidden in &of.hidden {
            layers.push(dense(last, hidden, false));
            last = hidden;
        }
        let heads = (0..of.members)
            .map(|_| dense(last, of.outputs, true))
            .collect();
        let mut factors = Vec::new();
        if of.members > 1 {
            let signs = number_embeddings.is_empty();
            let mut draw = || match (random.normal() as f32, signs) {
                (z, true) => z.signum(),
                (z, false) => z,
            };
            for _ in 0..of.members {
                let numbers: Vec<f32> = (0..inputs.numbers).map(|_| draw()).collect();
                factors.extend_from_slice(&numbers);
                for c in inputs
                    .categories
                    .iter()
                    .filter(|c| c.encoding == Encoding::OneHot)
                {
                    factors.extend(std::iter::repeat_n(draw(), c.levels));
                }
                for (_, _, dim) in inputs.embedded() {
                    factors.extend(std::iter::repeat_n(draw(), dim));
                }
                for bag in &inputs.bags {
                    factors.extend(std::iter::repeat_n(draw(), bag.dim));
                }
                for e in &number_embeddings {
                    factors.extend(std::iter::repeat_n(numbers[e.input], e.dim));
                }
            }
        }
        Network {
            inputs: inputs.clone(),
            activation: of.activation,
            output: of.output,
            embeddings,
            bags,
            number_embeddings,
            members: of.members,
            factors,
            layers,
            heads,
        }
    }
}
