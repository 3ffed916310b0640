//! How easily the rows of a table can be found again by what others know about people: re-identification risks.

use super::asked::{names, object, text};
use super::groups::Groups;
use super::sensitive::{Diversity, Scratch, Sensitive};
use crate::frame::{Column, Frame};
use crate::params::ParamError;
use serde_json::Value;

/// Thresholds for the share of rows in small classes.
const SMALL: [u32; 4] = [2, 3, 5, 10];

/// Options of a risk analysis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RiskParams {
    pub sensitive: Vec<String>,
    /// A relation of all people of whom the rows are a part.
    pub population: Option<String>,
    /// The share of the population that the rows are, where it is not at hand.
    pub sampling_fraction: Option<f64>,
}

impl RiskParams {
    /// | option | default | what |
    /// |---|---|---|
    /// | sensitive | none | columns that must stay secret: their l-diversity and t-closeness are told |
    /// | population | none | relation with the same columns, of which the rows are a part |
    /// | sampling_fraction | none | above 0 up to 1, in place of the population |
    ///
    /// # Errors
    /// An unknown option, a value of another type or out of range, both of the last two.
    pub fn from_json(options: &Value) -> Result<RiskParams, ParamError> {
        let reader = object(
            options,
            "",
            &["population", "sampling_fraction", "sensitive"],
        )?;
        let params = RiskParams {
            sensitive: names(&reader, "sensitive")?,
            population: text(&reader, "population")?,
            sampling_fraction: reader.number("sampling_fraction", 1e-9, 1.0)?,
        };
        if params.population.is_some() && params.sampling_fraction.is_some() {
            return Err(super::asked::error(
                "sampling_fraction",
                "options \"population\" and \"sampling_fraction\" exclude each other",
                "The fraction stands in where the population is not at hand.",
            ));
        }
        Ok(params)
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    pub measure: String,
    /// Of this sensitive column.
    pub sensitive: Option<String>,
    pub value: f64,
}

/// The risks of the rows of a frame whose quasi-identifiers are `quasi` and whose sensitive columns are `sensitive`; with the
/// quasi-identifiers of the whole population, in the same order.
///
/// Prosecutor, journalist and marketer risk are those of El Emam, "Guide to the De-Identification of Personal Health Information"
/// (2013): the prosecutor knows that somebody is in the table, the journalist that somebody is in the population, the marketer
/// wants as many as possible. Without a population, and with a sampling fraction, how many of the unique rows are unique in the
/// population is estimated as by Zayatz (1991).
pub fn measure(
    quasi: &Frame,
    sensitive: &Frame,
    population: Option<&Frame>,
    sampling_fraction: Option<f64>,
    look: &mut dyn FnMut(),
) -> Vec<Measure> {
    let rows = quasi.rows();
    let mut all = Vec::new();
    let mut tell = |measure: &str, value: f64| {
        all.push(Measure {
            measure: measure.into(),
            sensitive: None,
            value,
        });
    };
    tell("rows", rows as f64);
    if rows == 0 {
        return all;
    }
    let columns: Vec<&Column> = quasi.columns.iter().collect();
    let groups = Groups::by(&columns, rows, look);
    let sizes = groups.sizes();
    let smallest = sizes.iter().copied().min().unwrap_or(0);
    let n = rows as f64;
    let uniques = sizes.iter().filter(|size| **size == 1).count() as f64;
    tell("classes", groups.count as f64);
    tell("k", f64::from(smallest));
    tell("average_class", n / groups.count as f64);
    tell("uniques", uniques);
    tell("unique_share", uniques / n);
    for k in SMALL {
        let below: u64 = sizes
            .iter()
            .filter(|size| **size < k)
            .map(|size| u64::from(*size))
            .sum();
        tell(&format!("share_below_{k}"), below as f64 / n);
    }
    tell("prosecutor_risk_max", 1.0 / f64::from(smallest));
    tell("prosecutor_risk_average", groups.count as f64 / n);
    match population {
        None => tell("marketer_risk", groups.count as f64 / n),
        Some(population) => {
            let (sizes, theirs) = beside(quasi, population, look);
            let pairs = || sizes.iter().zip(&theirs).filter(|(own, _)| **own > 0);
            // Rows that the population lacks are in it all the same.
            let whole = |own: u32, theirs: u32| f64::from(theirs.max(own));
            let least = pairs()
                .map(|(own, theirs)| whole(*own, *theirs))
                .fold(f64::INFINITY, f64::min);
            let found: f64 = pairs()
                .map(|(own, theirs)| f64::from(*own) / whole(*own, *theirs))
                .sum();
            let covered: f64 = pairs().map(|(own, theirs)| whole(*own, *theirs)).sum();
            let strangers = pairs().filter(|(own, theirs)| theirs < own).count();
            tell("population_rows", population.rows() as f64);
            tell("classes_not_in_population", strangers as f64);
            let alone = pairs()
                .filter(|(own, theirs)| whole(**own, **theirs) == 1.0)
                .count();
            tell("population_uniques", alone as f64);
            tell("journalist_risk_max", 1.0 / least);
            let own = pairs().count() as f64;
            tell(
                "journalist_risk_average",
                f64::max(own / covered, found / n),
            );
            tell("marketer_risk", found / n);
        }
    }
    if let Some(fraction) = sampling_fraction {
        let share = zayatz(&sizes, fraction);
        tell("population_unique_share_estimated", share);
        tell("population_uniques_estimated", share * uniques);
    }
    if !sensitive.columns.is_empty() {
        secrets(&groups, sensitive, look, &mut all);
    }
    all
}

/// Rows of each class in a table and in another one with the same columns.
fn beside(own: &Frame, other: &Frame, look: &mut dyn FnMut()) -> (Vec<u32>, Vec<u32>) {
    let mut columns = own.columns.clone();
    for (column, more) in columns.iter_mut().zip(&other.columns) {
        look();
        (0..more.len()).for_each(|row| column.push(more.cell(row)));
    }
    let columns: Vec<&Column> = columns.iter().collect();
    let groups = Groups::by(&columns, own.rows() + other.rows(), look);
    let (mut first, mut second) = (vec![0u32; groups.count], vec![0u32; groups.count]);
    for (row, group) in groups.of.iter().enumerate() {
        let counts = if row < own.rows() {
            &mut first
        } else {
            &mut second
        };
        counts[*group as usize] += 1;
    }
    (first, second)
}

/// The probability that a row that is unique in a sample is unique in the population (Zayatz, "Estimation of the percent of unique
/// population elements on a microdata file using the sample", 1991): classes of the population are taken to be distributed as the
/// sample's, and rows to be drawn independently.
fn zayatz(sizes: &[u32], fraction: f64) -> f64 {
    let single = |size: u32| f64::from(size) * fraction * (1.0 - fraction).powi(size as i32 - 1);
    let uniques = sizes.iter().filter(|size| **size == 1).count() as f64 * fraction;
    let all: f64 = sizes.iter().map(|size| single(*size)).sum();
    if all > 0.0 { uniques / all } else { 0.0 }
}

fn secrets(groups: &Groups, sensitive: &Frame, look: &mut dyn FnMut(), all: &mut Vec<Measure>) {
    let (rows, ends) = groups.members();
    let mut scratch = Scratch::default();
    for column in &sensitive.columns {
        look();
        let own = Sensitive::of(column);
        let (mut distinct, mut entropy, mut distance) = (f64::INFINITY, f64::INFINITY, 0f64);
        let mut start = 0;
        for (number, end) in ends.iter().enumerate() {
            if number.is_multiple_of(1024) {
                look();
            }
            let class = &rows[start..*end];
            distinct = distinct.min(own.diversity(class, Diversity::Distinct, &mut scratch));
            entropy = entropy.min(own.diversity(class, Diversity::Entropy, &mut scratch));
            distance = distance.max(own.distance(class, &mut scratch));
            start = *end;
        }
        for (measure, value) in [
            ("l_distinct", distinct),
            ("l_entropy", entropy),
            ("t", distance),
        ] {
            all.push(Measure {
                measure: measure.into(),
                sensitive: Some(column.name.clone()),
                value,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Cell, Kind};
    use serde_json::json;

    fn frame(name: &str, values: &[&str]) -> Frame {
        let mut column = Column::new(name, "text", Kind::Category);
        values.iter().for_each(|v| column.push(Cell::Text(v)));
        Frame {
            columns: vec![column],
        }
    }

    fn value(measures: &[Measure], name: &str) -> f64 {
        measures
            .iter()
            .find(|m| m.measure == name)
            .unwrap_or_else(|| panic!("{name}"))
            .value
    }

    #[test]
    fn risks_follow_from_the_sizes_of_classes() {
        let quasi = frame("zip", &["a", "a", "a", "b", "b", "c"]);
        let secret = frame("illness", &["flu", "flu", "cold", "flu", "cold", "flu"]);
        let found = measure(&quasi, &secret, None, None, &mut || ());
        for (name, expected) in [
            ("rows", 6.0),
            ("classes", 3.0),
            ("k", 1.0),
            ("uniques", 1.0),
            ("share_below_2", 1.0 / 6.0),
            ("share_below_3", 0.5),
            ("share_below_5", 1.0),
            ("prosecutor_risk_max", 1.0),
            ("prosecutor_risk_average", 0.5),
            ("marketer_risk", 0.5),
            ("l_distinct", 1.0),
            ("l_entropy", 1.0),
        ] {
            assert!((value(&found, name) - expected).abs() < 1e-9, "{name}");
        }
    }

    #[test]
    fn a_population_hides_those_who_are_unique_in_the_sample() {
        let quasi = frame("zip", &["a", "b", "b"]);
        let all = frame("zip", &["b", "a", "c", "a", "b", "a", "a", "b"]);
        let found = measure(&quasi, &Frame::default(), Some(&all), None, &mut || ());
        assert!((value(&found, "journalist_risk_max") - 1.0 / 3.0).abs() < 1e-9);
        assert!((value(&found, "marketer_risk") - (0.25 + 2.0 / 3.0) / 3.0).abs() < 1e-9);
        assert!((value(&found, "journalist_risk_average") - (0.25 + 2.0 / 3.0) / 3.0).abs() < 1e-9);
        assert_eq!(value(&found, "population_uniques"), 0.0);
        assert_eq!(value(&found, "classes_not_in_population"), 0.0);
    }

    #[test]
    fn a_whole_population_has_the_uniques_it_has_and_a_part_of_it_fewer() {
        let sizes = [1, 1, 2, 3];
        assert!((zayatz(&sizes, 1.0) - 1.0).abs() < 1e-9);
        let tenth = zayatz(&sizes, 0.1);
        assert!(tenth > 0.0 && tenth < 0.5, "{tenth}");
    }

    #[test]
    fn an_empty_table_has_no_risk() {
        let found = measure(&frame("a", &[]), &Frame::default(), None, None, &mut || ());
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn options_are_checked() {
        for options in [
            json!([]),
            json!({"x": 1}),
            json!({"sampling_fraction": 0}),
            json!({"sensitive": "a"}),
            json!({"sensitive": ["a", "a"]}),
            json!({"population": "p", "sampling_fraction": 0.5}),
        ] {
            assert!(!RiskParams::from_json(&options).unwrap_err().hint.is_empty());
        }
    }
}
