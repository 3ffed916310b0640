//! Pictures of models that answer labels.

use super::super::chart::{Axis, Plot, Scale, Stroke, grid};
use super::super::words::{grouped, percent, short};
use super::{DrawingError, Kind, Picture, Subject, Table};
use crate::artifact::Task;
use crate::decision::{allowed, most_profitable};
use crate::evaluate::{Ranked, ranked};

type Drawn = Result<Option<Picture>, DrawingError>;

/// Labels that are told apart in one picture.
const CURVES: usize = 6;
/// Rows of a table beside a picture.
const LINES: usize = 11;
const BINS: usize = 10;
/// Labels of a confusion matrix that can still be read.
const CELLS: usize = 12;

/// The first labels with their rows.
fn curves(subject: &Subject<'_>) -> Vec<(String, Ranked)> {
    let artifact = subject.predictor.artifact();
    let labels = &artifact.target.labels;
    let Some(outcomes) = subject.outcomes else {
        return Vec::new();
    };
    let all = ranked(artifact.task, labels.len(), outcomes).into_iter();
    all.filter_map(|own| Some((labels.get(own.label)?.clone(), own)))
        .take(CURVES)
        .collect()
}

/// About [`LINES`] of the points of a curve.
fn spread<P: Copy>(points: &[P]) -> Vec<P> {
    let last = points.len().saturating_sub(1);
    let mut places: Vec<usize> = (0..LINES).map(|i| i * last / (LINES - 1)).collect();
    places.dedup();
    places
        .into_iter()
        .filter_map(|at| points.get(at).copied())
        .collect()
}

/// Where a curve that rises along x reaches `x`.
fn at(points: &[(f64, f64)], x: f64) -> f64 {
    let next = points.partition_point(|p| p.0 < x);
    match (
        next.checked_sub(1).and_then(|i| points.get(i)),
        points.get(next),
    ) {
        (Some(a), Some(b)) if b.0 > a.0 => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
        (_, Some(b)) => b.1,
        (Some(a), None) => a.1,
        (None, None) => f64::NAN,
    }
}

fn shares(x: f64) -> String {
    format!("{:.1}%", 100.0 * x)
}

pub(super) fn roc(subject: &Subject<'_>) -> Drawn {
    let mut plot = Plot::new(
        Axis::share("false positive rate: of the others, taken by mistake"),
        Axis::share("true positive rate (recall)"),
    );
    let mut table = Table::new([
        "label",
        "threshold",
        "false positive rate",
        "true positive rate",
    ]);
    let mut says = String::new();
    for (place, (label, own)) in curves(subject).iter().enumerate() {
        let curve = own.roc();
        let points: Vec<(f64, f64)> = curve
            .iter()
            .map(|p| (p.false_positive_rate, p.true_positive_rate))
            .collect();
        if points.is_empty() {
            continue;
        }
        if says.is_empty() {
            says = format!(
                "Where 10 of 100 others are taken for {label} by mistake, {} of 100 that are {label} are found; by chance it would be 10.",
                percent(at(&points, 0.1))
            );
        }
        let one = spread(&curve).into_iter().map(|p| {
            vec![
                label.clone(),
                short(p.threshold.min(1.0)),
                shares(p.false_positive_rate),
                shares(p.true_positive_rate),
            ]
        });
        table.rows.extend(one);
        plot = plot.line(label, Stroke::Series(place), points);
    }
    if says.is_empty() {
        return Ok(None);
    }
    let chance = vec![(0.0, 0.0), (1.0, 1.0)];
    let svg = plot.line("chance", Stroke::Reference, chance).draw()?;
    picture(Kind::Roc, "ROC curve", says, svg, table)
}

fn picture(kind: Kind, title: &str, says: String, svg: String, table: Table) -> Drawn {
    Ok(Some(Picture {
        kind,
        title: title.into(),
        says,
        svg,
        table,
    }))
}

pub(super) fn precision_recall(subject: &Subject<'_>) -> Drawn {
    let mut plot = Plot::new(
        Axis::share("recall: of those that are, found"),
        Axis::share("precision: of those answered, true"),
    );
    let mut table = Table::new(["label", "threshold", "recall", "precision"]);
    let mut says = String::new();
    let mut base = None;
    for (place, (label, own)) in curves(subject).iter().enumerate() {
        let curve = own.precision_recall();
        let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.recall, p.precision)).collect();
        let Some(last) = points.last() else { continue };
        if says.is_empty() {
            base = Some(last.1);
            says = format!(
                "To find half of all that are {label}, {} of 100 that are picked are right; picked by chance it would be {}.",
                percent(at(&points, 0.5)),
                percent(last.1)
            );
        }
        let one = spread(&curve).into_iter().map(|p| {
            let threshold = short(p.threshold.min(1.0));
            vec![
                label.clone(),
                threshold,
                shares(p.recall),
                shares(p.precision),
            ]
        });
        table.rows.extend(one);
        plot = plot.line(label, Stroke::Series(place), points);
    }
    let Some(base) = base else { return Ok(None) };
    if subject.predictor.artifact().task == Task::Binary {
        plot = plot.line("chance", Stroke::Reference, vec![(0.0, base), (1.0, base)]);
    }
    let svg = plot.draw()?;
    picture(
        Kind::PrecisionRecall,
        "Precision and recall",
        says,
        svg,
        table,
    )
}

