//! What a tree asks, in words.

use super::surrogate::{Question, UNITS};
use crate::calendar::iso;
use crate::frame::{Column, Kind, tags};

/// A bound in full: a rule must be true as it is read.
pub(super) fn figure_exact(column: &Column, x: f64) -> String {
    match column.kind {
        Kind::Time => {
            let (at, second) = (x as i64, UNITS[3] as i64);
            match at.rem_euclid(second) {
                0 => iso(at),
                rest if iso(at).contains(' ') => format!("{}.{rest:06}", iso(at)),
                rest => format!("{} 00:00:00.{rest:06}", iso(at)),
            }
        }
        Kind::Duration => format!("{x} seconds"),
        _ => format!("{x}"),
    }
}

/// What the questions of one column say of it, in words: bounds are joined, values listed. `rare` says that rare values are kept as
/// missing ones.
pub(super) fn words(column: &Column, asked: &[(&Question, bool)], rare: bool) -> String {
    let name = &column.name;
    let unknown = if rare { "unknown or rare" } else { "unknown" };
    let (mut low, mut high): (Option<f64>, Option<f64>) = (None, None);
    // Whether a row without a value is still among them.
    let mut missing = true;
    let (mut is, mut not) = (None, Vec::new());
    for (question, holds) in asked {
        match (question, holds) {
            (
                Question::Below {
                    bound,
                    missing: own,
                },
                true,
            ) => {
                high = Some(high.map_or(*bound, |b| b.min(*bound)));
                missing &= *own;
            }
            (
                Question::Below {
                    bound,
                    missing: own,
                },
                false,
            ) => {
                low = Some(low.map_or(*bound, |b| b.max(*bound)));
                missing &= !*own;
            }
            (Question::Is(value), true) => {
                is = Some(value);
                missing = false;
            }
            (Question::Is(value), false) => not.push(shown(column, value)),
            (Question::Missing, true) => return format!("{name} {unknown}"),
            (Question::Missing, false) => missing = false,
        }
    }
    let bound = |x: f64| figure_exact(column, x);
    let said = match (low, high, is) {
        (Some(low), Some(high), _) => {
            format!("{name} from {} to below {}", bound(low), bound(high))
        }
        (Some(low), None, _) => format!("{name} >= {}", bound(low)),
        (None, Some(high), _) => format!("{name} < {}", bound(high)),
        (None, None, Some(value)) => format!("{name} = {}", shown(column, value)),
        (None, None, None) if not.is_empty() => format!("{name} known"),
        (None, None, None) => format!("{name} not {}", not.join(" or ")),
    };
    let has_missing = column.nulls.count() > 0;
    match missing && has_missing && not.is_empty() {
        true => format!("{said} or {unknown}"),
        false => said,
    }
}

/// A value as people write it.
fn shown(column: &Column, value: &str) -> String {
    match column.kind {
        Kind::Tags => tags(value).collect::<Vec<_>>().join(" and "),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Cell;

    #[test]
    fn questions_about_one_column_are_said_once() {
        let mut tenure = Column::new("tenure", "integer", Kind::Number);
        [Cell::Number(1.0), Cell::Null]
            .into_iter()
            .for_each(|c| tenure.push(c));
        let below = |bound, missing| Question::Below { bound, missing };
        let told = |asked: &[(&Question, bool)]| words(&tenure, asked, false);
        assert_eq!(told(&[(&below(6.0, false), true)]), "tenure < 6");
        assert_eq!(told(&[(&below(6.0, true), true)]), "tenure < 6 or unknown");
        let (six, three) = (below(6.0, false), below(3.0, false));
        assert_eq!(
            told(&[(&six, true), (&three, false)]),
            "tenure from 3 to below 6"
        );
        assert_eq!(told(&[(&six, false)]), "tenure >= 6 or unknown");
        assert_eq!(told(&[(&Question::Missing, true)]), "tenure unknown");
        assert_eq!(told(&[(&Question::Missing, false)]), "tenure known");
        let mut plan = Column::new("plan", "text", Kind::Category);
        plan.push(Cell::Text("pro"));
        let (a, b) = (Question::Is("pro".into()), Question::Is("team".into()));
        assert_eq!(
            words(&plan, &[(&a, false), (&b, false)], false),
            "plan not pro or team"
        );
        assert_eq!(words(&plan, &[(&a, true)], false), "plan = pro");
    }
}
