//! How durations, sizes and origins are written.

use std::time::Duration;

use statehold_core::duration;

/// Units of a size, largest binary one first.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads whole seconds, or parts such as `1d 2h 30m 15s 500ms`: each unit at most once, in any order.
pub(crate) fn span(written: &str) -> Option<Duration> {
    let written = written.trim();
    if let Some(seconds) = whole(written) {
        return Some(Duration::from_secs(seconds));
    }
    duration::parse(written)
}

/// Writes a duration the way [`span`] reads it.
pub(crate) fn span_shown(span: Duration) -> String {
    let mut millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (name, size) in duration::UNITS.into_iter().filter(|(name, _)| *name != "w") {
        if millis >= size {
            parts.push(format!("{}{name}", millis / size));
            millis %= size;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Reads bytes, alone or with a unit.
pub(crate) fn size(written: &str) -> Option<u64> {
    let written = written.trim();
    if let Some(bytes) = whole(written) {
        return Some(bytes);
    }
    let (number, unit) = split_number(written)?;
    let (_, bytes) = SIZE_UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    number.checked_mul(bytes)
}

/// Writes a size the way [`size`] reads it, in the largest unit without a remainder.
pub(crate) fn size_shown(bytes: u64) -> String {
    let exact = |(_, unit): &(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match SIZE_UNITS.iter().find(|unit| exact(unit)) {
        Some((name, unit)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

fn whole(written: &str) -> Option<u64> {
    let digits = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if digits { written.replace('_', "").parse().ok() } else { None }
}

fn split_number(written: &str) -> Option<(u64, &str)> {
    let end = written.find(|c: char| !c.is_ascii_digit())?;
    let number = written[..end].parse().ok()?;
    Some((number, written[end..].trim_start()))
}

/// Whether this is an exact web origin (RFC 6454): scheme, host, perhaps a port, nothing else.
pub(crate) fn is_origin(written: &str) -> bool {
    let Some(authority) = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://")) else {
        return false;
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_is_fine = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let host_is_fine = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
    };
    port_is_fine && host_is_fine
}

/// `http://` or `https://`, a host, perhaps a port and a path: nothing in it can be a secret.
pub(crate) fn is_endpoint(written: &str) -> bool {
    let host = written.find("://").map_or(0, |scheme| scheme + 3);
    let path = written[host..].find('/').map_or(written.len(), |slash| host + slash);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte);
    is_origin(&written[..path]) && written[path..].bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in ["http://collector:4318", "https://[::1]:4318/", "https://a.example/otlp/x"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in ["", "collector:4318", "ftp://a", "http://", "http://u:p@a", "http://a/x?y", "http://a/#z"]
        {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn f074_durations_are_read_as_the_grammar_says() {
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(span("90"), seconds(90));
        assert_eq!(span("1d 2h 30m 15s"), seconds(86_400 + 7_200 + 1_800 + 15));
        assert_eq!(span("15s1d"), seconds(86_415));
        assert_eq!(span("1w"), seconds(604_800));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", " ", "1h 1h", "1x", "-1s", "1.5h", "s", "1h 2", "99999999999999999999s", "NaN", "1H"]
        {
            assert_eq!(span(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(size("2 MiB"), Some(2 << 20));
        assert_eq!(size("100MB"), Some(100_000_000));
        assert_eq!(size("1_024"), Some(1_024));
        assert_eq!(size_shown(2 << 20), "2 MiB");
        assert_eq!(size_shown(100_000_000), "100 MB");
        assert_eq!(size_shown(0), "0 B");
        for bad in ["", "MiB", "1.5 MiB", "-1", "1 XB", "99999999999 GiB"] {
            assert_eq!(size(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn origins_are_exact() {
        for good in ["https://a.example", "http://localhost:3000", "http://[::1]:8080", "https://[::1]"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "https://*",
            "a.example",
            "https://a.example/",
            "https://a:b",
            "ftp://a",
            "https://",
            "https://u@a",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in 1u64..400_000_000_000, bytes: u64) {
            prop_assert_eq!(span(&span_shown(Duration::from_millis(millis))), Some(Duration::from_millis(millis)));
            prop_assert_eq!(size(&size_shown(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(written in ".{0,40}") {
            let _ = (span(&written), size(&written), is_origin(&written));
        }
    }
}
