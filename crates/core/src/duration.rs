//! Durations as people write them: one grammar for requests, configuration and command lines.

use std::time::Duration;

/// The shortest duration that a request may carry.
pub const MIN: Duration = Duration::from_millis(1);
/// The longest: 3650 days.
pub const MAX: Duration = Duration::from_hours(3_650 * 24);

/// The units, largest first, in milliseconds.
pub const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Whether this is a whole number of milliseconds from [`MIN`] to [`MAX`].
pub fn in_bounds(duration: Duration) -> bool {
    duration.subsec_nanos().is_multiple_of(1_000_000) && (MIN..=MAX).contains(&duration)
}

/// Reads `1d 2h 30m 15s`: parts of a whole number and a unit (`w d h m s ms`), each unit at most once, in any order,
/// with or without spaces between the parts. None for anything else, and for more than a `u64` of milliseconds.
/// Bounds are the caller's: nothing but `0s` and the like is zero.
///
/// ```
/// use statehold_core::duration::parse;
///
/// assert_eq!(parse("1h 30m"), parse("90m"));
/// assert_eq!(parse("1h 1h"), None);
/// ```
pub fn parse(text: &str) -> Option<Duration> {
    let (mut seen, mut millis) = ([false; UNITS.len()], 0_u64);
    let mut rest = text;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, after) = after.split_at(letters);
        let unit = UNITS.iter().position(|(unit, _)| *unit == name)?;
        if std::mem::replace(&mut seen[unit], true) {
            return None;
        }
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[unit].1)?)?;
        if after.is_empty() {
            return Some(Duration::from_millis(millis));
        }
        rest = after.trim_start_matches(' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u64> {
        parse(text).map(|duration| u64::try_from(duration.as_millis()).expect("it was read from a u64"))
    }

    #[test]
    fn f074_durations_are_written_in_units() {
        for (text, expected) in [
            ("1d 2h 30m 15s", 95_415_000),
            ("1d2h30m15s", 95_415_000),
            ("15s 1d", 86_415_000),
            ("1ms", 1),
            ("1m 1ms", 60_001),
            ("2w", 14 * 86_400_000),
            ("0h 5s", 5_000),
            ("0s", 0),
            ("3650d", 3_650 * 86_400_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn f074_bad_durations_are_refused() {
        for text in [
            "",
            " ",
            "1",
            "s",
            "1x",
            "1S",
            "1y",
            "1d 1d",
            "1s1s",
            "-1s",
            "+1s",
            "1.5h",
            "1,5h",
            "1 d",
            " 1s",
            "1s ",
            "1s\t2m",
            "1ss",
            "１s",
            "1d, 2h",
            "1d and 2h",
            "NaN",
            "inf",
            "∞s",
            "none",
            "99999999999999999999s",
            "18446744073709551615w",
            "18446744073709551615ms 1s",
        ] {
            assert_eq!(millis(text), None, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_whole_milliseconds_up_to_ten_years() {
        assert!(in_bounds(MIN) && in_bounds(MAX));
        for bad in [Duration::ZERO, Duration::from_micros(1_500), MAX + MIN, Duration::MAX] {
            assert!(!in_bounds(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0..=3_650 * 86_400_000_u64) {
            let (seconds, rest) = (ms / 1_000, ms % 1_000);
            prop_assert_eq!(millis(&format!("{seconds}s {rest}ms")), Some(ms));
            prop_assert_eq!(millis(&format!("{rest}ms{seconds}s")), Some(ms));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
