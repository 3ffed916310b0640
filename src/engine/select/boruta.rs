//! Shadow features: a column must be more important to a random forest than the best of permuted copies of all columns (Kursa
//! and Rudnicki 2010, "Feature Selection with the Boruta Package", Journal of Statistical Software 36).

use super::{Design, Judgement, Sample};
use crate::forest::{Averaged, Binned, Cuts, Forest, Growth};
use crate::random::Random;

/// Rounds, at most.
const ROUNDS: usize = 20;
const TREES: usize = 50;
const LEAF: usize = 5;
/// Chance of being wrong about any column (Bonferroni's bound over the columns).
const LEVEL: f64 = 0.05;

/// Where a column stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Confirmed,
    Rejected,
}

/// Keeps the columns that are confirmed, and those still open at the end that won more than half of their rounds (the paper's
/// rough fix), or had none; `go_on` is asked before each round.
pub fn boruta(sample: &Sample<'_>, go_on: &mut dyn FnMut() -> bool) -> Vec<Judgement> {
    let design = Design::of(sample);
    let binned = Cuts::of(&design.train).bin(&design.train);
    let target = Averaged::of(&design.truth, sample.classes);
    let columns = sample.columns.len();
    let mut random = Random::new(sample.seed);
    let mut states = vec![State::Open; columns];
    let (mut hits, mut rounds) = (vec![0usize; columns], vec![0usize; columns]);
    for round in 0..ROUNDS as u64 {
        if !states.contains(&State::Open) || !go_on() {
            break;
        }
        let (inputs, owners) = with_shadows(&binned, &design.owners, &states, &mut random);
        let growth = Growth {
            trees: TREES,
            leaf: LEAF,
            tried: None,
            seed: sample.seed.wrapping_add(1000 * (round + 1)),
        };
        let forest = Forest::fit(&inputs, &target, growth);
        let importance = forest.importance(&inputs, &target, &owners, 2 * columns, growth.seed);
        let (own, shadows) = importance.split_at(columns);
        let best = shadows.iter().copied().fold(0.0, f64::max);
        for column in 0..columns {
            if states[column] == State::Open {
                rounds[column] += 1;
                hits[column] += usize::from(own[column] > best);
            }
        }
        for column in 0..columns {
            if states[column] == State::Open {
                states[column] = judge(hits[column], rounds[column], columns);
            }
        }
    }
    (0..columns)
        .map(|column| {
            let (hits, rounds) = (hits[column], rounds[column]);
            let found = match states[column] {
                State::Open => "undecided",
                State::Confirmed => "confirmed",
                State::Rejected => "no better than chance",
            };
            Judgement {
                score: hits as f64 / rounds.max(1) as f64,
                keep: match states[column] {
                    State::Confirmed => true,
                    State::Rejected => false,
                    State::Open => rounds == 0 || 2 * hits > rounds,
                },
                reason: format!(
                    "{found}: more important to a random forest than every permuted column in {hits} of {rounds} rounds"
                ),
            }
        })
        .collect()
}

/// The inputs of the columns that are not rejected, and those of their shadows: the rows of a column are permuted together.
fn with_shadows(
    binned: &Binned,
    owners: &[usize],
    states: &[State],
    random: &mut Random,
) -> (Binned, Vec<usize>) {
    let (mut inputs, mut of) = (Vec::new(), Vec::new());
    let mut order: Vec<u32> = (0..binned.rows as u32).collect();
    let columns = states.len();
    for column in (0..columns).filter(|column| states[*column] != State::Rejected) {
        random.shuffle(&mut order);
        let own = owners
            .iter()
            .zip(&binned.inputs)
            .filter(|(owner, _)| **owner == column);
        for (_, input) in own {
            inputs.push(input.clone());
            of.push(column);
            inputs.push(order.iter().map(|row| input[*row as usize]).collect());
            of.push(columns + column);
        }
    }
    let rows = binned.rows;
    (Binned { rows, inputs }, of)
}

/// By the binomial test of as many hits as misses.
fn judge(hits: usize, rounds: usize, columns: usize) -> State {
    let level = LEVEL / 2.0 / columns.max(1) as f64;
    if at_least(hits, rounds) < level {
        State::Confirmed
    } else if at_least(rounds - hits, rounds) < level {
        State::Rejected
    } else {
        State::Open
    }
}

/// The chance of so many heads or more.
fn at_least(heads: usize, tosses: usize) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for k in 0..=tosses {
        if k >= heads {
            sum += ways;
        }
        ways *= (tosses - k) as f64 / (k + 1) as f64;
    }
    sum / 2f64.powi(tosses as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binomial_test_counts_all_ways() {
        assert!((at_least(0, 10) - 1.0).abs() < 1e-12);
        assert!((at_least(10, 10) - 1.0 / 1024.0).abs() < 1e-12);
        assert!((at_least(9, 10) - 11.0 / 1024.0).abs() < 1e-12);
        assert!(judge(11, 11, 20) == State::Confirmed && judge(0, 11, 20) == State::Rejected);
        assert!(judge(6, 11, 20) == State::Open);
    }
}
