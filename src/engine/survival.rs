//! Time until an event: hazards of intervals, the curves they stand for, and the Kaplan-Meier estimate.

/// What a row's hazards stand for. Interval j reaches from the end of the one before (the first from 0) to `ends[j]`; its hazard
/// is the probability that the event happens in it, if it has not happened before (Gensheimer and Narasimhan 2019, "A scalable
/// discrete-time survival model for neural networks"). Within an interval the rate is constant.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// Rising, above 0; as many as hazards.
    pub ends: &'a [f64],
    pub hazards: &'a [f64],
}

/// A place on a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub time: f64,
    /// The probability that the event has not happened by then.
    pub survival: f64,
    /// Events per unit of time among those it has not happened to.
    pub hazard: f64,
}

impl Curve<'_> {
    /// The intervals: start, end, hazard.
    fn intervals(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        let starts = std::iter::once(0.0).chain(self.ends.iter().copied());
        let pairs = starts.zip(self.ends).zip(self.hazards);
        pairs.map(|((start, end), hazard)| (start, *end, hazard.clamp(0.0, 1.0 - 1e-12)))
    }

    /// The curve at a time; `None` before 0 and after the last interval, of which nothing is known.
    pub fn at(&self, time: f64) -> Option<Point> {
        if time.is_nan() || time < 0.0 {
            return None;
        }
        let mut survival = 1.0;
        for (start, end, hazard) in self.intervals() {
            let width = end - start;
            if time <= end {
                survival *= (1.0 - hazard).powf((time - start) / width);
                return Some(Point {
                    time,
                    survival,
                    hazard: -(-hazard).ln_1p() / width,
                });
            }
            survival *= 1.0 - hazard;
        }
        None
    }

    /// The area under the curve up to the last interval's end: the mean time until the event, no time counting for more than
    /// that end (the restricted mean survival time, Royston and Parmar 2013).
    pub fn restricted_mean(&self) -> f64 {
        let (mut survival, mut area) = (1.0, 0.0);
        for (start, end, hazard) in self.intervals() {
            let rate = -(-hazard).ln_1p();
            // (1 - e^-rate) / rate, which is 1 for no hazard.
            let share = if rate < 1e-9 { 1.0 } else { hazard / rate };
            area += survival * share * (end - start);
            survival *= 1.0 - hazard;
        }
        area
    }
}

/// The product-limit estimate (Kaplan and Meier 1958) of the probability that the event has not happened by a time: the times at
/// which it falls, and what it falls to. `events[i]`: the event happened at `times[i]`; else the row was last seen then, and
/// counts for events of the same time.
pub fn kaplan_meier(times: &[f64], events: &[bool]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_unstable_by(|a, b| times[*a].total_cmp(&times[*b]));
    let (mut left, mut survival) = (times.len() as f64, 1.0);
    let mut steps = Vec::new();
    for same in order.chunk_by(|a, b| times[*a] == times[*b]) {
        let happened = same.iter().filter(|i| events[**i]).count() as f64;
        if happened > 0.0 {
            survival *= 1.0 - happened / left;
            steps.push((times[same[0]], survival));
        }
        left -= same.len() as f64;
    }
    steps
}

/// The value of falling steps at a time; with `before`, just before it.
pub fn step_at(steps: &[(f64, f64)], time: f64, before: bool) -> f64 {
    let past = steps.partition_point(|(at, _)| if before { *at < time } else { *at <= time });
    past.checked_sub(1).map_or(1.0, |last| steps[last].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_follow_from_hazards() {
        let curve = Curve {
            ends: &[1.0, 3.0],
            hazards: &[0.5, 0.75],
        };
        let at = |time| curve.at(time).unwrap();
        assert_eq!((at(0.0).survival, at(1.0).survival), (1.0, 0.5));
        assert!((at(0.5).survival - 0.5f64.sqrt()).abs() < 1e-12);
        assert!((at(3.0).survival - 0.125).abs() < 1e-12);
        // A rate of ln 2 in both: 0.5 a unit of time in the first, and (1/4 over two units) in the second.
        assert!((at(0.3).hazard - 2f64.ln()).abs() < 1e-12);
        assert!((at(2.0).hazard - 2f64.ln()).abs() < 1e-12);
        assert!(curve.at(3.1).is_none() && curve.at(-1.0).is_none());
        // Of an exponential: (1 - e^(-3 ln 2)) / ln 2.
        assert!((curve.restricted_mean() - 0.875 / 2f64.ln()).abs() < 1e-9);
        let sure = Curve {
            ends: &[2.0],
            hazards: &[0.0],
        };
        assert_eq!(sure.restricted_mean(), 2.0);
        let dead = Curve {
            ends: &[2.0],
            hazards: &[1.0],
        };
        assert!(dead.restricted_mean().is_finite());
    }

    #[test]
    fn kaplan_meier_is_that_of_the_textbook() {
        // 6-MP of Freireich et al. 1963, as in Kleinbaum and Klein: remission of leukaemia in weeks.
        let times = [
            6.0, 6.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0, 6.0, 9.0, 10.0, 11.0, 17.0, 19.0,
            20.0, 25.0, 32.0, 32.0, 34.0, 35.0,
        ];
        let events: Vec<bool> = (0..21).map(|i| i < 9).collect();
        let steps = kaplan_meier(&times, &events);
        let want = [
            (6.0, 0.8571),
            (7.0, 0.8067),
            (10.0, 0.7529),
            (13.0, 0.6902),
            (16.0, 0.6275),
            (22.0, 0.5378),
            (23.0, 0.4482),
        ];
        assert_eq!(steps.len(), want.len());
        for ((time, value), (at, is)) in steps.iter().zip(want) {
            assert!(*time == at && (value - is).abs() < 5e-5, "{time} {value}");
        }
        assert_eq!(step_at(&steps, 5.0, false), 1.0);
        assert_eq!(step_at(&steps, 6.0, true), 1.0);
        assert!((step_at(&steps, 6.0, false) - 0.8571).abs() < 5e-5);
    }
}
