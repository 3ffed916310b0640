//! The options `sensitive` and `mitigate`: whom a model treats how.

use super::{Decoder, Error, Kind, Map, Result, Source, Value, names, text, wrong_type};
use crate::relation::sources::Sources;
use insight_engine::fit::Sensitive;

const MOST_COLUMNS: usize = 10;
const MOST_EDGES: usize = 50;
/// Options that would make a feature of a column, or a label.
const FEATURES: [&str; 3] = ["partition", "treatment", "event"];

/// The columns that the options name, checked: they are in the relation, have groups and are asked for as features nowhere.
pub(super) fn sensitive(
    options: &Map<String, Value>,
    base: &Source,
    target: &str,
) -> Result<Sensitive> {
    let columns = columns(options)?;
    let reweight = match text(options, "mitigate")?.as_deref() {
        None => false,
        Some("reweight") => true,
        Some("threshold") => {
            return Err(Error::new(
                "0A000",
                "option \"mitigate\": \"threshold\" is not supported",
            )
            .detail("A threshold for each group needs the sensitive columns of every row that is predicted, which the model does not take.")
            .hint("Use \"reweight\", or the thresholds of insight_fairness in your query."));
        }
        Some(_) => return Err(wrong_type("mitigate", "reweight")),
    };
    if reweight && columns.is_empty() {
        return Err(Error::new(
            "22023",
            "option \"mitigate\" needs the option \"sensitive\"",
        )
        .hint("Name the columns: {\"sensitive\": [\"sex\"], \"mitigate\": \"reweight\"}."));
    }
    if !columns.is_empty() && options.get("privacy").is_some_and(|p| !p.is_null()) {
        return Err(Error::new(
            "0A000",
            "options \"sensitive\" and \"privacy\" exclude each other",
        )
        .detail("Figures by group are counted exactly, which no budget accounts for.")
        .hint("Name the columns in exclude to leave them out."));
    }
    let include = names(options, "include")?;
    for (name, edges) in &columns {
        let column = base.require(name)?;
        let other = FEATURES
            .into_iter()
            .find(|other| options.get(*other).and_then(Value::as_str) == Some(name));
        let role = match other {
            _ if name == target => Some("the target".to_owned()),
            _ if include.contains(name) => Some("among the option \"include\"".to_owned()),
            other => other.map(|other| format!("the column of the option \"{other}\"")),
        };
        if let Some(role) = role {
            return Err(Error::new(
                "22023",
                format!("the sensitive column \"{name}\" is {role}"),
            )
            .hint("A sensitive column is never an input: name it in one of both."));
        }
        let kind = Decoder::for_type(column.type_oid).map(|d| d.kind);
        let grouped = matches!(
            kind,
            Some(Kind::Number | Kind::Duration | Kind::Boolean | Kind::Category)
        );
        if !grouped || !edges.is_empty() && kind != Some(Kind::Number) {
            let of = format!("\"{name}\" is of type {}.", column.type_name);
            let must = match grouped {
                true => "edges of columns of numbers alone",
                false => "an array of columns of numbers, texts or booleans",
            };
            return Err(wrong_type("sensitive", must).hint(of));
        }
    }
    Ok(Sensitive { columns, reweight })
}

/// Names, and objects that give a name the numbers at which its groups begin.
fn columns(options: &Map<String, Value>) -> Result<Vec<(String, Vec<f64>)>> {
    let wrong = || {
        let must = format!("an array of 1 to {MOST_COLUMNS} different columns");
        wrong_type("sensitive", &must)
            .hint("For example {\"sensitive\": [\"sex\", {\"age\": [25, 40, 60]}]}; numbers rise.")
    };
    let items = match options.get("sensitive") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) if (1..=MOST_COLUMNS).contains(&items.len()) => items,
        Some(_) => return Err(wrong()),
    };
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    for item in items {
        let one = match item {
            Value::String(name) => (name.clone(), Vec::new()),
            Value::Object(own) if own.len() == 1 => {
                let (name, edges) = own.iter().next().ok_or_else(wrong)?;
                let edges = edges.as_array().ok_or_else(wrong)?;
                let edges: Option<Vec<f64>> = edges.iter().map(Value::as_f64).collect();
                let edges = edges.ok_or_else(wrong)?;
                let rise = edges.windows(2).all(|e| e[0] < e[1]);
                if !rise || !(1..=MOST_EDGES).contains(&edges.len()) {
                    return Err(wrong());
                }
                (name.clone(), edges)
            }
            _ => return Err(wrong()),
        };
        if columns.iter().any(|(name, _)| *name == one.0) {
            return Err(wrong());
        }
        columns.push(one);
    }
    Ok(columns)
}

/// No feature is made of what related tables say of the same.
pub(super) fn without(sources: Option<Sources>, sensitive: &Sensitive) -> Option<Sources> {
    let mut sources = sources?;
    for related in &mut sources.related {
        let is_sensitive = |name: &str| sensitive.names().any(|own| own == name);
        related.fields.retain(|field| !is_sensitive(&field.name));
        if let Some(clv) = &mut related.clv {
            clv.amount = clv.amount.take().filter(|amount| !is_sensitive(amount));
        }
    }
    Some(sources)
}
