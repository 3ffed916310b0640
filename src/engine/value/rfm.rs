//! Recency, frequency and monetary value: five grades each, and a name for where they meet.

use super::history::Customer;

/// One customer's grades, 5 best.
#[derive(Debug, Clone, PartialEq)]
pub struct Grades {
    pub recency: u8,
    pub frequency: u8,
    pub monetary: u8,
    pub segment: &'static str,
}

/// Grades the customers against one another: grade g holds those from the (g-1)-th to the g-th fifth; equal values have equal
/// grades.
pub fn grade(customers: &[Customer]) -> Vec<Grades> {
    let recency = fifths(customers, |c| c.last as f64);
    let frequency = fifths(customers, |c| f64::from(c.purchases));
    let monetary = fifths(customers, |c| c.spent);
    (0..customers.len())
        .map(|i| Grades {
            recency: recency[i],
            frequency: frequency[i],
            monetary: monetary[i],
            segment: segment(recency[i], frequency[i]),
        })
        .collect()
}

fn fifths(customers: &[Customer], value: impl Fn(&Customer) -> f64) -> Vec<u8> {
    let values: Vec<f64> = customers.iter().map(value).collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut grades = vec![1u8; values.len()];
    let mut start = 0;
    for run in order.chunk_by(|a, b| values[*a] == values[*b]) {
        // The middle of those that are equal decides.
        let middle = start as f64 + (run.len() as f64 - 1.0) / 2.0;
        let grade = 1 + (5.0 * middle / values.len() as f64) as u8;
        run.iter().for_each(|i| grades[*i] = grade.min(5));
        start += run.len();
    }
    grades
}

/// The usual names of marketing for grades of recency and frequency.
fn segment(recency: u8, frequency: u8) -> &'static str {
    match (recency, frequency) {
        (4..=5, 4..=5) => "champions",
        (3, 4..=5) => "loyal",
        (1, 4..=5) => "cannot lose them",
        (1..=2, 3..=5) => "at risk",
        (5, 1) => "new",
        (4..=5, 2..=3) => "potential loyalists",
        (4, 1) => "promising",
        (3, 3) => "need attention",
        (3, 1..=2) => "about to sleep",
        (2, 1..=2) => "hibernating",
        _ => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(i: i64) -> Customer {
        Customer {
            key: i.to_string(),
            first: 0,
            last: i,
            purchases: 1 + (i as u32) / 10,
            spent: i as f64,
            spent_first: 0.0,
        }
    }

    #[test]
    fn grades_are_fifths_and_ties_share_one() {
        let customers: Vec<Customer> = (0..100).map(customer).collect();
        let grades = grade(&customers);
        for grade in 1..=5 {
            assert_eq!(grades.iter().filter(|g| g.recency == grade).count(), 20);
        }
        assert!((0..100).all(|i| grades[i].frequency == grades[i - i % 10].frequency));
        assert_eq!(grades[99].segment, "champions");
        assert_eq!(grades[0].segment, "lost");
    }

    #[test]
    fn one_customer_and_equal_customers_have_grades() {
        assert!(grade(&[]).is_empty());
        assert_eq!(grade(&[customer(1)])[0].recency, 1);
        let same = grade(&vec![customer(7); 50]);
        assert!(same.iter().all(|g| g.recency == same[0].recency));
    }

    #[test]
    fn every_pair_of_grades_has_a_name() {
        for recency in 1..=5 {
            for frequency in 1..=5 {
                assert!(!segment(recency, frequency).is_empty());
            }
        }
        assert_eq!(segment(1, 1), "lost");
        assert_eq!(segment(2, 2), "hibernating");
    }
}
