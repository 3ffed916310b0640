//! What is read out of the parts' answers, as [`Artifact::read`], the calibration and [`Artifact::label`] do it.

use super::graph::{Attribute, Graph, Type};
use crate::artifact::{Artifact, Task};
use crate::calibrate::{Calibration, EDGE};

/// Writes the outputs of a graph: `prediction` and `label`, or `probabilities` and `label`; of survival `prediction` and `hazards`.
pub(super) fn write(graph: &mut Graph, artifact: &Artifact, sum: &str) {
    let labels = &artifact.target.labels;
    let width = artifact.width();
    match artifact.task {
        Task::Regression | Task::Uplift => {
            let scaled = graph.with("Mul", sum, artifact.target.scale);
            let value = graph.with("Add", &scaled, artifact.target.mean);
            let value = calibrate(graph, artifact, &value);
            graph.output("prediction", Type::Double, 1, &value, "as insight_predict");
        }
        Task::Binary => {
            let p = calibrate(graph, artifact, sum);
            let said = "as insight_predict: the probability of the second label";
            graph.output("prediction", Type::Double, 1, &p, said);
            if let [no, yes] = labels.as_slice() {
                let yes_from = graph.with("GreaterOrEqual", &p, artifact.settled.threshold);
                let (no, yes) = (graph.text(no), graph.text(yes));
                let label = graph.op("Where", &[&yes_from, &yes, &no]);
                graph.output("label", Type::String, 1, &label, "as insight_classify");
            }
        }
        Task::Multiclass | Task::Ordinal | Task::Multilabel => {
            let all = match artifact.task {
                Task::Ordinal => of_each_label(graph, sum, width),
                _ => sum.to_owned(),
            };
            let all = calibrate(graph, artifact, &all);
            let said = format!("as insight_probabilities, of: {}", labels.join(", "));
            graph.output("probabilities", Type::Double, width, &all, &said);
            if artifact.task != Task::Multilabel {
                let label = likeliest(graph, &all, labels);
                graph.output("label", Type::String, 1, &label, "as insight_classify");
            }
        }
        Task::Survival => {
            let time = restricted_mean(graph, sum, &artifact.target.ends);
            graph.output("prediction", Type::Double, 1, &time, "as insight_predict");
            graph.output("hazards", Type::Double, width, sum, "of each interval");
        }
    }
}

