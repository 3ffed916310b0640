//! The number embeddings of a model in Burn: all numbers at once, so that a device is given few, large pieces of work.

use super::network::numbers;
use super::{Basis, NumberEmbedding};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

/// The number embeddings of a model, in their order.
#[derive(Module, Debug)]
pub struct Curves<B: Backend> {
    kinds: Vec<Kind<B>>,
    /// Where each embedding lies among those of all kinds, `[embeddings]`; `None` where it is its own place.
    order: Option<Tensor<B, 1, Int>>,
}

/// Those of one basis.
#[derive(Module, Debug)]
struct Kind<B: Backend> {
    /// Periodic only: frequencies and phases, `[2, embeddings, functions]`.
    waves: Option<Param<Tensor<B, 3>>>,
    /// `[embeddings, functions, dim]`; what is beyond the functions of a number stays 0.
    weight: Param<Tensor<B, 3>>,
    /// Piecewise-linear only: the lower end of each bin and 1 / its length, 0 beyond the bins of a number, each
    /// `[embeddings, 1, functions]`.
    bins: Option<(Tensor<B, 3>, Tensor<B, 3>)>,
    /// The dense numbers that are embedded, `[embeddings]`.
    inputs: Tensor<B, 1, Int>,
    /// Which of the model's embeddings they are, and how many functions each has.
    #[module(skip)]
    members: Vec<(usize, usize)>,
}

impl<B: Backend> Curves<B> {
    /// With the given weights; all have as many sums.
    pub fn new(embeddings: &[NumberEmbedding], device: &B::Device) -> Curves<B> {
        let is_periodic = |e: &NumberEmbedding| matches!(e.basis, Basis::Periodic { .. });
        let (periodic, linear): (Vec<usize>, Vec<usize>) =
            (0..embeddings.len()).partition(|i| is_periodic(&embeddings[*i]));
        let kinds = [periodic, linear].into_iter().filter(|own| !own.is_empty());
        let kinds: Vec<Kind<B>> = kinds
            .map(|own| Kind::new(embeddings, own, device))
            .collect();
        let order = (kinds.len() > 1).then(|| {
            let places = kinds.iter().flat_map(|kind| &kind.members);
            let mut order = vec![0i32; embeddings.len()];
            places
                .zip(0..)
                .for_each(|((own, _), place)| order[*own] = place);
            Tensor::from_data(TensorData::new(order, [embeddings.len()]), device)
        });
        Curves { kinds, order }
    }

    pub fn ids(&self) -> Vec<ParamId> {
        let own = |kind: &Kind<B>| {
            let waves = kind.waves.as_ref().map(|waves| waves.id);
            waves.into_iter().chain([kind.weight.id])
        };
        self.kinds.iter().flat_map(own).collect()
    }

    /// The embeddings of the numbers of a batch, `[rows, embeddings, dim]`; `None` without any.
    pub fn forward(&self, dense: &Tensor<B, 2>) -> Option<Tensor<B, 3>> {
        let each = self.kinds.iter().map(|kind| kind.forward(dense));
        let mut each: Vec<Tensor<B, 3>> = each.collect();
        match &self.order {
            Some(order) => Some(Tensor::cat(each, 1).select(1, order.clone())),
            None => each.pop(),
        }
    }

    /// Writes the weights into embeddings of the same shapes.
    pub fn write(&self, to: &mut [NumberEmbedding]) {
        for kind in &self.kinds {
            let [_, functions, dim] = kind.weight.dims();
            let waves = kind.waves.as_ref().map(|waves| numbers(waves.val()));
            let weights = numbers(kind.weight.val());
            for (i, (own, used)) in kind.members.iter().enumerate() {
                let part = |all: &[f32], at: usize, width: usize| {
                    all[at * functions * width..][..used * width].to_vec()
                };
                let mut all = Vec::new();
                if let Some(waves) = &waves {
                    all.extend(part(waves, i, 1));
                    all.extend(part(waves, kind.members.len() + i, 1));
                }
                all.extend(part(&weights, i, dim));
                to[*own].weights = all;
            }
        }
    }
}

impl<B: Backend> Kind<B> {
    fn new(embeddings: &[NumberEmbedding], own: Vec<usize>, device: &B::Device) -> Kind<B> {
        let of = || own.iter().map(|i| &embeddings[*i]);
        let functions = of().map(NumberEmbedding::functions).max().unwrap_or(0);
        let dim = of().map(|e| e.dim).max().unwrap_or(0);
        let tensor = |values: Vec<f32>, shape: [usize; 3]| -> Tensor<B, 3> {
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        let padded = |values: &mut dyn Iterator<Item = f32>, len: usize| -> Vec<f32> {
            values.chain(std::iter::repeat(0.0)).take(len).collect()
        };
        // Of one that is periodic come its frequencies and its phases first.
        let before = |e: &NumberEmbedding| e.weights.len() - e.functions() * e.dim;
        let weights = of().flat_map(|e| {
            let own = &e.weights[before(e)..];
            padded(&mut own.iter().copied(), functions * dim)
        });
        let waves = |part: usize| {
            of().flat_map(move |e| {
                let own = &e.weights[part * e.functions()..][..e.functions()];
                padded(&mut own.iter().copied(), functions)
            })
        };
        let bins = |of_bin: fn(&[f32]) -> f32| {
            let each = of().flat_map(|e| match &e.basis {
                Basis::PiecewiseLinear { knots } => {
                    padded(&mut knots.windows(2).map(of_bin), functions)
                }
                Basis::Periodic { .. } => Vec::new(),
            });
            tensor(each.collect(), [own.len(), 1, functions])
        };
        let is_periodic = of().any(|e| before(e) > 0);
        let inputs: Vec<i32> = of().map(|e| e.input as i32).collect();
        Kind {
            waves: is_periodic.then(|| {
                let both = waves(0).chain(waves(1)).collect();
                Param::from_tensor(tensor(both, [2, own.len(), functions]))
            }),
            weight: Param::from_tensor(tensor(weights.collect(), [own.len(), functions, dim])),
            bins: (!is_periodic).then(|| {
                let slope = |bin: &[f32]| 1.0 / (bin[1] - bin[0]);
                (bins(|bin| bin[0]), bins(slope))
            }),
            inputs: Tensor::from_data(TensorData::new(inputs, [own.len()]), device),
            members: own
                .iter()
                .map(|i| (*i, embeddings[*i].functions()))
                .collect(),
        }
    }

    /// `[rows, embeddings, dim]`.
    fn forward(&self, dense: &Tensor<B, 2>) -> Tensor<B, 3> {
        let [embeddings, functions, _] = self.weight.dims();
        let x = dense.clone().select(1, self.inputs.clone());
        let x = x.swap_dims(0, 1).unsqueeze_dim::<3>(2);
        let basis = match (&self.waves, &self.bins) {
            (Some(waves), _) => {
                let waves = waves.val();
                let of = |part: usize| {
                    let own = waves.clone().slice([part..part + 1]);
                    own.reshape([embeddings, 1, functions])
                };
                ((x * of(0) + of(1)) * std::f64::consts::TAU).cos()
            }
            (None, Some((low, slope))) => ((x - low.clone()) * slope.clone()).clamp(0.0, 1.0),
            (None, None) => x,
        };
        basis.matmul(self.weight.val()).swap_dims(0, 1)
    }
}
