//! Who pays by channels, how far, and by which channel a payee is paid.

use std::path::PathBuf;

use alloy_primitives::{Address, B256};
use bridge::channel_calls::Opening as Terms;
use bridge::io::sidechain::Account;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::WWW_AUTHENTICATE;
use payments::channel::Channel;
use payments::typed_data::{Domain, separator};

use super::kept::{Folder, Kept, Opening, alone, others};
use super::{FetchError, now, random};
use crate::authorization::{TOKEN_NAME, TOKEN_VERSION};
use crate::payer::demand::SessionDemand;
use crate::payer::tally::{Limits, Measure};
use crate::text::sat;
use crate::wallet::Unpayable;

/// Seconds for which a deposit is signed: as long as opening takes, and not for ever.
pub(super) const AUTHORIZED_S: u64 = 600;
/// Units that a payee gets in advance, unless another number is said; of a page that is not metered, its price.
const UNITS_AHEAD: u128 = 10;
/// Channels that pay no server which are looked at, to tell of them.
const MOST_OTHERS: usize = 8;

/// Who pays by channels, how far, and where is kept what was promised.
pub struct SessionPurse {
    /// Pays deposits.
    pub account: Account,
    /// Signs vouchers: the same, or whom a channel names.
    pub signer: Account,
    /// Zero: the coin. Deposits are of the wrapped coin alone.
    pub token: Address,
    pub chain_id: u64,
    pub domain: Domain,
    pub network: B256,
    pub folder: PathBuf,
    /// The most for one answer, in wei.
    pub most: u128,
    /// How much may be promised beyond what was delivered; none: a few units, a page's price, or the payee's least step.
    pub ahead: Option<u128>,
    /// Promises as far ahead unasked, so that an answer seldom waits.
    pub supplies: bool,
    /// What a new channel holds, and what is added to one that is used up; none: no new one is opened, and nothing is added.
    pub deposit: Option<u128>,
    /// The channel to pay by, as the chain has it.
    pub channel: Option<Channel>,
    /// By ticks instead of vouchers.
    pub by_ticks: bool,
    /// Locks a deposit for another payee than one that a server named before, although a channel with that one is open.
    pub another_payee: bool,
}

/// What a payer asks of the chain.
pub trait PayersChain {
    /// Whether an account has what is to be locked for a payee, and is to lock it.
    ///
    /// # Errors
    ///
    /// It has less, or says no.
    fn agree(&self, payee: Address, deposit: u128) -> impl Future<Output = Result<(), FetchError>>;

    /// A channel as a final state has it; none if there is none.
    ///
    /// # Errors
    ///
    /// The chain does not tell.
    fn look(&self, channel: B256) -> impl Future<Output = Result<Option<Channel>, FetchError>>;
}

impl SessionPurse {
    pub(super) fn limits(&self, demand: &SessionDemand) -> Limits {
        let is_page = demand.measure == Measure::Request;
        let units = if is_page { 1 } else { UNITS_AHEAD };
        let usual = demand.price.saturating_mul(units).max(demand.least_delta);
        let ahead = self.ahead.unwrap_or(usual);
        let step = match (self.supplies && !is_page, demand.measure.is_of_bytes()) {
            (true, _) => ahead,
            // Such an answer cannot ask for more: it would break off.
            (false, true) => ahead.min(usual),
            (false, false) => 0,
        };
        Limits { most: self.most, ahead, step }
    }

    /// The channel that pays this server: the one that was named, the one that was opened for it, or a new one.
    pub(super) async fn channel_with(
        &self,
        folder: &mut Folder,
        demand: &SessionDemand,
        origin: &str,
        chain: &impl PayersChain,
    ) -> Result<B256, FetchError> {
        let payee = demand.payee;
        if let Some(channel) = self.channel {
            if channel.payee != payee {
                let (id, got) = (channel.id, channel.payee);
                return Err(FetchError::NotPaid(format!(
                    "channel {id} pays {got}, the server wants {payee} to be paid"
                )));
            }
            folder.know(channel)?;
            return Ok(channel.id);
        }
        let id = match folder.channels.of(origin) {
            Some(own) if self.still_pays(folder, own, chain).await? => {
                self.raise(folder, own, demand, chain).await?;
                own
            }
            _ => self.open(folder, demand, origin, chain).await?,
        };
        if folder.channels.known[&id].opening.is_none() {
            return Ok(id);
        }
        let deposit = folder.channels.known[&id].deposit;
        let channel = Channel::opened(id, payee, self.token, self.signer.address(), deposit);
        folder.payer.observe(channel, payee)?;
        Ok(id)
    }

    /// Whether the channel of before is open, or still being opened. The chain says it, not the payee: else a payee could have one deposit after another locked.
    async fn still_pays(&self, folder: &mut Folder, id: B256, chain: &impl PayersChain) -> Result<bool, FetchError> {
        let pays = match chain.look(id).await? {
            Some(channel) if channel.finalized || channel.closing.is_some() => false,
            Some(channel) => {
                folder.know(channel)?;
                true
            }
            None => folder.channels.known[&id].opening.as_ref().is_some_and(|opening| opening.valid_before > now()),
        };
        if !pays {
            folder.channels.forget(id);
            folder.keep()?;
        }
        Ok(pays)
    }

