//! What a waiting caller is told at the end.

use crate::messages::{notice, warn, warning};
use insight_engine::artifact::Artifact;
use insight_engine::clean::report::describe;
use insight_engine::evaluate::fairness::{Fairness, Line};
use insight_engine::fit::{Augmentation, Distillation};
use insight_engine::privacy::{Spent, pii::Finding};
use insight_engine::segment::Clustering;
use insight_engine::sequence::SequenceModel;
use insight_engine::synth::Synthesizer;
use insight_engine::trained::{Card, TrainedModel};

/// Notices about columns and rows left out, and the scores. `excluded`: columns that were not read, and why; `dropped`: leaking
/// rows were left out.
pub fn tell(model: &TrainedModel, excluded: &[(String, String)], dropped: bool) {
    match model {
        TrainedModel::Table(artifact) => tell_table(artifact, dropped),
        TrainedModel::Synthesizer(synthesizer) => tell_synthesizer(synthesizer, excluded),
        TrainedModel::Clustering(clustering) => tell_segments(clustering, excluded),
        TrainedModel::Sequence(sequence) => tell_sequence(sequence, excluded, &model.card()),
    }
}

fn tell_sequence(model: &SequenceModel, excluded: &[(String, String)], card: &Card<'_>) {
    for (column, reason) in excluded.iter().chain(&model.encoder.excluded) {
        notice(format!("column \"{column}\" left out: {reason}"));
    }
    if model.dropped > 0 {
        notice(format!(
            "{} rows left out: their key or their place in the order is NULL",
            model.dropped
        ));
    }
    if let Some(spent) = &model.privacy {
        tell_privacy(spent);
    }
    let headline = card
        .headline
        .as_ref()
        .map(|m| (&m.metric, m.value, m.baseline));
    if let Some((metric, value, baseline)) = headline {
        let answers = match model.evaluated_on.as_str() {
            "test" => model.test_answers,
            _ => model.validation_answers,
        };
        let beside = baseline.map_or(String::new(), |b| format!(", the best baseline {b:.4}"));
        let unseen = match model.privacy {
            Some(_) => "unseen keys, about: scores have noise",
            None => "unseen answers",
        };
        notice(format!(
            "{} {metric} {value:.4}{beside} ({answers} {unseen})",
            model.evaluated_on
        ));
    }
}

/// Below this silhouette no substantial structure was found (Kaufman and Rousseeuw 1990).
const LITTLE_APART: f64 = 0.25;

fn tell_segments(clustering: &Clustering, excluded: &[(String, String)]) {
    for (column, reason) in excluded.iter().chain(&clustering.excluded) {
        notice(format!("column \"{column}\" left out: {reason}"));
    }
    if let Some(model) = &clustering.wanted.model {
        match clustering.is_learned() {
            true => notice(format!(
                "rows are compared by the last hidden layer of {model}"
            )),
            false => notice(format!(
                "columns count as much as {model} needs them: it has no network"
            )),
        }
    }
    if let Some(count) = clustering.counts.get(clustering.chosen) {
        let beside = match clustering.counts.len() {
            1 => String::new(),
            tried => format!(" (of {tried} numbers tried)"),
        };
        notice(format!(
            "{} segments{beside}: silhouette {:.4}, stability {:.4}",
            clustering.count(),
            count.silhouette,
            count.stability
        ));
        if count.silhouette < LITTLE_APART {
            notice("the segments hardly stand apart: they cut what may be one heap into parts");
        }
    }
    if clustering.stopped_by == "max_seconds" {
        notice("max_seconds ended the search for the number of segments");
    }
}

fn tell_synthesizer(synthesizer: &Synthesizer, excluded: &[(String, String)]) {
    for (column, reason) in excluded {
        notice(format!(
            "column \"{column}\" left out, generated rows have NULL in it: {reason}"
        ));
    }
    for note in &synthesizer.notes {
        notice(note);
    }
    if let Some(spent) = &synthesizer.spent {
        tell_privacy(spent);
    }
    let shown: Vec<String> = synthesizer
        .metrics
        .iter()
        .filter(|m| m.class.is_none() && !matches!(m.metric.as_str(), "epsilon" | "delta"))
        .map(|m| format!("{} {:.4}", m.metric, m.value))
        .collect();
    let beside = match synthesizer.is_private() {
        true => "what was told of those that were learned, with noise",
        false => "those that were learned",
    };
    notice(format!(
        "{} (generated rows beside {beside})",
        shown.join(", ")
    ));
}

