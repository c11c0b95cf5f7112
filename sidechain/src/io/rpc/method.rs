//! How a method is registered, and where it runs.
//!
//! ```text
//!  inline   at once, on the connection's thread: what is in memory
//!  worker   on a short thread: reads of one thing
//!  long     in turns: executions, proofs, ranges of blocks; these look at `Arguments::stop`
//! ```
//! Every request has a deadline, and one that is over or that nobody waits for any more stops computing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use alloy_eips::BlockId;
use alloy_rpc_types_eth::TransactionRequest;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::block_reference::BlockReference;
use super::call_request::CallRequest;
use super::context::Context;
use super::shares::Hold;
use super::workers::Lane;
use super::{error, numbers, numbers::Form};
use crate::access::Client;
use crate::chain::Preview;
use crate::counters::Answered;
use crate::execution::Stop;

/// Two methods of the same name are a mistake in this crate.
pub type Registered = Result<(), NameTaken>;

/// A second method of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two methods are called {0}")]
pub struct NameTaken(&'static str);

/// Neither a method nor a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a method nor a namespace of this node: expected one as debug or txpool_content")]
pub struct NoSuchMethod(String);

/// A method's answer in JSON, within the server's bound.
pub type Answer = error::Result<String>;

pub type Run = Arc<dyn Fn(&Context, &mut Arguments) -> Answer + Send + Sync>;
type RunAsync = Arc<dyn Fn(Arc<Context>, Arguments) -> BoxFuture<'static, Answer> + Send + Sync>;

/// What is done for a method's name.
#[derive(Clone)]
pub enum Method {
    Inline(Run),
    Worker(Run),
    Long(Run),
    /// One of the two above that may be asked at `pending`: that block is made first, and waited for without a thread.
    AtBlock(Box<Self>),
    Async(RunAsync),
    /// `eth_subscribe`, `peg_subscribe` and their opposites, which belong to a WebSocket.
    Subscribe(Namespace),
    Unsubscribe,
    /// Answered by the private server only.
    Withheld,
}

impl Method {
    /// How its requests are answered, for monitoring.
    pub fn answered(&self) -> Answered {
        match self {
            Self::Inline(_) => Answered::FromMemory,
            Self::Worker(_) => Answered::FromStore,
            Self::Long(_) => Answered::ByExecution,
            Self::AtBlock(method) => method.answered(),
            Self::Async(_) => Answered::AfterWaiting,
            Self::Subscribe(_) | Self::Unsubscribe => Answered::BySubscription,
            Self::Withheld => Answered::Withheld,
        }
    }
}

/// Where a subscription is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Eth,
    Peg,
}

impl Namespace {
    /// The method as which a subscription's messages come.
    pub const fn messages(self) -> &'static str {
        match self {
            Self::Eth => "eth_subscription",
            Self::Peg => "peg_subscription",
        }
    }
}

/// All methods by name.
#[derive(Default)]
pub struct Methods(BTreeMap<&'static str, Method>);

impl Methods {
    pub fn get(&self, name: &str) -> Option<&Method> {
        self.0.get(name)
    }

    /// All that are answered, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let answered = self.0.iter().filter(|(_, method)| !matches!(method, Method::Withheld));
        answered.map(|(name, _)| *name)
    }

    /// Answers a method, or those of a namespace, no more.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn withhold(&mut self, name: &str) -> Result<(), NoSuchMethod> {
        let is_meant = |method: &str| method == name || method.split_once('_').is_some_and(|(space, _)| space == name);
        let mut meant = self.0.iter_mut().filter(|(method, _)| is_meant(method)).peekable();
        if meant.peek().is_none() {
            return Err(NoSuchMethod(name.to_owned()));
        }
        meant.for_each(|(_, method)| *method = Method::Withheld);
        Ok(())
    }

    pub fn insert(&mut self, name: &'static str, method: Method) -> Registered {
        match self.0.insert(name, method) {
            None => Ok(()),
            Some(_) => Err(NameTaken(name)),
        }
    }
}

/// Registers a method that is answered from memory within microseconds.
pub fn inline<R: Serialize>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::Inline(encoded(method)))
}

/// Registers a method that reads one thing from the store.
pub fn worker<R: Serialize>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::Worker(encoded(method)))
}

/// Registers a method that executes, proves or walks. It must look at [`Arguments::stop`], and may be run again after it was stopped:
/// an error leaves nothing behind.
pub fn long<R: Serialize>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::Long(encoded(method)))
}