pub(super) fn gains(subject: &Subject<'_>) -> Drawn {
    let mut plot = Plot::new(
        Axis::share("rows contacted, by falling probability"),
        Axis::share("share of all found"),
    );
    let mut table = Table::new(["label", "rows contacted", "found"]);
    let mut says = String::new();
    for (place, (label, own)) in curves(subject).iter().enumerate() {
        let cuts = own.cuts();
        let (cuts, all) = (own.thin_cuts(cuts, 0), own.rows());
        let points: Vec<(f64, f64)> = cuts
            .iter()
            .map(|(_, cut)| {
                let positives = (cut.true_positives + cut.false_negatives) as f64;
                (cut.share(), cut.true_positives as f64 / positives)
            })
            .collect();
        if all == 0 || points.iter().any(|(_, y)| !y.is_finite()) {
            continue;
        }
        if says.is_empty() {
            says = format!(
                "The fifth of the rows with the highest probability holds {} of 100 that are {label}; picked by chance it would be 20.",
                percent(at(&points, 0.2))
            );
        }
        let one = (1..=BINS).map(|tenth| {
            let x = tenth as f64 / BINS as f64;
            vec![label.clone(), shares(x), shares(at(&points, x))]
        });
        table.rows.extend(one);
        plot = plot.line(label, Stroke::Series(place), points);
    }
    if says.is_empty() {
        return Ok(None);
    }
    let chance = vec![(0.0, 0.0), (1.0, 1.0)];
    let svg = plot.line("chance", Stroke::Reference, chance).draw()?;
    picture(Kind::Gains, "Cumulative gains", says, svg, table)
}

pub(super) fn lift(subject: &Subject<'_>) -> Drawn {
    let mut table = Table::new(["rows contacted", "rows", "share that are", "lift"]);
    let curves = curves(subject);
    // Of several labels the first: columns of more could not be told apart.
    let Some((label, own)) = curves.first() else {
        return Ok(None);
    };
    let bins = own.bins(BINS);
    let (rows, positives) = bins.iter().fold((0, 0), |(rows, positives), bin| {
        (rows + bin.rows, positives + bin.positives)
    });
    if positives == 0 {
        return Ok(None);
    }
    let base = positives as f64 / rows as f64;
    let mut columns = Vec::new();
    let mut from = 0.0;
    for bin in &bins {
        let to = from + bin.rows as f64 / rows as f64;
        let lift = bin.share() / base;
        columns.push((from + 0.004, to - 0.004, lift));
        let part = format!("{} to {}", shares(from), shares(to));
        table.rows.push(vec![
            part,
            grouped(bin.rows),
            shares(bin.share()),
            short(lift),
        ]);
        from = to;
    }
    let says = format!(
        "Among the rows with the highest probabilities {label} is {} times as frequent as among all.",
        short(columns.first().map_or(f64::NAN, |c| c.2))
    );
    let heights = columns.iter().map(|c| c.2).chain([0.0]);
    let mut plot = Plot::new(
        Axis::share("rows, by falling probability"),
        Axis::around("lift: how many times as frequent", Scale::Number, heights),
    );
    plot.columns = columns;
    let average = vec![(0.0, 1.0), (1.0, 1.0)];
    let svg = plot.line("average", Stroke::Reference, average).draw()?;
    picture(Kind::Lift, "Lift by tenth of the rows", says, svg, table)
}

