//! Receipts and fingerprints as bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::clock::Time;
use crate::commit::{Check, Commit, Fingerprint, Mutation, MutationOutcome, Receipt};
use crate::error::{Error, Result};
use crate::item::Revision;
use crate::limit::{Decision, LimitPolicy};

const RECEIPT_VERSION: u8 = 1;

/// A commit's content in 16 bytes: BLAKE3 over a length-prefixed, tagged encoding of everything but the id.
pub(crate) fn fingerprint(commit: &Commit) -> Fingerprint {
    let mut hash = Content(blake3::Hasher::new());
    for check in &commit.checks {
        match check {
            Check::Absent(_) => hash.number(1),
            Check::Present(_) => hash.number(2),
            Check::At(_, revision) => hash.number(3).number(revision.get()),
        };
        hash.bytes(check.item().as_bytes());
    }
    hash.number(0);
    for mutation in &commit.mutations {
        hash.bytes(mutation.item().as_bytes());
        let deadline =
            |deadline: &Option<crate::Deadline>| deadline.map_or(u64::MAX, crate::Deadline::millis);
        match mutation {
            Mutation::Put { value, deadline: at, .. } => hash.number(1).bytes(value).number(deadline(at)),
            Mutation::Delete { .. } => hash.number(2),
            Mutation::Touch { deadline: at, .. } => hash.number(3).number(deadline(at)),
            Mutation::Add { delta, range, deadline_if_new, .. } => hash
                .number(4)
                .number(delta.cast_unsigned())
                .number(range.start().cast_unsigned())
                .number(range.end().cast_unsigned())
                .number(deadline(deadline_if_new)),
            Mutation::Take { policy, cost, .. } => hash.number(5).policy(policy).number(u64::from(*cost)),
            Mutation::Reap { revision, .. } => hash.number(6).number(revision.get()),
        };
    }
    hash.number(0);
    for announcement in &commit.announce {
        hash.bytes(announcement.topic.as_bytes()).bytes(&announcement.payload);
    }
    let (first, _) =
        hash.0.finalize().as_bytes().split_first_chunk().map(|(a, b)| (*a, b.len())).expect("32 bytes");
    Fingerprint(first)
}

struct Content(blake3::Hasher);

impl Content {
    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
        self
    }

    fn policy(&mut self, policy: &LimitPolicy) -> &mut Self {
        let (kind, limit, span) = match *policy {
            LimitPolicy::Sliding { limit, window } => (1, limit, window),
            LimitPolicy::TokenBucket { interval, burst } => (2, burst, interval),
            LimitPolicy::Fixed { limit, window } => (3, limit, window),
        };
        self.number(kind).number(u64::from(limit)).number(span.as_nanos() as u64)
    }
}

/// A receipt as the value of its item: version, fingerprint, revision, outcomes; little-endian.
pub(crate) fn encode_receipt(fingerprint: Fingerprint, receipt: &Receipt) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + 10 * receipt.outcomes.len());
    out.put_u8(RECEIPT_VERSION);
    out.put_slice(&fingerprint.0);
    out.put_u64_le(receipt.revision.get());
    out.put_u16_le(receipt.outcomes.len() as u16);
    for outcome in &receipt.outcomes {
        match outcome {
            MutationOutcome::Put { replaced: None } => out.put_u8(1),
            MutationOutcome::Put { replaced: Some(revision) } => tagged(&mut out, 2, revision.get()),
            MutationOutcome::Deleted { revision } => tagged(&mut out, 3, revision.get()),
            MutationOutcome::Touched => out.put_u8(4),
            MutationOutcome::Missed => out.put_u8(5),
            MutationOutcome::Added { value, created } => {
                tagged(&mut out, if *created { 7 } else { 6 }, value.cast_unsigned());
            }
            MutationOutcome::Taken(decision) => {
                tagged(&mut out, 8, decision.limit);
                out.put_u64_le(decision.remaining);
                out.put_u64_le(decision.reset_at.micros());
            }
            MutationOutcome::Reaped => out.put_u8(9),
        }
    }
    out.freeze()
}

