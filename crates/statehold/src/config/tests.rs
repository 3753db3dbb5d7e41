//! Tests of the configuration room: what a user writes, and what he is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::key::Default as KeyDefault;
use super::value::Raw;
use super::*;
use crate::secrets::KeyMaterial;

/// A key made for this run: no key is ever written into the sources.
static KEY: LazyLock<String> =
    LazyLock::new(|| KeyMaterial::generate().expect("the generator works").to_hex().to_string());

/// Loads a file of this text, which is called `statehold.toml` in messages.
struct Case {
    directory: tempfile::TempDir,
    sources: Sources,
}

fn case(toml: &str) -> Case {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("statehold.toml");
    fs::write(&file, toml).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Case { sources: Sources { file: Some(file), ..Sources::default() }, directory }
}

impl Case {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        let flag = Flag { flag: flag.to_owned(), key: key.to_owned(), value: value.to_owned() };
        self.sources.flags.push(flag);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(&self.sources)
    }

    /// The mistakes, with the temporary directory taken out.
    fn mistakes(&self) -> String {
        let errors = self.load().expect_err("the configuration has mistakes");
        self.without_directory(&errors.to_string())
    }

    fn without_directory(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

fn mistakes(toml: &str) -> String {
    case(toml).mistakes()
}

#[test]
fn every_default_is_legal_and_every_key_is_built() {
    for key in KEYS {
        let texts: Vec<&str> = match key.default {
            KeyDefault::None => vec![],
            KeyDefault::Is(text) => vec![text],
            KeyDefault::Profile { development, production } => vec![development, production],
            KeyDefault::Named(by_name, otherwise) => {
                by_name.iter().map(|(_, text)| *text).chain(otherwise).collect()
            }
        };
        for text in texts {
            let read = key.form.read(&Raw::Plain(text.to_owned().into()));
            assert!(read.is_ok(), "{} = {text}: {read:?}", key.path);
        }
    }
    let config = Config::load(&Sources::default()).expect("the defaults are legal");
    assert_eq!(config.profile, Profile::Development);
    assert_eq!(config.server.listen, ["127.0.0.1:7600".parse().unwrap()]);
    assert_eq!(config.server.body_limit, 2 << 20);
    let main = &config.engines["main"];
    assert_eq!(main.command_timeout, Duration::from_secs(5));
    assert_eq!(
        main.kind,
        EngineChoice::Embedded {
            path: "./statehold-data/state.db".into(),
            synchronous: Synchronous::Full,
            readers: 4
        }
    );
    assert_eq!(config.sessions["user"].idle_ttl, Some(Duration::from_mins(30)));
    assert_eq!(config.sessions["service"].max_concurrent, 100);
    assert_eq!(config.sessions["node"].idle_ttl, None);
    assert_eq!(config.limits.policies["session"].classes["sync"].limit, 600);
    assert_eq!(config.limits.policies["api"].on_unavailable, OnUnavailable::Open);
    assert_eq!(config.limits.policies["api"].local_guard, None);
    assert!(config.stores.sessions.sync && config.stores.cache.sync && !config.stores.limits.sync);
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn f041_the_profile_is_explicit_and_decides_defaults() {
    let development = case("").load().unwrap();
    assert_eq!(development.profile, Profile::Development);
    let production = case(&format!("profile = 'production'\nsecrets.token_key = '{}'", *KEY)).load().unwrap();
    assert_eq!(production.profile, Profile::Production);
    assert_eq!(production.log.format, LogFormat::Json);
    assert!(!production.server.openapi);
    let (_, entry) = production.entries().find(|(path, _)| *path == "log.format").unwrap();
    assert_eq!(entry.origin, Origin::Profile);
}

#[test]
fn f293_the_environment_stands_above_the_file_and_flags_above_both() {
    let case = case("[server]\nlisten = ['127.0.0.1:1']\nbody_limit = '1 MiB'\nrequest_timeout = 5")
        .variable("STATEHOLD_SERVER__LISTEN", "127.0.0.1:2, [::1]:2")
        .variable("STATEHOLD_SERVER__BODY_LIMIT", "3145728")
        .flag("--listen", "server.listen", "127.0.0.1:3");
    let config = case.load().unwrap();
    assert_eq!(config.server.listen, ["127.0.0.1:3".parse().unwrap()]);
    assert_eq!(config.server.body_limit, 3 << 20);
    assert_eq!(config.server.request_timeout, Duration::from_secs(5));
    let origin = |wanted: &str| {
        let (_, entry) = config.entries().find(|(path, _)| *path == wanted).unwrap();
        case.without_directory(&entry.origin.to_string())
    };
    assert_eq!(origin("server.listen"), "--listen");
    assert_eq!(origin("server.body_limit"), "STATEHOLD_SERVER__BODY_LIMIT");
    assert_eq!(origin("server.request_timeout"), "statehold.toml:4");
    assert_eq!(origin("server.shutdown_grace"), "default");
}

#[test]
fn f293_every_key_can_be_set_in_file_and_environment() {
    for key in KEYS {
        let path = key
            .path
            .replace("<store>", "cache")
            .replace("<disposable>", "cache")
            .replace("<kind>", "user")
            .replace("<engine>", "main")
            .replace("<policy>", "api")
            .replace("<class>", "bulk");
        let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
        assert!(
            matches!(resolve::find(&segments), resolve::Match::Key { key: found, .. } if found == key),
            "{path} in a file"
        );
        let variable = sources::variable(&path);
        let mut problems = Vec::new();
        let sources =
            Sources { environment: vec![(variable.clone(), "\0".to_owned())], ..Sources::default() };
        let collected = sources::collect(&sources, &mut problems);
        assert_eq!(collected.given[0].path, segments, "{variable}");
    }
}

#[test]
fn f292_every_mistake_is_told_at_once() {
    let text = "\
profile = 'staging'
colour = 'blue'

[server]
lsiten = ['127.0.0.1:7600']
body_limit = '1 GiB'
request_timeout = '30 parsecs'
max_connections = 'many'
cors_origins = ['*']
trusted_proxies = ['10.0.0.0/99']

[engines.fast]
kind = 'redis'

[engines.'Bad Name']
kind = 'memory'

[stores.sessions]
engine = 'nowhere'
sync = false

[stores.tiles]
engine = 'main'

[sessions.user]
idle_ttl = '1s'
absolute_ttl = '1h 1h'

[limits.policies.burst]
algorithm = 'token_bucket'
rate = -1

[limits.policies.wide]
limit = 5000

[limits]
apply = ['missing']

[secrets]
token_key = 'changeme'

[log]
level = 'loud'
";
    insta::assert_snapshot!(
        case(text)
            .variable("STATEHOLD_CACHE__DEFAULT_TTLS", "5")
            .variable("STATEHOLD_METRICS__ENABLED", "yes")
            .mistakes()
    );
}

#[test]
fn f292_a_file_that_is_no_toml_is_told_with_its_line() {
    insta::assert_snapshot!(mistakes("profile = 'development'\n[server\nlisten = 1\nx = = 2\n"));
}

#[test]
fn a_file_that_is_missing_is_told() {
    let sources = Sources { file: Some("no/such/file.toml".into()), ..Sources::default() };
    insta::assert_snapshot!(Config::load(&sources).unwrap_err().to_string());
}

#[test]
fn f291_production_refuses_what_is_risky() {
    let text = "\
profile = 'production'
server.listen = ['0.0.0.0:7600']
server.ops_listen = ['0.0.0.0:7601']
engines.fast.kind = 'memory'
stores.cache.engine = 'fast'
stores.sessions.engine = 'fast'
stores.limits = { engine = 'fast', allow_volatile = true }
";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn f297_production_takes_plain_http_behind_a_proxy() {
    let text = format!(
        "profile = 'production'\nserver = {{ listen = ['0.0.0.0:7600'], behind_tls_proxy = true }}\n\
         secrets.token_key = '{}'",
        *KEY
    );
    assert!(case(&text).load().is_ok());
}

#[test]
fn development_warns_about_what_production_refuses() {
    let config =
        case("server.listen = ['0.0.0.0:7600']\nengines.fast.kind = 'memory'\nstores.cache.engine = 'fast'")
            .load()
            .unwrap();
    let codes: Vec<_> = config.warnings().iter().map(|warning| warning.code).collect();
    assert_eq!(codes, ["volatile_home", "plain_http", "generated_secret"]);
}

#[test]
fn engines_are_checked_against_each_other() {
    insta::assert_snapshot!(mistakes(
        "\
engines.main.kind = 'memory'
engines.main.path = 'x.db'
engines.one = { kind = 'embedded', path = 'same.db' }
engines.two = { kind = 'embedded', path = 'same.db', memory_limit = '1 GiB' }
engines.three = {}
cache.memory_limit = '1 GiB'
"
    ));
}

#[test]
fn policies_are_checked() {
    insta::assert_snapshot!(mistakes(
        "\
limits.policies.session.enabled = false
limits.policies.api.enabled = false
limits.policies.mine.algorithm = 'fixed'
limits.policies.log = { limit = 1000, window = '2d' }
limits.policies.class = { limit = 10, window = 60, classes.big.limit = 1001 }
limits.apply = ['api']
sessions.user.absolute_ttl = '25h'
"
    ));
}

#[test]
fn tls_needs_both_files_and_a_closed_key() {
    let case = case("");
    fs::write(case.path("cert.pem"), "").unwrap();
    fs::write(case.path("key.pem"), "").unwrap();
    fs::set_permissions(case.path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let cert = case.path("cert.pem").display().to_string();
    let key = case.path("key.pem").display().to_string();
    let only_cert = case.flag("--cert", "server.tls.cert_file", &cert);
    assert!(only_cert.mistakes().contains("server.tls.key_file\n    is needed too"));
    let both = only_cert.flag("--key", "server.tls.key_file", &key);
    assert!(both.mistakes().contains("has mode 0644, at most 0640 is allowed"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(both.load().unwrap().server.tls.unwrap().min_version, TlsVersion::V1_2);
}

#[test]
fn f291_a_secret_comes_from_a_closed_file_or_the_environment_alone() {
    let file = case("secrets.token_key_file = 'PATH'");
    let path = file.path("token.key");
    fs::write(&path, format!("{}\n", *KEY)).unwrap();
    let by_file = case("").variable("STATEHOLD_SECRETS__TOKEN_KEY_FILE", path.to_str().unwrap());
    assert!(by_file.mistakes().contains("has mode 0644"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let key = by_file.load().unwrap().secrets.token_key.unwrap();
    assert_eq!(*key.to_hex(), *KEY);

    let both = by_file.variable("STATEHOLD_SECRETS__TOKEN_KEY", &KEY);
    assert!(both.mistakes().contains("are given: keep one"));
    let flag = case("").flag("--token-key", "secrets.token_key", &KEY);
    assert!(flag.mistakes().contains("never given on the command line"));
    let open = case(&format!("secrets.token_key = '{}'", *KEY));
    fs::set_permissions(open.path("statehold.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open.mistakes().contains("holds a secret and has mode 0644"));
    for told in [both.mistakes(), flag.mistakes(), open.mistakes()] {
        assert!(!told.contains(KEY.as_str()), "{told}");
    }
    assert!(mistakes("secrets.token_key_file = '/no/such/file'").contains("No such file"));
}

#[test]
fn f294_secrets_are_never_printed() {
    let config = case(&format!("secrets.token_key = '{}'", *KEY)).load().unwrap();
    for shown in [config.print_table(), config.print_json().to_string(), format!("{config:?}")] {
        assert!(!shown.contains(KEY.as_str()) && shown.contains("***"));
    }
}

#[test]
fn print_shows_every_value_with_its_origin() {
    let case =
        case("server.request_timeout = 5\nengines.fast = { kind = 'memory', memory_limit = '1 GiB' }\n")
            .variable("STATEHOLD_LOG__LEVEL", "debug");
    let config = case.load().unwrap();
    insta::assert_snapshot!(case.without_directory(&config.print_table()));
    let json = config.print_json();
    assert_eq!(json["log.level"]["value"], "debug");
    assert_eq!(json["log.level"]["origin"], "STATEHOLD_LOG__LEVEL");
    assert_eq!(json["engines.fast.path"]["value"], serde_json::Value::Null);
}

#[test]
fn variables_of_others_are_left_alone() {
    let case = case("")
        .variable("STATEHOLD_CONFIG", "x")
        .variable("STATEHOLD_SERVICE_HOST", "10.0.0.1")
        .variable("STATEHOLD_PORT_7600_TCP", "tcp://10.0.0.1:7600")
        .variable("PATH", "/bin");
    assert!(case.load().is_ok());
    assert!(
        case.variable("STATEHOLD_LOG_LEVEL", "info")
            .mistakes()
            .contains("did you mean `STATEHOLD_LOG__LEVEL`?")
    );
}

#[test]
fn a_reload_changes_reloadable_keys_alone() {
    let case = case(
        "log.level = 'info'\nserver.body_limit = '1 MiB'\nlimits.policies.own = { limit = 5, window = 1 }",
    );
    let running = case.load().unwrap();
    fs::write(
        case.path("statehold.toml"),
        "log.level = 'debug'\nserver.body_limit = '3 MiB'\nlimits.policies.fresh = { limit = 7, window = 1 }\n",
    )
    .unwrap();
    let change = running.reload(&case.sources).unwrap();
    assert_eq!(change.needs_restart, ["server.body_limit"]);
    assert!(change.changed.contains(&"log.level".to_owned()));
    assert_eq!(change.config.log.level, "debug");
    assert_eq!(change.config.server.body_limit, 1 << 20);
    assert!(change.config.limits.policies.contains_key("fresh"));
    assert!(!change.config.limits.policies.contains_key("own"));

    let again = change.config.reload(&case.sources).unwrap();
    assert_eq!(again.changed, Vec::<String>::new());
    assert_eq!(again.needs_restart, ["server.body_limit"]);

    fs::write(case.path("statehold.toml"), "log.level = 'loud'").unwrap();
    assert!(change.config.reload(&case.sources).is_err());
    assert_eq!(change.config.log.level, "debug");
}

#[test]
fn the_schema_declares_every_key() {
    let schema = schema();
    for key in KEYS {
        let mut at = &schema;
        for segment in key.path.split('.') {
            at = match segment {
                "<store>" | "<disposable>" => &at["properties"]["cache"],
                "<kind>" => &at["properties"]["user"],
                open if open.starts_with('<') => {
                    at["patternProperties"].as_object().and_then(|all| all.values().next()).expect(key.path)
                }
                plain => &at["properties"][plain],
            };
        }
        assert_eq!(at["description"], key.doc, "{}", key.path);
    }
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["secrets"]["properties"]["token_key_file"]["type"], "string");
}

#[test]
fn the_reference_page_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    let kept = fs::read_to_string(page).unwrap_or_default();
    assert!(kept == reference(), "docs/reference is old: `cargo run -p statehold --example reference`");
}

proptest! {
    #[test]
    fn no_random_toml_panics(text in "[a-z\\[\\]{}='\".,0-9\\n# -]{0,200}") {
        let (mut given, mut problems) = (Vec::new(), Vec::new());
        sources::collect_file(Path::new("x.toml"), &text, &mut given, &mut problems);
        let collected = sources::Collected { given, file_mode: Some(0o600) };
        let _ = resolve::resolve(&collected, &mut problems);
    }

    #[test]
    fn no_random_value_of_a_real_key_panics(index in 0..KEYS.len(), value in "\\PC{0,30}", number: i64, quoted: bool) {
        let path = KEYS[index].path.replace("<store>", "cache").replace("<disposable>", "cache")
            .replace("<kind>", "user").replace("<engine>", "e").replace("<policy>", "p").replace("<class>", "c");
        let shown = if quoted { format!("{value:?}") } else { number.to_string() };
        let case = case(&format!("{path} = {shown}\n")).variable(&sources::variable(&path), &value);
        let _ = case.load();
    }
}
