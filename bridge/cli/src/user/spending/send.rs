//! Shows, asks, keeps, sends, waits.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use alloy_primitives::{Address, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use bridge::amount;
use bridge::io::sidechain::{Account, Call, Error, Fees, proven};
use eyre::{Result, WrapErr, bail, ensure, eyre};

use super::exact::{Exact, LEAST_GAS};
use super::request::{Request, Requests};
use super::words::Words;
use crate::options::account::AccountArgs;
use crate::options::network::KnownNetwork;
use crate::options::sidechain::INCLUSION;
use crate::options::spending::SpendingArgs;
use crate::progress::Progress;

/// How often a free call is sent at most, as long as another transaction takes its nonce each time.
const MOST_TRIES: u32 = 10;
/// Before the second time; twice as long before the third, and so on. A relayer sends some transactions a block.
const PAUSE: Duration = Duration::from_millis(100);

/// A user's account on a network, with what the user allows it.
pub struct Spender<'a> {
    pub network: &'a KnownNetwork,
    pub account: Account,
    pub allowed: SpendingArgs,
    /// Coins of developer accounts are nobody's: nobody is asked.
    worthless: bool,
    /// To whom it may just send coins, without calling a contract.
    payee: Option<Address>,
    /// The account is a member's that calls the peg's contracts: it pays nothing.
    free: bool,
    pub requests: Requests,
    /// As the next one is signed, if not by what is usual.
    pub exact: Option<Exact>,
}

/// More than the user allowed: nothing was sent.
#[derive(Debug)]
pub struct TooDear {
    node: String,
    cost: U256,
    most: U256,
}

impl std::error::Error for TooDear {}

impl std::fmt::Display for TooDear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (cost, most) = (amount::show_wei(self.cost), amount::show_wei(self.most));
        write!(
            f,
            "the node at {} wants up to {cost} for the transaction's gas, more than {most}: ask another node, or later; --max-cost allows more",
            self.node
        )
    }
}

impl<'a> Spender<'a> {
    /// Opens the account.
    ///
    /// # Errors
    ///
    /// Those of [`AccountArgs::open`].
    pub fn open(network: &'a KnownNetwork, account: &AccountArgs, allowed: SpendingArgs) -> Result<Self> {
        let worthless = account.dev_account.is_some();
        Ok(Self::with(network, account.open(&network.home, network.bitcoin)?, worthless, allowed))
    }

    /// An account that is open already and may send its coins to `payee`; `worthless` is one of a developer's.
    pub fn of(
        network: &'a KnownNetwork,
        account: Account,
        payee: Address,
        worthless: bool,
        allowed: SpendingArgs,
    ) -> Self {
        Self { payee: Some(payee), ..Self::with(network, account, worthless, allowed) }
    }

    fn with(network: &'a KnownNetwork, account: Account, worthless: bool, allowed: SpendingArgs) -> Self {
        let requests = Requests::new(&network.home, network.id, network.chain_id, account.address());
        Self { network, account, allowed, worthless, payee: None, free: false, requests, exact: None }
    }

    /// The same in the federation's free lane, if the account is a member's: an operator's account needs no coins to look after the peg.
    pub fn free_for_members(self) -> Self {
        let own = self.account.address();
        let free = self.network.info.members.iter().any(|member| member.account == own);
        Self { free, ..self }
    }

    /// The call of an earlier command whose end is not known and of which `wanted` is true.
    ///
    /// # Errors
    ///
    /// What is kept cannot be read.
    pub fn kept(&self, wanted: impl Fn(&Call) -> bool) -> Result<Option<Call>> {
        Ok(self.requests.search(|call, _| wanted(call))?.map(|(call, _)| call))
    }

    /// Whether this very call was sent before and its end is not known: then [`Spender::transact`] goes on with it, and what was
    /// true before it was sent need not be true now.
    ///
    /// # Errors
    ///
    /// The request that is kept cannot be read.
    pub fn goes_on(&self, call: &Call) -> Result<bool> {
        Ok(!self.allowed.again && self.requests.find(call)?.is_some())
    }

    /// Has a call carried out once. `done` reads the receipt; what it refuses is not done.
    ///
    /// # Errors
    ///
    /// It costs more than is allowed, is not agreed to, or is not final in time: then the same call goes on with it later.
    pub async fn transact<T>(&self, call: &Call, done: impl FnOnce(&TransactionReceipt) -> Result<T>) -> Result<T> {
        let request = match self.requests.find(call)? {
            Some(earlier) if !self.allowed.again => {
                let Request { nonce, .. } = earlier;
                let hash = earlier.pending().hash;
                eprintln!(
                    "The same was sent before: going on with transaction {hash} (nonce {nonce}), nothing new is signed"
                );
                earlier
            }
            earlier => self.send(call, earlier.as_ref()).await?,
        };
        let (request, receipt) = self.included(call, request).await?;
        let done = done(&receipt).map_err(|error| error.wrap_err(doubtful(&request)))?;
        self.requests.forget(call)?;
        Ok(done)
    }

