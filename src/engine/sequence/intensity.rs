//! How many events are to come: a rate that falls with the time from now.
//!
//! h periods from now events come at the rate λ(h) = eᵃ · c / (c + h), so that Λ(h) = eᵃ · c · ln(1 + h / c) are to be expected
//! until then. So falls the rate of customers that stay for unlike times (of the Pareto/NBD model of Schmittlein, Morrison and
//! Colombo 1987 it is a power of the same fraction); a large c is a rate that stays. The network answers a and z with
//! c = 1 + 26 · ln(1 + eᶻ), and learns by the Poisson likelihood of what came in stretches ahead that grow twofold.

/// Outputs of a network: a and z.
pub(super) const OUTPUTS: usize = 2;
/// Periods of c for a z of about 0.5.
const SPAN: f64 = 26.0;
/// Rates beyond e to these powers are none.
const RATES: std::ops::RangeInclusive<f64> = -14.0..=8.0;

struct Intensity {
    rate: f64,
    c: f64,
}

impl Intensity {
    fn of(outputs: &[f32]) -> Intensity {
        let get = |at: usize| outputs.get(at).map_or(0.0, |o| f64::from(*o));
        let (a, z) = (get(0).clamp(*RATES.start(), *RATES.end()), get(1));
        let softplus = z.max(0.0) + (-z.abs()).exp().ln_1p();
        Intensity {
            rate: a.exp(),
            c: 1.0 + SPAN * softplus,
        }
    }

    fn until(&self, h: f64) -> f64 {
        self.rate * self.c * (h / self.c).ln_1p()
    }

    /// The derivative of [`Intensity::until`] by c.
    fn by_c(&self, h: f64) -> f64 {
        let x = h / self.c;
        self.rate * (x.ln_1p() - x / (1.0 + x))
    }
}

/// Events to expect within `h` periods.
pub(super) fn expected(outputs: &[f32], h: f64) -> f64 {
    Intensity::of(outputs).until(h)
}

/// The first `a` for events that come at such a rate a period.
pub(super) fn start(rate: f64) -> f32 {
    rate.max(1e-4).ln() as f32
}

/// Calls `visit` with the begin and end of each stretch ahead and the events in it. `ahead` counts all events until the end of the
/// asked period, and of each one after it.
fn stretches(ahead: &[f32], mut visit: impl FnMut(f64, f64, f64)) {
    let last = ahead.len().saturating_sub(1);
    let (mut from, mut to) = (0, 1);
    while from < last {
        let end = to.min(last);
        visit(from as f64, end as f64, f64::from(ahead[end] - ahead[from]));
        (from, to) = (to, 2 * to);
    }
}

/// The loss -log P up to a constant.
pub(super) fn loss(outputs: &[f32], ahead: &[f32]) -> f64 {
    let own = Intensity::of(outputs);
    let mut loss = 0.0;
    stretches(ahead, |from, to, events| {
        let expected = (own.until(to) - own.until(from)).max(1e-12);
        loss += expected - events * expected.ln();
    });
    loss
}

/// The loss; `outputs` become its derivatives, times `scale`.
pub(super) fn derive(outputs: &mut [f32], ahead: &[f32], scale: f32) -> f64 {
    let own = Intensity::of(outputs);
    let (mut loss, mut by_a, mut by_c) = (0.0, 0.0, 0.0);
    stretches(ahead, |from, to, events| {
        let expected = (own.until(to) - own.until(from)).max(1e-12);
        loss += expected - events * expected.ln();
        let slope = 1.0 - events / expected;
        by_a += slope * expected;
        by_c += slope * (own.by_c(to) - own.by_c(from));
    });
    let (a, z) = (f64::from(outputs[0]), f64::from(outputs[1]));
    let inside = if RATES.contains(&a) { 1.0 } else { 0.0 };
    let sigmoid = 1.0 / (1.0 + (-z).exp());
    outputs[0] = (by_a * inside) as f32 * scale;
    outputs[1] = (by_c * SPAN * sigmoid) as f32 * scale;
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: [f32; 8] = [2.0, 2.0, 3.0, 5.0, 5.0, 5.0, 6.0, 6.0];

    #[test]
    fn derivatives_are_those_of_the_loss() {
        for outputs in [[-1.0f32, 0.3], [0.4, -2.0], [-3.0, 4.0]] {
            let mut derived = outputs;
            let own = derive(&mut derived, &AHEAD, 1.0);
            assert!((own - loss(&outputs, &AHEAD)).abs() < 1e-12);
            for at in 0..OUTPUTS {
                let moved = |by: f32| {
                    let mut moved = outputs;
                    moved[at] += by;
                    loss(&moved, &AHEAD)
                };
                let slope = (moved(0.01) - moved(-0.01)) / 0.02;
                let error = (slope - f64::from(derived[at])).abs();
                assert!(error < 2e-3 * slope.abs().max(1.0), "{slope} {derived:?}");
            }
        }
    }

    #[test]
    fn a_steady_rate_is_expected_again() {
        // A very large c: the rate stays.
        let outputs = [start(0.5), 1000.0];
        assert!((expected(&outputs, 10.0) - 5.0).abs() < 0.01);
        assert_eq!(expected(&outputs, 0.0), 0.0);
    }

    #[test]
    fn stretches_grow_and_end_with_the_history() {
        let mut seen = Vec::new();
        stretches(&AHEAD, |from, to, events| seen.push((from, to, events)));
        let wanted = [
            (0.0, 1.0, 0.0),
            (1.0, 2.0, 1.0),
            (2.0, 4.0, 2.0),
            (4.0, 7.0, 1.0),
        ];
        assert_eq!(seen, wanted);
        stretches(&AHEAD[..1], |_, _, _| panic!("nothing is ahead"));
    }
}
