//! The whole system over real directories.

mod doctor;
mod reload;
mod start;

use std::path::Path;
use std::sync::Arc;

use statehold_core::{Clock, Cx, ManualClock, Namespace};
use statehold_stores::cache::{Cache, Key, Mode, Set, Value};
use statehold_stores::value::Id;

use crate::config::{Config, Flag, Sources};
use crate::{OpenError, Statehold};

/// The development profile in a directory, with further keys.
fn config(directory: &Path, keys: &[(&str, &str)]) -> Config {
    Config::load(&sources(directory, keys)).expect("the keys are legal")
}

fn sources(directory: &Path, keys: &[(&str, &str)]) -> Sources {
    let data = ("data_dir", directory.to_str().unwrap());
    let flag = |(key, value): (&str, &str)| Flag {
        flag: format!("--{key}"),
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let flags = std::iter::once(data).chain(keys.iter().copied()).map(flag).collect();
    Sources { flags, ..Sources::default() }
}

async fn open_with(
    directory: &Path,
    keys: &[(&str, &str)],
    clock: &Arc<ManualClock>,
) -> Result<Statehold, OpenError> {
    Statehold::open(config(directory, keys), Arc::clone(clock) as Arc<dyn Clock>).await
}

async fn open(directory: &Path) -> Statehold {
    open_with(directory, &[], &Arc::default()).await.unwrap()
}

fn default() -> Namespace {
    Namespace::new("default").unwrap()
}

fn key(key: &str) -> Key {
    Key::new(Id::new(key).unwrap())
}

async fn set(cache: &Cache, name: &str, value: &str) {
    let value = Value::json(value).unwrap();
    cache.set(&Cx::new(), &key(name), Set::new(value), Mode::default()).await.unwrap();
}

async fn get(cache: &Cache, name: &str) -> Option<String> {
    let entry = cache.get(&Cx::new(), &key(name)).await.unwrap()?;
    Some(String::from_utf8(entry.value.into_bytes().to_vec()).unwrap())
}