    async fn send(&self, call: &Call, earlier: Option<&Request>) -> Result<Request> {
        let request = self.sign(call, earlier).await?;
        self.agree_to(call, &request)?;
        self.deliver(call, request, earlier.is_some()).await
    }

    /// What was signed is what was asked for, costs no more than is allowed, and is agreed to.
    fn agree_to(&self, call: &Call, request: &Request) -> Result<()> {
        let words = Words::of(&request.pending().raw, self.network.bitcoin, self.payee)?;
        ensure!(
            words.chain_id == self.network.chain_id && words.value == call.value,
            "signed was not what was asked for"
        );
        self.check_cost(words.cost, words.value)?;
        self.agree(&words.lines())
    }

    /// Keeps and sends a request; with the next nonce, if a member's relayer was faster with this one.
    async fn deliver(&self, call: &Call, mut request: Request, mut is_kept: bool) -> Result<Request> {
        for tries in 1.. {
            self.requests.keep(call, &request, is_kept)?;
            is_kept = true;
            if let Some(earlier) = self.exact.as_ref().and_then(|exact| exact.instead_of.as_ref())
                && earlier != call
            {
                self.requests.forget(earlier)?;
            }
            match self.network.client.send_raw(&request.pending().raw).await {
                Ok(_) => break,
                Err(error) if self.free && tries < MOST_TRIES && lost_its_place(&error) => {
                    request = self.sign_behind(call, &request, &error, tries).await?;
                }
                Err(error) => return Err(unknown_end(error)),
            }
        }
        Ok(request)
    }

    /// Waits until a request is final. A free one whose nonce another transaction took meanwhile is sent again with the next.
    async fn included(&self, call: &Call, mut request: Request) -> Result<(Request, TransactionReceipt)> {
        for tries in 1.. {
            let pending = request.pending();
            let what = format!("waiting for a block with transaction {}", pending.hash);
            let waiting = self.network.client.wait(&pending, INCLUSION);
            match Progress::of_this_command().during(&what, waiting).await {
                Ok(receipt) => return Ok((request, receipt)),
                Err(error @ Error::Replaced { .. }) if self.free && tries < MOST_TRIES => {
                    let next = self.sign_behind(call, &request, &error, tries).await?;
                    request = self.deliver(call, next, true).await?;
                }
                Err(error) => return Err(unknown_end(error)),
            }
        }
        bail!("it was sent {MOST_TRIES} times")
    }

    /// The same call once more, after what the account sent meanwhile. Only what is free is sent so: a pause or a vote that comes twice is refused the
    /// second time, and costs nothing.
    async fn sign_behind(&self, call: &Call, taken: &Request, error: &Error, tries: u32) -> Result<Request> {
        tokio::time::sleep(PAUSE * tries).await;
        let (client, own) = (&self.network.client, self.account.address());
        let nonce = client.pending_nonce(own).await?;
        eprintln!(
            "Nonce {} went to another transaction of {own}, which its relayer sends from, too ({error}): sending with nonce {nonce} (try {} of {MOST_TRIES})",
            taken.nonce,
            tries + 1
        );
        let gas = Account::gas_limit(self.estimate(call, Fees::FREE).await?);
        Ok(Request::new(&self.account.sign(self.network.chain_id, nonce, gas, Fees::FREE, call), Fees::FREE))
    }

    /// Signs with the node's word on nonce, gas and fees. Instead of an earlier request that still waits, never beside it.
    async fn sign(&self, call: &Call, earlier: Option<&Request>) -> Result<Request> {
        if let Some(Exact { nonce, fees, .. }) = &self.exact {
            let signed = self.account.sign(self.network.chain_id, *nonce, LEAST_GAS, *fees, call);
            return Ok(Request::new(&signed, *fees));
        }
        let (client, own) = (&self.network.client, self.account.address());
        let usual = if self.free { Fees::FREE } else { client.fees().await? };
        let (mut fees, mut nonce) = (usual, client.pending_nonce(own).await?);
        match earlier {
            // It waits behind nonces that were never used: in its place, this one would wait as well.
            Some(earlier) if earlier.nonce > nonce => eprintln!(
                "Beware: the earlier transaction has nonce {}, the node says that the next is {nonce}. Once the account has sent the ones between, both are carried out",
                earlier.nonce
            ),
            Some(earlier) if earlier.nonce >= self.used_nonces().await? => {
                (fees, nonce) = (if self.free { fees } else { earlier.outbid(fees) }, earlier.nonce);
            }
            Some(earlier) => eprintln!(
                "Beware: nonce {} of the earlier transaction {} is used, by itself or by another of yours. If by itself, this does the same a second time: look first, with a node that you trust",
                earlier.nonce,
                earlier.pending().hash
            ),
            None => {}
        }
        // Before the node tries what it asks for: it would refuse its own price as more than the account has.
        self.check_cost(fees.cost(LEAST_GAS), call.value)?;
        let gas = Account::gas_limit(self.estimate(call, fees).await?);
        Ok(Request::new(&self.account.sign(self.network.chain_id, nonce, gas, fees, call), fees))
    }

