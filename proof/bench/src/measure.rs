//! Sides in turns.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::options::Options;
use crate::report::{Outcome, Ratio, SideFigures, spread};
use crate::workloads::Workload;

/// What one turn did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
}

impl Turn {
    fn per_second(self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }
}

/// One side: takes a turn of about the given length.
pub(crate) struct Side<'a> {
    pub(crate) name: &'static str,
    /// What ours must reach of this side; none for ours and for context.
    pub(crate) must_reach: Option<f64>,
    pub(crate) turn: Box<dyn FnMut(Duration) -> Result<Turn, BenchError> + 'a>,
}

impl<'a> Side<'a> {
    pub(crate) fn new(
        name: &'static str,
        must_reach: Option<f64>,
        turn: impl FnMut(Duration) -> Result<Turn, BenchError> + 'a,
    ) -> Self {
        Self { name, must_reach, turn: Box::new(turn) }
    }
}

/// Lets the sides take turns, ours first, after a short turn each that does not count.
pub(crate) fn compare(
    workload: &Workload,
    options: &Options,
    mut sides: Vec<Side<'_>>,
) -> Result<Outcome, BenchError> {
    let mut rates = vec![Vec::with_capacity(options.pairs); sides.len()];
    for side in &mut sides {
        (side.turn)(options.side / 4)?;
    }
    for _ in 0..options.pairs {
        for (side, rates) in sides.iter_mut().zip(&mut rates) {
            rates.push((side.turn)(options.side)?.per_second());
        }
    }
    let figures = |(side, rates): (&Side<'_>, &Vec<f64>)| {
        let (median, min, max) = spread(rates);
        SideFigures { side: side.name, median, min, max }
    };
    let ratio = |(side, theirs): (&Side<'_>, &Vec<f64>)| {
        let pairs: Vec<f64> = rates[0].iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let (median, min, max) = spread(&pairs);
        let reached = side.must_reach.map(|goal| median >= goal);
        Ratio { against: side.name, median, min, max, must_reach: side.must_reach, reached }
    };
    Ok(Outcome {
        workload: workload.name,
        goal: workload.goal,
        work: workload.work,
        pairs: options.pairs,
        sides: sides.iter().zip(&rates).map(figures).collect(),
        ratios: sides.iter().zip(&rates).skip(1).map(ratio).collect(),
        counters: BTreeMap::new(),
    })
}

/// Calls `operation` from several threads at once for about `span`. It gets numbers that differ by thread and call.
pub(crate) fn on_threads(
    threads: usize,
    span: Duration,
    operation: impl Fn(u64) -> Result<(), BenchError> + Sync,
) -> Result<Turn, BenchError> {
    /// Calls between two looks at the clock.
    const STRIDE: u64 = 64;
    let start = Barrier::new(threads);
    let work = |thread: usize| {
        let mut random = Random::seeded(thread as u64);
        start.wait();
        let began = Instant::now();
        let mut operations = 0;
        while began.elapsed() < span {
            for _ in 0..STRIDE {
                operation(random.next())?;
            }
            operations += STRIDE;
        }
        Ok(Turn { operations, elapsed: began.elapsed() })
    };
    let turns: Vec<Result<Turn, BenchError>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("a measured operation does not panic"))
            .collect()
    });
    let mut all = Turn { operations: 0, elapsed: Duration::ZERO };
    for turn in turns {
        let turn: Turn = turn?;
        all.operations += turn.operations;
        all.elapsed = all.elapsed.max(turn.elapsed);
    }
    Ok(all)
}

/// A xorshift generator (Marsaglia 2003): quick, the same on every run, good enough to pick items by.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
