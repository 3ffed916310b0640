//! Do the parts of a model fit together? A model that passes can be prepared and asked without a panic.

use super::{Artifact, ArtifactError, Task};
use crate::models::{Encoding, Network, Output};

/// `Err(Damaged)` with plain words unless `holds`.
pub(super) fn require(
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
        let network = &self.network;
        check_network(network)?;
        require(self.recipe.is_sound(), || {
            "a step of the recipe does not hold together".into()
        })?;
        require(self.recipe.inputs() == network.inputs, || {
            "the network takes other inputs than the recipe prepares".into()
        })?;
        let outputs = network.layers.last().map_or(0, |l| l.outputs);
        let labels = self.target.labels.len();
        let fits = match self.task {
            Task::Binary => network.output == Output::Sigmoid && outputs == 1 && labels == 2,
            Task::Multiclass => {
                network.output == Output::Softmax && outputs == labels && labels >= 2
            }
            Task::Regression => network.output == Output::Identity && outputs == 1,
        };
        require(fits, || {
            format!(
                "a {:?} model with {labels} labels cannot have {outputs} {:?} outputs",
                self.task, network.output
            )
            .to_lowercase()
        })?;
        require(
            self.target.mean.is_finite() && self.target.scale.is_finite(),
            || "the target's mean or scale is not a finite number".into(),
        )
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
        let network = &self.network;
        let layers = network.layers.iter();
        let floats = layers
            .map(|l| l.weights.len() + l.bias.len())
            .sum::<usize>()
            + network.embeddings.iter().map(Vec::len).sum::<usize>();
        // In memory the text's strings and numbers take about twice their written length.
        2 * text.0 + floats * size_of::<f32>()
    }
}

/// Checks that the weights have the sizes their description gives, that the layers chain, and that all are finite.
fn check_network(network: &Network) -> Result<(), ArtifactError> {
    let inputs = &network.inputs;
    let mut width = inputs.numbers;
    let mut one_hot = 0usize;
    let mut tables = network.embeddings.iter();
    for (i, category) in inputs.categories.iter().enumerate() {
        let too_large = || ArtifactError::Damaged(format!("category {i} is too large"));
        require(category.levels < u32::MAX as usize, || {
            format!("category {i} is too large")
        })?;
        let wide = match category.encoding {
            Encoding::OneHot => {
                one_hot = one_hot.checked_add(category.levels).ok_or_else(too_large)?;
                category.levels
            }
            Encoding::Embedding { dim } => {
                let size = (category.levels + 1)
                    .checked_mul(dim)
                    .ok_or_else(too_large)?;
                let found = tables.next().map(Vec::len);
                require(found == Some(size), || {
                    format!("the embedding of category {i} has not {size} values")
                })?;
                dim
            }
        };
        width = width.checked_add(wide).ok_or_else(too_large)?;
    }
    require(tables.next().is_none(), || {
        "there are more embeddings than categories".into()
    })?;
    require(!network.layers.is_empty(), || {
        "the network has no layers".into()
    })?;
    for (i, layer) in network.layers.iter().enumerate() {
        let number = i + 1;
        require(layer.inputs == width, || {
            format!("layer {number} takes {} inputs, not {width}", layer.inputs)
        })?;
        require(layer.outputs > 0, || {
            format!("layer {number} has no outputs")
        })?;
        let size = layer.inputs.checked_mul(layer.outputs);
        require(size == Some(layer.weights.len()), || {
            format!("layer {number} has {} weights", layer.weights.len())
        })?;
        require(layer.bias.len() == layer.outputs, || {
            format!("layer {number} has {} bias values", layer.bias.len())
        })?;
        width = layer.outputs;
    }
    let layers = network.layers.iter().flat_map(|l| [&l.weights, &l.bias]);
    let finite = |values: &Vec<f32>| values.iter().all(|v| v.is_finite());
    require(network.embeddings.iter().chain(layers).all(finite), || {
        "a weight is not a finite number".into()
    })
}
