//! The laws, on every stack and on every broken engine.

mod history;
mod kill;
mod laws;
mod page;

/// Runs something on several threads, whatever the machine has.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime starts").block_on(future)
}
