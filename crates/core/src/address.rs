//! Where an item lives: namespace, store, space, bucket, partition, item.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::commit::CommitId;
use crate::error::{Error, Result};
use crate::item::Epoch;

/// Most bytes in a partition's name; at least one.
pub const PARTITION_BYTES_MAX: usize = 1_024;
/// Most bytes in an item's name; it may be empty.
pub const ITEM_BYTES_MAX: usize = 1_024;
/// Buckets of a space unless it says otherwise.
pub const BUCKETS_DEFAULT: u16 = 256;
/// Most buckets of a space; always a power of two.
pub const BUCKETS_MAX: u16 = 16_384;

/// One application's own world: `[a-z0-9][a-z0-9_-]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// `Invalid` when the name does not match `[a-z0-9][a-z0-9_-]{0,62}`.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self> {
        let name = name.into();
        if is_word(&name, 63) {
            Ok(Self(name))
        } else {
            Err(Error::invalid("a namespace is [a-z0-9][a-z0-9_-]{0,62}"))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A store's name, as it appears in keys, routes and metrics: `[a-z0-9][a-z0-9_-]{0,31}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(Arc<str>);

impl StoreName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// `Invalid` when the name does not match `[a-z0-9][a-z0-9_-]{0,31}`.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self> {
        let name = name.into();
        if is_word(&name, 32) {
            Ok(Self(name))
        } else {
            Err(Error::invalid("a store name is [a-z0-9][a-z0-9_-]{0,31}"))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_word(name: &str, bytes_max: usize) -> bool {
    let lower_or_digit = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= bytes_max
        && name.as_bytes().first().is_some_and(lower_or_digit)
        && name.as_bytes().iter().all(|b| lower_or_digit(b) || matches!(b, b'_' | b'-'))
}

/// What a space asks for beyond the basics; it pays only for these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Traits {
    /// Lists come in item order.
    pub ordered: bool,
    /// The store must see what expired: nothing removes items by itself but [`crate::Mutation::Reap`].
    pub observes_expiry: bool,
    /// Commits may be told to subscribers.
    pub announces: bool,
    /// May be acknowledged before it is synced to disk (disposable stores only).
    pub unsynced: bool,
    /// May be evicted by an engine that is full (disposable stores only).
    pub disposable: bool,
}

/// One store's keyspace in one namespace. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Space(Arc<Definition>);

#[derive(PartialEq, Eq, Hash)]
struct Definition {
    key: Box<str>,
    namespace: Namespace,
    store: StoreName,
    buckets: u16,
    traits: Traits,
}

impl Space {
    /// A space with the default number of buckets and no traits.
    pub fn new(namespace: Namespace, store: StoreName) -> Self {
        let key = format!("{}/{}", namespace.as_str(), store.as_str()).into_boxed_str();
        Self(Arc::new(Definition {
            key,
            namespace,
            store,
            buckets: BUCKETS_DEFAULT,
            traits: Traits::default(),
        }))
    }

    /// The same space with the given traits.
    #[must_use]
    pub fn with_traits(&self, traits: Traits) -> Self {
        Self(Arc::new(Definition { traits, ..self.copied() }))
    }

    /// The same space with another number of buckets, fixed for ever when the space is created.
    ///
    /// # Errors
    /// `Invalid` unless a power of two in `1..=`[`BUCKETS_MAX`].
    pub fn with_buckets(&self, buckets: u16) -> Result<Self> {
        if !buckets.is_power_of_two() || buckets > BUCKETS_MAX {
            return Err(Error::invalid("buckets are a power of two up to 16384"));
        }
        Ok(Self(Arc::new(Definition { buckets, ..self.copied() })))
    }

    fn copied(&self) -> Definition {
        Definition {
            key: self.0.key.clone(),
            namespace: self.0.namespace.clone(),
            store: self.0.store.clone(),
            buckets: self.0.buckets,
            traits: self.0.traits,
        }
    }

    /// `namespace/store`: unique in an installation.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The namespace this space belongs to.
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// The store this space belongs to.
    pub fn store(&self) -> &StoreName {
        &self.0.store
    }

    /// How many buckets the space has.
    pub fn buckets(&self) -> u16 {
        self.0.buckets
    }

    /// What the space asks for beyond the basics.
    pub fn traits(&self) -> Traits {
        self.0.traits
    }

    /// Every bucket, in order.
    pub fn all_buckets(&self) -> impl Iterator<Item = Bucket> + use<> {
        (0..self.0.buckets).map(Bucket)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// A hash bucket of a space: the unit of a move and of fencing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The bucket of a partition: the first 8 bytes, little-endian, of BLAKE3 over its name, modulo the number of
    /// buckets. Stable for ever.
    pub fn of(partition: &[u8], buckets: u16) -> Self {
        let hash = blake3::hash(partition);
        let (first, _) = hash.as_bytes().split_first_chunk::<8>().expect("a BLAKE3 hash has 32 bytes");
        Self((u64::from_le_bytes(*first) % u64::from(buckets)) as u16)
    }

    /// The bucket's number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The unit of atomic change: 1..=[`PARTITION_BYTES_MAX`] bytes of the store's choosing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(Bytes);

impl Partition {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// `Invalid` when empty or longer than [`PARTITION_BYTES_MAX`].
    pub fn new(name: impl Into<Bytes>) -> Result<Self> {
        let name = name.into();
        if name.is_empty() || name.len() > PARTITION_BYTES_MAX {
            return Err(Error::invalid("a partition name has 1 to 1024 bytes"));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// An item's name inside its partition: 0..=[`ITEM_BYTES_MAX`] bytes of the store's choosing.
///
/// The bound is checked by [`crate::validate`] at the engine's door, so that building one never fails.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ItemId(Bytes);

impl ItemId {
    /// Takes a name.
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl<T: Into<Bytes>> From<T> for ItemId {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

macro_rules! debug_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.escape_ascii())
            }
        }
    )*};
}
debug_as_text!(Partition, ItemId, ItemKey);

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An item's name as engines keep it: a store's items and the contract's own (receipts of commits) can never meet,
/// whatever name a store chooses. Orders a store's items as their names do, before every receipt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey(Bytes);

impl ItemKey {
    const ITEM: u8 = 1;
    const RECEIPT: u8 = 2;

    /// The key of a store's item.
    pub fn item(id: &ItemId) -> Self {
        Self::tagged(Self::ITEM, &id.0)
    }

    /// The key of the receipt of a commit.
    pub fn receipt(id: &CommitId) -> Self {
        Self::tagged(Self::RECEIPT, id.as_bytes())
    }

    /// The half-open range of keys that all receipts of a partition lie in.
    pub const fn receipts() -> (&'static [u8], &'static [u8]) {
        (&[Self::RECEIPT], &[Self::RECEIPT + 1])
    }

    /// The half-open range of keys that all of a store's items lie in.
    pub const fn items() -> (&'static [u8], &'static [u8]) {
        (&[Self::ITEM], &[Self::RECEIPT])
    }

    fn tagged(tag: u8, name: &[u8]) -> Self {
        let mut key = BytesMut::with_capacity(1 + name.len());
        key.put_u8(tag);
        key.put_slice(name);
        Self(key.freeze())
    }

    /// Takes back what [`Self::as_bytes`] gave.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are no key.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        match bytes.first() {
            Some(&(Self::ITEM | Self::RECEIPT)) => Ok(Self(bytes)),
            _ => Err(Error::corrupt("an item key has an unknown tag")),
        }
    }

    /// The store's name of the item; none for a receipt.
    pub fn id(&self) -> Option<ItemId> {
        (self.0.first() == Some(&Self::ITEM)).then(|| ItemId(self.0.slice(1..)))
    }

    /// Whether this is the contract's own item.
    pub fn is_receipt(&self) -> bool {
        self.0.first() == Some(&Self::RECEIPT)
    }

    /// The key as engines keep it.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

/// A partition, and what the caller believes about its bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The space.
    pub space: Space,
    /// The partition's bucket.
    pub bucket: Bucket,
    /// The partition.
    pub partition: Partition,
    /// The epoch at which the caller believes the engine to be the bucket's home.
    pub epoch: Epoch,
}

impl Place {
    /// The place of a partition, at no epoch yet: placement fills it in.
    pub fn new(space: &Space, partition: Partition) -> Self {
        let bucket = Bucket::of(partition.as_bytes(), space.buckets());
        Self { space: space.clone(), bucket, partition, epoch: Epoch::default() }
    }

    /// The same place at an epoch.
    #[must_use]
    pub fn at(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    /// The address of an item here.
    pub fn item(&self, item: impl Into<ItemId>) -> Address {
        Address { place: self.clone(), item: item.into() }
    }
}

/// One item's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The item's partition.
    pub place: Place,
    /// The item.
    pub item: ItemId,
}
