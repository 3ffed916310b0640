//! What a sequence model learns from, is chosen by and is judged on.

use super::log::Log;
use crate::random::Random;
use serde::{Deserialize, Serialize};

/// What a step, or a key, is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    Train,
    Validation,
    Test,
}

/// How steps are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// By two moments that hold for all keys: learned from what was before the first, judged on what was after the second. As
    /// in use, nothing of any key's future is known. The default where the order is a time.
    Time,
    /// Each key's last step is judged on, the one before chooses, the rest is learned from ("leave one out"). The default where
    /// the order is a number, because those of two keys need not mean the same moment.
    Last,
}

/// The part of each step. Validation steps follow the training steps of their key, and test steps follow both.
///
/// `test_size` is a share of the steps that have one before them, `validation_size` one of those not held out for testing.
/// Steps at the same moment stay together. Where all steps are at so few moments that a part would be empty, each key's last
/// steps are held out instead.
pub fn by_step(log: &Log<'_>, by: SplitBy, validation_size: f64, test_size: f64) -> Vec<Part> {
    if by == SplitBy::Time
        && let Some(parts) = by_time(log, validation_size, test_size)
    {
        return parts;
    }
    let mut parts = vec![Part::Train; log.steps()];
    for range in log.offsets.windows(2) {
        // The first step of a key has nothing before it: it cannot be foretold.
        let mut free = (range[0] + 1..range[1]).rev();
        if test_size > 0.0
            && let Some(step) = free.next()
        {
            parts[step] = Part::Test;
        }
        if validation_size > 0.0
            && let Some(step) = free.next()
        {
            parts[step] = Part::Validation;
        }
    }
    parts
}

fn by_time(log: &Log<'_>, validation_size: f64, test_size: f64) -> Option<Vec<Part>> {
    let foretold = log
        .offsets
        .windows(2)
        .flat_map(|r| r[0] + 1..r[1].max(r[0] + 1));
    let mut times: Vec<f64> = foretold.map(|step| log.times[step]).collect();
    if times.is_empty() {
        return None;
    }
    times.sort_unstable_by(f64::total_cmp);
    let cut = |share: f64| {
        let at = (share * times.len() as f64).round() as usize;
        times.get(at).copied().unwrap_or(f64::INFINITY)
    };
    let test = cut(1.0 - test_size);
    let validation = cut((1.0 - test_size) * (1.0 - validation_size));
    let part = |time: f64| match time {
        t if t >= test => Part::Test,
        t if t >= validation => Part::Validation,
        _ => Part::Train,
    };
    let any = |wanted: Part| times.iter().any(|t| part(*t) == wanted);
    let whole = any(Part::Train)
        && (validation_size == 0.0 || any(Part::Validation))
        && (test_size == 0.0 || any(Part::Test));
    whole.then(|| log.times.iter().map(|t| part(*t)).collect())
}

/// The part of each key, drawn by the seed: for what is learned of keys as a whole.
pub fn by_key(keys: usize, validation_size: f64, test_size: f64, seed: u64) -> Vec<Part> {
    let mut order: Vec<usize> = (0..keys).collect();
    Random::new(seed ^ 0x7363_6c69_7370).shuffle(&mut order);
    let test = (test_size * keys as f64).round() as usize;
    let validation = (validation_size * (keys - test) as f64).round() as usize;
    let mut parts = vec![Part::Train; keys];
    for (at, key) in order.into_iter().enumerate() {
        if at < test {
            parts[key] = Part::Test;
        } else if at < test + validation {
            parts[key] = Part::Validation;
        }
    }
    parts
}
