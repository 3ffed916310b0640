//! Symmetric positive definite systems.

/// The lower triangle L with L·Lᵀ = `matrix`, both row-major `[size][size]`; `None` where the matrix is not positive definite.
pub(super) fn cholesky(matrix: &[f64], size: usize) -> Option<Vec<f64>> {
    let (lower, dropped) = partial(matrix, size, 0.0);
    dropped.is_empty().then_some(lower)
}

/// The same in the order of the columns, where a column that the earlier ones explain but for `share` of its square is dropped:
/// its row of L is 0. Answers the dropped columns, too.
pub(super) fn partial(matrix: &[f64], size: usize, share: f64) -> (Vec<f64>, Vec<usize>) {
    let mut lower = vec![0.0; size * size];
    let mut dropped = Vec::new();
    for row in 0..size {
        for column in 0..=row {
            let (before, own) = lower.split_at_mut(row * size);
            let other = if column == row {
                &own[..column]
            } else {
                &before[column * size..column * size + column]
            };
            let explained: f64 = own[..column].iter().zip(other).map(|(a, b)| a * b).sum();
            let rest = matrix[row * size + column] - explained;
            if column < row {
                let diagonal = before[column * size + column];
                own[column] = if diagonal > 0.0 { rest / diagonal } else { 0.0 };
            } else if rest > share * matrix[row * size + row] && rest.is_finite() {
                own[column] = rest.sqrt();
            } else {
                own[..=column].fill(0.0);
                dropped.push(row);
            }
        }
    }
    (lower, dropped)
}

/// x with L·Lᵀ·x = `b`, in place.
pub(super) fn solve(lower: &[f64], b: &mut [f64]) {
    let size = b.len();
    for row in 0..size {
        let known: f64 = (0..row).map(|c| lower[row * size + c] * b[c]).sum();
        b[row] = (b[row] - known) / lower[row * size + row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|r| lower[r * size + row] * b[r]).sum();
        b[row] = (b[row] - known) / lower[row * size + row];
    }
}

/// (L·Lᵀ)⁻¹, row-major.
pub(super) fn inverse(lower: &[f64], size: usize) -> Vec<f64> {
    let mut out = vec![0.0; size * size];
    for (column, own) in out.chunks_exact_mut(size).enumerate() {
        own[column] = 1.0;
        solve(lower, own);
    }
    out
}
