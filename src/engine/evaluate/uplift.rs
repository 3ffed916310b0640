//! Scores of the effects of a treatment, which no row shows: of the rows ranked by effect, treated ones are held against others.

use super::{
    Baseline, Evaluation, QiniPoint,
    bootstrap::{Name, Resampling, Scores, summarise},
    curve::{last, order, positive, row},
};

/// The headline.
pub(super) const QINI: &str = "qini_coefficient";
/// Most points of a curve.
const POINTS: usize = 101;

/// The rows by falling effect, the treated ones marked, with their outcomes.
struct Uplift<'a> {
    order: Vec<u32>,
    outcomes: &'a [f64],
}

/// Rows with the greatest effects: how many, and the sum of their outcomes, `[others, treated]`.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    rows: [f64; 2],
    outcomes: [f64; 2],
}

impl Above {
    fn all(&self) -> f64 {
        self.rows[0] + self.rows[1]
    }

    /// What the treated have more than as many others would (Radcliffe 2007, "Using control groups to target on predicted lift").
    fn more(&self) -> f64 {
        let [others, treated] = self.outcomes;
        if self.rows[0] == 0.0 {
            return treated;
        }
        treated - others * self.rows[1] / self.rows[0]
    }

    /// The difference of the mean outcomes; NaN where there is only one kind of rows.
    fn effect(&self) -> f64 {
        self.outcomes[1] / self.rows[1] - self.outcomes[0] / self.rows[0]
    }
}

impl Uplift<'_> {
    fn new<'a>(effects: &[f64], outcomes: &'a [f64], treated: &[bool]) -> Uplift<'a> {
        Uplift {
            order: order(effects.len(), |i| effects[i], |i| treated[i]),
            outcomes,
        }
    }

    /// Visits what lies above each different effect; rows count `weight` times. Answers what lies above none.
    fn walk(&self, weight: impl Fn(usize) -> f64, mut visit: impl FnMut(usize, &Above)) -> Above {
        let mut above = Above::default();
        for &entry in &self.order {
            let (row, kind) = (row(entry), usize::from(positive(entry)));
            let weight = weight(row);
            above.rows[kind] += weight;
            above.outcomes[kind] += weight * self.outcomes[row];
            if last(entry) {
                visit(row, &above);
            }
        }
        above
    }
}

impl Scores for Uplift<'_> {
    fn rows(&self) -> usize {
        self.order.len()
    }
    fn visits(&self) -> usize {
        2 * self.order.len()
    }
    fn names(&self) -> Vec<Name> {
        [
            QINI,
            "auuc",
            "uplift_at_top_decile",
            "average_treatment_effect",
        ]
        .map(|name| (name, None))
        .to_vec()
    }
    /// The area between the Qini curve (what the treated have more, per treated row, over the share of rows) and the straight line to
    /// its end; the area under the curve of effect times share of rows; the effect among the first tenth, and among all.
    fn score(&self, weights: &[u8]) -> Vec<f64> {
        let tenth = self.order.len() as f64 / 10.0;
        let (mut before, mut qini, mut auuc, mut top) = ([0.0; 3], 0.0, 0.0, None);
        let all = self.walk(
            |row| f64::from(weights[row]),
            |_, above| {
                let effect = above.effect();
                let gain = if effect.is_nan() {
                    0.0
                } else {
                    effect * above.all()
                };
                let now = [above.all(), above.more(), gain];
                let width = now[0] - before[0];
                qini += width * (now[1] + before[1]) / 2.0;
                auuc += width * (now[2] + before[2]) / 2.0;
                before = now;
                if top.is_none() && above.all() >= tenth {
                    top = Some(effect);
                }
            },
        );
        let (n, treated) = (all.all(), all.rows[1]);
        vec![
            qini / (n * treated) - all.more() / treated / 2.0,
            auuc / (n * n),
            top.unwrap_or(f64::NAN),
            all.effect(),
        ]
    }
}

/// The Qini coefficient of effects.
pub(crate) fn qini_coefficient(effects: &[f64], outcomes: &[f64], treated: &[bool]) -> f64 {
    let scores = Uplift::new(effects, outcomes, treated);
    scores.score(&vec![1; effects.len()])[0]
}

pub(super) fn evaluate(
    outcomes: &[f64],
    treated: &[bool],
    effects: &[f64],
    draws: Resampling<'_>,
    out: &mut Evaluation,
) {
    let rows = outcomes.iter().zip(treated).zip(effects);
    let rows: Vec<(f64, bool, f64)> = rows
        .map(|((y, t), e)| (*y, *t, *e))
        .filter(|(y, _, e)| y.is_finite() && e.is_finite())
        .collect();
    out.rows = rows.len() as u64;
    if rows.is_empty() {
        return;
    }
    let outcomes: Vec<f64> = rows.iter().map(|r| r.0).collect();
    let treated: Vec<bool> = rows.iter().map(|r| r.1).collect();
    let effects: Vec<f64> = rows.iter().map(|r| r.2).collect();
    let scores = Uplift::new(&effects, &outcomes, &treated);
    let same = match out.baseline {
        Baseline::Effect(effect) => vec![effect; rows.len()],
        _ => vec![0.0; rows.len()],
    };
    let baseline = Uplift::new(&same, &outcomes, &treated);
    out.metrics = summarise(&scores, Some(&baseline), &[], draws);
    out.qini = curve(&scores, &effects);
}

/// The Qini curve, from the share 0 to 1.
fn curve(scores: &Uplift<'_>, effects: &[f64]) -> Vec<QiniPoint> {
    let all = scores.walk(|_| 1.0, |_, _| {});
    let (n, treated) = (all.all(), all.rows[1]);
    if treated == 0.0 || treated == n {
        return Vec::new();
    }
    let point = |threshold: f64, above: &Above| {
        let fraction = above.all() / n;
        let effect = above.effect();
        QiniPoint {
            fraction,
            threshold,
            qini: above.more() / treated,
            random: fraction * all.more() / treated,
            uplift: (!effect.is_nan()).then_some(effect),
        }
    };
    let first = scores.order.first().map_or(0.0, |e| effects[row(*e)]);
    let mut points = vec![point(first, &Above::default())];
    scores.walk(
        |_| 1.0,
        |row, above| {
            let stretch = |share: f64| (share * (POINTS - 1) as f64).floor();
            let last = points.last().map_or(0.0, |p| p.fraction);
            if stretch(above.all() / n) > stretch(last) {
                points.push(point(effects[row], above));
            }
        },
    );
    points
}
