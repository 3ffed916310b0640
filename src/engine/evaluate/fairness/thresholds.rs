//! Thresholds by group that make groups alike (Hardt, Price and Srebro 2016, "Equality of opportunity in supervised learning",
//! without randomising): for who knows a row's group when deciding.

use super::{FEWEST, Groups, Line};

/// Of two labels, the probability from which each group is answered positive as often as all rows are by `threshold`
/// (demographic parity), and the positive ones among them (equal opportunity). Groups of fewer than [`FEWEST`] such rows have none.
pub fn thresholds(
    truth: &[u32],
    predictions: &[f64],
    threshold: f64,
    groups: &Groups,
) -> Vec<Line> {
    let kinds: [(&str, fn(u32) -> bool); 2] = [
        ("threshold_demographic_parity", |_| true),
        ("threshold_equal_opportunity", |truth| truth == 1),
    ];
    let mut lines = Vec::new();
    for (metric, counts) in kinds {
        let mut by_group = vec![Vec::new(); groups.names.len()];
        for ((truth, p), group) in truth.iter().zip(predictions).zip(&groups.of) {
            if counts(*truth) && p.is_finite() {
                by_group[*group as usize].push(*p);
            }
        }
        let all: Vec<f64> = by_group.iter().flatten().copied().collect();
        let selected = all.iter().filter(|p| **p >= threshold).count();
        let rate = selected as f64 / all.len().max(1) as f64;
        for (group, mut own) in by_group.into_iter().enumerate() {
            if own.len() < FEWEST {
                continue;
            }
            own.sort_unstable_by(|a, b| b.total_cmp(a));
            let chosen = (rate * own.len() as f64).round() as usize;
            // Halfway between the last that is answered positive and the first that is not.
            let value = match (chosen.checked_sub(1).map(|at| own[at]), own.get(chosen)) {
                (Some(last), Some(next)) => (last + next) / 2.0,
                (Some(last), None) => last,
                (None, _) => own[0].next_up(),
            };
            lines.push(Line {
                feature: groups.feature.clone(),
                group: Some(groups.names[group].clone()),
                rows: own.len() as u64,
                metric: metric.into(),
                value,
                low: None,
                high: None,
            });
        }
    }
    lines
}
