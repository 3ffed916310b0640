//! Values on their way out, and what the types of columns can hold of them.

use crate::calendar::iso;
use crate::clean::table::Edit;

const DAY: i64 = 86_400_000_000;

/// A value, as it is or less exact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Number(f64),
    /// Microseconds since 2000-01-01 00:00 UTC.
    Time(i64),
    Boolean(bool),
    Text(String),
    /// Numbers from `low` to `high`, which is one of them where it is closed; `centre` stands for them where there is room for one.
    Range {
        low: f64,
        high: f64,
        closed: bool,
        centre: f64,
    },
    /// The same of times, with its name.
    Span {
        low: i64,
        high: i64,
        closed: bool,
        centre: i64,
        label: String,
    },
}

/// What a column of the wanted row type can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Whole numbers of 16 or 32 bits.
    Whole,
    /// Whole numbers of 64 bits at least.
    Long,
    /// Other numbers.
    Real,
    Date,
    Time,
    Boolean,
    Text,
    Uuid,
    WholeRange,
    NumberRange,
    DateRange,
    TimeRange,
    /// What its input function reads.
    Other,
}

/// What values a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Number,
    Time,
    Boolean,
    Text,
    Range,
    Span,
}

impl Form {
    /// Whether a type can hold such values at all.
    pub fn fits(self, target: Target) -> bool {
        use Target::{
            Boolean, Date, DateRange, Long, NumberRange, Real, Text, Time, TimeRange, Whole,
            WholeRange,
        };
        match self {
            Form::Number | Form::Range => {
                matches!(
                    target,
                    Whole | Long | Real | Text | WholeRange | NumberRange
                )
            }
            Form::Time | Form::Span => matches!(target, Date | Time | Text | DateRange | TimeRange),
            Form::Boolean => matches!(target, Boolean | Text),
            Form::Text => matches!(target, Text | Target::Uuid | Target::Other),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Form::Number => "a number",
            Form::Time => "a time",
            Form::Boolean => "a boolean",
            Form::Text => "a text",
            Form::Range => "a range of numbers",
            Form::Span => "a range of times",
        }
    }
}

impl Value {
    /// As a column of the type can hold it; the form must fit.
    pub fn edit(&self, target: Target) -> Edit {
        let ranged = matches!(
            target,
            Target::WholeRange | Target::NumberRange | Target::DateRange | Target::TimeRange
        );
        match self {
            Value::Number(x) if target == Target::Text => Edit::Text(x.to_string()),
            Value::Number(x) if ranged => Edit::Text(format!("[{x},{x}]")),
            Value::Number(x) => Edit::Number(*x),
            Value::Time(at) if target == Target::Text => Edit::Text(iso(*at)),
            Value::Time(at) if ranged => Edit::Text(times(*at, *at, true, target)),
            Value::Time(at) => Edit::Time(*at),
            Value::Boolean(x) if target == Target::Text => Edit::Text(x.to_string()),
            Value::Boolean(x) => Edit::Boolean(*x),
            Value::Text(text) => Edit::Text(text.clone()),
            Value::Range {
                low, high, closed, ..
            } if ranged || target == Target::Text => {
                let end = if *closed { ']' } else { ')' };
                Edit::Text(match target {
                    Target::WholeRange => format!("[{},{}{end}", low.floor(), high.ceil()),
                    _ => format!("[{low},{high}{end}"),
                })
            }
            Value::Range { centre, .. } => Edit::Number(*centre),
            Value::Span { label, .. } if target == Target::Text => Edit::Text(label.clone()),
            Value::Span {
                low, high, closed, ..
            } if ranged => Edit::Text(times(*low, *high, *closed, target)),
            Value::Span { centre, .. } => Edit::Time(*centre),
        }
    }

    /// Where it begins and ends, whether its end is one of its values, and what stands for it, of numbers.
    pub(super) fn numbers(&self) -> Option<(f64, f64, bool, f64)> {
        match self {
            Value::Number(x) => Some((*x, *x, true, *x)),
            Value::Range {
                low,
                high,
                closed,
                centre,
            } => Some((*low, *high, *closed, *centre)),
            _ => None,
        }
    }

    /// The same of times.
    pub(super) fn times(&self) -> Option<(i64, i64, bool, i64)> {
        match self {
            Value::Time(at) => Some((*at, *at, true, *at)),
            Value::Span {
                low,
                high,
                closed,
                centre,
                ..
            } => Some((*low, *high, *closed, *centre)),
            _ => None,
        }
    }
}

/// `[1980-01-01,1990-01-01)`.
pub(super) fn span(low: i64, high: i64, closed: bool) -> String {
    let end = if closed { ']' } else { ')' };
    format!("[{},{}{end}", iso(low), iso(high))
}

/// The same as a range of dates, or of times in UTC.
fn times(low: i64, high: i64, closed: bool, target: Target) -> String {
    let day = |at: i64| iso(at.div_euclid(DAY) * DAY);
    if target == Target::DateRange {
        // A part of a day is a day.
        let closed = closed || high.rem_euclid(DAY) > 0;
        let end = if closed { ']' } else { ')' };
        return format!("[{},{}{end}", day(low), day(high));
    }
    let instant = |at: i64| match iso(at) {
        midnight if at.rem_euclid(DAY) < 1_000_000 => format!("{midnight} 00:00:00+00"),
        other => format!("{other}+00"),
    };
    let end = if closed { ']' } else { ')' };
    format!("[{},{}{end}", instant(low), instant(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_written_as_its_column_can_hold_it() {
        let range = Value::Range {
            low: 20.0,
            high: 30.0,
            closed: false,
            centre: 25.0,
        };
        assert_eq!(range.edit(Target::Text), Edit::Text("[20,30)".into()));
        assert_eq!(range.edit(Target::WholeRange), Edit::Text("[20,30)".into()));
        assert_eq!(range.edit(Target::Whole), Edit::Number(25.0));
        assert!(Form::Range.fits(Target::NumberRange) && !Form::Range.fits(Target::Boolean));
        let day = 86_400_000_000;
        let span = Value::Span {
            low: 0,
            high: 366 * day,
            closed: false,
            centre: 0,
            label: "2000".into(),
        };
        assert_eq!(span.edit(Target::Text), Edit::Text("2000".into()));
        assert_eq!(
            span.edit(Target::DateRange),
            Edit::Text("[2000-01-01,2001-01-01)".into())
        );
        assert_eq!(span.edit(Target::Date), Edit::Time(0));
        let noon = Value::Time(day / 2);
        assert_eq!(
            noon.edit(Target::DateRange),
            Edit::Text("[2000-01-01,2000-01-01]".into())
        );
        assert_eq!(
            span.edit(Target::TimeRange),
            Edit::Text("[2000-01-01 00:00:00+00,2001-01-01 00:00:00+00)".into())
        );
    }
}
