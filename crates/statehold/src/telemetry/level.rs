//! Log levels, and directives that give modules their own.

use tracing_subscriber::filter::{LevelFilter, Targets};

/// Most directives.
const DIRECTIVES_MAX: usize = 64;

/// Whether this is a level, or directives such as `info,statehold_server=debug`.
pub(crate) fn is_level(text: &str) -> bool {
    targets(text).is_some()
}

/// Reads a level or directives; what no directive names is off unless a bare level says otherwise.
pub(crate) fn targets(text: &str) -> Option<Targets> {
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    if directives.len() > DIRECTIVES_MAX {
        return None;
    }
    directives.into_iter().try_fold(Targets::new(), |targets, directive| match directive.split_once('=') {
        Some((target, level)) if is_target(target) => Some(targets.with_target(target, self::level(level)?)),
        Some(_) => None,
        None => Some(targets.with_default(self::level(directive)?)),
    })
}

fn is_target(target: &str) -> bool {
    !target.is_empty()
        && target.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

fn level(name: &str) -> Option<LevelFilter> {
    match name.trim() {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives() {
        for good in ["info", "off", "info,statehold_server=debug", "warn, a::b=trace"] {
            assert!(is_level(good), "{good}");
        }
        for bad in ["", "verbose", "info,", "a b=info", "=info", "a=", "INFO", "a=info=debug"] {
            assert!(!is_level(bad), "{bad}");
        }
    }
}
