//! Rows cut into classes of at least k, as small as they can be: Mondrian (LeFevre, DeWitt and Ramakrishnan, "Mondrian
//! Multidimensional k-Anonymity", 2006), with strict cuts, at the median, of the dimension that is widest.

use crate::privacy::sensitive::{Diversity, Scratch, Sensitive};

/// A quasi-identifier: the rank of each row's value among the different ones.
pub struct Dimension {
    pub codes: Vec<u32>,
    /// Where each value lies between the least, 0, and the greatest, 1; of categories each counts the same.
    pub places: Places,
    /// The lowest rank stands for NULL.
    pub has_null: bool,
}

pub enum Places {
    Numbers(Vec<f64>),
    Categories(usize),
}

/// What every class must be.
pub struct Demand<'a> {
    pub k: usize,
    pub sensitive: &'a [Sensitive],
    /// Values of each sensitive column, at least.
    pub l: Option<(Diversity, f64)>,
    /// Distance of each sensitive column from the table's, at most.
    pub t: Option<f64>,
}

impl Demand<'_> {
    fn met(&self, rows: &[u32], scratch: &mut Scratch) -> bool {
        rows.len() >= self.k
            && self.l.is_none_or(|(how, least)| {
                let diverse = |s: &Sensitive| s.diversity(rows, how, scratch) >= least - 1e-9;
                self.sensitive.iter().all(diverse)
            })
            && self.t.is_none_or(|most| {
                let near = |s: &Sensitive| s.distance(rows, scratch) <= most + 1e-9;
                self.sensitive.iter().all(near)
            })
    }
}

/// The rows, class by class, and where each class ends. One class of all rows is answered even if it does not meet the demand.
pub struct Classes {
    pub rows: Vec<u32>,
    pub ends: Vec<usize>,
}

impl Classes {
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.rows[start..*end])
    }
}

/// Cuts until no cut leaves two parts that meet the demand. `look` is called now and then: it may raise.
pub fn cut(
    dimensions: &[Dimension],
    rows: usize,
    demand: &Demand<'_>,
    look: &mut dyn FnMut(),
) -> Classes {
    let mut all: Vec<u32> = (0..rows as u32).collect();
    let mut ends = Vec::new();
    let mut room = Room::default();
    let mut waiting = vec![0..rows];
    while let Some(part) = waiting.pop() {
        look();
        let own = &mut all[part.clone()];
        match halve(dimensions, own, demand, &mut room) {
            // The first half goes first, so that classes lie in order.
            Some(middle) => {
                waiting.push(part.start + middle..part.end);
                waiting.push(part.start..part.start + middle);
            }
            None => ends.push(part.end),
        }
    }
    Classes { rows: all, ends }
}

#[derive(Default)]
struct Room {
    codes: Vec<u32>,
    apart: Vec<u32>,
    scratch: Scratch,
}

/// Puts the rows of a part into two, and answers where the second begins.
fn halve(
    dimensions: &[Dimension],
    rows: &mut [u32],
    demand: &Demand<'_>,
    room: &mut Room,
) -> Option<usize> {
    if rows.len() < 2 * demand.k {
        return None;
    }
    let mut order: Vec<(f64, usize)> = dimensions
        .iter()
        .enumerate()
        .map(|(at, dimension)| (dimension.width(rows, room), at))
        .filter(|(width, _)| *width > 0.0)
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, at) in order {
        let dimension = &dimensions[at];
        for last in dimension.cuts(rows, demand.k, room) {
            let middle = part(&dimension.codes, rows, last, &mut room.apart);
            let (first, second) = rows.split_at(middle);
            if demand.met(first, &mut room.scratch) && demand.met(second, &mut room.scratch) {
                return Some(middle);
            }
        }
    }
    None
}

/// Rows up to a rank before those beyond it; the order within both stays.
fn part(codes: &[u32], rows: &mut [u32], last: u32, apart: &mut Vec<u32>) -> usize {
    apart.clear();
    let mut middle = 0;
    for at in 0..rows.len() {
        let row = rows[at];
        if codes[row as usize] <= last {
            rows[middle] = row;
            middle += 1;
        } else {
            apart.push(row);
        }
    }
    rows[middle..].copy_from_slice(apart);
    middle
}

impl Dimension {
    /// How much of the whole some rows span: 0 where they are all alike, above it else.
    fn width(&self, rows: &[u32], room: &mut Room) -> f64 {
        let codes = rows.iter().map(|row| self.codes[*row as usize]);
        let (low, high) = codes.clone().fold((u32::MAX, 0), |(low, high), code| {
            (low.min(code), high.max(code))
        });
        if low >= high {
            return 0.0;
        }
        if self.has_null && low == 0 {
            // A class of NULLs and others has no value at all.
            return 1.0;
        }
        match &self.places {
            Places::Numbers(places) => {
                (places[high as usize] - places[low as usize]).max(f64::MIN_POSITIVE)
            }
            Places::Categories(count) => {
                // Counting is worth it only where it can change the order.
                let different = if (high - low) as usize > rows.len() {
                    rows.len()
                } else {
                    room.codes.clear();
                    room.codes.resize((high - low) as usize + 1, 0);
                    codes.for_each(|code| room.codes[(code - low) as usize] = 1);
                    room.codes.iter().sum::<u32>() as usize
                };
                (different - 1) as f64 / (count - 1) as f64
            }
        }
    }