/// `dropped`: leaking rows were left out.
fn tell_table(artifact: &Artifact, dropped: bool) {
    let provenance = &artifact.provenance;
    if let Some(why) = &provenance.device_given_up {
        warn(
            "the GPU was given up, and the CPU took its place".into(),
            Some(why.clone()),
            Some("\"device\": \"cpu\" does without a GPU from the start; with \"cuda\" this is an error. insight_devices() lists what there is.".into()),
        );
    }
    for (column, reason) in &provenance.excluded {
        notice(format!("column \"{column}\" left out: {reason}"));
    }
    if provenance.null_target_rows > 0 {
        let beside = artifact.target.companion.as_ref();
        let beside = beside.map_or(String::new(), |name| format!(" or \"{name}\""));
        notice(format!(
            "{} rows left out: target \"{}\"{beside} is NULL",
            provenance.null_target_rows, artifact.target.name
        ));
    }
    for (column, values) in artifact.recipe.unreadable() {
        notice(format!(
            "column \"{column}\": {values} values are no PNG or JPEG image and count as missing"
        ));
    }
    for line in describe(&provenance.cleaned) {
        notice(line);
    }
    for leak in provenance.leaks.iter().filter(|leak| {
        let left_out = |(column, _): &(String, String)| *column == leak.column;
        !provenance.excluded.iter().any(left_out)
    }) {
        notice(format!(
            "column \"{}\" may give the target away: {}; leave it out unless it is known when you predict \
             (option exclude, or \"leakage\": \"drop\")",
            leak.column, leak.reason
        ));
    }
    for (column, finding) in &provenance.personal {
        tell_personal(column, finding);
    }
    if let Some(name) = &provenance.started_from {
        notice(format!(
            "training went on from {name}: rows it was trained on may be among those this version is scored on (split by time, \
             or as a column says, to be sure)"
        ));
    }
    if let Some(found) = &provenance.augmentation {
        tell_augmentation(found);
    }
    if let Some(found) = &provenance.distillation {
        tell_distillation(found);
    }
    if provenance.shared_rows > 0 {
        let rows = provenance.shared_rows;
        if dropped {
            notice(format!(
                "{rows} rows left out of the test part: they equal rows that were trained on"
            ));
        } else {
            notice(format!(
                "{rows} rows of the test part equal rows that were trained on (\"leakage\": \"drop\" leaves them out)"
            ));
        }
    }
    if !matches!(provenance.calibration.as_str(), "" | "none") {
        notice(format!(
            "probabilities are calibrated ({}) on the validation rows",
            provenance.calibration
        ));
    }
    if let (Some(threshold), Some(label)) = (provenance.threshold, artifact.target.labels.last())
        && threshold != 0.5
    {
        notice(format!(
            "label \"{label}\" is answered from a probability of {threshold:.4}"
        ));
    }
    if let Some(uplift) = &artifact.target.uplift
        && uplift.confounded
        && let (Some(auc), Some(treatment)) = (uplift.treatment_auc, &artifact.target.companion)
    {
        notice(format!(
            "the features foretell \"{treatment}\" (roc_auc {auc:.2}): rows were not treated at random, so part of the effects \
             may be why they were treated"
        ));
    }
    if let Some(spent) = &provenance.privacy {
        tell_privacy(spent);
    }
    if let Some(fairness) = &provenance.fairness {
        tell_fairness(fairness);
    }
    let score = |name: &str| {
        artifact
            .evaluation
            .metrics
            .iter()
            .find(|m| m.metric == name && m.class.is_none())
            .map(|m| m.value)
    };
    let headline = artifact.evaluation.headline();
    let mut names = vec!["loss", "accuracy", "roc_auc", "rmse", "r2"];
    names.extend(
        headline
            .map(|m| m.metric.as_str())
            .filter(|name| !names.contains(name)),
    );
    let shown: Vec<String> = names
        .iter()
        .filter_map(|name| score(name).map(|value| format!("{name} {value:.4}")))
        .collect();
    let (part, rows) = match provenance.evaluated_on.as_str() {
        "nothing" => return,
        "test" if provenance.privacy.is_some() => ("test", "unseen rows, about: scores have noise"),
        "test" => ("test", "unseen rows"),
        "out_of_fold" => ("out of fold", "rows, each by models that have not seen it"),
        _ => (
            "validation",
            "rows that also decided when to stop; no test rows were held out",
        ),
    };
    notice(format!(
        "{part} {} ({} {rows})",
        shown.join(", "),
        artifact.evaluation.rows
    ));
}

