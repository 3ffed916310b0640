//! A column judged by its values and its name.

use super::national::SCHEMES;
use super::values::{self, Phone};
use super::{Finding, Kind, Sort, checks, hints, people};

/// Less is not worth telling.
const WORTH_TELLING: f64 = 0.3;
/// A test of values: how often it passes by chance, and how sure it is where all values pass.
struct Test {
    kind: Kind,
    chance: f64,
    sure: f64,
    what: &'static str,
    test: fn(&str) -> bool,
}

const TESTS: &[Test] = &[
    Test {
        kind: Kind::Email,
        chance: 0.0,
        sure: 0.99,
        what: "e-mail addresses",
        test: values::is_email,
    },
    Test {
        kind: Kind::Card,
        chance: 0.05,
        sure: 0.97,
        what: "payment cards with a right check digit",
        test: values::is_card,
    },
    Test {
        kind: Kind::Iban,
        chance: 0.0,
        sure: 0.99,
        what: "IBANs with right check digits",
        test: values::is_iban,
    },
    Test {
        kind: Kind::IpAddress,
        chance: 0.0,
        sure: 0.95,
        what: "network addresses",
        test: values::is_ip,
    },
    Test {
        kind: Kind::MacAddress,
        chance: 0.0,
        sure: 0.95,
        what: "hardware addresses",
        test: values::is_mac,
    },
    Test {
        kind: Kind::Coordinates,
        chance: 0.0,
        sure: 0.85,
        what: "pairs of latitude and longitude",
        test: values::is_coordinates,
    },
    Test {
        kind: Kind::PostalCode,
        chance: 0.02,
        sure: 0.8,
        what: "postal codes",
        test: values::is_postal_code,
    },
    Test {
        kind: Kind::Address,
        chance: 0.0,
        sure: 0.9,
        what: "streets with house numbers",
        test: people::is_address,
    },
    Test {
        kind: Kind::Phone,
        chance: 0.0,
        sure: 0.95,
        what: "international telephone numbers",
        test: values::is_international,
    },
    Test {
        kind: Kind::Phone,
        chance: 0.1,
        sure: 0.8,
        what: "telephone numbers in groups of digits",
        test: is_grouped_phone,
    },
];

/// Looked for inside longer texts.
const WITHIN: &[(Kind, &str, fn(&str) -> bool)] = &[
    (Kind::Email, "e-mail addresses", values::is_email),
    (Kind::Card, "payment cards", values::is_card),
    (Kind::Iban, "IBANs", values::is_iban),
    (
        Kind::Phone,
        "international telephone numbers",
        values::is_international,
    ),
];

fn is_grouped_phone(text: &str) -> bool {
    values::phone(text) >= Some(Phone::Grouped)
}

/// What a column of such values and name holds; `today` in days since 2000-01-01. The surest finding comes first.
pub fn judge(name: &str, sort: Sort, values: &[&str], today: i64) -> Vec<Finding> {
    let values: Vec<&str> = values
        .iter()
        .map(|v| v.trim())
        .filter(|v| !v.is_empty())
        .collect();
    let hints = hints::of(name);
    let mut found: Vec<Finding> = Vec::new();
    if sort != Sort::Time {
        by_form(&values, &mut found);
        by_number(&values, &hints, &mut found);
        if sort == Sort::Text {
            by_person(&values, &hints, &mut found);
        }
        inside(&values, &mut found);
    }
    by_birth(name, sort, &values, &hints, today, &mut found);
    for (kind, sure) in hints {
        hinted(kind, sure, sort, &values, &mut found);
    }
    found.retain(|f| f.confidence >= WORTH_TELLING);
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut seen = Vec::new();
    found.retain(|f| {
        !seen.contains(&f.kind) && {
            seen.push(f.kind);
            true
        }
    });
    // One string of digits passes several tests; what is sure explains it.
    if found
        .first()
        .is_some_and(|f| f.confidence > 0.9 && f.share > 0.5)
    {
        found.truncate(1);
    }
    found
}

/// How sure values make: by how many more pass than would by chance, and whether they are many enough to say so.
fn confidence(passed: usize, of: usize, chance: f64, sure: f64) -> f64 {
    if passed == 0 || of == 0 {
        return 0.0;
    }
    let share = passed as f64 / of as f64;
    let excess = ((share - chance) / (1.0 - chance)).max(0.0);
    let certain = 1.0 - chance.max(0.1).powi(passed.min(100) as i32);
    sure * (excess / 0.5).min(1.0).sqrt() * certain
}

