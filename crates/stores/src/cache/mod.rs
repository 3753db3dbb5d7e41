//! Cache: key-value entries, counters, compare-and-set, batches and group commits.