fn tagged(out: &mut BytesMut, tag: u8, number: u64) {
    out.put_u8(tag);
    out.put_u64_le(number);
}

/// Takes back what [`encode_receipt`] gave.
pub(crate) fn decode_receipt(value: &[u8]) -> Result<(Fingerprint, Receipt)> {
    read_receipt(value).ok_or_else(|| Error::corrupt("a receipt cannot be read"))
}

fn read_receipt(mut value: &[u8]) -> Option<(Fingerprint, Receipt)> {
    if value.try_get_u8().ok()? != RECEIPT_VERSION {
        return None;
    }
    let mut fingerprint = [0; 16];
    value.try_copy_to_slice(&mut fingerprint).ok()?;
    let revision = Revision::from_u64(value.try_get_u64_le().ok()?);
    let count = value.try_get_u16_le().ok()?;
    let mut outcomes = Vec::with_capacity(count.into());
    for _ in 0..count {
        outcomes.push(read_outcome(&mut value)?);
    }
    value.is_empty().then_some((Fingerprint(fingerprint), Receipt { revision, outcomes, replayed: false }))
}

fn read_outcome(value: &mut &[u8]) -> Option<MutationOutcome> {
    let tag = value.try_get_u8().ok()?;
    let mut number = || value.try_get_u64_le().ok();
    Some(match tag {
        1 => MutationOutcome::Put { replaced: None },
        2 => MutationOutcome::Put { replaced: Some(Revision::from_u64(number()?)) },
        3 => MutationOutcome::Deleted { revision: Revision::from_u64(number()?) },
        4 => MutationOutcome::Touched,
        5 => MutationOutcome::Missed,
        6 | 7 => MutationOutcome::Added { value: number()?.cast_signed(), created: tag == 7 },
        8 => {
            let (limit, remaining, reset_at) = (number()?, number()?, Time::from_micros(number()?));
            MutationOutcome::Taken(Decision { allowed: true, limit, remaining, reset_at, retry_after: None })
        }
        9 => MutationOutcome::Reaped,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_outcome() -> Vec<MutationOutcome> {
        let decision = Decision {
            allowed: true,
            limit: 60,
            remaining: 3,
            reset_at: Time::from_micros(77),
            retry_after: None,
        };
        vec![
            MutationOutcome::Put { replaced: None },
            MutationOutcome::Put { replaced: Some(Revision::from_u64(9)) },
            MutationOutcome::Deleted { revision: Revision::from_u64(u64::MAX) },
            MutationOutcome::Touched,
            MutationOutcome::Missed,
            MutationOutcome::Added { value: i64::MIN, created: true },
            MutationOutcome::Added { value: -1, created: false },
            MutationOutcome::Taken(decision),
            MutationOutcome::Reaped,
        ]
    }

    #[test]
    fn a_receipt_comes_back_and_a_torn_one_is_corrupt() {
        let receipt =
            Receipt { revision: Revision::from_u64(42), outcomes: every_outcome(), replayed: false };
        let print = Fingerprint([7; 16]);
        let value = encode_receipt(print, &receipt);
        assert_eq!(decode_receipt(&value).expect("own bytes"), (print, receipt));
        for length in 0..value.len() {
            assert!(decode_receipt(&value[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn every_part_of_a_commit_is_in_its_fingerprint() {
        let commits = [
            Commit::new().put("a", "b", None),
            Commit::new().put("a", "b", Some(crate::Deadline::from_millis(1))),
            Commit::new().put("ab", "", None),
            Commit::new().delete("a"),
            Commit::new().absent("a"),
            Commit::new().present("a"),
            Commit::new().add("a", 1, None),
            Commit::new().add("a", 2, None),
        ];
        let prints: std::collections::HashSet<_> = commits.iter().map(fingerprint).collect();
        assert_eq!(prints.len(), commits.len());
    }
}
