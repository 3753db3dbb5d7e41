//! A process that is killed for good (SIGKILL) in the middle of its commits.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use statehold_laws::Seeded;
use statehold_laws::triples::Triples;

use super::block_on;

#[test]
fn f012_killing_the_process_leaves_no_half_commit_and_loses_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Seeded::fresh();
    let mut acknowledged: BTreeMap<u8, u64> = BTreeMap::new();
    for round in 0..5_u64 {
        let first = (round + 1) * 1_000_000;
        let mut writer = Command::new(env!("CARGO_BIN_EXE_laws-writer"))
            .arg(directory.path())
            .arg(first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let mut lines = BufReader::new(writer.stdout.take().expect("it is piped")).lines();
        let kill_after = 1 + random.below(200);
        let mut note = |line: &str| {
            let (who, number) = line.split_once(' ').expect("a writer and a number");
            acknowledged.insert(who.parse().expect("a writer"), number.parse().expect("a number"));
        };
        for _ in 0..kill_after {
            note(&lines.next().expect("the writer goes on").expect("a line"));
        }
        writer.kill().expect("the writer is killed");
        writer.wait().expect("the writer is gone");
        // What it had said before it died counts; a last line may be cut.
        lines
            .map_while(Result::ok)
            .filter(|line| line.len() == "0 1000000".len())
            .for_each(|line| note(&line));

        let seed = random.seed();
        block_on(async {
            let triples = Triples::open(directory.path()).await.expect("the engine opens after a kill");
            for (&writer, &last) in &acknowledged {
                let found = triples.read(writer).await.expect("the items can be read");
                assert_eq!(found.len(), 3, "seed {seed}, round {round}: items of writer {writer}");
                assert!(
                    found.iter().all(|item| *item == found[0]),
                    "seed {seed}, round {round}: half a commit: {found:?}"
                );
                assert!(
                    found[0].0 >= last,
                    "seed {seed}, round {round}: {last} was acknowledged, {} is kept",
                    found[0].0
                );
            }
            triples.close();
        });
    }
    assert!(!acknowledged.is_empty(), "something was acknowledged before the kills");
}
