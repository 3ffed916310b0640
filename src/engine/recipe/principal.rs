//! Principal components: the eigenvectors of a covariance.

/// Sweeps of Jacobi's method; it converges quadratically, and 6 to 10 are usual.
const SWEEPS: usize = 30;

/// Mean and covariance of rows of `width` numbers, row-major; covariance `[width][width]`, of the population.
pub(crate) fn covariance(rows: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (rows.len() / width).max(1) as f64;
    let mut mean = vec![0f64; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, x)| *m += f64::from(*x));
    }
    mean.iter_mut().for_each(|m| *m /= count);
    let mut covariance = vec![0f64; width * width];
    let mut off = vec![0f64; width];
    for row in rows.chunks_exact(width) {
        off.iter_mut()
            .zip(row.iter().zip(&mean))
            .for_each(|(off, (x, m))| *off = f64::from(*x) - m);
        for (i, line) in covariance.chunks_exact_mut(width).enumerate() {
            let of = off[i] / count;
            line[i..]
                .iter_mut()
                .zip(&off[i..])
                .for_each(|(c, x)| *c += of * x);
        }
    }
    for i in 0..width {
        for j in 0..i {
            covariance[i * width + j] = covariance[j * width + i];
        }
    }
    (mean, covariance)
}

/// Eigenvalues of a symmetric matrix `[n][n]`, the largest first, and their eigenvectors, one per row, each with its largest
/// element positive: Jacobi's method (Golub and Van Loan, Matrix Computations, 8.5).
pub(crate) fn eigen(mut matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0f64; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let total: f64 = matrix.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n)
            .map(|i| {
                matrix[i * n + i + 1..(i + 1) * n]
                    .iter()
                    .map(|x| x * x)
                    .sum::<f64>()
            })
            .sum();
        if off <= 1e-20 * total {
            break;
        }
        // What is small against the rest can wait for a later sweep.
        let small = 1e-3 * (off / (n * n) as f64).sqrt();
        for p in 0..n {
            for q in p + 1..n {
                if matrix[p * n + q].abs() > small {
                    rotate(&mut matrix, &mut vectors, n, p, q);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| matrix[b * n + b].total_cmp(&matrix[a * n + a]));
    let values = order.iter().map(|&i| matrix[i * n + i]).collect();
    let rows = order.iter().flat_map(|&i| {
        let vector = &vectors[i * n..(i + 1) * n];
        let largest = vector
            .iter()
            .fold(0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vector.iter().map(move |x| x * sign)
    });
    (values, rows.collect())
}

/// Makes the element at (p, q) zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let (pp, qq, pq) = (matrix[p * n + p], matrix[q * n + q], matrix[p * n + q]);
    let slope = (qq - pp) / (2.0 * pq);
    let tangent = slope.signum() / (slope.abs() + (1.0 + slope * slope).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    turn(matrix, n, p, q, cosine, sine);
    turn(vectors, n, p, q, cosine, sine);
    // Rows are turned; the columns mirror them.
    for i in 0..n {
        matrix[i * n + p] = matrix[p * n + i];
        matrix[i * n + q] = matrix[q * n + i];
    }
    matrix[p * n + p] = pp - tangent * pq;
    matrix[q * n + q] = qq + tangent * pq;
    matrix[p * n + q] = 0.0;
    matrix[q * n + p] = 0.0;
}

/// Rows p and q, p before q, turned in their plane.
fn turn(rows: &mut [f64], n: usize, p: usize, q: usize, cosine: f64, sine: f64) {
    let (before, after) = rows.split_at_mut(q * n);
    let (first, second) = (&mut before[p * n..(p + 1) * n], &mut after[..n]);
    for (a, b) in first.iter_mut().zip(second) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_covariance_is_made_of_its_components() {
        let (n, rows) = (40, 300);
        let mut random = Random::new(3);
        let mix: Vec<f64> = (0..n * n).map(|_| random.normal()).collect();
        let mut data = Vec::new();
        for _ in 0..rows {
            let source: Vec<f64> = (0..n).map(|i| random.normal() / (1 + i) as f64).collect();
            data.extend(
                (0..n).map(|i| (0..n).map(|j| mix[i * n + j] * source[j]).sum::<f64>() as f32),
            );
        }
        let (_, covariance) = covariance(&data, n);
        let (values, vectors) = eigen(covariance.clone(), n);
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n)
                    .map(|k| vectors[i * n + k] * vectors[j * n + k])
                    .sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-9);
                let again: f64 = (0..n)
                    .map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j])
                    .sum();
                assert!((again - covariance[i * n + j]).abs() < 1e-8 * values[0]);
            }
        }
    }
}
