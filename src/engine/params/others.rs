//! Options that mean nothing to an algorithm.

use super::{Algorithm, Params};

impl Params {
    /// The first option given that the algorithm does not understand.
    pub(super) fn of_others(&self, algorithm: Algorithm) -> Option<&'static str> {
        use Algorithm::{Auto, Dnn, Gbdt, Linear, Mlp, RandomForest, Transformer};
        if self.folds.is_some() && algorithm != Auto {
            return Some("folds");
        }
        if self.trees.is_some() && !matches!(algorithm, Auto | RandomForest) {
            return Some("trees");
        }
        let boosts = matches!(algorithm, Auto | Gbdt);
        let of_boosting = [
            ("max_leaf_nodes", self.max_leaf_nodes.is_some()),
            ("min_samples_leaf", self.min_samples_leaf.is_some()),
            ("max_features", self.max_features.is_some()),
        ];
        if let Some((option, _)) = of_boosting.iter().find(|(_, given)| *given && !boosts) {
            return Some(option);
        }
        if algorithm == Transformer {
            return [
                ("hidden", self.hidden.is_some()),
                ("activation", self.activation.is_some()),
                ("members", self.members.is_some()),
                ("number_embedding_dim", self.number_dim.is_some()),
                ("text_embedding_dim", self.text_dim.is_some()),
            ]
            .into_iter()
            .find_map(|(option, given)| given.then_some(option));
        }
        if let Some(option) = self.attention.given() {
            return Some(option);
        }
        if matches!(algorithm, Auto | Dnn | Mlp) {
            return None;
        }
        if let Some(option) = self.learning.given() {
            return Some(option);
        }
        let penalties = algorithm == Linear;
        [
            ("hidden", self.hidden.is_some()),
            ("activation", self.activation.is_some()),
            ("dropout", self.dropout.is_some()),
            ("label_smoothing", self.label_smoothing.is_some()),
            ("warmup_epochs", self.warmup_epochs.is_some()),
            ("optimizer", self.optimizer.is_some()),
            (
                "learning_rate",
                self.learning_rate.is_some() && algorithm != Gbdt,
            ),
            ("momentum", self.momentum.is_some()),
            ("l1", self.l1.is_some() && !penalties),
            ("l2", self.l2.is_some() && !penalties && algorithm != Gbdt),
            ("epochs", self.epochs.is_some()),
            ("batch_size", self.batch_size.is_some()),
            ("early_stopping", self.early_stopping.is_some()),
            ("patience", self.patience.is_some()),
            ("number_embedding", self.number_embedding.is_some()),
            ("number_embedding_dim", self.number_dim.is_some()),
            ("number_embedding_bins", self.bins.is_some()),
            ("members", self.members.is_some()),
            ("text_embedding_dim", self.text_dim.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }
}