fn count(values: &[&str], test: fn(&str) -> bool) -> usize {
    values.iter().filter(|v| test(v)).count()
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        x if x < 1.0 => "less than 1%".into(),
        x => format!("{x:.0}%"),
    }
}

fn by_form(values: &[&str], found: &mut Vec<Finding>) {
    for Test {
        kind,
        chance,
        sure,
        what,
        test,
    } in TESTS
    {
        let passed = count(values, *test);
        let share = passed as f64 / values.len().max(1) as f64;
        found.push(Finding {
            kind: *kind,
            confidence: confidence(passed, values.len(), *chance, *sure),
            share,
            evidence: format!("{} of the values are {what}", percent(share)),
        });
    }
}

fn by_number(values: &[&str], hints: &[(Kind, f64)], found: &mut Vec<Finding>) {
    // A name that says something else makes digits that pass by chance less believable.
    let named = hints.iter().any(|(kind, _)| *kind == Kind::NationalNumber);
    let doubt = |chance: f64| {
        if hints.is_empty() || named || chance < 0.02 {
            1.0
        } else {
            0.6
        }
    };
    for scheme in SCHEMES {
        let passed = count(values, scheme.test);
        let share = passed as f64 / values.len().max(1) as f64;
        // As many schemes as there are could pass by chance.
        let lucky = SCHEMES.len() as f64 * scheme.chance.powi(passed.min(100) as i32);
        let sure = scheme.sure * doubt(scheme.chance) * (1.0 - lucky).max(0.0);
        found.push(Finding {
            kind: Kind::NationalNumber,
            confidence: confidence(passed, values.len(), scheme.chance, sure),
            share,
            evidence: format!(
                "{} of the values have the form of a {}",
                percent(share),
                scheme.name
            ),
        });
    }
}

/// Names of people have a form that other words have too: common ones among them tell.
fn by_person(values: &[&str], hints: &[(Kind, f64)], found: &mut Vec<Finding>) {
    let (mut shaped, mut common) = (0usize, 0usize);
    let mut different = hashbrown::HashSet::new();
    for value in values {
        let (is_shaped, is_common) = people::name(value);
        shaped += usize::from(is_shaped);
        common += usize::from(is_common);
        different.insert(*value);
    }
    let all = values.len().max(1) as f64;
    let (shaped, common) = (shaped as f64 / all, common as f64 / all);
    let named = hints
        .iter()
        .find(|(kind, _)| *kind == Kind::Name)
        .map_or(0.0, |(_, sure)| *sure);
    // A few words that come again and again are categories.
    let many = different.len() >= 10 || different.len() as f64 > 0.5 * all;
    let by_values = if shaped > 0.6 && many {
        0.9 * (common / 0.25).min(1.0)
    } else {
        0.0
    };
    let by_name = if shaped > 0.6 {
        named * (if many { 1.0 } else { 0.5 })
    } else {
        0.0
    };
    let confidence = 1.0 - (1.0 - by_values) * (1.0 - by_name);
    let told = if named > 0.0 {
        ", as the column's name says"
    } else {
        ""
    };
    found.push(Finding {
        kind: Kind::Name,
        confidence,
        share: shaped,
        evidence: format!(
            "{} of the values have the form of a name, {} hold a common one{told}",
            percent(shaped),
            percent(common)
        ),
    });
}

/// Longer texts in which something of a person stands.
fn inside(values: &[&str], found: &mut Vec<Finding>) {
    let long: Vec<&str> = values
        .iter()
        .copied()
        .filter(|v| v.len() > 15 && v.contains([' ', '"', '<', ',', ';']))
        .collect();
    for (kind, what, test) in WITHIN {
        let passed = long
            .iter()
            .filter(|v| !test(v) && values::within(v, *test))
            .count();
        let share = passed as f64 / values.len().max(1) as f64;
        let confidence = match passed {
            0 => 0.0,
            1 | 2 => 0.6,
            _ => 0.85,
        };
        found.push(Finding {
            kind: *kind,
            confidence,
            share,
            evidence: format!(
                "{} of the values have {what} inside longer text",
                percent(share)
            ),
        });
    }
}

