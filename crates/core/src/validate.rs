//! The bounds of every request, checked at an engine's door: nothing out of bounds reaches a disk or a wire.

use std::collections::HashSet;
use std::ops::Bound;

use crate::address::{Address, ITEM_BYTES_MAX, ItemId, Space};
use crate::commit::{CHECKS_MAX, COMMIT_BYTES_MAX, Commit, MUTATIONS_MAX, Mutation};
use crate::engine::{FETCH_MAX, PAGE_MAX, RANGES_MAX, Range, SKIP_MAX, Scan};
use crate::error::{Error, Result};
use crate::signals::PAYLOAD_BYTES_MAX;

/// Checks a commit against the contract's bounds, the space's traits and the engine's largest value.
///
/// # Errors
/// `Invalid`, saying which bound.
pub fn commit(commit: &Commit, space: &Space, value_bytes_max: usize) -> Result<()> {
    if commit.mutations.len() > MUTATIONS_MAX || commit.checks.len() > CHECKS_MAX {
        return Err(Error::invalid("a commit has at most 4096 checks and 4096 mutations"));
    }
    if !commit.announce.is_empty() && !space.traits().announces {
        return Err(Error::invalid("the space does not announce"));
    }
    let mut bytes = 0;
    for check in &commit.checks {
        bytes += item(check.item())?;
    }
    for mutation in &commit.mutations {
        bytes += item(mutation.item())?;
        match mutation {
            Mutation::Put { value, .. } if value.len() > value_bytes_max => {
                return Err(Error::invalid("a value is larger than the engine takes"));
            }
            Mutation::Put { value, .. } => bytes += value.len(),
            Mutation::Take { policy, cost, .. } => policy.validate(*cost)?,
            Mutation::Delete { .. }
            | Mutation::Touch { .. }
            | Mutation::Add { .. }
            | Mutation::Reap { .. } => {}
        }
    }
    for announcement in &commit.announce {
        if announcement.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::invalid("an announcement has at most 64 KiB"));
        }
        bytes += announcement.payload.len();
    }
    if bytes > COMMIT_BYTES_MAX {
        return Err(Error::invalid("a commit has at most 16 MiB"));
    }
    each_item_once(&commit.mutations)
}

fn item(item: &ItemId) -> Result<usize> {
    let length = item.as_bytes().len();
    if length > ITEM_BYTES_MAX {
        Err(Error::invalid("an item name has at most 1024 bytes"))
    } else {
        Ok(length)
    }
}

fn each_item_once(mutations: &[Mutation]) -> Result<()> {
    /// Below this many, comparing all pairs is cheaper than hashing.
    const PAIRWISE_MAX: usize = 8;
    let twice = if mutations.len() <= PAIRWISE_MAX {
        (1..mutations.len()).any(|i| mutations[..i].iter().any(|other| other.item() == mutations[i].item()))
    } else {
        let mut seen = HashSet::with_capacity(mutations.len());
        !mutations.iter().all(|mutation| seen.insert(mutation.item()))
    };
    if twice { Err(Error::invalid("a commit names an item in at most one mutation")) } else { Ok(()) }
}

/// Checks the addresses of a fetch.
///
/// # Errors
/// `Invalid`, saying which bound.
pub fn fetch(wanted: &[Address]) -> Result<()> {
    if wanted.len() > FETCH_MAX {
        return Err(Error::invalid("a fetch has at most 4096 addresses"));
    }
    wanted.iter().try_for_each(|address| item(&address.item).map(drop))
}

/// Checks the ranges of a list.
///
/// # Errors
/// `Invalid`, saying which bound.
pub fn list(space: &Space, ranges: &[Range]) -> Result<()> {
    if ranges.len() > RANGES_MAX {
        return Err(Error::invalid("a list has at most 512 ranges"));
    }
    for range in ranges {
        if range.limit > PAGE_MAX || (range.limit == 0 && !range.count) {
            return Err(Error::invalid("a page has 1 to 1000 items"));
        }
        if range.skip > SKIP_MAX {
            return Err(Error::invalid("a range skips at most 100000 items"));
        }
        for bound in [&range.from, &range.to] {
            if let Bound::Included(id) | Bound::Excluded(id) = bound {
                item(id)?;
            }
        }
    }
    if space.traits().ordered { Ok(()) } else { Err(Error::invalid("the space is not ordered")) }
}

/// Checks a scan.
///
/// # Errors
/// `Invalid`, saying which bound.
pub fn scan(scan: &Scan) -> Result<()> {
    if scan.limit == 0 || scan.limit > PAGE_MAX {
        return Err(Error::invalid("a page has 1 to 1000 items"));
    }
    if scan.buckets.iter().any(|bucket| bucket.number() >= scan.space.buckets()) {
        return Err(Error::invalid("a bucket is not of this space"));
    }
    Ok(())
}
