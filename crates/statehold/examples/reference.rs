//! Writes the generated reference pages: `cargo run -p statehold --example reference`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    std::fs::create_dir_all(&pages)?;
    std::fs::write(pages.join("metrics.md"), statehold::telemetry::reference())?;
    std::fs::write(pages.join("configuration.md"), statehold::config::reference())
}
