//! Numbers that states give to people, with their check digits.

use super::checks::{digits, is_month_and_day, luhn, mod_11_10, modulo, verhoeff, weighed};

/// One kind of national number.
pub struct Scheme {
    pub name: &'static str,
    /// How often a number of the same form, given for another purpose, passes by chance.
    pub chance: f64,
    /// How sure a column is where all its values pass.
    pub sure: f64,
    pub test: fn(&str) -> bool,
}

/// Every scheme that is known.
pub const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "US social security number",
        chance: 0.05,
        sure: 0.95,
        test: us_ssn,
    },
    Scheme {
        name: "US social security number without dashes",
        chance: 0.9,
        sure: 0.2,
        test: us_ssn_bare,
    },
    Scheme {
        name: "UK national insurance number",
        chance: 0.02,
        sure: 0.95,
        test: uk_nino,
    },
    Scheme {
        name: "UK NHS number",
        chance: 0.09,
        sure: 0.95,
        test: uk_nhs,
    },
    Scheme {
        name: "German tax number (Steuer-ID)",
        chance: 0.02,
        sure: 0.95,
        test: de_tax,
    },
    Scheme {
        name: "French INSEE number",
        chance: 0.001,
        sure: 0.95,
        test: fr_insee,
    },
    Scheme {
        name: "Spanish DNI or NIE",
        chance: 0.05,
        sure: 0.95,
        test: es_dni,
    },
    Scheme {
        name: "Italian codice fiscale",
        chance: 0.001,
        sure: 0.95,
        test: it_fiscale,
    },
    Scheme {
        name: "Dutch citizen service number (BSN)",
        chance: 0.09,
        sure: 0.95,
        test: nl_bsn,
    },
    Scheme {
        name: "Belgian national number",
        chance: 0.005,
        sure: 0.95,
        test: be_national,
    },
    Scheme {
        name: "Polish PESEL",
        chance: 0.02,
        sure: 0.95,
        test: pl_pesel,
    },
    Scheme {
        name: "Swedish personal number",
        chance: 0.02,
        sure: 0.95,
        test: se_personal,
    },
    Scheme {
        name: "Swiss AHV number",
        chance: 0.001,
        sure: 0.95,
        test: ch_ahv,
    },
    Scheme {
        name: "Canadian social insurance number",
        chance: 0.1,
        sure: 0.95,
        test: ca_sin,
    },
    Scheme {
        name: "Brazilian CPF",
        chance: 0.01,
        sure: 0.95,
        test: br_cpf,
    },
    Scheme {
        name: "Indian Aadhaar number",
        chance: 0.1,
        sure: 0.95,
        test: in_aadhaar,
    },
    Scheme {
        name: "Chinese resident number",
        chance: 0.001,
        sure: 0.95,
        test: cn_resident,
    },
];

fn exactly(text: &str, count: usize) -> Option<Vec<u8>> {
    digits(text).filter(|digits| digits.len() == count)
}

/// Groups of digits between dashes have these lengths.
fn dashed(text: &str, lengths: &[usize]) -> bool {
    let mut parts = text.split('-');
    let fits = |length: &usize| {
        let own = parts.next().unwrap_or_default();
        own.len() == *length && own.bytes().all(|b| b.is_ascii_digit())
    };
    lengths.iter().all(fits) && parts.next().is_none()
}

/// Area, group and serial as the Social Security Administration gives them out.
fn ssn(text: &str) -> bool {
    let Some(d) = exactly(text, 9) else {
        return false;
    };
    let area = modulo(&d[..3], 1000);
    !matches!(area, 0 | 666 | 900..) && d[3..5] != [0, 0] && d[5..] != [0; 4]
}

fn us_ssn(text: &str) -> bool {
    dashed(text, &[3, 2, 4]) && ssn(text)
}

fn us_ssn_bare(text: &str) -> bool {
    text.len() == 9 && ssn(text)
}

/// HMRC manual NIM39110: two letters, six digits, A to D.
fn uk_nino(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|b| *b != b' ').collect();
    let &[a, b, ref number @ .., last] = text.as_slice() else {
        return false;
    };
    let never = [*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"];
    number.len() == 6
        && number.iter().all(u8::is_ascii_digit)
        && a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && !b"DFIQUV".contains(&a)
        && !b"DFIOQUV".contains(&b)
        && !never.contains(&[a, b])
        && (b'A'..=b'D').contains(&last)
}

