//! Vector scaling: each label's log probability times a factor of its own, and a shift.

use super::fit::Rows;
use super::{Calibration, EDGE};

/// Rounds over the labels, at most, and the share by which the loss must fall for another.
const ROUNDS: usize = 100;
const SETTLED: f64 = 1e-9;
/// Factors and shifts stay within these.
const FACTORS: (f64, f64) = (0.05, 20.0);
const FARTHEST: f64 = 20.0;

/// What is known of the rows while the labels take turns.
struct Fit {
    /// ln p, `[rows][labels]`.
    logs: Vec<f64>,
    truth: Vec<usize>,
    /// Of each row and label factor · ln p + shift, and of each row Σ e^ that.
    sums: Vec<f64>,
    totals: Vec<f64>,
    labels: usize,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// Multinomial logistic regression on a label's own log probability alone (Guo et al. 2017, section 4.2), drawn to no
/// calibration as by half a squared distance. The loss is convex: each label in turn takes a step by Newton's method.
pub(super) fn vector(all: &Rows<'_>, rows: &[usize]) -> Calibration {
    let labels = all.width;
    let log = |p: &f64| p.max(EDGE).ln();
    let mut fit = Fit {
        logs: rows
            .iter()
            .flat_map(|r| all.row(*r).iter().map(log))
            .collect(),
        truth: rows.iter().map(|r| all.truth[*r] as usize).collect(),
        sums: Vec::new(),
        totals: vec![0.0; rows.len()],
        labels,
        scale: vec![1.0; labels],
        shift: vec![0.0; labels],
    };
    fit.sums.clone_from(&fit.logs);
    let mut last = f64::INFINITY;
    for _ in 0..ROUNDS {
        let loss = fit.begin();
        // Also where it is not a number.
        if !(last - loss > SETTLED * loss.abs()) {
            break;
        }
        last = loss;
        (0..labels).for_each(|label| fit.step(label));
    }
    let fitted = Calibration::Vector {
        scale: fit.scale,
        shift: fit.shift,
    };
    match fitted.is_sound(crate::artifact::Task::Multiclass) {
        true => fitted,
        false => Calibration::None,
    }
}

impl Fit {
    /// Adds the rows up anew and answers the loss.
    fn begin(&mut self) -> f64 {
        let mut loss = 0.0;
        let rows = self.sums.chunks_exact(self.labels);
        for ((sums, total), truth) in rows.zip(&mut self.totals).zip(&self.truth) {
            *total = sums.iter().map(|z| z.exp()).sum();
            loss += total.ln() - sums.get(*truth).copied().unwrap_or(0.0);
        }
        let pull = |x: &f64, from: f64| (x - from).powi(2) / 2.0;
        loss + self.scale.iter().map(|a| pull(a, 1.0)).sum::<f64>()
            + self.shift.iter().map(|b| pull(b, 0.0)).sum::<f64>()
    }

    /// A step of one label's factor and shift, halved until it makes the loss smaller.
    fn step(&mut self, label: usize) {
        let (a, b) = (self.scale[label], self.shift[label]);
        let mut slope = [a - 1.0, b];
        let mut curve = [1.0, 0.0, 1.0];
        for (row, total) in self.totals.iter().enumerate() {
            let at = row * self.labels + label;
            let p = self.sums[at].exp() / total;
            let over = p - f64::from(u8::from(self.truth[row] == label));
            let (x, second) = (self.logs[at], p * (1.0 - p));
            slope[0] += over * x;
            slope[1] += over;
            curve[0] += second * x * x;
            curve[1] += second * x;
            curve[2] += second;
        }
        // Positive: each term is at least 1 on the diagonal.
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        let move_a = (curve[2] * slope[0] - curve[1] * slope[1]) / determinant;
        let move_b = (curve[0] * slope[1] - curve[1] * slope[0]) / determinant;
        for halvings in 0..20 {
            let size = 0.5f64.powi(halvings);
            let next = (
                (a - size * move_a).clamp(FACTORS.0, FACTORS.1),
                (b - size * move_b).clamp(-FARTHEST, FARTHEST),
            );
            if self.gain(label, next) > 0.0 {
                self.take(label, next);
                return;
            }
        }
    }

    /// By how much another factor and shift of a label make the loss smaller.
    fn gain(&self, label: usize, (a, b): (f64, f64)) -> f64 {
        let pull = |a: f64, b: f64| ((a - 1.0).powi(2) + b * b) / 2.0;
        let mut gain = pull(self.scale[label], self.shift[label]) - pull(a, b);
        for (row, total) in self.totals.iter().enumerate() {
            let at = row * self.labels + label;
            let (old, new) = (self.sums[at], a * self.logs[at] + b);
            // ln of the ratio of the totals before and after.
            gain -= ((new.exp() - old.exp()) / total).ln_1p();
            if self.truth[row] == label {
                gain += new - old;
            }
        }
        gain
    }

    fn take(&mut self, label: usize, (a, b): (f64, f64)) {
        (self.scale[label], self.shift[label]) = (a, b);
        for (row, total) in self.totals.iter_mut().enumerate() {
            let at = row * self.labels + label;
            let new = a * self.logs[at] + b;
            *total += new.exp() - self.sums[at].exp();
            self.sums[at] = new;
        }
    }
}
