//! Check digits of numbers that are given to people.

/// Digits of a text, or nothing where it has other characters than digits and the separators people write.
pub fn digits(text: &str) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.bytes() {
        match c {
            b'0'..=b'9' => digits.push(c - b'0'),
            b' ' | b'-' | b'.' | b'/' => {}
            _ => return None,
        }
    }
    Some(digits)
}

/// Luhn's check (ISO/IEC 7812-1, annex B).
pub fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| match u32::from(*d) * (1 + i as u32 % 2) {
            twice if twice > 9 => twice - 9,
            once => once,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Verhoeff's check (1969), in the dihedral group of the pentagon.
pub fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 10 - b) % 5,
        (false, false) => (a + 10 - b) % 5,
    };
    let mut check = 0;
    for (i, digit) in digits.iter().rev().enumerate() {
        let mut permuted = *digit;
        for _ in 0..i % 8 {
            permuted = PERMUTATION[usize::from(permuted)];
        }
        check = product(check, permuted);
    }
    check == 0
}

/// ISO 7064, MOD 11,10: the last digit checks the others.
pub fn mod_11_10(digits: &[u8]) -> bool {
    let Some((last, rest)) = digits.split_last() else {
        return false;
    };
    let product = rest.iter().fold(10, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*last)
}

/// The digits weighed and summed.
pub fn weighed(digits: &[u8], weights: &[u32]) -> u32 {
    let pairs = digits.iter().zip(weights);
    pairs.map(|(d, w)| u32::from(*d) * w).sum()
}

/// Decimal digits modulo a number.
pub fn modulo(digits: &[u8], by: u64) -> u64 {
    digits
        .iter()
        .fold(0, |rest, d| (rest * 10 + u64::from(*d)) % by)
}

/// Whether letters and digits, letters counting 10 to 35, are 1 modulo 97 (ISO 7064, MOD 97-10), as in an IBAN (ISO 13616) whose
/// first four characters have been moved to its end.
pub fn mod_97_is_1(characters: impl Iterator<Item = char>) -> bool {
    let mut rest = 0;
    for c in characters {
        let Some(value) = c.to_digit(36) else {
            return false;
        };
        rest = (rest * (if value < 10 { 10 } else { 100 }) + value) % 97;
    }
    rest == 1
}

/// Whether two-digit parts are a month and a day.
pub fn is_month_and_day(month: u8, day: u8) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<u8> {
        digits(text).unwrap()
    }

    #[test]
    fn published_examples_pass_and_a_wrong_digit_fails() {
        assert!(luhn(&of("4111 1111 1111 1111")) && !luhn(&of("4111 1111 1111 1112")));
        assert!(verhoeff(&of("2363")) && !verhoeff(&of("2364")));
        assert!(mod_11_10(&of("86095742719")) && !mod_11_10(&of("86095742718")));
        assert!(mod_97_is_1("WEST12345698765432GB82".chars()));
        assert!(!mod_97_is_1("WEST12345698765432GB83".chars()));
        assert_eq!(modulo(&of("1234567890123"), 97), 1_234_567_890_123 % 97);
        assert_eq!(digits("12a"), None);
    }

    #[test]
    fn verhoeff_finds_every_swap_of_neighbours() {
        let right = of("2363");
        for i in 0..3 {
            let mut swapped = right.clone();
            swapped.swap(i, i + 1);
            assert!(swapped == right || !verhoeff(&swapped));
        }
    }
}
