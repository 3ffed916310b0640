//! Labels in an order, told apart by the probabilities of being above each of them.

/// In: the probability of being above each label but the last, and one place more. Out: the probability of each label.
/// Probabilities that rise with the label are pooled (isotonic regression by adjacent violators, Ayer et al. 1955).
pub(super) fn probabilities(row: &mut [f64]) {
    let Some(last) = row.len().checked_sub(1) else {
        return;
    };
    for end in 1..last {
        let (mut from, mut sum) = (end, row[end]);
        while from > 0 && row[from - 1] < sum / (end + 1 - from) as f64 {
            from -= 1;
            sum += row[from];
        }
        let mean = sum / (end + 1 - from) as f64;
        row[from..=end].fill(mean);
    }
    if last == 0 {
        row[0] = 1.0;
        return;
    }
    row[last] = row[last - 1];
    for label in (1..last).rev() {
        row[label] = row[label - 1] - row[label];
    }
    row[0] = 1.0 - row[0];
}

#[cfg(test)]
mod tests {
    use super::probabilities;

    fn of(above: &[f64]) -> Vec<f64> {
        let mut row = [above, &[0.0]].concat();
        probabilities(&mut row);
        row
    }

    fn close(a: &[f64], b: &[f64]) {
        let same = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(a.len() == b.len() && same, "{a:?}, not {b:?}");
    }

    #[test]
    fn differences_of_falling_probabilities() {
        close(&of(&[0.9, 0.4, 0.1]), &[0.1, 0.5, 0.3, 0.1]);
        close(&of(&[0.3]), &[0.7, 0.3]);
        close(&of(&[]), &[1.0]);
    }

    #[test]
    fn rising_probabilities_are_pooled() {
        close(&of(&[0.4, 0.6, 0.1]), &[0.5, 0.0, 0.4, 0.1]);
        close(&of(&[0.2, 0.4, 0.6]), &[0.6, 0.0, 0.0, 0.4]);
        close(&of(&[0.5, 0.2, 0.2, 0.8]), &[0.5, 0.1, 0.0, 0.0, 0.4]);
    }
}