    /// Signs a deposit for a new channel, which the payee brings to the chain.
    async fn open(
        &self,
        folder: &mut Folder,
        demand: &SessionDemand,
        origin: &str,
        chain: &impl PayersChain,
    ) -> Result<B256, FetchError> {
        let payee = demand.payee;
        let Some(deposit) = self.deposit else {
            return Err(FetchError::NoChannel(format!(
                "no channel with {payee} is open for {origin}: --deposit opens one, --channel names one"
            )));
        };
        if deposit < demand.price {
            return Err(FetchError::NotPaid(format!(
                "a deposit of {} does not pay for one {}, which costs {}{}: nothing was signed. --deposit locks more",
                sat(deposit),
                demand.measure.name(),
                sat(demand.price),
                demand
                    .suggested_deposit
                    .map_or_else(String::new, |suggested| format!(" (the server suggests {})", sat(suggested)))
            )));
        }
        let others: Vec<B256> = folder.channels.of_nobody().take(MOST_OTHERS).collect();
        for other in others {
            let is_open = |seen: &Channel| !seen.finalized && seen.closing.is_none() && seen.token == self.token;
            if chain.look(other).await?.as_ref().is_some_and(is_open) {
                tracing::warn!(channel = %other, "a channel with the same payee is open and pays no server by itself: --channel names it, and with --close closes it");
            }
        }
        if !demand.opens {
            return Err(FetchError::NotPaid(
                "the server opens no channels for its payers: open one (causeway pay open --token wrapped), and name it by --channel".to_owned(),
            ));
        }
        // Two commands at once do not open one each.
        let _alone = alone(&self.folder).await?;
        self.check_other_payees(origin, payee, chain).await?;
        chain.agree(payee, deposit).await?;
        let (id, opening) = self.sign_opening(payee, random(), deposit);
        folder.channels.open(origin, id, Kept { opening: Some(opening), ..Kept::of(deposit, 0) });
        folder.keep()?;
        Ok(id)
    }

    /// Signs a larger deposit for a channel that the chain does not have yet: one that the payee found too small. It is the same channel, and the token carries out one of the two.
    async fn raise(
        &self,
        folder: &mut Folder,
        id: B256,
        demand: &SessionDemand,
        chain: &impl PayersChain,
    ) -> Result<(), FetchError> {
        let kept = &folder.channels.known[&id];
        let before = kept.deposit;
        let (Some(opening), Some(deposit)) = (&kept.opening, self.deposit.filter(|deposit| *deposit > before)) else {
            return Ok(());
        };
        let salt = opening.salt;
        chain.agree(demand.payee, deposit).await?;
        let (same, opening) = self.sign_opening(demand.payee, salt, deposit);
        if same == id {
            let kept = folder.channels.known.entry(id).or_insert(Kept::of(deposit, 0));
            (kept.deposit, kept.opening) = (deposit, Some(opening));
            folder.keep()?;
        }
        Ok(())
    }

    /// A server names its payee itself: one that names another each time would have a deposit locked each time.
    async fn check_other_payees(
        &self,
        origin: &str,
        payee: Address,
        chain: &impl PayersChain,
    ) -> Result<(), FetchError> {
        if self.another_payee {
            return Ok(());
        }
        for (other, id, kept) in others(&self.folder, payee, origin)? {
            let (left, way_out) = match chain.look(id).await? {
                Some(channel) if channel.finalized || channel.closing.is_some() => continue,
                Some(channel) => {
                    let left = channel.deposit.saturating_sub(kept.spent.max(channel.settled));
                    (left, format!("causeway pay close {id} takes it back"))
                }
                None => match kept.opening.filter(|opening| opening.valid_before > now()) {
                    Some(opening) => {
                        let wait_s = opening.valid_before.saturating_sub(now());
                        (kept.deposit, format!("its deposit can be carried out for {wait_s} s more"))
                    }
                    None => continue,
                },
            };
            if left > 0 {
                return Err(FetchError::NotPaid(format!(
                    "{origin} names another payee, {payee}, than before: channel {id} pays {other} there and has {} left, so nothing was signed. {way_out}; --channel pays by a channel that you name; --another-payee opens one beside it",
                    sat(left)
                )));
            }
        }
        Ok(())
    }

    fn sign_opening(&self, payee: Address, salt: B256, deposit: u128) -> (B256, Opening) {
        let payer = self.account.address();
        let terms = payments::terms::Terms { payer, payee, token: self.token, salt, authorized_signer: Address::ZERO };
        let id = terms.channel_id(&self.domain);
        let opening = Terms { network: self.network, terms, deposit, splits: Vec::new() };
        let separator = separator(TOKEN_NAME, TOKEN_VERSION, self.chain_id, self.token);
        let signed = opening
            .authorization(&self.domain, now().saturating_add(AUTHORIZED_S))
            .sign(separator, &self.account.secret());
        let opening = Opening {
            payer,
            escrow: self.domain.contract(),
            salt,
            valid_before: signed.authorization.valid_before,
            nonce: signed.authorization.nonce,
            signature: signed.signature,
        };
        (id, opening)
    }
}

pub(super) fn demand(response: &Response<Incoming>, purse: &SessionPurse) -> Result<SessionDemand, Unpayable> {
    let headers = response.headers().get_all(WWW_AUTHENTICATE);
    let headers: Vec<&str> = headers.iter().filter_map(|value| value.to_str().ok()).collect();
    SessionDemand::choose(&headers, purse.chain_id, purse.token, purse.domain.contract(), now())
}
