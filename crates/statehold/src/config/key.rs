//! What a key of the configuration is.

use std::time::Duration;

/// One declared key: parsing, checking, printing, the schema and the reference page all come from it.
#[derive(Debug)]
pub struct Key {
    /// Where it stands; a segment in angle brackets stands for a name: `engines.<engine>.kind`.
    pub path: &'static str,
    /// What a value looks like.
    pub form: Form,
    /// What holds where nothing is set.
    pub default: Default,
    /// Never shown; may come from a file named by `<key>_file`.
    pub secret: bool,
    /// May change while the server runs.
    pub reloadable: bool,
    /// What it means.
    pub doc: &'static str,
}

impl Key {
    /// A key that is no secret and needs a restart.
    pub(crate) const fn new(path: &'static str, form: Form, default: Default, doc: &'static str) -> Self {
        Self { path, form, default, secret: false, reloadable: false, doc }
    }

    /// The same, changed by a reload.
    pub(crate) const fn reloadable(self) -> Self {
        Self { reloadable: true, ..self }
    }

    /// The same, never shown.
    pub(crate) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The path's segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('.')
    }
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Whole {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number above zero.
    Rate {
        /// The most.
        max: f64,
    },
    /// A number from 0 to 1.
    Ratio,
    /// Bytes, as a number or with a unit (`KB`, `KiB`, `MB`, `MiB`, `GB`, `GiB`).
    Size {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A duration: whole seconds, or `1d 2h 30m 15s 500ms`.
    Span {
        /// The least.
        min: Duration,
        /// The most.
        max: Duration,
        /// Whether `none` is legal.
        or_none: bool,
    },
    /// A path of the file system.
    Path,
    /// The name of an engine.
    EngineName,
    /// Names of limit policies.
    PolicyNames,
    /// A log level, or directives such as `info,statehold_server=debug`.
    LogLevel,
    /// Addresses such as `127.0.0.1:7600` or `[::1]:7600`.
    Addresses {
        /// The fewest.
        least: usize,
    },
    /// Networks such as `10.0.0.0/8`.
    Networks,
    /// Where a service is: `http://` or `https://`, a host, perhaps a port and a path; no user, query or fragment.
    Endpoint,
    /// Exact web origins such as `https://app.example.com`.
    Origins,
    /// 32 bytes of key material: 64 hexadecimal digits or base64.
    KeyMaterial,
}

/// What holds where nothing is set; written as a user would write it.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// Nothing.
    None,
    /// This, in every profile.
    Is(&'static str),
    /// By profile.
    Profile {
        /// In development.
        development: &'static str,
        /// In production.
        production: &'static str,
    },
    /// By the names in the path (joined by `.`), else the last.
    Named(&'static [(&'static str, &'static str)], Option<&'static str>),
}

/// Which names may stand for a segment in angle brackets.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// Exactly these.
    Closed(&'static [&'static str]),
    /// Any `[a-z0-9][a-z0-9_-]*` of so many bytes; these exist without being written.
    Open {
        /// Most bytes.
        bytes_max: usize,
        /// Most names.
        count_max: usize,
        /// The names that always exist, each with the names before it joined by `.`.
        built_in: &'static [&'static str],
    },
}
