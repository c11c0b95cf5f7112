//! From the text of a request, or of a batch of them, to the text of the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonrpsee::types::error::{
    METHOD_NOT_FOUND_CODE, METHOD_NOT_FOUND_MSG, reject_too_big_batch_request, reject_too_big_batch_response,
};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, InvalidRequest, Notification, Request};
use serde_json::value::RawValue;

use super::connection::Server;
use super::error;
use super::method::{Answer, Arguments, Caller, Method, Namespace, on_worker};
use super::preview::pending;
use super::reply::{failure, json};
use super::shares::Hold;
use super::turns::in_turns;
use super::unread::Unread;
use super::workers::Lane;
use crate::access::Client;
use crate::counters::Answered;
use crate::execution::Stop;

/// Work of the server itself for one request: reading it, and writing the answer.
const COST_OF_ONE: Duration = Duration::from_micros(20);

/// The same for a kibibyte.
const COST_OF_A_KIB: Duration = Duration::from_micros(4);

/// A WebSocket, which can subscribe.
pub trait Subscriber {
    /// Begins a subscription and answers with its id.
    fn subscribe(&self, namespace: Namespace, arguments: Arguments) -> Answer;

    /// Ends a subscription; the answer says whether there was one.
    fn unsubscribe(&self, arguments: &mut Arguments) -> Answer;
}

/// A message with what it holds, and on which connection it came.
pub struct Incoming<'a> {
    pub server: &'a Server,
    pub client: Client,
    pub unread: &'a Unread,
    pub held: Arc<Vec<Hold>>,
    /// Where subscriptions go; none over plain HTTP.
    pub socket: Option<&'a (dyn Subscriber + Sync)>,
}

