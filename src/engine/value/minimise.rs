//! The smallest value of a smooth function of a few variables, without derivatives.

/// Evaluations after which the search gives up.
const EVALUATIONS: usize = 4000;

/// Nelder and Mead's simplex (1965) with the usual coefficients, started again from where it ends until that changes
/// nothing: a single run can stop too early. Answers the point and its value.
pub(super) fn minimise(start: &[f64], f: impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let f = |x: &[f64]| {
        let value = f(x);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let mut best = (start.to_vec(), f(start));
    for _ in 0..5 {
        let found = simplex(&best.0, &f);
        let gained = best.1 - found.1;
        if found.1 < best.1 {
            best = found;
        }
        if gained <= 1e-9 * best.1.abs() {
            break;
        }
    }
    best
}

fn simplex(start: &[f64], f: &impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let n = start.len();
    let mut points: Vec<(Vec<f64>, f64)> = (0..=n)
        .map(|i| {
            let mut x = start.to_vec();
            if i > 0 {
                x[i - 1] += 0.25;
            }
            let value = f(&x);
            (x, value)
        })
        .collect();
    let mut evaluations = n + 1;
    while evaluations < EVALUATIONS {
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        let spread = points[n].1 - points[0].1;
        if spread <= 1e-12 * points[0].1.abs() {
            break;
        }
        let centre: Vec<f64> = (0..n)
            .map(|d| points[..n].iter().map(|p| p.0[d]).sum::<f64>() / n as f64)
            .collect();
        let along = |factor: f64| -> (Vec<f64>, f64) {
            let x: Vec<f64> = centre
                .iter()
                .zip(&points[n].0)
                .map(|(c, w)| c + factor * (w - c))
                .collect();
            let value = f(&x);
            (x, value)
        };
        let reflected = along(-1.0);
        evaluations += 1;
        if reflected.1 < points[0].1 {
            let expanded = along(-2.0);
            evaluations += 1;
            points[n] = if expanded.1 < reflected.1 {
                expanded
            } else {
                reflected
            };
            continue;
        }
        if reflected.1 < points[n - 1].1 {
            points[n] = reflected;
            continue;
        }
        let contracted = along(if reflected.1 < points[n].1 { -0.5 } else { 0.5 });
        evaluations += 1;
        if contracted.1 < points[n].1.min(reflected.1) {
            points[n] = contracted;
            continue;
        }
        let first = points[0].0.clone();
        for point in &mut points[1..] {
            for (x, best) in point.0.iter_mut().zip(&first) {
                *x = best + 0.5 * (*x - best);
            }
            point.1 = f(&point.0);
        }
        evaluations += n;
    }
    points.sort_by(|a, b| a.1.total_cmp(&b.1));
    points.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_a_curved_valley_is_found() {
        // Rosenbrock's function: least, 0, at (1, 1).
        let f = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2) + 1.0;
        let (x, value) = minimise(&[-1.2, 1.0], f);
        assert!(
            (x[0] - 1.0).abs() < 1e-3 && (x[1] - 1.0).abs() < 1e-3,
            "{x:?}"
        );
        assert!((value - 1.0).abs() < 1e-6);
    }
}
