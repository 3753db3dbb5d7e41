//! From what is given to what holds: keys matched, values read, defaults filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::key::{Default, Form, Key, Names};
use super::keys::{KEYS, names};
use super::origin::Origin;
use super::problem::Problem;
use super::settings::Profile;
use super::sources::{Collected, Given};
use super::suggest;
use super::value::{Raw, Value, one_of};
use crate::secrets;

/// A mode that a file with a secret must not go beyond.
const SECRET_MODE_FORBIDDEN: u32 = 0o777 & !0o640;

/// The effective value of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its declaration.
    pub key: &'static Key,
    /// Its value; none where nothing is set and there is no default.
    pub value: Option<Value>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl PartialEq for Key {
    /// Keys are declared once, so they are the same when their paths are.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

/// Effective values by concrete path.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// How a given path fits the table.
pub(crate) enum Match {
    /// A key; `file` when its `_file` form was used.
    Key { key: &'static Key, file: bool },
    /// A table on the way to keys.
    Section,
    /// A key but for a name in it.
    BadName { segment: usize, legal: String },
    /// Nothing.
    Unknown,
}

/// Decides what holds.
pub(crate) fn resolve(collected: &Collected, problems: &mut Vec<Problem>) -> (Profile, Entries) {
    let mut entries = Entries::new();
    let mut written = Written::default();
    let mut sources = SecretSources::new();
    for given in &collected.given {
        match find(&given.path) {
            Match::Key { key, file } => {
                written.note(key, &given.path, problems, &given.origin);
                let mut path = given.path.join(".");
                if file {
                    path.truncate(path.len() - "_file".len());
                }
                if key.secret {
                    sources.entry(path.clone()).or_default().push((file, given.origin.clone()));
                }
                if let Some(value) = read(key, file, given, collected.file_mode, problems) {
                    entries.insert(path, Entry { key, value: Some(value), origin: given.origin.clone() });
                }
            }
            Match::Section if matches!(given.raw, Raw::Table) => written.section(&given.path),
            Match::Section => problems.push(suggest::is_section(given)),
            Match::BadName { segment, legal } => {
                let name = &given.path[segment];
                problems.push(
                    Problem::new(
                        given.path.join("."),
                        format!("the name `{name}` is not legal here: {legal}"),
                    )
                    .at(&given.origin),
                );
            }
            Match::Unknown => problems.push(suggest::unknown(given)),
        }
    }
    refuse_both(&sources, problems);
    let profile = profile(&entries);
    fill_defaults(&mut entries, &written, profile);
    (profile, entries)
}

type SecretSources = BTreeMap<String, Vec<(bool, Origin)>>;

fn refuse_both(sources: &SecretSources, problems: &mut Vec<Problem>) {
    for (path, given) in sources {
        let direct = given.iter().find(|(file, _)| !file);
        let by_file = given.iter().find(|(file, _)| *file);
        if let (Some((_, direct)), Some((_, by_file))) = (direct, by_file) {
            let legal = format!("both `{path}` ({direct}) and `{path}_file` are given: keep one");
            problems.push(Problem::new(format!("{path}_file"), legal).at(by_file));
        }
    }
}

fn profile(entries: &Entries) -> Profile {
    match entries.get("profile").and_then(|entry| entry.value.as_ref()) {
        Some(Value::Text(name)) if name == "production" => Profile::Production,
        _ => Profile::Development,
    }
}

/// Finds the key of a path.
pub(crate) fn find(path: &[String]) -> Match {
    let mut bad_name = None;
    let mut section = false;
    for key in KEYS {
        match fit(key, path) {
            Fit::Exact { file } => return Match::Key { key, file },
            Fit::BadName { segment, legal } => bad_name = Some(Match::BadName { segment, legal }),
            Fit::Prefix => section = true,
            Fit::No => {}
        }
    }
    if section { Match::Section } else { bad_name.unwrap_or(Match::Unknown) }
}

enum Fit {
    Exact { file: bool },
    Prefix,
    BadName { segment: usize, legal: String },
    No,
}

fn fit(key: &Key, path: &[String]) -> Fit {
    let mut file = false;
    let mut bad = None;
    let mut length = 0;
    for (index, segment) in key.segments().enumerate() {
        length = index + 1;
        let Some(written) = path.get(index) else { continue };
        if segment.starts_with('<') {
            if let Err(legal) = is_name(segment, written) {
                bad = bad.or(Some((index, legal)));
            }
        } else if written != segment {
            let is_last = index + 1 == path.len() && index + 1 == key.segments().count();
            if !(key.secret && is_last && written.strip_suffix("_file") == Some(segment)) {
                return Fit::No;
            }
            file = true;
        }
    }
    match (bad, path.len()) {
        (_, given) if given > length => Fit::No,
        (Some((segment, legal)), _) => Fit::BadName { segment, legal },
        (None, given) if given < length => Fit::Prefix,
        (None, _) => Fit::Exact { file },
    }
}

fn is_name(placeholder: &str, written: &str) -> Result<(), String> {
    match names(placeholder) {
        Names::Closed(closed) if closed.contains(&written) => Ok(()),
        Names::Closed(closed) => Err(one_of(closed)),
        Names::Open { bytes_max, .. } => {
            let lower_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let fits = written.len() <= bytes_max
                && written.as_bytes().first().is_some_and(lower_or_digit)
                && written.bytes().all(|byte| lower_or_digit(&byte) || byte == b'_' || byte == b'-');
            if fits { Ok(()) } else { Err(format!("[a-z0-9][a-z0-9_-]*, at most {bytes_max} bytes")) }
        }
    }
}

fn read(
    key: &'static Key,
    by_file: bool,
    given: &Given,
    file_mode: Option<u32>,
    problems: &mut Vec<Problem>,
) -> Option<Value> {
    let problem = |legal: String| Problem::new(given.path.join("."), legal).at(&given.origin);
    if by_file {
        return read_secret_file(key, given).map_err(|legal| problems.push(problem(legal))).ok();
    }
    if key.secret {
        if let Some(legal) = misplaced(given, file_mode) {
            problems.push(problem(legal).with_value("***"));
            return None;
        }
        return read_secret(key, &given.raw)
            .map_err(|legal| problems.push(problem(legal).with_value("***")))
            .ok();
    }
    let shown = || crate::telemetry::mask(&given.raw.shown()).into_owned();
    key.form.read(&given.raw).map_err(|legal| problems.push(problem(legal).with_value(shown()))).ok()
}

/// Why a secret must not stand where it stands.
fn misplaced(given: &Given, file_mode: Option<u32>) -> Option<String> {
    match (&given.origin, file_mode) {
        (Origin::Flag { .. }, _) => Some(
            "a secret is never given on the command line, where every process sees it: use a file or the environment"
                .to_owned(),
        ),
        (Origin::File { path, .. }, Some(mode)) if mode & SECRET_MODE_FORBIDDEN != 0 => Some(format!(
            "{path} holds a secret and has mode {mode:04o}, at most 0640 is allowed: `chmod 600` it"
        )),
        _ => None,
    }
}

fn read_secret_file(key: &Key, given: &Given) -> Result<Value, String> {
    let path = Form::Path.read(&given.raw)?;
    let Value::Text(path) = path else { return Err(Form::Path.legal()) };
    let text = secrets::read(Path::new(&path)).map_err(|error| error.to_string())?;
    read_secret(key, &Raw::Plain(text)).map_err(|legal| format!("{path}: {legal}"))
}

/// Like [`Form::read`], but says when key material is legal in form and too weak to be used.
fn read_secret(key: &Key, raw: &Raw) -> Result<Value, String> {
    if let (Form::KeyMaterial, Raw::Plain(text) | Raw::Text(text)) = (&key.form, raw) {
        return secrets::KeyMaterial::parse(text).map(Value::Secret).map_err(|error| error.to_string());
    }
    key.form.read(raw)
}

/// The names that were written, by the concrete path they stand below.
#[derive(Default)]
struct Written(BTreeMap<String, BTreeSet<String>>);

impl Written {
    fn note(&mut self, key: &Key, path: &[String], problems: &mut Vec<Problem>, origin: &Origin) {
        for (index, segment) in key.segments().enumerate() {
            if !segment.starts_with('<') {
                continue;
            }
            let below = path[..index].join(".");
            let known = self.0.entry(below.clone()).or_default();
            let is_new = known.insert(path[index].clone());
            if let Names::Open { count_max, .. } = names(segment)
                && is_new
                && known.len() == count_max + 1
            {
                problems.push(Problem::new(below, format!("at most {count_max} names")).at(origin));
            }
        }
    }

    /// An empty table still names what it is about: `[engines.fast]`.
    fn section(&mut self, path: &[String]) {
        if let Some((name, below)) = path.split_last()
            && !below.is_empty()
        {
            self.0.entry(below.join(".")).or_default().insert(name.clone());
        }
    }
}

fn fill_defaults(entries: &mut Entries, written: &Written, profile: Profile) {
    for key in KEYS {
        let segments: Vec<_> = key.segments().collect();
        expand(&segments, String::new(), String::new(), written, &mut |path, named| {
            entries.entry(path).or_insert_with(|| default_of(key, named, profile));
        });
    }
}

/// Calls `each` with every concrete path of a key and the names in it, joined by `.`.
fn expand(
    segments: &[&'static str],
    path: String,
    named: String,
    written: &Written,
    each: &mut impl FnMut(String, &str),
) {
    let Some((segment, rest)) = segments.split_first() else { return each(path, &named) };
    let join = |left: &str, right: &str| {
        if left.is_empty() { right.to_owned() } else { format!("{left}.{right}") }
    };
    if !segment.starts_with('<') {
        return expand(rest, join(&path, segment), named, written, each);
    }
    let mut all: BTreeSet<String> = match names(segment) {
        Names::Closed(closed) => closed.iter().map(|&name| name.to_owned()).collect(),
        Names::Open { built_in, .. } => built_in
            .iter()
            .filter_map(|name| match name.rsplit_once('.') {
                Some((before, last)) => (before == named).then(|| last.to_owned()),
                None => Some((*name).to_owned()),
            })
            .collect(),
    };
    if let (Names::Open { .. }, Some(names)) = (names(segment), written.0.get(&path)) {
        all.extend(names.iter().cloned());
    }
    for name in all {
        expand(rest, join(&path, &name), join(&named, &name), written, each);
    }
}

fn default_of(key: &'static Key, named: &str, profile: Profile) -> Entry {
    let (text, origin) = match key.default {
        Default::None => (None, Origin::Default),
        Default::Is(text) => (Some(text), Origin::Default),
        Default::Profile { development, production } => (
            Some(match profile {
                Profile::Development => development,
                Profile::Production => production,
            }),
            Origin::Profile,
        ),
        Default::Named(by_name, otherwise) => {
            let own = by_name.iter().find(|(name, _)| *name == named).map(|(_, text)| *text);
            (own.or(otherwise), Origin::Default)
        }
    };
    let value = text.map(|text| {
        key.form
            .read(&Raw::Plain(text.to_owned().into()))
            .expect("every default of the table is legal: a test reads them all")
    });
    Entry { key, value, origin }
}