pub(super) fn calibration(subject: &Subject<'_>) -> Drawn {
    let mut plot = Plot::new(
        Axis::share("predicted probability"),
        Axis::share("what came true"),
    );
    let mut table = Table::new(["label", "rows", "predicted", "came true", "95% interval"]);
    let (mut apart, mut counted) = (0.0, 0);
    for (place, (label, own)) in curves(subject).iter().enumerate() {
        let mut bins = own.bins(BINS);
        bins.reverse();
        for bin in &bins {
            let (low, high) = bin.wilson();
            if place == 0 {
                apart += bin.rows as f64 * (bin.mean() - bin.share()).abs();
                counted += bin.rows;
                plot.band.push((bin.mean(), low, high));
            }
            table.rows.push(vec![
                label.clone(),
                grouped(bin.rows),
                shares(bin.mean()),
                shares(bin.share()),
                format!("{} to {}", shares(low), shares(high)),
            ]);
        }
        let points = bins.iter().map(|bin| (bin.mean(), bin.share())).collect();
        plot = plot.line(label, Stroke::Series(place), points);
    }
    if counted == 0 {
        return Ok(None);
    }
    let says = format!(
        "What the model gives a probability comes true about as often: the difference is {} of 100 on average. The shaded band is the 95% interval.",
        short(100.0 * apart / counted as f64)
    );
    let exact = vec![(0.0, 0.0), (1.0, 1.0)];
    let svg = plot.line("exact", Stroke::Reference, exact).draw()?;
    picture(Kind::Calibration, "Calibration", says, svg, table)
}

pub(super) fn confusion(subject: &Subject<'_>) -> Drawn {
    let artifact = subject.predictor.artifact();
    let (labels, counts) = (&artifact.target.labels, &subject.evaluation.confusion);
    let mut table = Table::new(["actual", "predicted", "rows"]);
    let (mut right, mut all) = (0, 0);
    for (i, row) in counts.iter().enumerate() {
        for (j, count) in row.iter().enumerate() {
            all += count;
            right += if i == j { *count } else { 0 };
            if let (Some(actual), Some(predicted)) = (labels.get(i), labels.get(j))
                && table.rows.len() < CELLS * CELLS
            {
                let line = vec![actual.clone(), predicted.clone(), grouped(*count)];
                table.rows.push(line);
            }
        }
    }
    if all == 0 {
        return Ok(None);
    }
    let shown = labels.len().min(CELLS);
    let few: Vec<Vec<u64>> = counts
        .iter()
        .take(shown)
        .map(|row| row.iter().take(shown).copied().collect())
        .collect();
    let names = &labels[..shown];
    let svg = grid(names, names, &few, ("actual", "predicted"))?;
    let mut says = format!(
        "Of {} rows {} are answered rightly.",
        grouped(all),
        grouped(right)
    );
    if artifact.task == Task::Binary {
        says += &format!(
            " {} is answered from a probability of {} on.",
            labels.get(1).map_or("", String::as_str),
            short(artifact.settled.threshold)
        );
    }
    if shown < labels.len() {
        says += &format!(" Shown are the first {shown} of {} labels.", labels.len());
    }
    picture(Kind::Confusion, "Confusion matrix", says, svg, table)
}

pub(super) fn profit(subject: &Subject<'_>) -> Drawn {
    let artifact = subject.predictor.artifact();
    let (Some(profit), Some((_, own))) = (artifact.settled.profit, curves(subject).pop()) else {
        return Ok(None);
    };
    let cuts = own.cuts();
    let allowed = allowed(&cuts, artifact.settled.capacity, artifact.provenance.rows);
    let best = most_profitable(&cuts, allowed, &profit);
    let cuts = own.thin_cuts(cuts, best);
    let rows = own.rows() as f64;
    let points: Vec<(f64, f64)> = cuts
        .iter()
        .map(|(_, cut)| (cut.share(), 1000.0 * profit.of(cut) / rows))
        .collect();
    let Some((_, chosen)) = cuts.iter().find(|(best, _)| *best) else {
        return Ok(None);
    };
    let earned = 1000.0 * profit.of(chosen) / rows;
    let says = format!(
        "The most is earned where {} of 100 rows are contacted, from a probability of {} on: {} for each 1,000 rows.",
        percent(chosen.share()),
        short(chosen.threshold),
        short(earned)
    );
    let mut table = Table::new(["rows contacted", "threshold", "profit for 1,000 rows"]);
    table.rows = spread(&cuts)
        .into_iter()
        .map(|(_, cut)| {
            let own = 1000.0 * profit.of(&cut) / rows;
            vec![
                shares(cut.share()),
                short(cut.threshold.min(1.0)),
                short(own),
            ]
        })
        .collect();
    let heights = points.iter().map(|p| p.1).chain([0.0]);
    let mut plot = Plot::new(
        Axis::share("rows contacted, by falling probability"),
        Axis::around("profit for 1,000 rows", Scale::Number, heights),
    );
    plot.marks.push((chosen.share(), earned, "best".into()));
    let none = vec![(0.0, 0.0), (1.0, 0.0)];
    let plot = plot.line("model", Stroke::Series(0), points);
    let svg = plot.line("", Stroke::Reference, none).draw()?;
    picture(Kind::Profit, "Profit", says, svg, table)
}
