//! Vector code and products of matrices for training on the CPU.

use crate::infer::exp;
use crate::models::Activation;

/// Runs `plain`, or `fast` compiled for AVX2 and FMA where this machine has them. Both are to be the same code, inlined.
#[inline(always)]
pub(crate) fn vectorised(fast: impl FnOnce(), plain: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has these instructions.
        return unsafe { with_avx2(fast) };
    }
    let _ = fast;
    plain();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(work: impl FnOnce()) {
    work();
}

/// Loops to be compiled twice: `FMA` says whether there are AVX2 and FMA.
pub(super) trait Work {
    /// To be marked `inline(always)`, with all it calls.
    fn run<const FMA: bool>(self);
}

/// Runs the loops with the instructions this machine has.
pub(super) fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has these instructions.
        return unsafe { run_avx2(work) };
    }
    work.run::<false>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Work) {
    work.run::<true>();
}

/// The first `len` of a buffer, which grows where it must.
pub(super) fn resize(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// A matrix in memory, row-major or transposed: `rows` x `columns`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// Distance of neighbours in a column, and in a row.
    steps: (usize, usize),
}

impl<'a> View<'a> {
    /// Row-major `[rows][columns]`.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> View<'a> {
        assert!(values.len() >= rows * columns);
        View {
            values,
            rows,
            columns,
            steps: (columns, 1),
        }
    }

    /// `count` rows from `first`.
    pub(crate) fn some(self, first: usize, count: usize) -> View<'a> {
        assert!(first + count <= self.rows);
        View {
            values: &self.values[first * self.steps.0..],
            rows: count,
            ..self
        }
    }

    pub(crate) fn rows(self) -> usize {
        self.rows
    }

    pub(crate) fn columns(self) -> usize {
        self.columns
    }

    pub(crate) fn transposed(self) -> View<'a> {
        View {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            steps: (self.steps.1, self.steps.0),
        }
    }
}

/// `out = left · right`, or `out += left · right`; `out` is row-major.
pub(crate) fn product(out: &mut [f32], left: View<'_>, right: View<'_>, add: bool) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert!(right.rows == k && out.len() >= m * n);
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            out[..m * n].fill(0.0);
        }
        return;
    }
    let steps = |view: View<'_>| (view.steps.1 as isize, view.steps.0 as isize);
    let ((lc, lr), (rc, rr)) = (steps(left), steps(right));
    // SAFETY: the views hold rows x columns values at these steps, `out` holds m x n, and the sizes agree.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            left.values.as_ptr(),
            lc,
            lr,
            right.values.as_ptr(),
            rc,
            rr,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Adds `bias` to each row of `sums`.
pub(crate) fn add_bias(sums: &mut [f32], bias: &[f32]) {
    for row in sums.chunks_exact_mut(bias.len()) {
        for (sum, b) in row.iter_mut().zip(bias) {
            *sum += b;
        }
    }
}

/// Adds up the rows of `values` into `sums`.
pub(crate) fn add_rows(sums: &mut [f32], values: &[f32]) {
    for row in values.chunks_exact(sums.len()) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += v;
        }
    }
}

/// `values *= factors`.
pub(crate) fn multiply(values: &mut [f32], factors: &[f32]) {
    for (v, f) in values.iter_mut().zip(factors) {
        *v *= f;
    }
}

/// Puts the activation in place of each value, and its derivative there into `slopes`.
pub(crate) fn activate(activation: Activation, values: &mut [f32], slopes: &mut [f32]) {
    #[inline(always)]
    fn work<const FMA: bool>(activation: Activation, values: &mut [f32], slopes: &mut [f32]) {
        let both = values.iter_mut().zip(slopes);
        match activation {
            Activation::Relu => both.for_each(|(v, s)| {
                *s = if *v > 0.0 { 1.0 } else { 0.0 };
                *v *= *s;
            }),
            Activation::Sigmoid => both.for_each(|(v, s)| {
                let y = 1.0 / (1.0 + exp::<FMA>(-*v));
                *s = y * (1.0 - y);
                *v = y;
            }),
            Activation::Silu => both.for_each(|(v, s)| {
                let y = 1.0 / (1.0 + exp::<FMA>(-*v));
                *s = y * (1.0 + *v * (1.0 - y));
                *v *= y;
            }),
            Activation::Tanh => both.for_each(|(v, s)| {
                // 2 sigmoid(2v) - 1
                let y = 2.0 / (1.0 + exp::<FMA>(-2.0 * *v)) - 1.0;
                *s = 1.0 - y * y;
                *v = y;
            }),
        }
    }
    let (v, s): (*mut [f32], *mut [f32]) = (values, slopes);
    // SAFETY: only one of the two closures runs, so there is one user of each slice.
    vectorised(
        || work::<true>(activation, unsafe { &mut *v }, unsafe { &mut *s }),
        || work::<false>(activation, unsafe { &mut *v }, unsafe { &mut *s }),
    );
}
