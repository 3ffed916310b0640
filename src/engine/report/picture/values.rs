//! Pictures of models that answer numbers.

use super::super::chart::{Axis, FAR, Plot, Scale, Stroke};
use super::super::words::{grouped, short};
use super::{DrawingError, Kind, Picture, Subject, Table};
use crate::evaluate::{Baseline, Truth};

type Drawn = Result<Option<Picture>, DrawingError>;

/// Dots of a picture.
const DOTS: usize = 1500;
const BINS: usize = 24;
const TENTHS: usize = 10;

/// What was true and what was answered, of rows where both are finite.
fn pairs(subject: &Subject<'_>) -> Vec<(f64, f64)> {
    let Some(outcomes) = subject.outcomes else {
        return Vec::new();
    };
    let Truth::Values(truth) = &outcomes.truth else {
        return Vec::new();
    };
    let both = truth
        .iter()
        .copied()
        .zip(outcomes.predictions.iter().copied());
    both.filter(|(t, p)| t.abs() < FAR && p.abs() < FAR)
        .collect()
}

pub(super) fn predicted(subject: &Subject<'_>) -> Drawn {
    let pairs = pairs(subject);
    if pairs.is_empty() {
        return Ok(None);
    }
    let target = &subject.predictor.artifact().target.name;
    let kept = pairs.len().min(DOTS);
    let dots: Vec<(f64, f64)> = (0..kept)
        .map(|i| pairs[i * pairs.len() / kept])
        .map(|(truth, predicted)| (predicted, truth))
        .collect();
    let all = || dots.iter().flat_map(|(x, y)| [*x, *y]);
    let mut plot = Plot::new(
        Axis::around(format!("predicted {target}"), Scale::Number, all()),
        Axis::around(format!("actual {target}"), Scale::Number, all()),
    );
    let ends = [plot.x.low, plot.x.high].map(|x| (x, x)).to_vec();
    plot.dots = dots;
    let svg = plot.line("", Stroke::Reference, ends).draw()?;
    let mut by_answer = pairs.clone();
    by_answer.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
    let mut table = Table::new(["rows", "mean predicted", "mean actual"]);
    let tenth = by_answer.len().div_ceil(TENTHS);
    table.rows = by_answer
        .chunks(tenth)
        .map(|part| {
            let mean =
                |of: fn(&(f64, f64)) -> f64| part.iter().map(of).sum::<f64>() / part.len() as f64;
            let (predicted, actual) = (mean(|p| p.1), mean(|p| p.0));
            vec![grouped(part.len() as u64), short(predicted), short(actual)]
        })
        .collect();
    let n = pairs.len() as f64;
    let off = pairs.iter().map(|(t, p)| (t - p).abs()).sum::<f64>() / n;
    let says = format!(
        "Each dot is a row; on the dashed line answers are exact. They are off by {} on average.",
        short(off)
    );
    Ok(Some(Picture {
        kind: Kind::Predicted,
        title: "Predicted and actual values".into(),
        says,
        svg,
        table,
    }))
}

pub(super) fn residuals(subject: &Subject<'_>) -> Drawn {
    let mut errors: Vec<f64> = pairs(subject).iter().map(|(t, p)| t - p).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| errors.get((share * (errors.len() - 1) as f64).round() as usize);
    if errors.is_empty() {
        return Ok(None);
    }
    // The farthest hundredth would leave no room for the rest.
    let (Some(&low), Some(&high)) = (at(0.005), at(0.995)) else {
        return Ok(None);
    };
    let width = if high > low {
        (high - low) / BINS as f64
    } else {
        1.0
    };
    let mut counts = [0u64; BINS];
    for error in &errors {
        let bin = ((error - low) / width) as usize;
        if *error >= low && *error <= high {
            counts[bin.min(BINS - 1)] += 1;
        }
    }
    let mut table = Table::new(["error (actual less predicted)", "rows"]);
    let columns: Vec<(f64, f64, f64)> = counts
        .iter()
        .enumerate()
        .map(|(bin, count)| {
            let from = low + width * bin as f64;
            (from, from + 0.94 * width, *count as f64)
        })
        .collect();
    table.rows = columns
        .iter()
        .map(|(from, _, count)| {
            let part = format!("{} to {}", short(*from), short(from + width));
            vec![part, grouped(*count as u64)]
        })
        .collect();
    let heights = columns.iter().map(|c| c.2).chain([0.0]);
    let mut plot = Plot::new(
        Axis::around(
            "error: actual less predicted",
            Scale::Number,
            [low, high + width].into_iter(),
        ),
        Axis::around("rows", Scale::Number, heights),
    );
    plot.columns = columns;
    let (Some(first), Some(middle), Some(last)) = (at(0.05), at(0.5), at(0.95)) else {
        return Ok(None);
    };
    let says = format!(
        "Nine of ten errors lie between {} and {}; half are above {}.",
        short(*first),
        short(*last),
        short(*middle)
    );
    Ok(Some(Picture {
        kind: Kind::Residuals,
        title: "Errors".into(),
        says,
        svg: plot.draw()?,
        table,
    }))
}