fn uk_nhs(text: &str) -> bool {
    exactly(text, 10).is_some_and(|d| {
        let check = 11 - weighed(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        check % 11 == u32::from(d[9]) && check != 10
    })
}

/// Of the first ten digits one comes twice or three times, the others once at most (Abgabenordnung, section 139b).
fn de_tax(text: &str) -> bool {
    exactly(text, 11).is_some_and(|d| {
        let mut times = [0u8; 10];
        d[..10].iter().for_each(|d| times[usize::from(*d)] += 1);
        let repeated: Vec<u8> = times.into_iter().filter(|n| *n > 1).collect();
        d[0] != 0 && matches!(repeated[..], [2] | [3]) && mod_11_10(&d)
    })
}

/// Sex, year, month, place and rank, then 97 minus the rest; Corsica has 2A and 2B.
fn fr_insee(text: &str) -> bool {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    if text.len() != 15 || !text.is_ascii() {
        return false;
    }
    let (plain, less) = match &text[5..7] {
        "2A" => (text.replacen("2A", "19", 1), 0),
        "2B" => (text.replacen("2B", "18", 1), 0),
        _ => (text, 0u64),
    };
    let Some(d) = exactly(&plain, 15) else {
        return false;
    };
    let month = d[3] * 10 + d[4];
    matches!(d[0], 1 | 2 | 7 | 8)
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - modulo(&d[..13], 97) - less == modulo(&d[13..], 100)
}

fn es_dni(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let text: Vec<u8> = text.bytes().filter(|b| !b" -.".contains(b)).collect();
    let &[first, ref middle @ .., last] = text.as_slice() else {
        return false;
    };
    let lead = match first {
        b'X' | b'Y' | b'Z' => first - b'X',
        b'0'..=b'9' => first - b'0',
        _ => return false,
    };
    if middle.len() != 7 || !middle.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number: Vec<u8> = std::iter::once(lead)
        .chain(middle.iter().map(|b| b - b'0'))
        .collect();
    LETTERS[modulo(&number, 23) as usize] == last
}

/// Decree of 23 December 1976: odd places have values of their own.
fn it_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let text = text.as_bytes();
    let letters = [0, 1, 2, 3, 4, 5, 8, 11, 15];
    if text.len() != 16
        || !text
            .iter()
            .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        || !letters.iter().all(|i| text[*i].is_ascii_uppercase())
        || !b"ABCDEHLMPRST".contains(&text[8])
    {
        return false;
    }
    let value = |b: u8| {
        u32::from(if b.is_ascii_digit() {
            b - b'0'
        } else {
            b - b'A'
        })
    };
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if i % 2 == 0 {
                ODD[value(*b) as usize]
            } else {
                value(*b)
            }
        })
        .sum();
    sum % 26 == value(text[15])
}

