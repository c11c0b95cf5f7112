//! The `debug` namespace: what ran, step by step or call by call, and what is stored, as bytes.

mod raw;
mod traces;

pub use traces::{noop, trace_located, traced_calls};

use super::method::{Methods, Registered};

pub fn register(methods: &mut Methods) -> Registered {
    traces::register(methods)?;
    raw::register(methods)
}