/// A model remembers of its training rows; nobody's name makes it better.
fn tell_personal(column: &str, finding: &Finding) {
    let message = format!(
        "column \"{column}\" enters the model and seems to name people: {}",
        finding.kind.name().replace('_', " ")
    );
    let detail = format!(
        "{} (confidence {:.2}).",
        finding.evidence, finding.confidence
    );
    let hint = format!(
        "Leave it out: options => '{{\"exclude\": [\"{column}\"]}}'. insight_find_pii tells more."
    );
    warn(message, Some(detail), Some(hint));
}

fn tell_privacy(spent: &Spent) {
    for text in &spent.warnings {
        warning(text);
    }
    let of = spent
        .unit
        .as_ref()
        .map_or("row".into(), |unit| format!("\"{unit}\""));
    notice(format!(
        "differential privacy of each {of}: epsilon {:.4}, delta {:e} ({} steps on samples of {:.2}% with noise {:.3} times the clip; \
         accountant {})",
        spent.epsilon,
        spent.delta,
        spent.steps,
        100.0 * spent.sampling_rate,
        spent.noise_multiplier,
        spent.accountant
    ));
}

/// An area under the ROC curve from which inputs stand in for a sensitive column.
const PROXY: f64 = 0.7;

fn tell_fairness(fairness: &Fairness) {
    let named = |line: &&Line, metric: &str| line.metric == metric;
    for grouping in &fairness.groupings {
        let own = || (fairness.lines.iter()).filter(|line| line.feature == grouping.column);
        let proxies = own().filter(|line| named(line, "proxy_roc_auc"));
        if let Some(proxy) = proxies.max_by(|a, b| a.value.total_cmp(&b.value))
            && proxy.value > PROXY
        {
            notice(format!(
                "the inputs foretell \"{}\" (roc_auc {:.2} for {}): what is left out may come back through them",
                grouping.column,
                proxy.value,
                proxy.group.as_deref().unwrap_or_default()
            ));
        }
        if let Some(parity) = own().find(|line| named(line, "demographic_parity_difference")) {
            notice(format!(
                "selection rates by \"{}\" are up to {:.4} apart (insight_fairness tells more)",
                grouping.column, parity.value
            ));
        }
    }
}

fn tell_distillation(found: &Distillation) {
    let layers: Vec<String> = found.hidden.iter().map(usize::to_string).collect();
    let layers = layers.join("-");
    match (found.loss_before, found.loss_after) {
        (Some(before), Some(after)) => notice(format!(
            "a network {layers} has learned what the model answers: validation loss {after:.4}, the model's own {before:.4}"
        )),
        _ => notice(format!(
            "a network {layers} has learned what the model answers; no rows were held out to compare them"
        )),
    }
}

fn tell_augmentation(found: &Augmentation) {
    let Augmentation { gan, rows, .. } = found;
    let Some(with) = found.loss_with else {
        notice(format!(
            "generated rows are not used: {rows} rows of \"{gan}\" gave no model to compare with"
        ));
        return;
    };
    let losses = format!(
        "validation loss {with:.4} with {rows} rows of \"{gan}\", {:.4} without (standard error of the difference {:.4})",
        found.loss_without, found.standard_error
    );
    if found.kept {
        notice(format!("generated rows are used: {losses}"));
    } else {
        notice(format!(
            "generated rows are not used, they do not clearly help: {losses}"
        ));
    }
}
