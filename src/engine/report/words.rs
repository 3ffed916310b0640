//! Numbers as people write them.

/// Names that are listed.
pub const NAMED: usize = 5;

/// Three digits, or whole numbers.
pub(super) fn short(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if size >= 1e15 => format!("{x:.2e}"),
        _ if size >= 100.0 => {
            let sign = if x < 0.0 { "-" } else { "" };
            format!("{sign}{}", grouped(size.round() as u64))
        }
        _ if size >= 10.0 => format!("{x:.1}"),
        _ if size >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.3}"),
    }
}

/// The whole number of hundredths.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}

pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        _ if seconds < 0.95 => "less than a second".into(),
        _ if seconds < 90.0 => counted(seconds.round() as usize, "second"),
        _ => counted((seconds / 60.0).round() as usize, "minute"),
    }
}

/// With commas between thousands.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things.
pub(super) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count as u64))
}

/// The first of some names, and how many others there are.
pub(super) fn some(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        rest => format!("{shown} and {rest} more"),
    }
}

/// At most so many characters, without those that draw nothing.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).collect();
    if let Some((cut, _)) = shown.char_indices().nth(most.saturating_sub(1))
        && shown.chars().count() > most
    {
        shown.truncate(cut);
        shown.push('…');
    }
    shown
}

/// Text inside of HTML or an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
