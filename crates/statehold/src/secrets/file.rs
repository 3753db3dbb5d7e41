//! Secret files: read with their mode checked, made once and never half.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::material::{KeyMaterial, MaterialError};

/// Most bytes of a secret file.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Bits of a mode that a secret file must not have: more than `rw-r-----`.
const MODE_FORBIDDEN: u32 = 0o777 & !0o640;

/// Why a secret cannot be had from a file.
#[derive(Debug)]
pub enum SecretError {
    /// The file or its directory cannot be read, made or synced.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner and readers of its group may use the file.
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is longer than 64 KiB or not UTF-8.
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no usable key.
    Material {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: MaterialError,
    },
    /// The operating system's generator failed.
    Generator(getrandom::Error),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Mode { path, mode } => {
                write!(f, "{} has mode {mode:04o}, at most 0640 is allowed: `chmod 600` it", path.display())
            }
            Self::Unreadable { path } => write!(f, "{} is longer than 64 KiB or not text", path.display()),
            Self::Material { path, source } => write!(f, "{} {source}", path.display()),
            Self::Generator(_) => f.write_str("the operating system's random generator failed"),
        }
    }
}

impl std::error::Error for SecretError {}

/// Reads a secret file: mode at most 0640, at most 64 KiB, trailing line ends removed.
///
/// # Errors
/// [`SecretError`]: unreadable, of a wider mode, too long or not text.
pub fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let failed = |source| SecretError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & MODE_FORBIDDEN != 0 {
        return Err(SecretError::Mode { path: path.to_owned(), mode });
    }
    // Reserved in one piece, so that no earlier, smaller buffer is left behind unwiped.
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    let unreadable = || SecretError::Unreadable { path: path.to_owned() };
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable());
    }
    let text = std::str::from_utf8(&text).map_err(|_| unreadable())?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Makes a file of mode 0600 that did not exist, complete or not at all, synced to disk.
///
/// Returns false, changing nothing, when the file exists already: of any number of callers at once, in any number of
/// processes, exactly one is answered true.
///
/// # Errors
/// When the disk refuses.
pub fn write_new(path: &Path, text: &str) -> io::Result<bool> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{:016x}", u64::from_le_bytes(suffix)));
    let made = write_and_link(&temporary, path, text);
    fs::remove_file(&temporary).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let made = made?;
    File::open(directory)?.sync_all()?;
    Ok(made)
}

/// A hard link appears at once with the whole content, and refuses a name that is taken; a rename would replace it.
fn write_and_link(temporary: &Path, path: &Path, text: &str) -> io::Result<bool> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    match fs::hard_link(temporary, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a key, or makes it once: true when this call made it.
///
/// The directory is made with mode 0700 when it is missing. Two processes that race here use the same key.
///
/// # Errors
/// [`SecretError`].
pub fn load_or_create(path: &Path) -> Result<(KeyMaterial, bool), SecretError> {
    let failed = |source| SecretError::Io { path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let mut made = false;
    if !path.try_exists().map_err(failed)? {
        let key = KeyMaterial::generate().map_err(SecretError::Generator)?;
        made = write_new(path, &key.to_hex()).map_err(failed)?;
    }
    // Read back in every case: whoever lost the race takes the winner's key.
    let text = read(path)?;
    let key = KeyMaterial::parse(&text)
        .map_err(|source| SecretError::Material { path: path.to_owned(), source })?;
    Ok((key, made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_reused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secrets/token.key");
        let (first, made) = load_or_create(&path).unwrap();
        assert!(made);
        let (second, made_again) = load_or_create(&path).unwrap();
        assert!(!made_again);
        assert_eq!(first, second);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn of_many_racers_exactly_one_makes_the_key_and_all_use_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.key");
        let start = std::sync::Barrier::new(8);
        let results: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        load_or_create(&path).unwrap()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|(_, made)| *made).count(), 1);
        assert!(results.iter().all(|(key, _)| *key == results[0].0));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "text\r\n").unwrap();
        for (mode, legal) in
            [(0o600, true), (0o640, true), (0o440, true), (0o644, false), (0o660, false), (0o700, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match read(&path) {
                Ok(text) => assert!(legal && text.as_str() == "text", "{mode:o}"),
                Err(error) => {
                    assert!(!legal && matches!(error, SecretError::Mode { .. }), "{mode:o}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_is_there_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(write_new(&path, "first").unwrap());
        assert!(!write_new(&path, "second").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    }
}
