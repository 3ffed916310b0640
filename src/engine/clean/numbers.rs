//! Numbers that stand in text, with their units: "1,200.50", "1.200,50", "€12", "85%", "(3.2)", "12k".

use super::text::{digit, says_nothing, trim};
use serde::{Deserialize, Serialize};

/// So many of a column's values must be readable.
pub(super) const ENOUGH: f64 = 0.95;
/// A longer text is no number.
const LONGEST: usize = 64;
/// More digits do not fit a float: it is a code.
const DIGITS: usize = 15;

/// How the numbers of one column are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// "1.200,50" rather than "1,200.50".
    pub decimal_comma: bool,
    /// What the numbers count, such as `eur` or `kg`; a value of another unit is not read.
    pub unit: Option<String>,
}

/// One text as a number.
#[derive(Debug, PartialEq)]
enum Read {
    Number {
        value: f64,
        unit: String,
    },
    /// Digits that are a name: leading zeros or too many of them.
    Code,
    Nothing,
}

impl Format {
    /// The format that reads at least 95 % of the texts, each given with the rows it stands in; `None` where there is no such
    /// format, where units differ, and where a text is a code such as "00123".
    pub fn find<'a>(texts: impl Iterator<Item = (&'a str, usize)> + Clone) -> Option<Format> {
        let present: usize = texts.clone().map(|(_, rows)| rows).sum();
        let mut best: Option<(usize, Format)> = None;
        for decimal_comma in [false, true] {
            let mut format = Format {
                decimal_comma,
                unit: None,
            };
            let (mut read, mut mixed) = (0, false);
            for (text, rows) in texts.clone() {
                match parse(text, decimal_comma) {
                    Read::Code => return None,
                    Read::Nothing => {}
                    Read::Number { unit, .. } => {
                        read += rows;
                        if !unit.is_empty() {
                            let first = format.unit.get_or_insert_with(|| unit.clone());
                            mixed |= *first != unit;
                        }
                    }
                }
            }
            if !mixed && read > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((read, format));
            }
        }
        let (read, format) = best?;
        (read as f64 >= ENOUGH * present as f64).then_some(format)
    }

    pub fn read(&self, text: &str) -> Option<f64> {
        match parse(text, self.decimal_comma) {
            Read::Number { value, unit }
                if unit.is_empty() || Some(&unit) == self.unit.as_ref() =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    pub fn describe(&self) -> String {
        let mark = if self.decimal_comma { "comma" } else { "point" };
        match &self.unit {
            None => format!("decimal {mark}"),
            Some(unit) => format!("decimal {mark}, unit {unit}"),
        }
    }
}

fn parse(text: &str, comma: bool) -> Read {
    if text.len() > LONGEST || says_nothing(text) {
        return Read::Nothing;
    }
    // Digits of every script, and the Arabic marks, as ASCII.
    let plain: String = trim(text)
        .chars()
        .map(|c| match c {
            '\u{66b}' if comma => ',',
            '\u{66b}' => '.',
            '\u{66c}' if comma => '.',
            '\u{66c}' => ',',
            '\u{66a}' | '\u{ff05}' => '%',
            '\u{2212}' | '\u{2013}' => '-',
            '\u{a0}' | '\u{202f}' | '\u{2009}' => ' ',
            '\u{2019}' => '\'',
            c => digit(c).map_or(c, |d| char::from(b'0' + d)),
        })
        .collect();
    let mut text = plain.as_str();
    let mut negative = false;
    if let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        // As accountants write what is owed.
        (text, negative) = (inner.trim(), true);
    }
    let is_digit = |c: char| c.is_ascii_digit();
    let (Some(mut first), Some(last)) = (text.find(is_digit), text.rfind(is_digit)) else {
        return Read::Nothing;
    };
    let mark = if comma { ',' } else { '.' };
    if text[..first].ends_with(mark) {
        first -= 1;
    }
    let (before, body, after) = (&text[..first], &text[first..=last], &text[last + 1..]);
    let Some((before, sign)) = without_sign(before) else {
        return Read::Nothing;
    };
    // "3.2-" as some systems print it.
    let (after, trailing) = match after.trim_end().strip_suffix('-') {
        Some(rest) => (rest, true),
        None => (after, false),
    };
    if usize::from(negative) + usize::from(sign) + usize::from(trailing) > 1 {
        return Read::Nothing;
    }
    let (Some(before), Some((scale, unit))) = (currency(&before), suffix(after)) else {
        return Read::Nothing;
    };
    if !before.is_empty() && !unit.is_empty() {
        return Read::Nothing;
    }
    match amount(body, comma) {
        Ok(value) => {
            let value = scale.of(value);
            let negative = negative || sign || trailing;
            Read::Number {
                value: if negative { -value } else { value },
                unit: if before.is_empty() { unit } else { before },
            }
        }
        Err(code) if code && before.is_empty() && unit.is_empty() => Read::Code,
        Err(_) => Read::Nothing,
    }
}