/// Dates of birth lie between a hundred and some ten years back, and far apart.
fn by_birth(
    name: &str,
    sort: Sort,
    values: &[&str],
    hints: &[(Kind, f64)],
    today: i64,
    found: &mut Vec<Finding>,
) {
    const YEAR: f64 = 365.25;
    let named = hints
        .iter()
        .find(|(kind, _)| *kind == Kind::DateOfBirth)
        .map_or(0.0, |(_, sure)| *sure);
    let mut ages: Vec<f64> = values
        .iter()
        .filter_map(|v| values::iso_day(v))
        .map(|day| (today - day) as f64 / YEAR)
        .collect();
    if sort == Sort::Number && named > 0.0 && name.to_lowercase().contains("year") {
        let this_year = 2000.0 + today as f64 / YEAR;
        ages = values
            .iter()
            .filter_map(|v| v.parse::<f64>().ok())
            .map(|year| this_year - year)
            .collect();
    }
    if ages.len() * 2 < values.len() || ages.is_empty() {
        return;
    }
    ages.sort_by(f64::total_cmp);
    let plausible = ages
        .iter()
        .filter(|age| (0.0..=115.0).contains(*age))
        .count() as f64
        / ages.len() as f64;
    let (young, old) = (
        ages[ages.len() / 20],
        ages[ages.len() - 1 - ages.len() / 20],
    );
    let by_values = if plausible > 0.95 && old - young > 20.0 && young > 3.0 && ages.len() > 20 {
        0.4
    } else {
        0.0
    };
    let by_name = if plausible > 0.8 { named } else { named * 0.3 };
    let how = if named > 0.0 {
        "as the column's name says"
    } else {
        "spread as ages are"
    };
    found.push(Finding {
        kind: Kind::DateOfBirth,
        confidence: 1.0 - (1.0 - by_values) * (1.0 - by_name),
        share: plausible * ages.len() as f64 / values.len() as f64,
        evidence: format!("dates, {how}"),
    });
}

/// What the name says, unless the values can be no such thing.
fn hinted(kind: Kind, sure: f64, sort: Sort, values: &[&str], found: &mut Vec<Finding>) {
    let share = |test: &dyn Fn(&str) -> bool| {
        values.iter().filter(|v| test(v)).count() as f64 / values.len().max(1) as f64
    };
    let fits = match kind {
        // Judged with the values.
        Kind::Name | Kind::DateOfBirth => return,
        Kind::Coordinates if sort == Sort::Number => {
            share(&|v| v.contains('.') && v.parse::<f64>().is_ok_and(|x| x.abs() <= 180.0))
        }
        Kind::PostalCode => share(&values::may_be_postal_code),
        Kind::Phone => share(&|v| values::phone(v).is_some()),
        Kind::Passport | Kind::NationalNumber => share(&|v| {
            (5..=20).contains(&v.len())
                && v.bytes().any(|b| b.is_ascii_digit())
                && !v.contains(['@', ':'])
        }),
        Kind::Username if sort == Sort::Text => share(&|v| !v.contains(' ') && v.len() < 40),
        Kind::Address if sort == Sort::Text => {
            // The street alone, or in a script whose words for it are not known.
            share(&|v| v.chars().filter(|c| c.is_alphabetic()).count() > 2)
        }
        Kind::Card => share(&|v| checks::digits(v).is_some_and(|d| (12..=19).contains(&d.len()))),
        _ => 0.0,
    };
    let test = found
        .iter()
        .filter(|f| f.kind == kind)
        .map(|f| (f.confidence, f.share));
    let (by_values, passed) = test.fold(
        (0.0, 0.0),
        |best, own| if own.0 > best.0 { own } else { best },
    );
    let by_name = sure * fits.max(passed).min(1.0);
    let all_or_most = fits.max(passed);
    if values.is_empty() && sort != Sort::Other {
        found.push(Finding {
            kind,
            confidence: sure * 0.5,
            share: 0.0,
            evidence: "the column's name; there are no values".into(),
        });
        return;
    }
    found.push(Finding {
        kind,
        confidence: 1.0 - (1.0 - by_values) * (1.0 - by_name),
        share: all_or_most,
        evidence: format!(
            "the column's name, and {} of the values can be such",
            percent(all_or_most)
        ),
    });
}
