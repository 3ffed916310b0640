//! Dates that stand in text: ISO 8601, dd.mm.yyyy, mm/dd/yyyy, with or without a time of day.

use super::numbers::ENOUGH;
use super::text::{digit, says_nothing, trim};
use crate::calendar;
use serde::{Deserialize, Serialize};

/// A longer text is no date.
const LONGEST: usize = 64;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// What comes first where the year does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    DayFirst,
    MonthFirst,
}

/// How the dates of one column are written; the year may stand first in every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub order: Order,
    /// No value tells days from months.
    pub ambiguous: bool,
}

impl Format {
    /// The order that reads at least 95 % of the texts, each given with the rows it stands in. Where both orders read all,
    /// slashes mean the month first and other marks the day first.
    pub fn find<'a>(texts: impl Iterator<Item = (&'a str, usize)> + Clone) -> Option<Format> {
        let (mut present, mut slashes, mut year_last) = (0, 0, 0);
        let mut read = [0usize; 2];
        for (text, rows) in texts {
            present += rows;
            let days = parse(text, Order::DayFirst);
            let months = parse(text, Order::MonthFirst);
            read[0] += if days.is_some() { rows } else { 0 };
            read[1] += if months.is_some() { rows } else { 0 };
            // ISO dates say nothing about the order.
            if days != months {
                year_last += rows;
                slashes += if text.contains('/') { rows } else { 0 };
            }
        }
        let ambiguous = read[0] == read[1] && year_last > 0;
        let month_first = read[1] > read[0] || (read[0] == read[1] && slashes * 2 > year_last);
        let most = read[0].max(read[1]);
        (most > 0 && most as f64 >= ENOUGH * present as f64).then_some(Format {
            order: if month_first {
                Order::MonthFirst
            } else {
                Order::DayFirst
            },
            ambiguous,
        })
    }

    /// Microseconds since 2000-01-01 00:00; a time with a zone is brought to UTC.
    pub fn read(&self, text: &str) -> Option<i64> {
        parse(text, self.order)
    }

    pub fn describe(&self) -> String {
        let order = match self.order {
            Order::DayFirst => "yyyy-mm-dd or dd.mm.yyyy",
            Order::MonthFirst => "yyyy-mm-dd or mm/dd/yyyy",
        };
        if self.ambiguous {
            format!("{order}; no value tells days from months")
        } else {
            order.into()
        }
    }
}

fn parse(text: &str, order: Order) -> Option<i64> {
    if text.len() > LONGEST || says_nothing(text) {
        return None;
    }
    let plain: String = trim(text)
        .chars()
        .map(|c| digit(c).map_or(c, |d| char::from(b'0' + d)))
        .collect();
    let end = plain
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '/' | '.'))
        .unwrap_or(plain.len());
    let (date, rest) = plain.split_at(end);
    let mark = date.chars().find(|c| !c.is_ascii_digit())?;
    let parts: Vec<&str> = date.split(mark).collect();
    let [a, b, c] = parts[..] else { return None };
    let (year, month, day) = match (a.len(), c.len(), order) {
        (4, 1..=2, _) => (a, b, c),
        (1..=2, 4, Order::DayFirst) => (c, b, a),
        (1..=2, 4, Order::MonthFirst) => (c, a, b),
        _ => return None,
    };
    if !(1..=2).contains(&b.len()) {
        return None;
    }
    let days = calendar::days(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    Some(days * DAY + time_of_day(rest)?)
}

/// Microseconds since midnight, less the offset of a zone; 0 for nothing.
fn time_of_day(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let text = text.strip_prefix(['T', 't']).unwrap_or(text);
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => (text[..at].trim_end(), zone(&text[at..])?),
        None => (text, 0),
    };
    let lower = clock.to_ascii_lowercase();
    let (clock, afternoon) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim_end(), Some(false)),
        (_, Some(clock)) => (clock.trim_end(), Some(true)),
        _ => (lower.as_str(), None),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, ""));
    let [hour, minute, second] = [hour, minute, second].map(small);
    let (mut hour, minute, second) = (hour?, minute?, second?);
    if let Some(afternoon) = afternoon {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    if hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
        return None;
    }
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    digits.then_some(((hour * 60 + minute) * 60 + second) * SECOND + micros - zone)
}

/// One or two digits.
fn small(text: &str) -> Option<i64> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Microseconds east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = text.split_at_checked(1)?;
    let rest = rest.replace(':', "");
    let (hours, minutes) = match rest.len() {
        1 | 2 => (small(&rest)?, 0),
        4 => (small(rest.get(..2)?)?, small(rest.get(2..)?)?),
        _ => return None,
    };
    let offset = (hours * 60 + minutes) * 60 * SECOND;
    (hours <= 15 && minutes <= 59).then_some(if sign == "-" { -offset } else { offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, order: Order) -> Option<String> {
        parse(text, order).map(calendar::iso)
    }

    fn find(texts: &[&str]) -> Option<Format> {
        Format::find(texts.iter().map(|t| (*t, 1)))
    }

    #[test]
    fn dates_are_read() {
        let day = |text| read(text, Order::DayFirst).unwrap_or_default();
        assert_eq!(day("2024-02-29"), "2024-02-29");
        assert_eq!(day(" 2024/2/9 "), "2024-02-09");
        assert_eq!(day("29.02.2024"), "2024-02-29");
        assert_eq!(day("9-2-2024"), "2024-02-09");
        assert_eq!(day("٢٩.٠٢.٢٠٢٤"), "2024-02-29");
        assert_eq!(day("2024-02-29T13:05:07Z"), "2024-02-29 13:05:07");
        assert_eq!(day("2024-02-29 13:05:07.25+02:00"), "2024-02-29 11:05:07");
        assert_eq!(day("29.02.2024 1:05 PM"), "2024-02-29 13:05:00");
        assert_eq!(day("29.02.2024 12:05 am"), "2024-02-29 00:05:00");
        let month = read("02/29/2024", Order::MonthFirst);
        assert_eq!(month.as_deref(), Some("2024-02-29"));
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "n/a",
            "2023-02-29",
            "31.04.2024",
            "13/13/2024",
            "1.2.3",
            "2024",
            "20240229",
            "12.03",
            "2024-02-29 25:00",
            "2024-02-29x",
            "29.02-2024",
            "1.2.2024.5",
            "2024-02-29 10:00+99",
            "2024-02-29 1:2:3:4",
            "2024-1-",
            "99999-01-01",
            "२०२४-०२",
        ] {
            assert_eq!(read(text, Order::DayFirst), None, "{text}");
        }
        assert_eq!(read(&"1.".repeat(1 << 19), Order::DayFirst), None);
    }

    #[test]
    fn the_order_is_the_one_that_reads_all() {
        let order = |texts: &[&str]| find(texts).map(|f| (f.order, f.ambiguous));
        use Order::{DayFirst, MonthFirst};
        assert_eq!(
            order(&["01/02/2024", "13/02/2024"]),
            Some((DayFirst, false))
        );
        assert_eq!(
            order(&["01/02/2024", "02/13/2024"]),
            Some((MonthFirst, false))
        );
        assert_eq!(order(&["01/02/2024"]), Some((MonthFirst, true)));
        assert_eq!(order(&["01.02.2024"]), Some((DayFirst, true)));
        assert_eq!(order(&["2024-01-02"]), Some((DayFirst, false)));
        assert_eq!(order(&["31/12/2024", "12/31/2024"]), None);
        assert_eq!(order(&["x"]), None);
        assert_eq!(order(&[]), None);
    }
}