/// What stands before the digits without a sign, and whether it was a minus; `None` for two signs.
fn without_sign(text: &str) -> Option<(String, bool)> {
    let signs = text.matches(['-', '+']).count();
    let rest = text.replace(['-', '+'], "");
    (signs <= 1).then(|| (rest.trim().to_owned(), text.contains('-')))
}

/// The code of a currency, of its sign or its code; empty for nothing; `None` for anything else.
fn currency(text: &str) -> Option<String> {
    let lower = text.trim().trim_end_matches('.').to_lowercase();
    let code = match lower.as_str() {
        "" => "",
        "€" | "eur" | "euro" => "eur",
        "$" | "usd" | "us$" => "usd",
        "£" | "gbp" => "gbp",
        "¥" | "￥" | "jpy" | "cny" | "rmb" => "jpy",
        "₹" | "inr" | "rs" => "inr",
        "₩" | "krw" => "krw",
        "₽" | "rub" => "rub",
        "₺" | "try" => "try",
        "kr" | "sek" | "nok" | "dkk" | "chf" | "fr" | "pln" | "zł" | "czk" | "kč" | "huf"
        | "ron" | "bgn" | "brl" | "r$" | "mxn" | "cad" | "aud" | "nzd" | "a$" | "c$" | "hkd"
        | "sgd" | "zar" | "ils" | "₪" | "aed" | "sar" | "thb" | "฿" | "vnd" | "₫" | "idr"
        | "myr" | "php" | "₱" | "uah" | "₴" | "ngn" | "₦" => lower.as_str(),
        _ => return None,
    };
    Some(code.to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Times(f64),
    Percent,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Scale::Times(factor) => value * factor,
            Scale::Percent => value / 100.0,
        }
    }
}

/// What stands behind the digits: a scale and a unit.
fn suffix(text: &str) -> Option<(Scale, String)> {
    let text = text.trim();
    if text == "%" {
        return Some((Scale::Percent, String::new()));
    }
    for (name, factor) in [
        ("mio", 1e6),
        ("mln", 1e6),
        ("mrd", 1e9),
        ("mn", 1e6),
        ("bn", 1e9),
        ("k", 1e3),
        ("K", 1e3),
        ("M", 1e6),
        ("B", 1e9),
    ] {
        if let Some(rest) = text.strip_prefix(name)
            && let Some(unit) = currency(rest)
        {
            return Some((Scale::Times(factor), unit));
        }
    }
    if let Some(unit) = currency(text) {
        return Some((Scale::Times(1.0), unit));
    }
    // A unit of measure: a few letters, such as kg, km/h, m² or °C.
    let letters = |c: char| c.is_alphabetic() || matches!(c, '°' | '²' | '³' | '/' | '"' | 'µ');
    let unit = text.trim_end_matches('.');
    (unit.chars().count() <= 8 && unit.chars().all(letters))
        .then(|| (Scale::Times(1.0), unit.to_lowercase()))
}

