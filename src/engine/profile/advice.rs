//! What to do about a column or a table, in plain words.

use super::{ColumnProfile, unfit::Unfit};
use crate::frame::Kind;

/// Above this share of missing values a column tells little.
const MOSTLY_MISSING: f64 = 0.5;
/// Above this share outliers are worth a look.
const MANY_OUTLIERS: f64 = 0.01;
/// A population stability index above this is a large shift.
const DRIFT: f64 = 0.25;
/// More levels than this become a learned vector each.
const MANY_LEVELS: usize = 100;
/// Independence is not rejected above this p-value.
const UNRELATED: f64 = 0.05;
/// A class below this share is rare.
const RARE: f64 = 0.1;

fn percent(part: usize, all: usize) -> String {
    let share = 100.0 * part as f64 / all.max(1) as f64;
    if part > 0 && share < 0.1 {
        "less than 0.1 %".into()
    } else {
        format!("{share:.1} %")
    }
}

/// Sentences about one column, the most important first.
pub(super) fn of_column(profile: &ColumnProfile, target: bool) -> String {
    let mut said: Vec<String> = Vec::new();
    let summary = &profile.summary;
    if let Some(unfit) = &profile.unfit {
        let word = match (unfit, target) {
            (_, true) => "a target like this cannot be learned",
            (Unfit::Identifier(_), _) => "left out of training",
            _ => "left out of training: it tells nothing",
        };
        said.push(format!("{unfit}; {word}"));
    }
    if let Some(leak) = &profile.leak {
        said.push(format!(
            "gives the target away: {leak}; leave it out unless it is known when you predict"
        ));
    }
    if let Some(other) = &profile.duplicate_of {
        said.push(format!(
            "has the same values as \"{other}\"; one of them is enough"
        ));
    }
    let missing = summary.nulls as f64 / summary.rows.max(1) as f64;
    if target && summary.nulls > 0 {
        said.push(format!(
            "{} of the rows have no target and are left out",
            percent(summary.nulls, summary.rows)
        ));
    } else if missing > MOSTLY_MISSING && missing < 1.0 {
        said.push(format!(
            "{} missing; whether it is missing may tell more than its value",
            percent(summary.nulls, summary.rows)
        ));
    } else if summary.nulls > 0 && missing < 1.0 {
        said.push(format!(
            "{} missing; filled in, with a flag",
            percent(summary.nulls, summary.rows)
        ));
    }
    if summary.non_finite > 0 {
        said.push(format!(
            "{} values are NaN or infinite and count as missing",
            summary.non_finite
        ));
    }
    if summary.unreadable > 0 {
        said.push(format!(
            "{} values are no PNG or JPEG image and count as missing",
            summary.unreadable
        ));
    }
    if let Some(quantiles) = &summary.quantiles
        && quantiles.outliers as f64 > MANY_OUTLIERS * summary.rows as f64
        && profile.kind != Kind::Time
    {
        said.push(format!(
            "{} outliers; a long tail is brought closer to a normal distribution",
            percent(quantiles.outliers, summary.rows)
        ));
    }
    if profile.prose {
        said.push("free text: its words become inputs".into());
    } else if profile.unfit.is_none()
        && profile.kind == Kind::Category
        && summary.distinct > MANY_LEVELS
    {
        said.push(format!(
            "{} categories; rare ones share a vector",
            summary.distinct
        ));
    }
    if let Some(drift) = profile.drift.filter(|d| *d > DRIFT) {
        said.push(format!(
            "drifts over time (stability index {drift:.2}): what is learned may not last"
        ));
    }
    if let Some(association) = profile.association
        && profile.unfit.is_none()
        && association.p_value > UNRELATED
    {
        said.push(format!(
            "no relation with the target is seen by itself (p = {:.2})",
            association.p_value
        ));
    }
    if said.is_empty() {
        said.push("fine as it is".into());
    }
    said.join(". ")
}

pub(super) fn of_duplicates(repeated: usize, rows: usize) -> String {
    if repeated == 0 {
        return "no row repeats another".into();
    }
    format!(
        "{} of the rows repeat another but for identifiers; if they are one event recorded twice, remove them: scores on \
         rows that were also trained on are too good",
        percent(repeated, rows)
    )
}

pub(super) fn of_near_duplicates(repeated: usize) -> String {
    if repeated == 0 {
        return "no row nearly repeats another".into();
    }
    "these rows equal another but for case, blanks, the fourth digit of numbers or the time of day"
        .into()
}

pub(super) fn of_balance(label: &str, count: usize, rows: usize) -> String {
    let share = count as f64 / rows.max(1) as f64;
    let shown = percent(count, rows);
    if share < RARE {
        format!(
            "the rarest class, {label}, has {shown} of the rows: judge by roc_auc or average_precision rather than accuracy, \
             and try \"class_weight\": \"balanced\""
        )
    } else {
        format!("the rarest class, {label}, has {shown} of the rows")
    }
}