/// As [`worker`], for a method that may be asked at `pending`.
pub fn worker_at<R: Serialize>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::AtBlock(Box::new(Method::Worker(encoded(method)))))
}

/// As [`long`], for a method that may be asked at `pending`.
pub fn long_at<R: Serialize>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::AtBlock(Box::new(Method::Long(encoded(method)))))
}

/// The same for one that writes the JSON of its answer itself, and keeps to the server's bound.
pub fn long_json(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> Answer + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::Long(Arc::new(method)))
}

/// As [`long_json`], for a method that may be asked at `pending`.
pub fn long_json_at(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(&Context, &mut Arguments) -> Answer + Send + Sync + 'static,
) -> Registered {
    methods.insert(name, Method::AtBlock(Box::new(Method::Long(Arc::new(method)))))
}

/// Registers a method that waits for something, and brings what blocks to [`on_worker`] itself.
pub fn asynchronous<R, F>(
    methods: &mut Methods,
    name: &'static str,
    method: impl Fn(Arc<Context>, Arguments) -> F + Send + Sync + 'static,
) -> Registered
where
    R: Serialize + Send + 'static,
    F: Future<Output = error::Result<R>> + Send + 'static,
{
    let run = move |context: Arc<Context>, arguments: Arguments| {
        let most = context.settings.max_response_bytes;
        let answer = method(context, arguments);
        async move { answer.await.and_then(|result| to_json(&result, most)) }.boxed()
    };
    methods.insert(name, Method::Async(Arc::new(run)))
}

fn encoded<R: Serialize>(method: impl Fn(&Context, &mut Arguments) -> error::Result<R> + Send + Sync + 'static) -> Run {
    Arc::new(move |context, arguments| to_json(&method(context, arguments)?, context.settings.max_response_bytes))
}

/// The JSON of a result, of at most `most` bytes.
pub fn to_json<R: Serialize>(result: &R, most: u32) -> Answer {
    let mut bounded = Bounded { bytes: Vec::new(), most: most as usize };
    serde_json::to_writer(&mut bounded, result).map_err(|_| error::answer_too_large(most))?;
    String::from_utf8(bounded.bytes).map_err(|_| error::server("internal error"))
}

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + more.len() > self.most {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs something that blocks, on a thread of `lane` when it is its caller's turn.
///
/// Dropping the future, or the caller's deadline, stops it: what still waits never begins, and what runs sees `caller.stop`.
///
/// # Errors
///
/// Those of `work`; `-32005` at the deadline.
pub async fn on_worker<R: Send + 'static>(
    context: &Arc<Context>,
    caller: &Caller,
    lane: Lane,
    work: impl FnOnce(&Context) -> error::Result<R> + Send + 'static,
) -> error::Result<R> {
    let (answer, answered) = oneshot::channel();
    let mut unanswered = StopOnDrop(Some(caller.stop.clone()));
    let job = {
        let (context, caller) = (context.clone(), caller.clone());
        move || {
            if caller.stop.is_stopped() {
                return;
            }
            let _running = context.running();
            let begun = Instant::now();
            let result = work(&context);
            context.shares.spend(caller.client, begun.elapsed());
            // Nobody may be waiting any more.
            let _ = answer.send(result);
        }
    };
    context.workers.submit(lane, caller.client, job);
    match tokio::time::timeout_at(caller.deadline.into(), answered).await {
        Ok(Ok(result)) => {
            unanswered.0 = None;
            result
        }
        Ok(Err(_)) => Err(error::server("internal error")),
        Err(_) => Err(error::deadline(context.settings.deadline)),
    }
}

/// Stops what runs, unless it has ended.
struct StopOnDrop(Option<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.stop();
        }
    }
}

/// Who waits for an answer, and how long.
#[derive(Clone, Debug)]
pub struct Caller {
    pub client: Client,
    /// Set at the deadline, and when nobody waits any more.
    pub stop: Stop,
    pub deadline: Instant,
    /// What the request holds of the server, until the last thread that works for it has ended.
    pub _held: Arc<Vec<Hold>>,
}

/// Parameters of one call: no method has more than three.
const MAX_PARAMETERS: usize = 16;

/// Bytes of a parameter that can name a block: an object with a hash (EIP-1898), and room for blanks.
const MAX_BLOCK_BYTES: usize = 256;

/// Positional parameters, read in order, and the caller that sent them.
#[derive(Clone)]
pub struct Arguments {
    values: Arc<[Box<RawValue>]>,
    position: usize,
    pub caller: Caller,
    /// The block at `pending`, for a method that was asked there.
    pub pending: Option<Arc<Preview>>,
}

