//! Random networks and a plain f64 forward pass to hold the fast one against.

use crate::models::{
    Activation, Architecture, Basis, CategoryInput, Dense, Encoding, Inputs, Network, Output,
    Tokens, Transformer, TransformerShape,
};

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

/// A network with random weights of a size that keeps the sums near 1. With `number_dim` above 0 the numbers have
/// embeddings, by turns of both kinds.
pub fn network(
    inputs: Inputs,
    hidden: &[usize],
    outputs: usize,
    activation: Activation,
    output: Output,
    random: &mut Random,
) -> Network {
    ensemble(inputs, hidden, outputs, activation, output, (1, 0), random)
}

/// The same with several members, and number embeddings of a width (0: none).
pub fn ensemble(
    inputs: Inputs,
    hidden: &[usize],
    outputs: usize,
    activation: Activation,
    output: Output,
    (members, number_dim): (usize, usize),
    random: &mut Random,
) -> Network {
    let embedded = match number_dim {
        0 => Vec::new(),
        _ => (0..inputs.numbers)
            .map(|input| {
                (
                    input,
                    (input % 2 == 0).then(|| vec![-1.5, -0.5, 0.1, 0.2, 1.7]),
                )
            })
            .collect(),
    };
    let architecture = Architecture {
        hidden: hidden.to_vec(),
        activation,
        output,
        outputs,
        members,
        number_dim,
        embedded,
    };
    let mut network = Network::init(&inputs, &architecture, random.next());
    // What training starts with at zero must not hide a mistake.
    let layers = network.layers.iter_mut().chain(&mut network.heads);
    let biases = layers.flat_map(|l| &mut l.bias);
    let curves = network
        .number_embeddings
        .iter_mut()
        .flat_map(|e| &mut e.weights);
    biases.chain(curves).for_each(|w| *w = random.unit() * 0.5);
    network
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

/// The members' sums, computed in the plainest way from the definition of a [`Network`].
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
    for embedding in &network.number_embeddings {
        let value = f64::from(numbers[embedding.input]);
        let (functions, weights): (Vec<f64>, &[f32]) = match &embedding.basis {
            Basis::PiecewiseLinear { knots } => {
                let bins = knots.windows(2).map(|k| {
                    let (low, high) = (f64::from(k[0]), f64::from(k[1]));
                    ((value - low) / (high - low)).clamp(0.0, 1.0)
                });
                (bins.collect(), &embedding.weights)
            }
            Basis::Periodic { frequencies } => {
                let (waves, weights) = embedding.weights.split_at(2 * frequencies);
                let (f, p) = waves.split_at(*frequencies);
                let angle = |(f, p): (&f32, &f32)| f64::from(*f) * value + f64::from(*p);
                let cos = |pair| (std::f64::consts::TAU * angle(pair)).cos();
                (f.iter().zip(p).map(cos).collect(), weights)
            }
        };
        x.extend((0..embedding.dim).map(|d| {
            let weights = weights.iter().skip(d).step_by(embedding.dim);
            let products = functions.iter().zip(weights);
            products.map(|(f, w)| f * f64::from(*w)).sum::<f64>()
        }));
    }
    let dense = |layer: &Dense, x: &[f64]| -> Vec<f64> {
        let output = |o: usize| {
            let products = x.iter().enumerate();
            let products =
                products.map(|(i, v)| v * f64::from(layer.weights[i * layer.outputs + o]));
            products.sum::<f64>() + f64::from(layer.bias[o])
        };
        (0..layer.outputs).map(output).collect()
    };
    let mut sums = Vec::new();
    for (m, head) in network.heads.iter().enumerate() {
        let mut x = x.clone();
        let factors = network.factors.iter().skip(m * x.len());
        x.iter_mut()
            .zip(factors)
            .for_each(|(x, f)| *x *= f64::from(*f));
        for layer in &network.layers {
            x = dense(layer, &x);
            for v in &mut x {
                *v = match network.activation {
                    Activation::Sigmoid => 1.0 / (1.0 + (-*v).exp()),
                    Activation::Relu => v.max(0.0),
                    Activation::Tanh => v.tanh(),
                    Activation::Silu => *v / (1.0 + (-*v).exp()),
                };
            }
        }
        sums.extend(dense(head, &x));
    }
    sums
}

/// A transformer of `(width, heads, blocks)` with random weights, number embeddings of both kinds, and a token that two features
/// share.
pub fn transformer(
    inputs: &Inputs,
    (width, heads, blocks): (usize, usize, usize),
    outputs: usize,
    random: &mut Random,
) -> Transformer {
    let numbers: Vec<usize> = (0..inputs.numbers).map(|i| i / 2).collect();
    let next = inputs.numbers;
    let categories: Vec<usize> = (0..inputs.categories.len()).map(|c| next + c).collect();
    // The bags are parts of features that have numbers.
    let bags: Vec<usize> = (0..inputs.bags.len()).collect();
    let knots = || vec![-1.5, -0.5, 0.1, 0.2, 1.7];
    let embedded = (0..inputs.numbers).step_by(2);
    let shape = TransformerShape {
        tokens: Tokens::of(&numbers, &categories, &bags),
        output: Output::Identity,
        outputs,
        width,
        heads,
        hidden: (width * 4 / 3).next_multiple_of(8),
        blocks,
        embedded: embedded.map(|i| (i, (i % 4 == 0).then(knots))).collect(),
    };
    let mut own = Transformer::init(inputs, shape, random.next());
    // What training starts with at zero or one must not hide a mistake.
    let curves = own
        .number_embeddings
        .iter_mut()
        .flat_map(|e| &mut e.weights);
    let all = own.weights.iter_mut().chain(curves);
    all.for_each(|w| *w += 0.1 * random.unit());
    own
}
