//! Asks every engine how it is, for the metrics.

use metrics::{counter, gauge};

use super::Ground;
use super::run::Done;

pub(super) async fn run(ground: &Ground) -> Done {
    let mut done = Done::default();
    for engine in ground.engines.each() {
        let name = engine.name().to_string();
        let probed = engine.probe().await;
        gauge!("statehold_engine_up", "engine" => name.clone()).set(f64::from(u8::from(probed.is_ok())));
        if let Ok(probe) = &probed {
            gauge!("statehold_engine_latency_seconds", "engine" => name.clone())
                .set(probe.round_trip.as_secs_f64());
            counter!("statehold_engine_evicted_keys", "engine" => name.clone()).absolute(probe.evicted);
            if let Some(bytes) = probe.bytes {
                gauge!("statehold_engine_memory_bytes", "engine" => name.clone()).set(bytes as f64);
            }
            for (state, connections) in [("total", probe.connections), ("max", probe.connections_max)] {
                gauge!("statehold_pool_connections", "engine" => name.clone(), "state" => state)
                    .set(f64::from(connections));
            }
        }
        done.add(probed.map(|_| 1));
    }
    done
}