    /// How many transactions of the account are in final blocks: proven where the network is known, for a node that says more than there
    /// are would have the same signed twice.
    pub async fn used_nonces(&self) -> Result<u64> {
        let (client, own) = (&self.network.client, self.account.address());
        let Some(header) = self.network.final_header().await? else { return Ok(client.nonce(own).await?) };
        Ok(proven::account(client, &header, own, &[]).await?.nonce)
    }

    async fn estimate(&self, call: &Call, fees: Fees) -> Result<u64> {
        Ok(self.network.client.estimate_gas(self.account.address(), call, fees).await?)
    }

    pub fn check_cost(&self, cost: U256, value: U256) -> Result<()> {
        let most = self.allowed.max_cost(value);
        ensure!(cost <= most, TooDear { node: self.network.client.url().to_owned(), cost, most });
        Ok(())
    }

    /// Shows what will be signed away, and asks whoever is there.
    ///
    /// # Errors
    ///
    /// No was said, or nobody is there.
    pub fn agree(&self, lines: &[String]) -> Result<()> {
        agree(lines, self.worthless || self.allowed.yes)
    }

    /// What the account has, as far as the node tells.
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn balance(&self) -> Result<U256> {
        Ok(self.network.client.balance(self.account.address()).await?)
    }

    /// The most that the gas of a call may cost at the fees that the node asks for now, and a fifth more, since they change until it is signed.
    ///
    /// # Errors
    ///
    /// The node does not answer, refuses the call, or wants more than is allowed.
    pub async fn most_gas(&self, call: &Call) -> Result<U256> {
        let fees = self.network.client.fees().await?;
        let cost = fees.cost(Account::gas_limit(self.estimate(call, fees).await?));
        Ok(cost.saturating_add(cost / U256::from(5)))
    }

    /// The account has more than `value` wei, as far as the node tells.
    ///
    /// # Errors
    ///
    /// It has less.
    pub async fn afford(&self, value: U256, what: &str) -> Result<()> {
        let balance = self.network.client.balance(self.account.address()).await?;
        ensure!(
            balance >= value,
            "{} has {}, less than the {} {what}",
            self.account.address(),
            amount::show_wei(balance),
            amount::show_wei(value)
        );
        Ok(())
    }
}

/// Shows what will be signed away, and asks whoever is there, unless that was agreed to before.
///
/// # Errors
///
/// No was said, or nobody is there.
pub fn agree(lines: &[String], is_agreed: bool) -> Result<()> {
    lines.iter().for_each(|line| eprintln!("{line}"));
    if is_agreed {
        return Ok(());
    }
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        bail!("nobody is here to agree to this; nothing was sent. For scripts: --yes");
    }
    crate::terminal::err("Do this? [y/N] ");
    std::io::stderr().flush().wrap_err("the terminal is gone")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).wrap_err("the terminal is gone")?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "you did not agree: nothing was sent");
    Ok(())
}

/// Whether the pool refused a transaction because another of the account has its nonce, or as the last of too many at once.
fn lost_its_place(error: &Error) -> bool {
    const WORDS: [&str; 3] = ["nonce too low", "replacement transaction", "too many free transactions"];
    matches!(error, Error::Refused { message, .. } if WORDS.iter().any(|words| message.contains(words)))
}

/// What happened to a transaction of which only the node's word tells the end, and what the reader can do.
fn unknown_end(error: Error) -> eyre::Report {
    let advice = match &error {
        Error::Replaced { .. } | Error::Failed { .. } => {
            "So says the node. The same command asks again, and signs nothing; --again signs the same anew"
        }
        Error::Refused { .. } | Error::Reverted { .. } => {
            "So says the node, which may keep the transaction. The same command sends the same one again; --again signs another in its place"
        }
        _ => "The same command goes on with it, and signs nothing new",
    };
    eyre!("{error}. {advice}")
}

fn doubtful(request: &Request) -> String {
    let hash = request.pending().hash;
    format!(
        "what the node says of transaction {hash} does not fit it: give the same command with another node; it signs nothing new"
    )
}