    /// The last rank of the first half, best first: NULLs alone, then as near to the median as the values allow.
    fn cuts(&self, rows: &[u32], k: usize, room: &mut Room) -> Vec<u32> {
        let codes = &mut room.codes;
        codes.clear();
        codes.extend(rows.iter().map(|row| self.codes[*row as usize]));
        let middle = codes.len() / 2;
        let (below, median, above) = codes.select_nth_unstable(middle);
        let median = *median;
        let less = below.iter().filter(|code| **code < median).count();
        let more = above.iter().filter(|code| **code > median).count();
        let mut cuts = Vec::with_capacity(3);
        if self.has_null && below.contains(&0) {
            cuts.push(0);
        }
        // The two cuts beside the median, the more even one first.
        let mut both = [(more, median), (less, median.saturating_sub(1))];
        both.sort_by_key(|(smaller, _)| std::cmp::Reverse(*smaller));
        let wanted = both.into_iter().filter(|(smaller, _)| *smaller >= k);
        cuts.extend(wanted.map(|(_, last)| last));
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Column, Kind};
    use crate::random::Random;

    fn numbers(values: &[u32]) -> Dimension {
        let most = f64::from(*values.iter().max().unwrap());
        Dimension {
            codes: values.to_vec(),
            places: Places::Numbers((0..=most as u32).map(|v| f64::from(v) / most).collect()),
            has_null: false,
        }
    }

    fn demand(k: usize) -> Demand<'static> {
        Demand {
            k,
            sensitive: &[],
            l: None,
            t: None,
        }
    }

    #[test]
    fn classes_have_k_rows_and_hold_every_row_once() {
        let mut random = Random::new(11);
        for k in [1, 2, 5, 50] {
            let draw = |n: usize, random: &mut Random| -> Vec<u32> {
                (0..1000).map(|_| random.below(n) as u32).collect()
            };
            let dimensions = [
                numbers(&draw(90, &mut random)),
                numbers(&draw(7, &mut random)),
            ];
            let found = cut(&dimensions, 1000, &demand(k), &mut || ());
            let sizes: Vec<usize> = found.iter().map(<[u32]>::len).collect();
            assert!(sizes.iter().all(|size| *size >= k), "{k}");
            let mut rows = found.rows.clone();
            rows.sort_unstable();
            assert_eq!(rows, (0..1000).collect::<Vec<u32>>());
            // Classes that could be cut in two are cut.
            assert!(k == 1 || sizes.iter().sum::<usize>() / sizes.len() < 5 * k);
        }
    }

    #[test]
    fn classes_do_not_overlap_in_every_dimension() {
        let mut random = Random::new(2);
        let values: Vec<Vec<u32>> = (0..2)
            .map(|_| (0..500).map(|_| random.below(100) as u32).collect())
            .collect();
        let dimensions = [numbers(&values[0]), numbers(&values[1])];
        let found = cut(&dimensions, 500, &demand(10), &mut || ());
        let span = |rows: &[u32], d: usize| {
            let own = rows.iter().map(|r| values[d][*r as usize]);
            (own.clone().min().unwrap(), own.max().unwrap())
        };
        let boxes: Vec<_> = found
            .iter()
            .map(|rows| [span(rows, 0), span(rows, 1)])
            .collect();
        for (i, a) in boxes.iter().enumerate() {
            for b in &boxes[..i] {
                assert!((0..2).any(|d| a[d].1 < b[d].0 || b[d].1 < a[d].0));
            }
        }
    }

    #[test]
    fn nulls_and_values_part_where_there_are_enough_of_both() {
        let mut codes = vec![0; 10];
        codes.extend(1..=10);
        let dimension = Dimension {
            codes,
            places: Places::Numbers((0..=10).map(|v| f64::from(v) / 10.0).collect()),
            has_null: true,
        };
        let found = cut(&[dimension], 20, &demand(5), &mut || ());
        assert!(
            found
                .iter()
                .all(|rows| rows.iter().all(|r| *r < 10) || rows.iter().all(|r| *r >= 10))
        );
    }

    #[test]
    fn diversity_and_closeness_hold_in_every_class() {
        let mut random = Random::new(7);
        let values: Vec<u32> = (0..600).map(|_| random.below(60) as u32).collect();
        let mut secret = Column::new("s", "text", Kind::Category);
        // The secret follows the quasi-identifier: small classes would give it away.
        values
            .iter()
            .for_each(|v| secret.push(Cell::Text(["a", "b", "c"][(*v / 20) as usize])));
        let sensitive = [Sensitive::of(&secret)];
        let dimensions = [numbers(&values)];
        let mut scratch = Scratch::default();
        let plain = cut(&dimensions, 600, &demand(5), &mut || ());
        assert!(plain.iter().any(|rows| sensitive[0].diversity(
            rows,
            Diversity::Distinct,
            &mut scratch
        ) < 2.0));
        for l in [(Diversity::Distinct, 2.0), (Diversity::Entropy, 1.5)] {
            let demand = Demand {
                k: 5,
                sensitive: &sensitive,
                l: Some(l),
                t: None,
            };
            let found = cut(&dimensions, 600, &demand, &mut || ());
            assert!(found.ends.len() > 1);
            assert!(
                found
                    .iter()
                    .all(|rows| sensitive[0].diversity(rows, l.0, &mut scratch) >= l.1)
            );
        }
        let demand = Demand {
            k: 5,
            sensitive: &sensitive,
            l: None,
            t: Some(0.4),
        };
        let found = cut(&dimensions, 600, &demand, &mut || ());
        assert!(
            found
                .iter()
                .all(|rows| sensitive[0].distance(rows, &mut scratch) <= 0.4)
        );
    }

    #[test]
    fn one_value_cannot_be_cut() {
        let dimension = Dimension {
            codes: vec![0; 100],
            places: Places::Categories(1),
            has_null: false,
        };
        assert_eq!(cut(&[dimension], 100, &demand(5), &mut || ()).ends, [100]);
    }
}
