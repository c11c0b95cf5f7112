//! Sessions: requests that are paid by channels (draft-evm-session-00).
//!
//! ```text
//!   credential -> challenge is ours -> money in (fund) -> voucher or stream taken -> close (fund), or
//!                                                                                    HEAD, topUp: a receipt, or
//!                                                                                    the request is served (answer, metered)
//!   ticks (ticks) and vouchers on other connections ring for whoever waits
//!   the chain (watch): what changed of each channel, and what to claim of it
//! ```
//! Balances are the payee's books on disk ([`DurablePayee`]); whatever is given was spent there before.

mod answer;
mod fund;
mod head;
mod metered;
mod spend;
mod state;
mod ticks;
mod trust;
mod watch;

use std::path::Path;
use std::sync::Arc;

use payments::channel::{Channel, SeenAt};
use payments::io::payee::DurablePayee;
use payments::payee::Rules;
use payments::typed_data::Domain;

pub use self::answer::serve;
pub use self::head::is_by_payer;
pub use self::state::{FinalState, Look, Looking, SessionSettings, Sessions};
pub use self::ticks::{is_for as is_for_ticks, take as take_ticks};

use super::desk::Desk;
use super::passing::Passing;
use crate::till::Till;

/// Below the folder of payments: the books of sessions.
const FOLDER: &str = "sessions";

/// What a paywall with this folder sold by a channel, in wei, as far as its books say.
///
/// # Errors
///
/// The paywall runs, or its books are damaged.
pub fn sold_by(
    folder: &Path,
    key: secp256k1::SecretKey,
    domain: Domain,
    channel: Channel,
    at: SeenAt,
) -> std::io::Result<u128> {
    let folder = folder.join(FOLDER);
    if !folder.exists() {
        return Ok(0);
    }
    let rules = Rules {
        payee: channel.payee,
        token: channel.token,
        least_deposit: 0,
        confirmations: 0,
        max_age_s: u64::MAX,
        splits: channel.has_splits,
    };
    let books = DurablePayee::open(&folder, domain, rules, key).map_err(std::io::Error::other)?;
    let id = channel.id;
    if books.channels().binary_search(&id).is_err() {
        return Ok(0);
    }
    books.observe(channel, at).map_err(std::io::Error::other)?;
    Ok(books.balance(id).map_or(0, |balance| balance.spent))
}

/// Opens with what the folder has, and reads all its channels from the chain.
///
/// # Errors
///
/// The folder is in use or damaged, or the chain does not answer.
pub async fn open(
    folder: &Path,
    key: secp256k1::SecretKey,
    parts: (Arc<Desk>, Arc<Passing>, Arc<Till>),
    settings: SessionSettings,
) -> std::io::Result<Arc<Sessions>> {
    let terms = settings.channels;
    let rules = Rules {
        payee: terms.payee,
        token: parts.2.token.contract,
        least_deposit: terms.least_deposit,
        confirmations: 0,
        max_age_s: settings.most_age_s,
        splits: false,
    };
    let payee = DurablePayee::open(&folder.join(FOLDER), terms.domain, rules, key);
    let sessions = Arc::new(Sessions::new(payee.map_err(std::io::Error::other)?, parts, settings));
    watch::read_all(&sessions).await.map_err(std::io::Error::other)?;
    tokio::spawn(watch::watch(Arc::downgrade(&sessions)));
    Ok(sessions)
}
