//! Do the parts of a model fit together? A model that passes can be prepared and asked without a panic.

use super::{Artifact, ArtifactError, Segment, Task, Uplift, UpliftMethod};
use crate::models::{
    Basis, Dense, Encoding, Inputs, Model, Network, NumberEmbedding, Output, Transformer,
};

/// The most members that can be asked for.
const MOST_MEMBERS: usize = 64;
/// Weights of the first layer of all members together: 1 GiB.
const LARGEST_FIRST: usize = 1 << 28;

/// `Err(Damaged)` with plain words unless `holds`.
pub(crate) fn require(
    holds: bool,
    otherwise: impl FnOnce() -> String,
) -> Result<(), ArtifactError> {
    if holds {
        Ok(())
    } else {
        Err(ArtifactError::Damaged(otherwise()))
    }
}

impl Artifact {
    /// Checks every shape: recipe against network, layer against layer, outputs against task and labels.
    ///
    /// # Errors
    /// [`ArtifactError::Damaged`] names the first part that does not fit.
    pub fn check(&self) -> Result<(), ArtifactError> {
        require(self.recipe.is_sound(), || {
            "a step of the recipe does not hold together".into()
        })?;
        let labels = self.target.labels.len();
        let fits = match self.task {
            Task::Binary => labels == 2,
            Task::Multiclass | Task::Ordinal => labels >= 2,
            Task::Multilabel => labels >= 1,
            Task::Survival => labels == 0 && self.intervals_hold(),
            Task::Uplift => labels == 0 || labels == 2,
            Task::Regression => true,
        };
        require(fits, || {
            format!("a {:?} model cannot have {labels} labels", self.task).to_lowercase()
        })?;
        self.settled.check(self.task, labels, self.width())?;
        let columns = self.recipe.columns().len();
        require(self.statistics.is_sound(columns), || {
            "the statistics of the training rows do not hold together".into()
        })?;
        require(self.seen.is_sound(), || {
            "the rows it was trained on are not as many as it says".into()
        })?;
        if let Some(spread) = &self.settled.conformal.spread {
            let inputs = self.recipe.inputs();
            require(
                spread.is_sound(inputs.numbers, inputs.categories.len()),
                || "the trees of errors do not hold together".into(),
            )?;
        }
        require(!self.parts.is_empty(), || "there is no network".into())?;
        require(
            (self.task == Task::Uplift) == self.target.uplift.is_some(),
            || "effects of a treatment belong to the task uplift alone".into(),
        )?;
        require(self.shares_hold(), || {
            "the shares of the parts do not add up to 1".into()
        })?;
        self.check_partition()?;
        for part in self.all_parts() {
            match &part.model {
                Model::Network(network) => {
                    check_network(network)?;
                    self.check_fit(&network.inputs, network.output, network.outputs())?;
                }
                Model::Transformer(own) => {
                    check_transformer(own)?;
                    self.check_fit(&own.inputs, own.output, own.outputs)?;
                }
                Model::Trees(trees) => {
                    let inputs = self.recipe.inputs();
                    let fits = trees.is_sound()
                        && trees.numbers == inputs.numbers
                        && trees.categories == inputs.categories.len()
                        && trees.base.len() == self.output().1;
                    require(fits, || "the trees do not hold together".into())?;
                }
            }
        }
        require(
            self.target.mean.is_finite() && self.target.scale.is_finite(),
            || "the target's mean or scale is not a finite number".into(),
        )
    }

    /// Whether the shares add up to 1; with two models for effects those of the second, which are negative, to -1.
    /// A column that the recipe reads, rising values, shares that add up to 1.
    fn check_partition(&self) -> Result<(), ArtifactError> {
        let Some(partition) = &self.partition else {
            return Ok(());
        };
        let known = |c: &crate::recipe::Input| c.name == partition.column;
        let segments = &partition.segments;
        let rising = segments
            .windows(2)
            .all(|pair| pair[0].value < pair[1].value);
        let whole = |segment: &Segment| {
            let shares = || segment.parts.iter().map(|part| part.share);
            shares().all(|s| s >= 0.0) && (shares().sum::<f64>() - 1.0).abs() < 1e-6
        };
        require(
            self.recipe.columns().iter().any(known)
                && rising
                && segments.iter().all(whole)
                && self.task != Task::Uplift,
            || "the segments do not hold together".into(),
        )
    }

