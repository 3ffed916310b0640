//! Why a model answers what it does: what each column of a row adds, what the model would lose without a column, and how
//! answers follow a column or two, and the whole in a few rules. All of it asks the model itself, whatever its algorithm, about rows it was judged on.

mod counterfactual;
mod dependence;
mod importance;
mod interactions;
mod pairs;
mod phrase;
mod rules;
mod sample;
mod shapley;
mod surrogate;

pub use counterfactual::{Change, Counterfactual, Goal, Ways, counterfactuals};
pub use dependence::{Dependence, dependence};
pub use importance::{Importance, importance};
pub use interactions::{Interaction, interactions};
pub use rules::{FEWEST_ROWS, Rule, Rules, rules};
pub use sample::{Kept, Sample, told};
pub(crate) use sample::{MOST_ROWS, typical};
pub use shapley::{BACKGROUND, Contribution, Explanation, answer, explain};

#[cfg(test)]
pub(crate) mod tests;
