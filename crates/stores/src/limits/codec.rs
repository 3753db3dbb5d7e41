//! Where a subject's limits are kept.

use bytes::{BufMut, Bytes, BytesMut};
use statehold_core::ItemId;

use super::policy::POLICY_NAME_BYTES_MAX;
use crate::value::Id;

/// The kind of a partition that belongs to a subject.
const SUBJECT: u8 = b's';

/// The partition of a subject: all of its limits live together, so that several are decided in one commit.
pub(super) fn partition(subject: &Id) -> Bytes {
    let subject = subject.as_str().as_bytes();
    let mut name = BytesMut::with_capacity(2 + subject.len());
    name.put_slice(&[SUBJECT, b':']);
    name.put_slice(subject);
    name.freeze()
}

/// The item of a policy or of one of its classes: the length of the policy's name, the name, the class. The length
/// comes first because both names may hold any separator.
pub(super) fn item(policy: &str, class: Option<&str>) -> ItemId {
    let class = class.unwrap_or_default();
    let mut name = BytesMut::with_capacity(1 + policy.len() + class.len());
    name.put_u8(u8::try_from(policy.len()).expect("a policy's name has at most 64 bytes"));
    name.put_slice(policy.as_bytes());
    name.put_slice(class.as_bytes());
    ItemId::new(name.freeze())
}

const _: () = assert!(POLICY_NAME_BYTES_MAX <= u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f031_policies_and_classes_with_separators_never_share_an_item() {
        let names = ["a", "a:b", ":", "b", "ab", "a/b", "{a}"];
        let mut seen = std::collections::HashSet::new();
        for policy in names {
            assert!(seen.insert(item(policy, None)));
            for class in names {
                assert!(seen.insert(item(policy, Some(class))), "{policy} {class}");
            }
        }
    }
}