    fn shares_hold(&self) -> bool {
        let sum = |sign: f64| -> f64 {
            let own = self.parts.iter().map(|part| part.share * sign);
            own.filter(|share| *share > 0.0).sum()
        };
        let two = |uplift: &Uplift| uplift.method == UpliftMethod::TwoModel;
        let less = f64::from(u8::from(self.target.uplift.as_ref().is_some_and(two)));
        (sum(1.0) - 1.0).abs() < 1e-6 && (sum(-1.0) - less).abs() < 1e-6
    }

    /// Whether the intervals of survival rise from 0.
    fn intervals_hold(&self) -> bool {
        let ends = &self.target.ends;
        let rises = ends.windows(2).all(|pair| pair[0] < pair[1]);
        rises && ends.first().is_some_and(|e| *e > 0.0) && ends.iter().all(|e| e.is_finite())
    }

    /// Whether a network takes what the recipe prepares and answers what the task asks for.
    fn check_fit(
        &self,
        inputs: &Inputs,
        output: Output,
        outputs: usize,
    ) -> Result<(), ArtifactError> {
        require(self.recipe.inputs().fit(inputs), || {
            "the network takes other inputs than the recipe prepares".into()
        })?;
        let labels = self.target.labels.len();
        require((output, outputs) == self.output(), || {
            format!(
                "a {:?} model with {labels} labels cannot have {outputs} {output:?} outputs",
                self.task
            )
            .to_lowercase()
        })
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        /// Counts what is written.
        struct Count(usize);
        impl std::io::Write for Count {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut text = Count(0);
        // Writing to a counter cannot fail; were it to, the estimate would only be low.
        let _ = serde_json::to_writer(&mut text, self);
        let words = self.all_parts().map(|part| match &part.model {
            Model::Network(network) => network.weights().map(Vec::len).sum::<usize>(),
            Model::Transformer(own) => own.all_weights().map(Vec::len).sum::<usize>(),
            Model::Trees(trees) => trees.words.len(),
        });
        let held_out = &self.settled.held_out;
        let spread = self.settled.conformal.spread.as_ref();
        let kept = held_out.truth.len()
            + held_out.predictions.len()
            + spread.map_or(0, |s| s.trees.words.len());
        // In memory the text's strings and numbers take about twice their written length.
        2 * text.0 + (words.sum::<usize>() + kept) * size_of::<f32>()
    }
}

/// Checks that the weights have the sizes their description gives, that the layers chain, and that all are finite.
pub(crate) fn check_network(network: &Network) -> Result<(), ArtifactError> {
    let inputs = &network.inputs;
    let too_large = || ArtifactError::Damaged("the network's inputs are too many".into());
    let width = network.checked_width().ok_or_else(too_large)?;
    let mut one_hot = 0usize;
    for (i, category) in inputs.categories.iter().enumerate() {
        let too_large = || ArtifactError::Damaged(format!("category {i} is too large"));
        require(category.levels < u32::MAX as usize, || {
            format!("category {i} is too large")
        })?;
        if category.encoding == Encoding::OneHot {
            one_hot = one_hot.checked_add(category.levels).ok_or_else(too_large)?;
        }
    }
    check_tables(network)?;
    check_curves(&network.number_embeddings, inputs.numbers)?;
    let members = network.members;
    let factors = if members > 1 {
        width.checked_mul(members)
    } else {
        Some(0)
    };
    require(
        factors == Some(network.factors.len())
            && members == network.heads.len()
            && (1..=MOST_MEMBERS).contains(&members)
            && (members == 1 || !network.layers.is_empty()),
        || format!("the network has not {members} members"),
    )?;
    // What a prediction keeps ready: the first layer of every member.
    let units = network.layers.first().map_or(0, |l| l.outputs);
    let first = units
        .checked_add(8)
        .and_then(|u| u.checked_mul(members))
        .and_then(|u| u.checked_mul(width));
    require(
        members == 1 || first.is_some_and(|f| f <= LARGEST_FIRST),
        || "the first layer of all members is too large".into(),
    )?;
    let mut inputs = width;
    for (i, layer) in network.layers.iter().enumerate() {
        check_layer(layer, inputs, &format!("layer {}", i + 1))?;
        inputs = layer.outputs;
    }
    for head in &network.heads {
        check_layer(head, inputs, "an output layer")?;
        require(head.outputs == network.outputs(), || {
            "the members have different outputs".into()
        })?;
    }
    let finite = |values: &Vec<f32>| values.iter().all(|v| v.is_finite());
    require(network.weights().all(finite), || {
        "a weight is not a finite number".into()
    })
}

/// Checks that the weights have the sizes their description gives, and that all are finite.
fn check_transformer(own: &Transformer) -> Result<(), ArtifactError> {
    require(own.is_sound(), || {
        "the sizes of a transformer do not fit each other".into()
    })?;
    let codes = own
        .inputs
        .categories
        .iter()
        .map(|c| c.levels.checked_add(1));
    let words = own.inputs.bags.iter().map(|bag| Some(bag.vocabulary));
    let sizes = codes.chain(words);
    let sizes = sizes.map(|rows| rows.and_then(|r| r.checked_mul(own.width)));
    let tables = own.embeddings.iter().chain(&own.bags);
    require(
        own.inputs
            .categories
            .iter()
            .all(|c| c.levels < u32::MAX as usize)
            && own.embeddings.len() == own.inputs.categories.len()
            && sizes.eq(tables.map(|table| Some(table.len()))),
        || "the tables of a transformer do not fit".into(),
    )?;
    check_curves(&own.number_embeddings, own.inputs.numbers)?;
    require(own.weights.len() == own.parts().len, || {
        format!("a transformer has {} weights", own.weights.len())
    })?;
    let finite = |values: &Vec<f32>| values.iter().all(|v| v.is_finite());
    require(own.all_weights().all(finite), || {
        "a weight is not a finite number".into()
    })
}

/// Checks the embeddings of numbers.
fn check_curves(embeddings: &[NumberEmbedding], numbers: usize) -> Result<(), ArtifactError> {
    for (i, embedding) in embeddings.iter().enumerate() {
        let knots_rise = match &embedding.basis {
            Basis::Periodic { .. } => true,
            Basis::PiecewiseLinear { knots } => {
                let rises = |pair: &[f32]| pair[0] < pair[1];
                knots.len() >= 2
                    && knots.iter().all(|k| k.is_finite())
                    && knots.windows(2).all(rises)
            }
        };
        require(
            embedding.input < numbers
                && knots_rise
                && embedding.size() == Some(embedding.weights.len()),
            || format!("number embedding {i} does not hold together"),
        )?;
    }
    Ok(())
}

fn check_layer(layer: &Dense, inputs: usize, name: &str) -> Result<(), ArtifactError> {
    require(layer.inputs == inputs, || {
        format!("{name} takes {} inputs, not {inputs}", layer.inputs)
    })?;
    require(layer.outputs > 0, || format!("{name} has no outputs"))?;
    let size = layer.inputs.checked_mul(layer.outputs);
    require(size == Some(layer.weights.len()), || {
        format!("{name} has {} weights", layer.weights.len())
    })?;
    require(layer.bias.len() == layer.outputs, || {
        format!("{name} has {} bias values", layer.bias.len())
    })
}

/// Checks the tables of embeddings and bags against the inputs.
fn check_tables(network: &Network) -> Result<(), ArtifactError> {
    let mut tables = network.embeddings.iter();
    for (i, levels, dim) in network.inputs.embedded() {
        let size = (levels + 1).checked_mul(dim);
        require(
            size.is_some() && tables.next().map(Vec::len) == size,
            || format!("the embedding of category {i} does not fit"),
        )?;
    }
    require(tables.next().is_none(), || {
        "there are more embeddings than categories".into()
    })?;
    let sizes = network.inputs.bags.iter();
    let sizes = sizes.map(|bag| bag.vocabulary.checked_mul(bag.dim).filter(|_| bag.dim > 0));
    require(
        sizes.eq(network.bags.iter().map(|table| Some(table.len()))),
        || "a table of tokens does not fit".into(),
    )
}
