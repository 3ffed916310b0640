//! What can be foretold by counting: popularity, transitions, the own history.

use super::histories::Histories;
use super::neighbours::{NearRoom, Neighbours};
use serde::{Deserialize, Serialize};

/// Steps back from which an item still tells of the next one.
const REACH: usize = 8;
/// Followers kept of an item.
const FOLLOWERS: usize = 256;
/// Steps of the own history that are looked at.
const OWN: usize = 256;
/// Recent popularity halves in this share of the time that was counted.
const HALF_LIFE: f64 = 0.05;
/// What an item that was never met is counted as.
const UNSEEN: f64 = 0.1;

/// The ways to foretell by counting, in the order in which [`Counts`] answers.
pub(super) const WAYS: usize = 8;
/// Their names as baselines.
pub(super) const NAMES: [&str; WAYS] = [
    "most_popular",
    "recently_popular",
    "last_item",
    "markov_chain",
    "item_rules",
    "own_history",
    "nearest_histories",
    "last_item_then_markov_chain",
];

/// How often items follow others: of each item its followers by rising class, with weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Followers {
    /// Items and one more.
    #[serde(skip)]
    pub(super) offsets: Vec<u32>,
    #[serde(skip)]
    pub(super) items: Vec<u32>,
    #[serde(skip)]
    pub(super) weights: Vec<f32>,
}

impl Followers {
    /// Counts `(item, follower, weight)`.
    fn count(classes: usize, mut pairs: Vec<(u32, u32, f32)>) -> Followers {
        pairs.sort_unstable_by_key(|(item, follower, _)| (*item, *follower));
        let mut followers = Followers {
            offsets: vec![0],
            ..Followers::default()
        };
        let mut rows = pairs.chunk_by(|a, b| a.0 == b.0).peekable();
        for item in 0..classes as u32 {
            if let Some(row) = rows.next_if(|row| row[0].0 == item) {
                let same = row.chunk_by(|a, b| a.1 == b.1);
                let mut own: Vec<(u32, f32)> = same
                    .map(|c| (c[0].1, c.iter().map(|(_, _, w)| w).sum()))
                    .collect();
                if own.len() > FOLLOWERS {
                    own.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                    own.truncate(FOLLOWERS);
                    own.sort_unstable_by_key(|(follower, _)| *follower);
                }
                followers.items.extend(own.iter().map(|(f, _)| f));
                followers.weights.extend(own.iter().map(|(_, w)| w));
            }
            followers.offsets.push(followers.items.len() as u32);
        }
        followers
    }

    fn row(&self, item: usize) -> (&[u32], &[f32]) {
        let range = self.offsets[item] as usize..self.offsets[item + 1] as usize;
        (&self.items[range.clone()], &self.weights[range])
    }

    /// Whether it can be asked about so many classes without a panic.
    pub(super) fn is_sound(&self, classes: usize) -> bool {
        let rises = self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let last = self.offsets.last().copied().unwrap_or(0) as usize;
        let fine = |w: &f32| w.is_finite() && *w >= 0.0;
        self.offsets.len() == classes + 1
            && self.offsets.first() == Some(&0)
            && rises
            && last == self.items.len()
            && last == self.weights.len()
            && self.items.iter().all(|item| (*item as usize) < classes)
            && self.weights.iter().all(fine)
    }
}

/// Counts of the steps of a past. Classes are codes less 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Shares of all steps; none is 0.
    #[serde(skip)]
    pub(super) popularity: Vec<f32>,
    /// The same where what is long ago counts less.
    #[serde(skip)]
    pub(super) recent: Vec<f32>,
    /// What follows at once.
    pub(super) next: Followers,
    /// What follows within a few steps, the farther the less (sequential rules, Ludewig and Jannach 2018).
    pub(super) later: Followers,
    /// What similar histories hold.
    #[serde(default)]
    pub(super) neighbours: Neighbours,
    /// Logarithms of popularity and recent popularity.
    #[serde(skip)]
    logs: [Vec<f32>; 2],
}

/// The ways whose answers stand out from popularity, in the order in which [`Counts::lifts`] tells of them: the last item, what
/// follows it, what follows the last few, the own history, similar histories; and then, as 1, whether it is the last item, the
/// one before, or an earlier one: of a step back the popularity does not matter.
pub(super) const LIFTS: usize = 8;
/// The first of those that are 1.
const PLACES: usize = 5;
/// What popularity counts beside the last item, and beside the own history.
const BESIDE: f32 = 0.1;
/// No answer leaves less to popularity.
const LEAST: f32 = 0.01;