pub(super) fn qini(subject: &Subject<'_>) -> Drawn {
    let curve = &subject.evaluation.qini;
    let Some(last) = curve.last() else {
        return Ok(None);
    };
    let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.fraction, p.qini)).collect();
    let random: Vec<(f64, f64)> = curve.iter().map(|p| (p.fraction, p.random)).collect();
    let heights = points.iter().chain(&random).map(|p| p.1).chain([0.0]);
    let best = curve.iter().max_by(|a, b| a.qini.total_cmp(&b.qini));
    let says = format!(
        "Treating all rows gains {} per treated row; treating the {} of 100 with the greatest predicted effects gains {}.",
        short(last.qini),
        super::super::words::percent(best.map_or(1.0, |p| p.fraction)),
        short(best.map_or(f64::NAN, |p| p.qini))
    );
    let mut table = Table::new(["rows treated", "gain", "gain by chance"]);
    let step = curve.len().div_ceil(TENTHS).max(1);
    table.rows = curve
        .iter()
        .step_by(step)
        .map(|p| {
            let share = format!("{:.1}%", 100.0 * p.fraction);
            vec![share, short(p.qini), short(p.random)]
        })
        .collect();
    let plot = Plot::new(
        Axis::share("rows treated, by falling predicted effect"),
        Axis::around("gain per treated row", Scale::Number, heights),
    );
    let plot = plot.line("model", Stroke::Series(0), points);
    let svg = plot.line("chance", Stroke::Reference, random).draw()?;
    Ok(Some(Picture {
        kind: Kind::Qini,
        title: "Qini curve".into(),
        says,
        svg,
        table,
    }))
}

pub(super) fn survival(subject: &Subject<'_>) -> Drawn {
    let artifact = subject.predictor.artifact();
    let (ends, width) = (&artifact.target.ends, artifact.width());
    let Some(outcomes) = subject.outcomes.filter(|_| !ends.is_empty()) else {
        return Ok(None);
    };
    let mut sums = vec![0.0; ends.len()];
    let mut rows = 0.0;
    for hazards in outcomes.predictions.chunks_exact(width.max(1)) {
        let mut lives = 1.0;
        for (sum, hazard) in sums.iter_mut().zip(hazards) {
            lives *= 1.0 - hazard;
            *sum += lives;
        }
        rows += 1.0;
    }
    if rows == 0.0 {
        return Ok(None);
    }
    let of_model = sums.iter().map(|sum| sum / rows);
    let points: Vec<(f64, f64)> = [(0.0, 1.0)]
        .into_iter()
        .chain(ends.iter().copied().zip(of_model))
        .collect();
    let axis = Axis::around(
        format!("time until {}", artifact.target.name),
        Scale::Number,
        ends.iter().copied().chain([0.0]),
    );
    let mut plot = Plot::new(axis, Axis::share("share without the event"));
    plot = plot.line("mean prediction", Stroke::Series(0), points.clone());
    if let Baseline::Survival { ends, hazards, .. } = &subject.evaluation.baseline {
        let mut lives = 1.0;
        let rest = ends.iter().zip(hazards).map(|(end, hazard)| {
            lives *= 1.0 - hazard;
            (*end, lives)
        });
        let known = [(0.0, 1.0)].into_iter().chain(rest).collect();
        plot = plot.line("training rows (Kaplan-Meier)", Stroke::Reference, known);
    }
    let mut table = Table::new(["time", "share without the event"]);
    table.rows = points
        .iter()
        .map(|(time, share)| vec![short(*time), format!("{:.1}%", 100.0 * share)])
        .collect();
    let middle = points.iter().find(|(_, share)| *share <= 0.5);
    let says = match middle {
        Some((time, _)) => format!(
            "Half of the rows are expected to see it by {}.",
            short(*time)
        ),
        None => {
            "Less than half of the rows are expected to see it in the time that is known.".into()
        }
    };
    Ok(Some(Picture {
        kind: Kind::Survival,
        title: "Survival".into(),
        says,
        svg: plot.draw()?,
        table,
    }))
}