fn nl_bsn(text: &str) -> bool {
    exactly(text, 9).is_some_and(|d| {
        let sum = weighed(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
        let last = u32::from(d[8]);
        sum >= last && (sum - last).is_multiple_of(11) && d.iter().any(|d| *d != 0)
    })
}

/// Before 2000, and after it with a 2 in front.
fn be_national(text: &str) -> bool {
    exactly(text, 11).is_some_and(|d| {
        let (number, check) = (modulo(&d[..9], 1_000_000_000), modulo(&d[9..], 100));
        let passes = |number: u64| 97 - number % 97 == check;
        is_month_and_day(d[2] * 10 + d[3], d[4] * 10 + d[5])
            && (passes(number) || passes(number + 2_000_000_000))
    })
}

/// The century is in the month.
fn pl_pesel(text: &str) -> bool {
    exactly(text, 11).is_some_and(|d| {
        let month = (d[2] * 10 + d[3]) % 20;
        is_month_and_day(month, d[4] * 10 + d[5])
            && weighed(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
    })
}

fn se_personal(text: &str) -> bool {
    let plain = text.replace('+', "-");
    let Some(mut d) = digits(&plain) else {
        return false;
    };
    if d.len() == 12 {
        d.drain(..2);
    }
    // A co-ordination number has 60 more than the day.
    d.len() == 10 && is_month_and_day(d[2] * 10 + d[3], (d[4] * 10 + d[5]) % 60) && luhn(&d)
}

/// An EAN-13 of the country 756.
fn ch_ahv(text: &str) -> bool {
    exactly(text, 13).is_some_and(|d| {
        d.starts_with(&[7, 5, 6])
            && weighed(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
    })
}

fn ca_sin(text: &str) -> bool {
    exactly(text, 9).is_some_and(|d| d[0] != 0 && d[0] != 8 && luhn(&d))
}

fn br_cpf(text: &str) -> bool {
    exactly(text, 11).is_some_and(|d| {
        let check = |n: usize| {
            let weights: Vec<u32> = (2..=n as u32 + 1).rev().collect();
            weighed(&d[..n], &weights) * 10 % 11 % 10 == u32::from(d[n])
        };
        d.iter().any(|other| *other != d[0]) && check(9) && check(10)
    })
}

fn in_aadhaar(text: &str) -> bool {
    exactly(text, 12).is_some_and(|d| d[0] > 1 && verhoeff(&d))
}

/// GB 11643-1999: a place, a date, an order and a check (ISO 7064, MOD 11-2).
fn cn_resident(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    if text.len() != 18 || !text.is_ascii() {
        return false;
    }
    let Some(d) = exactly(&text[..17], 17) else {
        return false;
    };
    let century = d[6] * 10 + d[7];
    let check = b"10X98765432"[(weighed(&d, &WEIGHTS) % 11) as usize];
    (18..=20).contains(&century)
        && is_month_and_day(d[10] * 10 + d[11], d[12] * 10 + d[13])
        && text.as_bytes()[17].to_ascii_uppercase() == check
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published examples, or numbers computed by the published rule.
    const EXAMPLES: &[(&str, &str)] = &[
        ("US social security number", "536-90-4399"),
        ("US social security number without dashes", "536904399"),
        ("UK national insurance number", "AB 12 34 56 C"),
        ("UK NHS number", "943 476 5919"),
        ("German tax number (Steuer-ID)", "86095742719"),
        ("French INSEE number", "2 55 08 14 168 025 38"),
        ("Spanish DNI or NIE", "12345678Z"),
        ("Spanish DNI or NIE", "X1234567L"),
        ("Italian codice fiscale", "RSSMRA85T10A562S"),
        ("Dutch citizen service number (BSN)", "111222333"),
        ("Belgian national number", "85.07.30-033.28"),
        ("Polish PESEL", "44051401359"),
        ("Swedish personal number", "811228-9874"),
        ("Swiss AHV number", "756.9217.0769.85"),
        ("Canadian social insurance number", "130 692 544"),
        ("Brazilian CPF", "111.444.777-35"),
        ("Chinese resident number", "11010519491231002X"),
    ];

    #[test]
    fn examples_pass() {
        for (name, number) in EXAMPLES {
            let scheme = SCHEMES.iter().find(|s| s.name == *name).unwrap();
            assert!((scheme.test)(number), "{name} {number}");
        }
    }

    #[test]
    fn a_wrong_digit_fails_where_there_is_a_check() {
        for (name, number) in EXAMPLES {
            let scheme = SCHEMES.iter().find(|s| s.name == *name).unwrap();
            if scheme.name.contains("US") || scheme.name.contains("insurance") {
                continue;
            }
            let at = number.rfind(|c: char| c.is_ascii_digit()).unwrap();
            let digit = (number.as_bytes()[at] - b'0' + 1) % 10;
            let wrong = format!("{}{digit}{}", &number[..at], &number[at + 1..]);
            assert!(!(scheme.test)(&wrong), "{name} {wrong}");
        }
    }

    #[test]
    fn strangers_are_refused() {
        for text in [
            "",
            "-",
            "000-00-0000",
            "666-12-1234",
            "ö",
            "üüüüüüüüü",
            "2024-01-01",
            "1",
            "AB123456",
        ] {
            assert!(SCHEMES.iter().all(|s| !(s.test)(text)), "{text}");
        }
    }

    #[test]
    fn chances_are_about_right() {
        let mut random = crate::random::Random::new(5);
        let mut passed = [0u32; 3];
        for _ in 0..20_000 {
            let number: String = (0..9)
                .map(|_| char::from(b'0' + random.below(10) as u8))
                .collect();
            passed[0] += u32::from(nl_bsn(&number));
            passed[1] += u32::from(ca_sin(&number));
            passed[2] += u32::from(us_ssn_bare(&number));
        }
        let share = passed.map(|n| f64::from(n) / 20_000.0);
        assert!((share[0] - 0.09).abs() < 0.02 && (share[1] - 0.08).abs() < 0.02 && share[2] > 0.8);
    }
}
