//! `peg_subscribe`: the progress of a deposit or a withdrawal. Its present state at once, then each change, once for each block that changes it, until it
//! has ended.
//!
//! One message is under way at a time, and blocks that wait are read from the store, so a slow reader costs no memory. Whoever leaves no room for a
//! message within the server's patience loses the subscription, and is told so.

use std::sync::Arc;
use std::time::Instant;

use bitcoin::OutPoint;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jsonrpsee::types::ErrorObjectOwned;

use super::super::context::Context;
use super::super::error;
use super::super::heard::Heard;
use super::super::method::{Arguments, Caller, on_worker};
use super::super::outgoing::{Gone, Sink};
use super::super::workers::Lane;
use super::address::output_key;
use super::progress::{Standing, Subject};
use crate::access::Client;
use crate::block::Header;
use crate::execution::Stop;

/// What a subscriber wants to hear of.
pub struct Wanted(Subject);

impl Wanted {
    /// Reads the parameters of `peg_subscribe`.
    pub fn parse(arguments: &mut Arguments, context: &Context) -> error::Result<Self> {
        let kind: String = arguments.next("subscription")?;
        match kind.as_str() {
            "deposit" => {
                let text: String = arguments.next("address or outpoint")?;
                let subject = match text.parse::<OutPoint>() {
                    Ok(outpoint) => Subject::Outpoint(outpoint),
                    Err(_) => Subject::Address(output_key(&text, context.bitcoin_network())?),
                };
                Ok(Self(subject))
            }
            "withdrawal" => Ok(Self(Subject::Withdrawal(arguments.next("id")?))),
            _ => Err(error::invalid(format!("no subscription is called {kind:.64}: deposit or withdrawal"))),
        }
    }
}

/// Why a subscription ends before what it follows has.
enum End {
    /// Nobody to tell.
    Gone,
    Because(ErrorObjectOwned),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Sends the progress until it has ended, the client leaves or the node stops.
pub fn follow(sink: Sink, context: &Arc<Context>, client: Client, wanted: Wanted) -> BoxFuture<'static, ()> {
    let heard = Heard::new(context, client);
    let context = context.clone();
    let following = async move {
        let follower = Follower { context, client, subject: wanted.0, sink };
        if let Err(End::Because(error)) = follower.follow(heard).await {
            // When there is no room for this either, the connection is cut by its pace.
            let _ = follower.sink.fail(&error).await;
        }
    };
    following.boxed()
}

struct Follower {
    context: Arc<Context>,
    client: Client,
    subject: Subject,
    sink: Sink,
}

impl Follower {
    async fn follow(&self, mut heard: Heard) -> Result<(), End> {
        let mut at = heard.next().saturating_sub(1);
        let mut told: Option<Standing> = None;
        loop {
            let (header, standing) = self.standing(at).await.map_err(End::Because)?;
            if told.as_ref() != Some(&standing) {
                self.tell(&header, &standing).await?;
            }
            if standing.has_ended() {
                return Ok(());
            }
            at = loop {
                let block = heard.block().await?;
                if heard.charged(|| standing.may_change(self.subject, &block)) {
                    break block.block.number();
                }
            };
            told = Some(standing);
        }
    }

    async fn standing(&self, number: u64) -> error::Result<(Header, Standing)> {
        self.context.shares.may_work(self.client)?;
        let deadline = Instant::now() + self.context.settings.deadline;
        let caller = Caller { client: self.client, stop: Stop::default(), deadline, _held: Arc::default() };
        let (subject, stop) = (self.subject, caller.stop.clone());
        on_worker(&self.context, &caller, Lane::Long, move |context| {
            let header = context.chain().header(number).map_err(|error| error::store(&error))?;
            let header = header.ok_or_else(|| error::not_found(format!("block {number} not found")))?;
            let standing = subject.standing(context, &header, &stop)?;
            Ok((header, standing))
        })
        .await
    }

    async fn tell(&self, header: &Header, standing: &Standing) -> Result<(), End> {
        let patience = self.context.settings.patience;
        let message = standing.message(header);
        match tokio::time::timeout(patience, self.sink.send(&message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => {
                let seconds = patience.as_secs();
                let words = format!(
                    "the subscription ends at block {}: no room for its message for {seconds} s. Read faster, and subscribe again",
                    header.number
                );
                Err(End::Because(error::limit(words)))
            }
        }
    }
}
