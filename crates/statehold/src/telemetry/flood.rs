//! Keeps one event from filling the log: the first few a second are printed, the rest counted.

use std::collections::HashMap;

/// Records of one event and code in a second.
const PER_SECOND_MAX: u32 = 10;
/// Most events and codes that are told apart; a new one beyond them is printed as it comes.
const SHAPES_MAX: usize = 1_024;

/// What an event is counted as: its name (or where it was written, when it has none) and its error code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) event: String,
    pub(super) code: String,
}

/// So many records of a shape were not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) shape: Shape,
    pub(super) count: u32,
}

#[derive(Debug)]
struct Window {
    second: u64,
    seen: u32,
}

/// The counts of the present second.
#[derive(Debug, Default)]
pub(super) struct Flood {
    windows: HashMap<Shape, Window>,
    second: u64,
}

impl Flood {
    /// Whether to print a record now; with it, what was suppressed in seconds that are over.
    pub(super) fn admit(&mut self, shape: Shape, second: u64) -> (bool, Vec<Suppressed>) {
        let over = if second == self.second { Vec::new() } else { self.close(second) };
        if self.windows.len() >= SHAPES_MAX && !self.windows.contains_key(&shape) {
            return (true, over);
        }
        let window = self.windows.entry(shape).or_insert(Window { second, seen: 0 });
        window.seen = window.seen.saturating_add(1);
        (window.seen <= PER_SECOND_MAX, over)
    }

    /// Forgets all seconds but this one.
    fn close(&mut self, second: u64) -> Vec<Suppressed> {
        self.second = second;
        let mut over: Vec<Suppressed> = self
            .windows
            .extract_if(|_, window| window.second != second)
            .filter(|(_, window)| window.seen > PER_SECOND_MAX)
            .map(|(shape, window)| Suppressed { shape, count: window.seen - PER_SECOND_MAX })
            .collect();
        over.sort_by(|a, b| a.shape.event.cmp(&b.shape.event).then_with(|| a.shape.code.cmp(&b.shape.code)));
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(event: &str) -> Shape {
        Shape { event: event.to_owned(), code: String::new() }
    }

    #[test]
    fn ten_a_second_pass_and_the_rest_is_counted() {
        let mut flood = Flood::default();
        let passed = (0..25).filter(|_| flood.admit(shape("a"), 1).0).count();
        assert_eq!(passed, 10);
        assert!(flood.admit(shape("b"), 1).0, "another event is not held back");
        let (printed, over) = flood.admit(shape("b"), 2);
        assert!(printed);
        assert_eq!(over, [Suppressed { shape: shape("a"), count: 15 }]);
        assert_eq!(flood.admit(shape("a"), 2), (true, vec![]), "a new second begins anew");
    }

    #[test]
    fn codes_are_told_apart() {
        let mut flood = Flood::default();
        for _ in 0..20 {
            flood.admit(shape("a"), 1);
        }
        assert!(flood.admit(Shape { event: "a".to_owned(), code: "x".to_owned() }, 1).0);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut flood = Flood::default();
        for n in 0..10 * SHAPES_MAX {
            assert!(flood.admit(shape(&n.to_string()), 1).0);
        }
        assert_eq!(flood.windows.len(), SHAPES_MAX);
    }
}
