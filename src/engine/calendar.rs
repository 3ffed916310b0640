//! Days counted from 2000-01-01 as dates of the Gregorian calendar.

const DAY: i64 = 86_400_000_000;

/// Year, month 1 to 12 and day 1 to 31 (Hinnant's days-from-civil, reversed).
pub fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days.saturating_add(730_425);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The day of a date; `None` where the calendar has no such date.
pub fn days(year: i64, month: u32, day: u32) -> Option<i64> {
    let shifted = year - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 730_425;
    (date(days) == (year, month, day)).then_some(days)
}

/// A time in microseconds since 2000-01-01 00:00 as ISO 8601, without the time of day where it is midnight.
pub fn iso(microseconds: i64) -> String {
    let (year, month, day) = date(microseconds.div_euclid(DAY));
    let seconds = microseconds.rem_euclid(DAY) / 1_000_000;
    if seconds == 0 {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right() {
        for (days, expected) in [
            (0, (2000, 1, 1)),
            (31, (2000, 2, 1)),
            (59, (2000, 2, 29)),
            (60, (2000, 3, 1)),
            (366, (2001, 1, 1)),
            (-1, (1999, 12, 31)),
            (9131, (2024, 12, 31)),
            (-730_425, (0, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "day {days}");
            assert_eq!(super::days(expected.0, expected.1, expected.2), Some(days));
        }
        for (year, month, day) in [
            (2023, 2, 29),
            (2024, 4, 31),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 1, 0),
        ] {
            assert_eq!(days(year, month, day), None);
        }
    }

    #[test]
    fn times_read_as_iso_8601() {
        assert_eq!(iso(0), "2000-01-01");
        assert_eq!(iso(-1_000_000), "1999-12-31 23:59:59");
    }
}
