//! `statehold init`: a directory that production starts from.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;
use statehold::config::Sources;
use statehold::secrets::KeyMaterial;

use crate::configured;
use crate::exit::{Exit, Failure};
use crate::printer::{Printer, cell};
use crate::serving;

pub(super) async fn run(dir: &Path, printer: Printer) -> Result<Exit, Failure> {
    let dir = std::path::absolute(dir).map_err(|error| cannot_write(dir, &error))?;
    let (config, data, secrets) =
        (dir.join("statehold.toml"), dir.join("statehold-data"), dir.join("secrets"));
    if let Some(there) = [&config, &data, &secrets].into_iter().find(|path| path.exists()) {
        let why = format!("{} exists; nothing was changed", there.display());
        return Err(Failure::new(Exit::Refused, why).hint("name another directory with `--dir DIR`"));
    }
    make_directory(&secrets)?;
    let token_key = secrets.join("token.key");
    let key = KeyMaterial::generate()
        .map_err(|error| Failure::internal("the system gives no random numbers").caused_by(&error))?;
    write_new(&token_key, 0o600, &format!("{}\n", key.to_hex().as_str()))?;
    write_new(&config, 0o640, &configuration(&data, &token_key))?;
    let operator_key = first_operator_key(&config).await?;
    let document = json!({
        "config": config,
        "secrets": [{"path": token_key, "mode": "0600"}, {"path": data.join("operator.key"), "mode": "0600"}],
        "operator_key": operator_key,
    });
    printer.answer(&document, |document| {
        format!(
            "configuration  {}\ntoken key      {}\noperator key   {}\n\n{}\n\nStart it with `statehold serve --config {}`.",
            cell(document, "/config"),
            cell(document, "/secrets/0/path"),
            cell(document, "/secrets/1/path"),
            cell(document, "/operator_key"),
            cell(document, "/config"),
        )
    });
    Ok(Exit::Done)
}

fn configuration(data: &Path, token_key: &Path) -> String {
    let quoted = |path: &Path| toml::Value::String(path.to_string_lossy().into_owned()).to_string();
    format!(
        "# Statehold. `statehold config schema` lists every key, `statehold config print` what is in force.\n\
         profile = \"production\"\n\
         data_dir = {}\n\n\
         [secrets]\n\
         # The root of every stored hash: keep a copy apart from the data.\n\
         token_key_file = {}\n",
        quoted(data),
        quoted(token_key),
    )
}

/// Opens the new directory once, so that its first operator key exists, and answers that key.
async fn first_operator_key(config: &Path) -> Result<String, Failure> {
    let sources = Sources { file: Some(config.to_path_buf()), ..Sources::default() };
    let config = configured::load_from(&sources)?;
    let path = config.files().operator_key();
    let hold = serving::open(config).await?;
    let made = hold.make_operator_key().await;
    hold.close().await;
    made.map_err(|error| Failure::internal("the operator key could not be made").caused_by(&error))?;
    let key = std::fs::read_to_string(&path).map_err(|error| cannot_write(&path, &error))?;
    Ok(key.trim().to_owned())
}

fn make_directory(path: &PathBuf) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| cannot_write(path, &error))
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot write {}", path.display())).caused_by(error)
}
