//! Rows drawn with replacement, again and again.

/// Of more rows the counts do not fit into the processor's cache: a count that is looked up anywhere takes many times as long.
const MANY: usize = 1 << 20;
/// Rows whose counts lie side by side and fit in, and how many draws of them wait for each other before any is counted.
const REGION: usize = 1 << 16;
const WAITING: usize = 8192;

/// Room for draws.
#[derive(Default)]
pub(super) struct Draws {
    /// How often each row was drawn.
    weights: Vec<u8>,
    /// Draws of each region that are not counted yet, as places in it, and how many there are.
    waiting: Vec<[u16; WAITING]>,
    lengths: Vec<usize>,
}

impl Draws {
    /// Draws as many rows as there are, and answers how often each was drawn. The same `seed` and `resample` give the same.
    pub(super) fn draw(&mut self, rows: usize, seed: u64, resample: u64) -> &[u8] {
        self.weights.clear();
        self.weights.resize(rows, 0);
        // Far apart starting points of SplitMix64 (Steele et al. 2014).
        let mut state = mix(seed ^ mix(resample.wrapping_add(1)));
        let drawn = (0..rows).map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            ((u128::from(mix(state)) * rows as u128) >> 64) as usize
        });
        match rows <= MANY {
            true => drawn.for_each(|row| count(&mut self.weights[row])),
            false => self.sorted(drawn),
        }
        &self.weights
    }

    /// Counts rows region by region; the counts are the same in any order.
    fn sorted(&mut self, drawn: impl Iterator<Item = usize>) {
        let regions = self.weights.len().div_ceil(REGION);
        self.waiting.resize(regions, [0; WAITING]);
        self.lengths.clear();
        self.lengths.resize(regions, 0);
        for row in drawn {
            let region = row / REGION;
            let length = &mut self.lengths[region];
            self.waiting[region][*length] = (row % REGION) as u16;
            *length += 1;
            if *length == WAITING {
                *length = 0;
                let weights = &mut self.weights[region * REGION..];
                let waiting = self.waiting[region].iter();
                waiting.for_each(|place| count(&mut weights[usize::from(*place)]));
            }
        }
        let regions = self.weights.chunks_mut(REGION);
        for ((weights, waiting), length) in regions.zip(&self.waiting).zip(&self.lengths) {
            let waiting = waiting[..*length].iter();
            waiting.for_each(|place| count(&mut weights[usize::from(*place)]));
        }
    }
}

/// More than 255 draws of one row out of so many do not happen.
#[inline(always)]
fn count(weight: &mut u8) {
    *weight = weight.saturating_add(1);
}

fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is defined, draw by draw.
    fn one_by_one(rows: usize, seed: u64, resample: u64) -> Vec<u8> {
        let mut weights = vec![0; rows];
        let mut state = mix(seed ^ mix(resample + 1));
        for _ in 0..rows {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            weights[((u128::from(mix(state)) * rows as u128) >> 64) as usize] += 1;
        }
        weights
    }

    #[test]
    fn very_many_rows_are_drawn_as_few_are() {
        let mut draws = Draws::default();
        // The last region is whole, or a single row.
        for rows in [1, 1_000, MANY, 20 * REGION, 33 * REGION + 1, MANY + 1] {
            for resample in [0, 7] {
                let drawn = draws.draw(rows, 42, resample);
                assert!(drawn == one_by_one(rows, 42, resample), "{rows}");
            }
        }
    }
}