fn likeliest(graph: &mut Graph, probabilities: &str, labels: &[String]) -> String {
    let place = vec![("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(1))];
    let place = graph.op_with("ArgMax", &[probabilities], place);
    let keys = (0..labels.len() as i64).collect();
    let values = labels.iter().map(|l| l.as_bytes().to_vec()).collect();
    let attributes = vec![
        ("keys_int64s", Attribute::Ints(keys)),
        ("values_strings", Attribute::Texts(values)),
    ];
    graph.ml("LabelEncoder", &[&place], attributes)
}

/// ln p and ln(1 - p).
fn logarithms(graph: &mut Graph, p: &str) -> (String, String) {
    let p = graph.clip(p, EDGE, 1.0 - EDGE);
    let one = graph.double(1.0);
    let rest = graph.op("Sub", &[&one, &p]);
    (graph.op("Log", &[&p]), graph.op("Log", &[&rest]))
}

/// [`Calibration::apply`].
fn calibrate(graph: &mut Graph, artifact: &Artifact, p: &str) -> String {
    let (calibration, width) = (&artifact.settled.calibration, artifact.width());
    match calibration {
        // The other methods are for two labels, and this one for many.
        Calibration::Vector { .. } if width == 1 => p.to_owned(),
        Calibration::Beta { .. } | Calibration::Isotonic { .. } if width > 1 => p.to_owned(),
        Calibration::None => p.to_owned(),
        Calibration::Temperature { inverse } => {
            // Of several labels it is the logarithms that are scaled, of one probability the log-odds.
            if width > 1 {
                let scaled = logarithm(graph, p);
                let scaled = graph.with("Mul", &scaled, *inverse);
                return graph.op_with("Softmax", &[&scaled], vec![("axis", Attribute::Int(1))]);
            }
            let (yes, no) = logarithms(graph, p);
            let odds = graph.op("Sub", &[&yes, &no]);
            let odds = graph.with("Mul", &odds, *inverse);
            graph.op("Sigmoid", &[&odds])
        }
        Calibration::Vector { scale, shift } => {
            let logs = logarithm(graph, p);
            let scale = graph.doubles(scale, &[1, scale.len()]);
            let shift = graph.doubles(shift, &[1, shift.len()]);
            let scaled = graph.op("Mul", &[&logs, &scale]);
            let shifted = graph.op("Add", &[&scaled, &shift]);
            graph.op_with("Softmax", &[&shifted], vec![("axis", Attribute::Int(1))])
        }
        Calibration::Beta { a, b, c } => {
            let (yes, no) = logarithms(graph, p);
            let (yes, no) = (graph.with("Mul", &yes, *a), graph.with("Mul", &no, *b));
            let odds = graph.op("Sub", &[&yes, &no]);
            let odds = graph.with("Add", &odds, *c);
            graph.op("Sigmoid", &[&odds])
        }
        Calibration::Isotonic { from, to } => graph.piecewise(p, from, to),
    }
}

fn logarithm(graph: &mut Graph, p: &str) -> String {
    let p = graph.with("Max", p, EDGE);
    graph.op("Log", &[&p])
}

/// From the probabilities of being above each label but the last, pooled so that they fall (isotonic regression: the k-th is the
/// least over beginnings up to k of the greatest mean over ends from k on), the probability of each.
fn of_each_label(graph: &mut Graph, above: &str, labels: usize) -> String {
    let count = labels.saturating_sub(1);
    // The means of all runs of neighbours.
    let runs: Vec<(usize, usize)> = (0..count)
        .flat_map(|from| (from..count).map(move |to| (from, to)))
        .collect();
    let weight = |place: usize, (from, to): (usize, usize)| match (from..=to).contains(&place) {
        true => 1.0 / (to + 1 - from) as f64,
        false => 0.0,
    };
    let weights = (0..count).flat_map(|place| runs.iter().map(move |run| weight(place, *run)));
    let weights: Vec<f64> = weights.collect();
    let weights = graph.doubles(&weights, &[count, runs.len()]);
    let means = graph.op("MatMul", &[above, &weights]);
    let over = |graph: &mut Graph, op: &str, of: &str| {
        let axes = vec![
            ("axes", Attribute::Ints(vec![1])),
            ("keepdims", Attribute::Int(1)),
        ];
        graph.op_with(op, &[of], axes)
    };
    let mut pooled = Vec::new();
    for place in 0..count {
        let mut greatest = Vec::new();
        for from in 0..=place {
            let ends: Vec<usize> = (0..runs.len())
                .filter(|run| runs[*run].0 == from && runs[*run].1 >= place)
                .collect();
            let ends = graph.columns(&means, &ends);
            greatest.push(over(graph, "ReduceMax", &ends));
        }
        let greatest = graph.beside(&greatest);
        pooled.push(over(graph, "ReduceMin", &greatest));
    }
    let mut each = Vec::new();
    for label in 0..labels {
        let own = match (label.checked_sub(1), pooled.get(label)) {
            (None, Some(first)) => {
                let one = graph.double(1.0);
                graph.op("Sub", &[&one, first])
            }
            (Some(before), Some(own)) => graph.op("Sub", &[&pooled[before], own]),
            (Some(before), None) => pooled[before].clone(),
            (None, None) => graph.double(1.0),
        };
        each.push(own);
    }
    graph.beside(&each)
}

/// [`crate::survival::Curve::restricted_mean`].
fn restricted_mean(graph: &mut Graph, hazards: &str, ends: &[f64]) -> String {
    let hazards = graph.clip(hazards, 0.0, 1.0 - EDGE);
    let one = graph.double(1.0);
    let stays = graph.op("Sub", &[&one, &hazards]);
    let logs = graph.op("Log", &[&stays]);
    let rates = graph.op("Neg", &[&logs]);
    let small = graph.with("Less", &rates, 1e-9);
    let share = graph.op("Div", &[&hazards, &rates]);
    let share = graph.op("Where", &[&small, &one, &share]);
    let count = ends.len();
    // What is left at the beginning of each interval.
    let before = (0..count).flat_map(|row| (0..count).map(move |at| f64::from(u8::from(row < at))));
    let before = graph.doubles(&before.collect::<Vec<_>>(), &[count, count]);
    let left = graph.op("MatMul", &[&logs, &before]);
    let left = graph.op("Exp", &[&left]);
    let area = graph.op("Mul", &[&left, &share]);
    let starts = [0.0].iter().chain(ends);
    let lengths: Vec<f64> = ends
        .iter()
        .zip(starts)
        .map(|(end, start)| end - start)
        .collect();
    let lengths = graph.doubles(&lengths, &[count, 1]);
    graph.op("MatMul", &[&area, &lengths])
}
