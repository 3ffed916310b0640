//! Activation functions over slices, written so that the compiler turns them into vector code.
//!
//! Each function takes `FMA`: whether the target multiplies and adds in one instruction (where it does not,
//! `f32::mul_add` would be a slow library call).

use crate::models::Activation;

/// `a * b + c`.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// e^x within 2e-7 relative, for x clamped to -87 ..= 88 (so that the result is a normal, finite number); NaN stays NaN.
///
/// Cody and Waite's reduction x = n·ln 2 + r with |r| ≤ ln 2 / 2, Taylor's series of degree 7 for e^r
/// (remainder below 6e-9), and 2^n put together from its bits.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    /// 1.5 · 2^23: adding it rounds to the nearest integer, which then lies in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has trailing zero bits, so that n · LN2_HIGH is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_HIGH, x);
    let r = fma::<FMA>(n, -LN2_LOW, r);
    let mut p = 1.0 / 5040.0;
    for c in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        p = fma::<FMA>(p, r, c);
    }
    // ROUND's own low bits are zero, so the low byte of `shifted` is n in two's complement.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * power
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// x · sigmoid(x) (Elfwing et al. 2018).
#[inline(always)]
pub(super) fn silu<const FMA: bool>(x: f32) -> f32 {
    x / (1.0 + exp::<FMA>(-x))
}

/// tanh within 5e-7 relative: Lambert's continued fraction near 0, where (e^2x - 1) / (e^2x + 1) would cancel.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let s = x * x;
    let top = fma::<FMA>(s, fma::<FMA>(s, s + 378.0, 17_325.0), 135_135.0) * x;
    let bottom = fma::<FMA>(
        s,
        fma::<FMA>(s, fma::<FMA>(s, 28.0, 3_150.0), 62_370.0),
        135_135.0,
    );
    // Beyond ±10 tanh is ±1 in f32, and e^2x stays far from overflow.
    let bounded = if x > 10.0 { 10.0 } else { x };
    let bounded = if bounded < -10.0 { -10.0 } else { bounded };
    let e = exp::<FMA>(2.0 * bounded);
    let near = s < 0.5;
    let top = if near { top } else { e - 1.0 };
    let bottom = if near { bottom } else { e + 1.0 };
    top / bottom
}

/// Applies an activation to each value.
#[inline(always)]
pub(super) fn activate<const FMA: bool>(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::Relu => {
            for v in values {
                *v = if *v > 0.0 { *v } else { 0.0 };
            }
        }
        Activation::Sigmoid => {
            for v in values {
                *v = sigmoid::<FMA>(*v);
            }
        }
        Activation::Tanh => {
            for v in values {
                *v = tanh::<FMA>(*v);
            }
        }
        Activation::Silu => {
            for v in values {
                *v = silu::<FMA>(*v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values over the whole range, dense around 0, with the extremes.
    fn points() -> impl Iterator<Item = f32> {
        let dense = (-1_000_000..=1_000_000).map(|i| i as f32 * 1e-4);
        let spread = (0..=254u32).flat_map(|e| {
            [0x000000, 0x2aaaaa, 0x7fffff]
                .into_iter()
                .flat_map(move |m| [1, -1].map(|s| s as f32 * f32::from_bits(e << 23 | m)))
        });
        dense
            .chain(spread)
            .chain([f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0])
    }

    fn check(ours: [fn(f32) -> f32; 2], truth: fn(f64) -> f64, tolerance: f64, floor: f64) {
        for x in points() {
            let want = truth(f64::from(x));
            for f in ours {
                let got = f64::from(f(x));
                let error = (got - want).abs();
                assert!(
                    error <= tolerance * want.abs() + floor,
                    "at {x}: {got} but {want}"
                );
            }
        }
    }

    #[test]
    fn exp_is_accurate_over_the_whole_range() {
        check(
            [exp::<true>, exp::<false>],
            |x| x.clamp(-87.0, 88.0).exp(),
            2e-7,
            0.0,
        );
    }

    #[test]
    fn sigmoid_is_accurate_over_the_whole_range() {
        // Below -87 the result stays at 1.6e-38 instead of falling to 0.
        check(
            [sigmoid::<true>, sigmoid::<false>],
            |x| 1.0 / (1.0 + (-x).exp()),
            3e-7,
            2e-38,
        );
    }

    #[test]
    fn silu_is_accurate_over_the_whole_range() {
        let truth = |x: f64| {
            if x < -1e4 {
                0.0
            } else {
                x / (1.0 + (-x).exp())
            }
        };
        for x in points().filter(|x| x.is_finite()) {
            let want = truth(f64::from(x));
            for got in [silu::<true>(x), silu::<false>(x)] {
                // Very negative values (which no standardised network meets) keep |x| · 6e-39.
                let floor = f64::from(x).abs() * 1e-38;
                assert!(
                    (f64::from(got) - want).abs() <= 3e-7 * want.abs() + floor,
                    "at {x}: {got} but {want}"
                );
            }
        }
    }

    #[test]
    fn tanh_is_accurate_over_the_whole_range() {
        check([tanh::<true>, tanh::<false>], f64::tanh, 5e-7, 0.0);
    }
}
