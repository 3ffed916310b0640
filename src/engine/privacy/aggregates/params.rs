//! What is asked of private figures.

use crate::params::{ParamError, reader::Reader};
use crate::privacy::asked::{by_column, error, names, object, text};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Options of private figures. Only [`AggregateParams::from_json`] makes one, so all of them are checked.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateParams {
    pub epsilon: f64,
    pub delta: f64,
    /// Lowest and highest values: what lies beyond is brought to them.
    pub bounds: BTreeMap<String, (f64, f64)>,
    /// Values that are known to exist, whatever the rows say.
    pub categories: BTreeMap<String, Vec<String>>,
    pub columns: Vec<String>,
    pub by: Vec<String>,
    /// What is protected: all rows of one value of this column; without it, each row.
    pub unit: Option<String>,
    pub rows_per_unit: usize,
    /// In thousandths.
    pub quantiles: Vec<u32>,
}

impl AggregateParams {
    /// | option | default | what |
    /// |---|---|---|
    /// | epsilon | 1 | above 0 up to 100, shared evenly by all figures |
    /// | delta | 1e-6 | above 0 up to 0.01: spent only where groups or categories are found |
    /// | bounds | none | lowest and highest value of each number, known without the rows |
    /// | categories | none | values of columns that are known without the rows |
    /// | columns | those of bounds and categories | columns of which figures are wanted |
    /// | by | none | columns by which the rows are grouped |
    /// | unit | each row | column that says whose a row is |
    /// | rows_per_unit | 1 | 1 to 10,000: more rows of a unit are left out, at random |
    /// | quantiles | 0.25, 0.5, 0.75 | 0.001 to 0.999, in thousandths |
    ///
    /// # Errors
    /// An unknown option, a value of another type or out of range, nothing to tell.
    pub fn from_json(options: &Json) -> Result<AggregateParams, ParamError> {
        const KEYS: [&str; 9] = [
            "bounds",
            "by",
            "categories",
            "columns",
            "delta",
            "epsilon",
            "quantiles",
            "rows_per_unit",
            "unit",
        ];
        let reader = object(options, "", &KEYS)?;
        let mut params = AggregateParams {
            epsilon: reader.number("epsilon", 1e-3, 100.0)?.unwrap_or(1.0),
            delta: reader.number("delta", 1e-15, 1e-2)?.unwrap_or(1e-6),
            bounds: bounds(&reader)?,
            categories: categories(&reader)?,
            columns: names(&reader, "columns")?,
            by: names(&reader, "by")?,
            unit: text(&reader, "unit")?,
            rows_per_unit: reader.integer("rows_per_unit", 1, 10_000)?.unwrap_or(1) as usize,
            quantiles: quantiles(&reader)?,
        };
        if reader.get("rows_per_unit").is_some() && params.unit.is_none() {
            return Err(error(
                "rows_per_unit",
                "option \"rows_per_unit\" needs unit",
                "The unit is the column that says whose a row is: {\"unit\": \"customer_id\", \"rows_per_unit\": 10}.",
            ));
        }
        if params.columns.is_empty() {
            let known = params.bounds.keys().chain(params.categories.keys());
            params.columns = known
                .filter(|name| !params.by.contains(name))
                .cloned()
                .collect();
        }
        if let Some(both) = params.by.iter().find(|name| params.columns.contains(name)) {
            return Err(error(
                "by",
                format!("column \"{both}\" cannot be both in by and in columns"),
                "Leave it out of columns.",
            ));
        }
        Ok(params)
    }

    /// Every column that is read, once.
    pub fn named(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self
            .columns
            .iter()
            .chain(&self.by)
            .map(String::as_str)
            .collect();
        if let Some(unit) = self.unit.as_deref().filter(|unit| !all.contains(unit)) {
            all.push(unit);
        }
        all
    }

    /// The columns that only options name, for the caller to look up.
    pub fn mentioned(&self) -> impl Iterator<Item = &str> {
        self.bounds
            .keys()
            .chain(self.categories.keys())
            .map(String::as_str)
    }
}

fn bounds(reader: &Reader<'_>) -> Result<BTreeMap<String, (f64, f64)>, ParamError> {
    let mut all = BTreeMap::new();
    for (column, pair) in by_column(reader, "bounds", "{\"age\": [0, 120]}")?
        .into_iter()
        .flatten()
    {
        let pair: Option<Vec<f64>> = pair
            .as_array()
            .and_then(|pair| pair.iter().map(Json::as_f64).collect());
        match pair.as_deref() {
            Some(&[low, high])
                if low < high && (high - low).is_finite() && low.abs().max(high.abs()) < 1e15 =>
            {
                all.insert(column.clone(), (low, high));
            }
            _ => {
                let message = format!(
                    "the bounds of column \"{column}\" must be two numbers, the lower first"
                );
                return Err(error(
                    "bounds",
                    message,
                    "For example {\"bounds\": {\"age\": [0, 120]}}.",
                ));
            }
        }
    }
    Ok(all)
}

fn categories(reader: &Reader<'_>) -> Result<BTreeMap<String, Vec<String>>, ParamError> {
    let mut all = BTreeMap::new();
    let example = "{\"plan\": [\"basic\", \"pro\"]}";
    for (column, values) in by_column(reader, "categories", example)?
        .into_iter()
        .flatten()
    {
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let values: Option<Vec<String>> = values
            .as_array()
            .and_then(|values| values.iter().map(text).collect());
        let Some(mut values) = values.filter(|values| !values.is_empty()) else {
            let message =
                format!("the categories of column \"{column}\" must be an array of texts");
            return Err(error(
                "categories",
                message,
                format!("For example {{\"categories\": {example}}}."),
            ));
        };
        values.sort();
        values.dedup();
        all.insert(column.clone(), values);
    }
    Ok(all)
}

fn quantiles(reader: &Reader<'_>) -> Result<Vec<u32>, ParamError> {
    let wrong = || {
        error(
            "quantiles",
            "option \"quantiles\" must be an array of numbers from 0.001 to 0.999",
            "In thousandths, for example {\"quantiles\": [0.1, 0.5, 0.9]}; [] for none.",
        )
    };
    let Some(value) = reader.get("quantiles") else {
        return Ok(vec![250, 500, 750]);
    };
    let mut all = Vec::new();
    for value in value.as_array().ok_or_else(wrong)? {
        let thousandths = value.as_f64().ok_or_else(wrong)? * 1000.0;
        let whole = thousandths.round();
        if !(1.0..=999.0).contains(&whole) || (thousandths - whole).abs() > 1e-6 || all.len() == 20
        {
            return Err(wrong());
        }
        all.push(whole as u32);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