/// The value of digits with their marks; `Err(true)` for a code, `Err(false)` for what is no number.
fn amount(body: &str, comma: bool) -> Result<f64, bool> {
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| false)?),
        None => (body, 0),
    };
    let mark = if comma { ',' } else { '.' };
    let (whole, fraction) = mantissa.split_once(mark).unwrap_or((mantissa, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(false);
    }
    let separators: &[char] = if comma {
        &['.', ' ', '\'']
    } else {
        &[',', ' ', '\'']
    };
    let used = whole.chars().find(|c| separators.contains(c));
    let groups: Vec<&str> = match used {
        Some(separator) => whole.split(separator).collect(),
        None => vec![whole],
    };
    if groups
        .iter()
        .any(|g| !g.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(false);
    }
    if let [first, middle @ .., last] = groups.as_slice() {
        // Groups of three, or of two before the last as in India.
        let even = |size| middle.iter().all(|group| group.len() == size);
        let fits = last.len() == 3 && (1..=3).contains(&first.len()) && (even(3) || even(2));
        if groups.len() > 1 && !fits {
            return Err(false);
        }
    }
    let digits = groups.concat();
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(true);
    }
    if digits.len() + fraction.trim_end_matches('0').len() > DIGITS {
        return Err(fraction.is_empty());
    }
    let value: f64 = format!("0{digits}.{fraction}0e{exponent}")
        .parse()
        .map_err(|_| false)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(texts: &[&str]) -> Option<Format> {
        Format::find(texts.iter().map(|t| (*t, 1)))
    }

    #[test]
    fn numbers_are_read_with_their_units() {
        for (text, value) in [
            ("12", 12.0),
            (" 1,200.50 ", 1200.5),
            ("12,34,567", 1_234_567.0),
            ("€12", 12.0),
            ("12 €", 12.0),
            ("-€12.5", -12.5),
            ("€ -12.5", -12.5),
            ("12 EUR", 12.0),
            ("1.5k €", 1500.0),
            ("85%", 0.85),
            ("(3.2)", -3.2),
            ("($1,000)", -1000.0),
            ("12k", 12_000.0),
            ("1.5 M", 1.5e6),
            ("2bn", 2e9),
            (".5", 0.5),
            ("0.05", 0.05),
            ("3.2-", -3.2),
            ("−7", -7.0),
            ("1'200", 1200.0),
            ("1 200", 1200.0),
            ("1.2e3", 1200.0),
            ("70 kg", 70.0),
            ("21°C", 21.0),
            ("٣٤٫٥", 34.5),
            ("１２", 12.0),
            ("४२", 42.0),
        ] {
            let Read::Number { value: read, .. } = parse(text, false) else {
                panic!("{text} is not read");
            };
            assert_eq!(read, value, "{text}");
        }
        let comma = |text| match parse(text, true) {
            Read::Number { value, .. } => Some(value),
            _ => None,
        };
        assert_eq!(comma("1.200,50"), Some(1200.5));
        assert_eq!(comma("1.234.567"), Some(1_234_567.0));
        assert_eq!(comma("0,5 %"), Some(0.005));
        assert_eq!(comma("1 200,5"), Some(1200.5));
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        for text in [
            "",
            "-",
            "n/a",
            "abc",
            "A12",
            "12-13",
            "1.2.3.4",
            "12 34",
            "1,20",
            "2024-01-05",
            "5:30",
            "+49 30 1234",
            "--5",
            "(5",
            "€5$",
            "1e999",
            "٪",
            "12 apples a day",
        ] {
            assert_eq!(parse(text, false), Read::Nothing, "{text}");
        }
        assert_eq!(parse(&"9".repeat(1 << 20), false), Read::Nothing);
        assert_eq!(parse("00123", false), Read::Code);
        assert_eq!(parse("12345678901234567", false), Read::Code);
    }

    #[test]
    fn the_decimal_mark_is_what_reads_most() {
        assert!(!find(&["1,200.50", "3", "4.5"]).unwrap().decimal_comma);
        assert!(find(&["1.200,50", "3", "4,5"]).unwrap().decimal_comma);
        assert!(!find(&["1.234"]).unwrap().decimal_comma, "it could be both");
    }

    #[test]
    fn other_columns_stay_text() {
        assert_eq!(find(&["1 kg", "500 g"]), None, "units differ");
        assert_eq!(find(&["€1", "$1"]), None);
        assert_eq!(find(&["01234", "12345"]), None, "codes");
        assert_eq!(find(&["1", "2", "three"]), None);
        assert_eq!(find(&[]), None);
        let mut many = vec!["7"; 95];
        many.extend(["?"; 5]);
        assert!(find(&many).is_some());
        many.push("x");
        assert_eq!(find(&many), None);
    }

    #[test]
    fn a_format_reads_its_unit_only() {
        let format = find(&["€1", "2"]).unwrap();
        assert_eq!(format.unit.as_deref(), Some("eur"));
        assert_eq!(format.read("EUR 3"), Some(3.0));
        assert_eq!(format.read("$3"), None);
    }
}
