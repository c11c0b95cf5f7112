//! How a method is registered: a plain function over the node and its parameters, run on a blocking worker.

use std::sync::Arc;

use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::Params;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{context::Context, error};

pub type Registered = Result<(), RegisterMethodError>;

/// Registers a method that reads or executes. At most `Settings::max_workers` run at a time.
pub fn worker<R, F>(module: &mut RpcModule<Context>, name: &'static str, method: F) -> Registered
where
    R: Serialize + Clone + Send + 'static,
    F: Fn(&Context, &mut Arguments) -> error::Result<R> + Clone + Send + Sync + 'static,
{
    module.register_async_method(name, move |params, context, _| {
        let method = method.clone();
        async move { on_worker(context, move |context| method(context, &mut Arguments::new(&params)?)).await }
    })?;
    Ok(())
}

/// Runs something that blocks, when a worker is free.
pub async fn on_worker<R: Send + 'static>(
    context: Arc<Context>,
    work: impl FnOnce(&Context) -> error::Result<R> + Send + 'static,
) -> error::Result<R> {
    let permit = context.workers.clone().acquire_owned().await.expect("the semaphore is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&context);
        drop(permit);
        result
    });
    done.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request panicked");
        Err(error::server("internal error"))
    })
}

/// Positional parameters, read in order.
pub struct Arguments {
    values: std::vec::IntoIter<Value>,
    position: usize,
}

impl Arguments {
    /// # Errors
    ///
    /// When the parameters are not an array.
    pub fn new(params: &Params<'_>) -> error::Result<Self> {
        let values: Option<Vec<Value>> = params.parse().map_err(|_| error::invalid("parameters must be an array"))?;
        Ok(Self { values: values.unwrap_or_default().into_iter(), position: 0 })
    }

    /// The next parameter, which must be there.
    pub fn next<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        let position = self.position;
        self.optional(name)?
            .ok_or_else(|| error::invalid(format!("missing value for required argument {position}: {name}")))
    }

    /// The next parameter, which may be missing or null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<Option<T>> {
        let position = self.position;
        self.position += 1;
        match self.values.next() {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| error::invalid(format!("invalid argument {position}: {name}: {error}"))),
        }
    }
}