/// Room to add up in what an item is given by several steps.
#[derive(Debug, Clone)]
pub(super) struct Room {
    values: Vec<f32>,
    touched: Vec<u32>,
    pub(super) near: NearRoom,
}

impl Room {
    pub(super) fn new(classes: usize) -> Room {
        Room {
            values: vec![0.0; classes],
            touched: Vec::with_capacity(classes),
            near: NearRoom::default(),
        }
    }

    pub(super) fn add(&mut self, item: usize, value: f32) {
        if self.values[item] == 0.0 && value > 0.0 {
            self.touched.push(item as u32);
        }
        self.values[item] += value;
    }
}

/// A history's items, oldest first, as codes; 0 is unknown.
pub(super) type Past<'a> = &'a [u32];

/// The weights of the steps back.
pub(super) fn fading(back: usize) -> f32 {
    1.0 / (1 + back) as f32
}

/// The known items of a past, the last one first, with how many steps back each is.
pub(super) fn back(past: Past<'_>, reach: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
    let last = past.iter().rev().take(reach).enumerate();
    last.filter(|(_, code)| **code > 0)
        .map(|(back, code)| (back, *code as usize - 1))
}

impl Counts {
    /// Counts the steps for which `counts` says so; of a key these are its first ones.
    pub(super) fn new(
        histories: &Histories,
        codes: &[u32],
        classes: usize,
        counts: impl Fn(usize) -> bool,
    ) -> Counts {
        let counted = |step: &usize| counts(*step);
        let counted_steps = |step: usize| counts(step);
        let times = (0..histories.steps())
            .filter(counted)
            .map(|s| histories.times[s]);
        let (first, last) = times.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| {
            (a.min(t), b.max(t))
        });
        let half = ((last - first) * HALF_LIFE).max(f64::MIN_POSITIVE);
        let mut popularity = vec![UNSEEN; classes];
        let mut recent = vec![0.0; classes];
        let (mut next, mut later) = (Vec::new(), Vec::new());
        for range in histories.offsets.windows(2) {
            let steps = (range[0]..range[1]).take_while(|s| counts(*s));
            let own = &codes[range[0]..range[0] + steps.count()];
            for (at, &code) in own.iter().enumerate().filter(|(_, code)| **code > 0) {
                let class = code - 1;
                popularity[class as usize] += 1.0;
                let age = (last - histories.times[range[0] + at]) / half;
                recent[class as usize] += (-age).exp2();
                for (back, item) in back(&own[..at], REACH) {
                    if back == 0 {
                        next.push((item as u32, class, 1.0));
                    }
                    later.push((item as u32, class, fading(back)));
                }
            }
        }
        let shares = |values: &[f64]| -> Vec<f32> {
            let sum = values.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            values.iter().map(|v| (v / sum) as f32).collect()
        };
        let popularity = shares(&popularity);
        let recent_sum: f64 = recent.iter().sum();
        // A tenth of it stands for all the time before, so that none is 0.
        let recent = recent.iter().zip(&popularity).map(|(r, p)| {
            if recent_sum > 0.0 {
                0.9 * (r / recent_sum) as f32 + 0.1 * p
            } else {
                *p
            }
        });
        let mut counts = Counts {
            recent: recent.collect(),
            popularity,
            next: Followers::count(classes, next),
            later: Followers::count(classes, later),
            neighbours: Neighbours::new(histories, codes, classes, counted_steps),
            logs: Default::default(),
        };
        counts.index();
        counts
    }

    /// Makes logarithms ready after reading.
    pub(super) fn index(&mut self) {
        let log = |p: &f32| p.max(f32::MIN_POSITIVE).ln();
        self.neighbours.index(self.popularity.len());
        self.logs = [&self.popularity, &self.recent].map(|shares| shares.iter().map(log).collect());
    }

    pub(super) fn log_popularity(&self, class: usize) -> f32 {
        self.logs[0][class]
    }

    pub(super) fn log_recent(&self, class: usize) -> f32 {
        self.logs[1][class]
    }

    /// Makes each score its weighted sum with the logarithms of popularity and recent popularity.
    pub(super) fn weigh(&self, [own, popular, recent]: [f32; 3], scores: &mut [f32]) {
        let logs = self.logs[0].iter().zip(&self.logs[1]);
        for (score, (p, r)) in scores.iter_mut().zip(logs) {
            *score = own * *score + popular * p + recent * r;
        }
    }

    /// Calls `visit` with way, class and the logarithm of how much likelier the past makes the class than its popularity does,
    /// by each way for the classes for which it does.
    pub(super) fn lifts(
        &self,
        past: Past<'_>,
        room: &mut Room,
        mut visit: impl FnMut(usize, usize, f32),
    ) {
        let last = back(past, 1).next().map(|(_, item)| item);
        let own: f32 = back(past, OWN).map(|(back, _)| fading(back)).sum();
        for way in 0..PLACES {
            let mut rest = BESIDE;
            match (way, last) {
                (0, Some(last)) => room.add(last, 1.0 - BESIDE),
                (1, Some(last)) => {
                    let (factor, left) = self.of_markov(last);
                    rest = left;
                    let (items, weights) = self.next.row(last);
                    for (item, weight) in items.iter().zip(weights) {
                        room.add(*item as usize, factor * weight);
                    }
                }
                (2, _) => {
                    rest = 1.0;
                    self.each_rule(past, |item, share, factor| {
                        rest -= share;
                        let (items, weights) = self.later.row(item);
                        for (item, weight) in items.iter().zip(weights) {
                            room.add(*item as usize, factor * weight);
                        }
                    });
                }
                (3, _) => {
                    for (back, item) in back(past, OWN) {
                        room.add(item, (1.0 - BESIDE) * fading(back) / own);
                    }
                }
                (4, _) => rest = room.add_neighbours(&self.neighbours, past),
                _ => {}
            }
            let Room {
                values, touched, ..
            } = room;
            for item in touched.drain(..) {
                let item = item as usize;
                let value = std::mem::take(&mut values[item]);
                let popular = rest.max(LEAST) * self.popularity[item].max(f32::MIN_POSITIVE);
                visit(way, item, (value / popular).min(1e30).ln_1p());
            }
        }
        // The step back in which an item was last, from 1.
        for (back, item) in back(past, OWN) {
            if room.values[item] == 0.0 {
                room.add(item, (1 + back) as f32);
            }
        }
        for item in room.touched.drain(..) {
            let back = std::mem::take(&mut room.values[item as usize]) as usize;
            visit(PLACES + (back - 1).min(2), item as usize, 1.0);
        }
    }

    pub(super) fn classes(&self) -> usize {
        self.popularity.len()
    }

    /// Adds the probabilities of all classes by each way, times the ways' shares.
    pub(super) fn add(
        &self,
        past: Past<'_>,
        shares: &[f32; WAYS],
        near: &mut NearRoom,
        out: &mut [f32],
    ) {
        let mut shares = *shares;
        // The last item first, and then what follows it.
        shares[2] += 0.6 * shares[7];
        shares[3] += 0.4 * shares[7];
        let mut popular = shares[0];
        if shares[6] > 0.0 {
            let given = |item: usize, share: f32| out[item] += shares[6] * share;
            popular += shares[6] * self.neighbours.each(past, near, given);
        }
        let last = back(past, 1).next().filter(|(back, _)| *back == 0);
        if let Some((_, last)) = last {
            out[last] += shares[2];
            let (kept, rest) = self.of_markov(last);
            popular += shares[3] * rest;
            let (items, weights) = self.next.row(last);
            for (item, weight) in items.iter().zip(weights) {
                out[*item as usize] += shares[3] * kept * weight;
            }
        } else {
            popular += shares[2] + shares[3];
        }
        let mut rest = 1.0;
        self.each_rule(past, |item, share, factor| {
            rest -= share;
            let (items, weights) = self.later.row(item);
            for (item, weight) in items.iter().zip(weights) {
                out[*item as usize] += shares[4] * factor * weight;
            }
        });
        popular += shares[4] * f32::max(rest, 0.0);
        let all: f32 = back(past, OWN).map(|(back, _)| fading(back)).sum();
        if all > 0.0 {
            for (back, item) in back(past, OWN) {
                out[item] += shares[5] * fading(back) / all;
            }
        } else {
            popular += shares[5];
        }
        for (out, (p, r)) in out.iter_mut().zip(self.popularity.iter().zip(&self.recent)) {
            *out += popular * p + shares[1] * r;
        }
    }

    /// How often what follows the last item was seen, and the share of the most frequent of it.
    pub(super) fn followers_of_last(&self, past: Past<'_>) -> (f32, f32) {
        let Some((0, last)) = back(past, 1).next() else {
            return (0.0, 0.0);
        };
        let (_, weights) = self.next.row(last);
        let all: f32 = weights.iter().sum();
        let most = weights.iter().copied().fold(0.0, f32::max);
        (all, most / (all + 1.0))
    }

    /// What a follower's weight counts, and what is left for popularity (Witten and Bell 1991).
    fn of_markov(&self, last: usize) -> (f32, f32) {
        let (items, weights) = self.next.row(last);
        let kinds = items.len() as f32;
        let kept: f32 = weights.iter().sum();
        let all = kept + kinds;
        match all > 0.0 {
            true => (1.0 / all, kinds / all),
            false => (0.0, 1.0),
        }
    }

    /// Calls `visit` with each item that has followers, the share of the answer it gives, and what its followers' weights
    /// count.
    fn each_rule(&self, past: Past<'_>, mut visit: impl FnMut(usize, f32, f32)) {
        let all: f32 = back(past, REACH).map(|(back, _)| fading(back)).sum();
        for (back, item) in back(past, REACH) {
            let (items, weights) = self.later.row(item);
            let kept: f32 = weights.iter().sum();
            if kept > 0.0 {
                let sum = kept + 0.5 * items.len() as f32;
                let share = fading(back) / all;
                visit(item, share * kept / sum, share / sum);
            }
        }
    }

    /// Whether it can be asked without a panic.
    pub(super) fn is_sound(&self) -> bool {
        let classes = self.classes();
        let fine = |p: &f32| (0.0..=1.0).contains(p);
        self.recent.len() == classes
            && self.popularity.iter().chain(&self.recent).all(fine)
            && self.next.is_sound(classes)
            && self.later.is_sound(classes)
            && self.neighbours.is_sound(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> (Counts, Vec<u32>) {
        // Two keys: 1 2 1 2 3 and 2 1; code 0 is unknown.
        let codes = vec![1, 2, 1, 2, 3, 2, 0, 1];
        let histories = Histories {
            offsets: vec![0, 5, 8],
            times: vec![0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 1.0, 2.0],
            ..Histories::default()
        };
        (Counts::new(&histories, &codes, 3, |_| true), codes)
    }

    /// What a way answers.
    fn by(counts: &Counts, way: usize, past: Past<'_>) -> Vec<f32> {
        let mut shares = [0.0; WAYS];
        shares[way] = 1.0;
        let mut out = vec![0.0; counts.classes()];
        counts.add(past, &shares, &mut NearRoom::default(), &mut out);
        out
    }

    #[test]
    fn every_way_answers_probabilities() {
        let (counts, codes) = counts();
        for past in [
            &codes[..0],
            &codes[..1],
            &codes[..5],
            &codes[5..7],
            &codes[5..],
        ] {
            for (way, name) in NAMES.iter().enumerate() {
                let all = by(&counts, way, past);
                let sum: f32 = all.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{name} of {past:?}: {all:?}");
            }
        }
    }

    #[test]
    fn lifts_are_what_the_past_adds_to_popularity() {
        let (counts, codes) = counts();
        let past = &codes[..2];
        let mut lifts = vec![[0.0; LIFTS]; 3];
        counts.lifts(past, &mut Room::new(3), |way, class, lift| {
            lifts[class][way] = lift
        });
        // The last item was 2, which 1 and 3 have followed once each: by chain and rules their lifts differ as their shares do.
        for (way, name) in [(1, 3), (2, 4)] {
            let shares = by(&counts, name, past);
            let over = |class: usize| (shares[class] / counts.popularity[class]).ln();
            let (ours, theirs) = (lifts[0][way] - lifts[2][way], over(0) - over(2));
            assert!((ours - theirs).abs() < 1e-4, "{ours} {theirs}");
        }
        // The last item alone is lifted by itself; both items of the past by the history.
        assert!(lifts[1][0] > 0.0 && lifts[0][0] == 0.0 && lifts[2][0] == 0.0);
        assert!(lifts[0][3] > 0.0 && lifts[1][3] > 0.0 && lifts[2][3] == 0.0);
        // 2 is the last item and 1 the one before; no item is an earlier one.
        let places = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0; 3]];
        for (lifts, places) in lifts.iter().zip(places) {
            assert_eq!(lifts[PLACES..], places);
        }
    }

    #[test]
    fn transitions_are_counted_as_they_are() {
        let (counts, _) = counts();
        // After 1 came 2 twice; after 2 came 1 once and 3 once: the unknown item in between hides the other.
        assert_eq!(counts.next.row(0), (&[1u32][..], &[2.0f32][..]));
        assert_eq!(counts.next.row(1), (&[0u32, 2][..], &[1.0f32, 1.0][..]));
        assert!(counts.is_sound());
    }
}
