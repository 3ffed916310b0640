//! How well groups stand apart, and how far two groupings are the same.

use rayon::prelude::*;

/// Mean width of the silhouettes of rows (Rousseeuw 1987), from -1 to 1: `of` is the group of each row, below `groups`, and
/// `distances` writes the distances from a row to all.
pub(crate) fn silhouette(
    of: &[usize],
    groups: usize,
    distances: impl Fn(usize, &mut [f32]) + Sync,
) -> f64 {
    let mut sizes = vec![0usize; groups];
    of.iter().for_each(|group| sizes[*group] += 1);
    let width = |to: &mut Vec<f32>, row: usize| {
        let own = of[row];
        if sizes[own] < 2 {
            return 0.0;
        }
        distances(row, to);
        let mut sums = vec![0.0f64; groups];
        for (group, distance) in of.iter().zip(to.iter()) {
            sums[*group] += f64::from(*distance);
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..groups).filter(|g| *g != own && sizes[*g] > 0);
        let outside = others
            .map(|g| sums[g] / sizes[g] as f64)
            .fold(f64::INFINITY, f64::min);
        let most = inside.max(outside);
        if most > 0.0 && most.is_finite() {
            (outside - inside) / most
        } else {
            0.0
        }
    };
    let rows = (0..of.len()).into_par_iter();
    let widths: Vec<f64> = rows.map_init(|| vec![0.0; of.len()], width).collect();
    widths.iter().sum::<f64>() / of.len().max(1) as f64
}

/// How far two groupings of the same rows are the same beyond chance: 1 where they are, about 0 where they have nothing to do with
/// each other (the adjusted Rand index, Hubert and Arabie 1985).
pub(crate) fn adjusted_rand(a: &[usize], b: &[usize]) -> f64 {
    let count = |groups: &[usize]| groups.iter().max().map_or(0, |most| most + 1);
    let (of_a, of_b) = (count(a), count(b));
    let mut both = vec![0u64; of_a * of_b];
    a.iter().zip(b).for_each(|(a, b)| both[a * of_b + b] += 1);
    let pairs = |n: u64| n as f64 * (n as f64 - 1.0) / 2.0;
    let together: f64 = both.iter().map(|n| pairs(*n)).sum();
    let rows = (0..of_a).map(|i| both[i * of_b..(i + 1) * of_b].iter().sum::<u64>());
    let in_a: f64 = rows.map(pairs).sum();
    let columns = (0..of_b).map(|j| (0..of_a).map(|i| both[i * of_b + j]).sum::<u64>());
    let in_b: f64 = columns.map(pairs).sum();
    let all = pairs(a.len().min(b.len()) as u64);
    if all <= 0.0 {
        return 1.0;
    }
    let chance = in_a * in_b / all;
    let most = (in_a + in_b) / 2.0;
    if most - chance <= 0.0 {
        // Each has one group, or each row is a group.
        return 1.0;
    }
    (together - chance) / (most - chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groupings_are_compared_beyond_chance() {
        let a = [0, 0, 1, 1, 2, 2];
        assert_eq!(adjusted_rand(&a, &[2, 2, 0, 0, 1, 1]), 1.0);
        // scikit-learn's adjusted_rand_score.
        assert!((adjusted_rand(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 0.571_428_571).abs() < 1e-8);
        assert!((adjusted_rand(&[0, 0, 0, 0], &[0, 1, 2, 3])).abs() < 1e-12);
    }

    #[test]
    fn a_silhouette_is_wide_where_groups_are_apart() {
        let at = [0.0f32, 1.0, 10.0, 11.0];
        let width = |of: &[usize]| {
            silhouette(of, 2, |row, to| {
                to.iter_mut()
                    .zip(at)
                    .for_each(|(to, x)| *to = (x - at[row]).abs());
            })
        };
        // Of each row (b - a) / max(a, b), with a = 1 and b = 10.5 or 9.5.
        let expected = (2.0 * 9.5 / 10.5 + 2.0 * 8.5 / 9.5) / 4.0;
        assert!((width(&[0, 0, 1, 1]) - expected).abs() < 1e-9);
        assert!(width(&[0, 1, 0, 1]) < 0.0);
    }
}