impl Arguments {
    /// # Errors
    ///
    /// When the parameters are not an array, or too many.
    pub fn new(params: Option<&str>, caller: Caller) -> error::Result<Self> {
        let values = params.map_or(Ok(None), serde_json::from_str::<Option<Parameters>>);
        let values = values.map_err(|_| error::invalid("parameters must be an array, of at most 16 values"))?;
        Ok(Self { values: values.map(|list| list.0).unwrap_or_default().into(), position: 0, caller, pending: None })
    }

    /// To be looked at by whatever takes long.
    pub fn stop(&self) -> &Stop {
        &self.caller.stop
    }

    /// Whether a parameter is the block `pending`, in any of its forms.
    pub fn name_pending(&self) -> bool {
        let short = self.values.iter().map(|value| value.get()).filter(|value| value.len() <= MAX_BLOCK_BYTES);
        short.filter_map(|value| serde_json::from_str::<BlockReference>(value).ok()).any(|block| block.0.is_pending())
    }

    /// The next parameter, which must be there.
    pub fn next<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        let position = self.position;
        self.optional(name)?
            .ok_or_else(|| error::invalid(format!("missing value for required argument {position}: {name}")))
    }

    /// The next parameter, which must be there: bytes of any length, in hex behind `0x`.
    pub fn hex<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        let position = self.position;
        let text = self.values.get(position).and_then(|value| value.get().trim().strip_prefix('"'));
        if text.is_some_and(|text| !text.starts_with("0x") && !text.starts_with("0X")) {
            return Err(error::invalid(format!("invalid argument {position}: {name}: hex string without 0x prefix")));
        }
        self.next(name)
    }

    /// The next parameter, a quantity, which must be there.
    pub fn quantity<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        self.next_as(Form::Quantity, name)
    }

    /// The next parameter, which must be there, written in a form (see [`numbers`]).
    pub fn next_as<T: DeserializeOwned>(&mut self, form: Form, name: &str) -> error::Result<T> {
        self.require(form, name)?;
        self.next(name)
    }

    /// The same, which may be missing or null.
    pub fn optional_as<T: DeserializeOwned>(&mut self, form: Form, name: &str) -> error::Result<Option<T>> {
        self.require(form, name)?;
        self.optional(name)
    }

    /// The next parameter, a block; the last one when it is missing or null.
    pub fn block(&mut self) -> error::Result<BlockId> {
        let block: Option<BlockReference> = self.optional_as(Form::Block, "block")?;
        Ok(block.map_or(BlockId::latest(), |block| block.0))
    }

    /// The next parameter, an object whose numbers are written as numbers are (see [`numbers`]).
    pub fn object<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        self.with_numbers(name)?;
        self.next(name)
    }

    /// The same, which may be missing or null.
    pub fn optional_object<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<Option<T>> {
        self.with_numbers(name)?;
        self.optional(name)
    }

    /// The next parameter, a transaction of a type that this chain has.
    pub fn transaction(&mut self) -> error::Result<TransactionRequest> {
        self.object("transaction").map(|CallRequest(request)| request)
    }

    fn with_numbers(&self, name: &str) -> error::Result<()> {
        let position = self.position;
        let Some(value) = self.values.get(position) else { return Ok(()) };
        // A list of values would be taken for the fields in their order.
        if !matches!(value.get().trim_start().as_bytes().first(), Some(b'{' | b'n')) {
            return Err(error::invalid(format!("invalid argument {position}: {name}: not an object")));
        }
        self.require(Form::Anything, name)
    }

    fn require(&self, form: Form, name: &str) -> error::Result<()> {
        let Some(value) = self.values.get(self.position) else { return Ok(()) };
        numbers::check(value.get(), form).map_err(|error| error::argument(self.position, name, &error))
    }

    /// The next parameter, which may be missing or null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<Option<T>> {
        let position = self.position;
        self.position += 1;
        let Some(value) = self.values.get(position) else { return Ok(None) };
        serde_json::from_str(value.get()).map_err(|error| error::argument(position, name, &error))
    }
}

/// Read without looking into the values, so that a large request costs memory only once.
struct Parameters(Vec<Box<RawValue>>);

impl<'de> serde::Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(List).map(Self)
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of parameters")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            if values.len() == MAX_PARAMETERS {
                return Err(A::Error::custom("too many parameters"));
            }
            values.push(value);
        }
        Ok(values)
    }
}