impl Incoming<'_> {
    /// The answer to a message; none when it only notifies.
    pub async fn answer(&self, body: &[u8]) -> Option<String> {
        let size = COST_OF_A_KIB * u32::try_from(body.len() / 1024).unwrap_or(u32::MAX);
        self.server.context.shares.spend(self.client, size);
        // Those who read parts of it do not look at what they skip.
        if std::str::from_utf8(body).is_err() {
            return Some(failure(&Id::Null, &ErrorCode::ParseError.into()));
        }
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => self.single(body, Instant::now() + self.server.context.settings.deadline).await,
            Some(b'[') => self.batch(body).await,
            _ => Some(failure(&Id::Null, &no_request(body).into())),
        }
    }

    async fn batch(&self, body: &[u8]) -> Option<String> {
        let settings = &self.server.context.settings;
        let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
            return Some(failure(&Id::Null, &ErrorCode::ParseError.into()));
        };
        let (most, most_bytes) = (settings.max_batch as usize, settings.max_response_bytes as usize);
        if items.len() > most {
            return Some(failure(&Id::Null, &reject_too_big_batch_request(most)));
        }
        if items.is_empty() {
            return Some(failure(&Id::Null, &ErrorCode::InvalidRequest.into()));
        }
        let end = Instant::now() + settings.batch_deadline;
        // What is ready counts while the rest is computed: many batches at a time would be much memory for little that was sent.
        let mut held = self.unread.hold(0);
        let (mut answers, mut bytes) = (Vec::new(), 0);
        for item in items {
            let deadline = end.min(Instant::now() + settings.deadline);
            let Some(answer) = self.single(item.get().as_bytes(), deadline).await else { continue };
            bytes += answer.len() + 1;
            if bytes >= most_bytes {
                return Some(failure(&Id::Null, &reject_too_big_batch_response(most_bytes)));
            }
            held = held.and_then(|held| self.unread.grow(held, answer.len() as u64 + 1));
            if let Err(limit) = held {
                return Some(failure(&Id::Null, &limit.into()));
            }
            answers.push(answer);
            // Other connections of this thread have their turn.
            tokio::task::yield_now().await;
        }
        (!answers.is_empty()).then(|| list(&answers, bytes))
    }

    async fn single(&self, body: &[u8], deadline: Instant) -> Option<String> {
        self.server.context.shares.spend(self.client, COST_OF_ONE);
        if let Ok(request) = serde_json::from_slice::<Request<'_>>(body) {
            let caller = Caller { client: self.client, stop: Stop::default(), deadline, _held: self.held.clone() };
            let params = request.params.as_deref().map(RawValue::get);
            let answer = self.call(&request.method, params, caller).await;
            return Some(match answer {
                Ok(result) => success(&request.id, &result),
                Err(error) => failure(&request.id, &error),
            });
        }
        if is_notification(body) {
            return None;
        }
        let (id, code) = match serde_json::from_slice::<InvalidRequest<'_>>(body) {
            Ok(InvalidRequest { id }) => (id, ErrorCode::InvalidRequest),
            Err(_) => (Id::Null, no_request(body)),
        };
        Some(failure(&id, &code.into()))
    }

    async fn call(&self, name: &str, params: Option<&str>, caller: Caller) -> Answer {
        let context = &self.server.context;
        let Some(method) = self.server.methods.get(name) else {
            context.state.counters.answered(Answered::UnknownMethod);
            if context.developers.is_of_simulators(name) {
                return Err(error::not_a_simulator(name));
            }
            return Err(ErrorObjectOwned::owned(METHOD_NOT_FOUND_CODE, METHOD_NOT_FOUND_MSG, None::<()>));
        };
        context.state.counters.answered(method.answered());
        context.shares.may_work(caller.client)?;
        let mut arguments = Arguments::new(params, caller)?;
        let method = match method {
            Method::AtBlock(method) => {
                if arguments.name_pending() {
                    arguments.pending = Some(pending(context, &arguments.caller).await?);
                }
                method
            }
            method => method,
        };
        match method {
            Method::AtBlock(_) => Err(error::server("internal error")),
            Method::Withheld => Err(error::withheld(name)),
            Method::Inline(run) => self.here(|| run(context, &mut arguments)),
            Method::Worker(run) => {
                let (run, caller) = (run.clone(), arguments.caller.clone());
                on_worker(context, &caller, Lane::Short, move |context| run(context, &mut arguments)).await
            }
            Method::Long(run) => in_turns(context, arguments, run).await,
            Method::Async(run) => run(context.clone(), arguments).await,
            Method::Subscribe(namespace) => {
                let socket = self.socket.ok_or_else(error::no_socket)?;
                self.here(|| socket.subscribe(*namespace, arguments))
            }
            Method::Unsubscribe => {
                let socket = self.socket.ok_or_else(error::no_socket)?;
                self.here(|| socket.unsubscribe(&mut arguments))
            }
        }
    }

    /// Answers on the connection's thread, and counts the time that takes as the client's work.
    fn here(&self, answer: impl FnOnce() -> Answer) -> Answer {
        let begun = Instant::now();
        let answer = answer();
        self.server.context.shares.spend(self.client, begun.elapsed());
        answer
    }
}

/// Only what has no id at all is not answered.
fn is_notification(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Notification<'_, Option<&RawValue>>>(body).is_ok()
        && serde_json::from_slice::<Identified<'_>>(body).is_ok_and(|identified| identified.id.is_none())
}

/// What is wrong with something that is no request: it may be JSON nevertheless.
fn no_request(body: &[u8]) -> ErrorCode {
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => ErrorCode::InvalidRequest,
        Err(_) => ErrorCode::ParseError,
    }
}

/// The answers of a batch, of so many bytes with a comma each.
fn list(answers: &[String], bytes: usize) -> String {
    let mut list = String::with_capacity(bytes + 1);
    for answer in answers {
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push_str(answer);
    }
    list.push(']');
    list
}

fn success(id: &Id<'_>, result: &str) -> String {
    let (head, id) = (r#"{"jsonrpc":"2.0","id":"#, json(id));
    // As long as it is and no longer: it may wait to be read.
    [head, &id, r#","result":"#, result, "}"].concat()
}
