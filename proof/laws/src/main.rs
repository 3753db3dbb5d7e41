//! Writes triples on several tasks for ever, and says on stdout what was acknowledged; made to be killed.
//!
//! `laws-writer <directory> <first number>`: lines of `<writer> <number>`.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use statehold_laws::triples::Triples;

const WRITERS: u8 = 4;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let directory: PathBuf = words.next().ok_or("which directory?")?.into();
    let first: u64 = words.next().ok_or("from which number?")?.parse()?;
    let triples = Arc::new(Triples::open(&directory).await?);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let triples = Arc::clone(&triples);
        writers.spawn(async move {
            for number in first.. {
                triples.write(writer, number).await?;
                let mut out = std::io::stdout().lock();
                if writeln!(out, "{writer} {number}").and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
            statehold_core::Result::<()>::Ok(())
        });
    }
    writers.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}
