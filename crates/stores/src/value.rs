//! The value types that every store shares: durations and ids within their bounds.
//!
//! Pure: nothing here reads a clock or a wire. Each parser has one error, which names the problem code of its type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::duration;

/// A value that is not of its type: nothing about the value is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadValue {
    /// Not a duration, or one out of bounds.
    Duration,
    /// Not an id.
    Id,
}

impl BadValue {
    /// The problem code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duration => "invalid_duration",
            Self::Id => "invalid_id",
        }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "a duration is whole milliseconds, 1 ms to 3650 d",
            Self::Id => "an id has 1 to 200 bytes and no control characters",
        })
    }
}

impl std::error::Error for BadValue {}

/// A duration that a caller may ask for: whole milliseconds, 1 ms to 3650 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dur(Duration);

impl Dur {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BadValue::Duration`] outside 1 ms..3650 d or with a part of a millisecond.
    pub fn new(duration: Duration) -> Result<Self, BadValue> {
        if duration::in_bounds(duration) { Ok(Self(duration)) } else { Err(BadValue::Duration) }
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// An id that a caller supplied: 1..=[`Id::BYTES_MAX`] bytes of UTF-8, no control characters, case kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// Most bytes of an id.
    pub const BYTES_MAX: usize = 200;

    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`BadValue::Id`] when empty, longer than [`Self::BYTES_MAX`], or with U+0000–001F or U+007F in it.
    pub fn new(id: impl Into<Arc<str>>) -> Result<Self, BadValue> {
        let id = id.into();
        let legal = (1..=Self::BYTES_MAX).contains(&id.len()) && !id.bytes().any(|b| b.is_ascii_control());
        if legal { Ok(Self(id)) } else { Err(BadValue::Id) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ids are often people's names or keys of secrets: they do not belong in a log.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_whole_milliseconds_inside_its_bounds() {
        for bad in
            [Duration::ZERO, Duration::from_micros(1_500), duration::MAX + duration::MIN, Duration::MAX]
        {
            assert_eq!(Dur::new(bad), Err(BadValue::Duration), "{bad:?}");
        }
        assert!(Dur::new(duration::MIN).is_ok() && Dur::new(duration::MAX).is_ok());
    }

    #[test]
    fn ids_have_1_to_200_bytes_and_no_control_characters() {
        for id in ["a", "a:b/c{d}", "Ä", " ", &"x".repeat(200)] {
            assert_eq!(Id::new(id).map(|id| id.as_str().to_owned()), Ok(id.to_owned()));
        }
        for id in ["", "a\0", "a\n", "\u{1f}", "a\u{7f}", &"x".repeat(201), &"ä".repeat(101)] {
            assert_eq!(Id::new(id), Err(BadValue::Id), "{id:?}");
        }
        assert!(!format!("{:?}", Id::new("alice").unwrap()).contains("alice"));
    }
}
