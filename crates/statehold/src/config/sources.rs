//! Where configuration is read from: a file, the environment, flags.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::origin::Origin;
use super::problem::Problem;
use super::value::Raw;

/// Most bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The prefix of every variable of ours.
const PREFIX: &str = "STATEHOLD_";
/// Variables with our prefix that are no keys: the file itself, and what the CLI needs to reach a server.
const NOT_KEYS: &[&str] = &["CONFIG", "URL", "API_KEY_FILE", "NAMESPACE"];
/// Kubernetes sets these in every container beside a service that is called `statehold`.
const FOREIGN: &[&str] = &["SERVICE_", "PORT"];

/// Everything that decides the configuration, lowest precedence first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; none for none.
    pub file: Option<PathBuf>,
    /// Environment variables; those without our prefix are ignored.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Vec<Flag>,
}

/// A flag of the command line that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag as typed, dashes included: `--listen`.
    pub flag: String,
    /// The key that it sets: `server.listen`.
    pub key: String,
    /// The value, written as in the environment.
    pub value: String,
}

impl Sources {
    /// What this process was started with: the file is `config`, else `STATEHOLD_CONFIG`, else `./statehold.toml` where
    /// it exists.
    #[expect(
        clippy::disallowed_methods,
        reason = "the configuration room is the one that reads the environment"
    )]
    pub fn from_process(config: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let named = config.or_else(|| std::env::var_os("STATEHOLD_CONFIG").map(PathBuf::from));
        let here = || Path::new("statehold.toml").exists().then(|| PathBuf::from("statehold.toml"));
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os()
            .map(|(variable, value)| (text(variable), text(value)))
            .filter(|(variable, _)| variable.starts_with(PREFIX))
            .collect();
        Self { file: named.or_else(here), environment, flags }
    }
}

/// A value that one of the sources gives.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) path: Vec<String>,
    pub(crate) raw: Raw,
    pub(crate) origin: Origin,
}

/// What the sources give, lowest precedence first.
pub(crate) struct Collected {
    pub(crate) given: Vec<Given>,
    /// The file's mode, to be judged when the file turns out to hold a secret.
    pub(crate) file_mode: Option<u32>,
}

/// Reads all sources.
pub(crate) fn collect(sources: &Sources, problems: &mut Vec<Problem>) -> Collected {
    let mut given = Vec::new();
    let mut file_mode = None;
    if let Some(path) = &sources.file {
        match read_file(path) {
            Ok((text, mode)) => {
                file_mode = Some(mode);
                collect_file(path, &text, &mut given, problems);
            }
            Err(problem) => problems.push(problem),
        }
    }
    collect_environment(&sources.environment, &mut given);
    given.extend(sources.flags.iter().map(|flag| Given {
        path: flag.key.split('.').map(str::to_owned).collect(),
        raw: Raw::Plain(Zeroizing::new(flag.value.clone())),
        origin: Origin::Flag { flag: flag.flag.as_str().into() },
    }));
    Collected { given, file_mode }
}

fn read_file(path: &Path) -> Result<(Zeroizing<String>, u32), Problem> {
    let at = Origin::File { path: shown(path), line: 1 };
    let failed = |error: std::io::Error| Problem::new("", format!("cannot be read: {error}")).at(&at);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(FILE_BYTES_MAX) as usize + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::new("", "is longer than 1 MiB").at(&at));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::new("", "is not UTF-8").at(&at))?;
    Ok((Zeroizing::new(text.to_owned()), metadata.mode() & 0o7777))
}

fn shown(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

/// Reads what a file holds; syntax errors are all told, with what could be read beside them.
pub(crate) fn collect_file(path: &Path, text: &str, given: &mut Vec<Given>, problems: &mut Vec<Problem>) {
    let file = Lines { path: shown(path), text };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = file.origin(error.span().map_or(0, |span| span.start));
        // The parser's own text may quote the line, and the line may hold a secret: the message alone is taken.
        problems.push(Problem::new("", format!("is not TOML: {}", first_line(error.message()))).at(&at));
    }
    walk(&file, table.get_ref(), &mut Vec::new(), given);
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

struct Lines<'a> {
    path: Arc<str>,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line = 1 + before.matches('\n').count();
        Origin::File { path: Arc::clone(&self.path), line }
    }
}

fn walk(file: &Lines<'_>, table: &DeTable<'_>, path: &mut Vec<String>, given: &mut Vec<Given>) {
    for (name, value) in table {
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => walk(file, inner, path, given),
            other => given.push(Given {
                path: path.clone(),
                raw: raw(other),
                origin: file.origin(name.span().start),
            }),
        }
        path.pop();
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(Zeroizing::new(text.to_string())),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().to_owned()),
        DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(decimal) => Raw::Number(decimal.to_string()),
            Err(_) => Raw::Number(number.to_string()),
        },
        DeValue::Float(number) => Raw::Number(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(elements) => Raw::List(elements.iter().map(Spanned::get_ref).map(raw).collect()),
        DeValue::Table(_) => Raw::Table,
        DeValue::Datetime(_) => Raw::Date,
    }
}

fn collect_environment(environment: &[(String, String)], given: &mut Vec<Given>) {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_KEYS.contains(&name) || FOREIGN.iter().any(|foreign| name.starts_with(foreign)) {
            continue;
        }
        given.push(Given {
            path: name.to_ascii_lowercase().split("__").map(str::to_owned).collect(),
            raw: Raw::Plain(Zeroizing::new(value.clone())),
            origin: Origin::Environment { variable: variable.as_str().into() },
        });
    }
}

/// The variable that sets a key.
pub(crate) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}
