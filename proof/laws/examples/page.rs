//! Writes `docs/reference/laws.md` anew.

use std::error::Error;
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let page = statehold_laws::page().await?;
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/laws.md");
    std::fs::write(to, page)?;
    Ok(())
}
