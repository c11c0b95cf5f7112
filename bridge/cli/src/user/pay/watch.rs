//! `causeway pay watch`: a watchtower, which claims when a payer starts to close, or when so much waits.
//!
//! Each round reads the file of vouchers anew, reads each channel from the chain, and claims what is due. Whatever fails is tried again in a later round: the
//! node may be away for a while, as long as it is back before a payer's delays are over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256};
use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, WrapErr, ensure, eyre};
use payments::payee::claim_gas;
use payments::payee::claims::{ClaimRules, Reason};
use payments::voucher::SignedVoucher;

use super::channel::{channel, close_grace, shown_amount};
use super::claim::{Claimable, by_channel, claimable, collect};
use super::event::{Event, Unclaimed};
use super::voucher_file::VoucherFile;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::spending::SpendingArgs;
use crate::options::stop::StopArgs;
use crate::user::spending::Spender;

/// Longest wait until a node that was away is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Watch channels, and claim when a payer starts to close; runs until it is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  causeway pay watch vouchers.jsonl --worth '1000000 sat' --yes --keystore payee.keystore")]
pub struct WatchArgs {
    /// Vouchers, one a line, in any order; lines may be added while it runs
    #[arg(value_name = "FILE")]
    vouchers: PathBuf,
    /// Time between two looks at the chain: at most a tenth of a payer's delay, whatever is said here
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Claim also when so much waits in one channel [default: only when its payer starts to close]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    worth: Option<Amount>,
    /// Claim also what has waited so long
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// Never claim what is not more than this of a plain channel: it would cost as much; of channels that take more gas, more in proportion
    #[arg(long, value_name = "AMOUNT", default_value = "10 sat", value_parser = amount::parse)]
    least: Amount,
    /// The same for another token than the coin, in its smallest unit: `0xToken=1000000`. Repeatable [default: all is claimed]
    #[arg(long = "least-of", value_name = "TOKEN=UNITS", value_parser = of_token)]
    least_of: Vec<(Address, u128)>,
    /// As --worth for another token than the coin, in its smallest unit. Repeatable
    #[arg(long = "worth-of", value_name = "TOKEN=UNITS", value_parser = of_token)]
    worth_of: Vec<(Address, u128)>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    stop: StopArgs,
}

/// Watches until it is stopped.
///
/// # Errors
///
/// The account does not open, nobody agreed in advance, or there is no node at the start. Later nothing ends it but who stops it.
pub async fn watch(args: WatchArgs, context: &Context) -> Result<()> {
    let agreed = args.spending.yes || args.account.dev_account.is_some();
    ensure!(agreed, "nobody is here to agree when a payer starts to close: say --yes");
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let every = args.every.min(longest_pause(&network));
    if every < args.every {
        let (shown, delay) = (humantime::format_duration(every), close_grace(&network).seconds);
        eprintln!(
            "looking every {shown}, not every {}: on this network a payer that starts to close is done after {delay} s",
            humantime::format_duration(args.every)
        );
    }
    let mut tower = Tower { rules: args.rules(), since: BTreeMap::new(), told: None, faults: 0 };
    let stopped = args.stop.stopped();
    tokio::pin!(stopped);
    let mut failures = 0;
    loop {
        let round = async {
            let watched = tower.round(&network, &spender, &args.vouchers, context).await;
            let wait = match &watched {
                Ok(()) => every,
                Err(error) => {
                    let wait = pause(failures);
                    let event = Event::Failed { error: format!("{error:#}"), retry_in_s: wait.as_secs() };
                    context.print(&event, || {
                        println!("{error:#}; trying again in {}", humantime::format_duration(wait));
                    });
                    wait
                }
            };
            failures = if watched.is_ok() { 0 } else { failures + 1 };
            tokio::time::sleep(wait).await;
        };
        tokio::select! { () = round => {}, () = &mut stopped => return Ok(()) }
    }
}

/// Between two looks lies no more than a part of a payer's delay: the claim has to be in a block before that is over.
fn longest_pause(network: &KnownNetwork) -> Duration {
    Duration::from_secs(close_grace(network).seconds) / 10
}

/// Twice as long each time.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_WAIT)
}

impl WatchArgs {
    fn rules(&self) -> Rules {
        let wei = |amount| amount::wei(amount).saturating_to();
        let coins = ClaimRules {
            cost: wei(self.least),
            worth: self.worth.map_or(u128::MAX, wei),
            wait_s: self.wait.map_or(u64::MAX, |wait| wait.as_secs()),
        };
        let units = |of: &[(Address, u128)]| of.iter().copied().collect();
        Rules { coins, least: units(&self.least_of), worth: units(&self.worth_of) }
    }
}

/// When to claim, by what a channel pays in.
struct Rules {
    /// Coins, wrapped or not.
    coins: ClaimRules,
    /// Of other tokens, in their units: who takes vouchers of a token and says nothing of it wants all of it.
    least: BTreeMap<Address, u128>,
    worth: BTreeMap<Address, u128>,
}

impl Rules {
    fn of(&self, claim: &Claimable) -> ClaimRules {
        let Claimable { token, gas, .. } = claim;
        if claim.is_of_coins() {
            return ClaimRules { cost: claim_gas::cost(*gas, self.coins.cost), ..self.coins };
        }
        ClaimRules {
            cost: self.least.get(token).copied().unwrap_or_default(),
            worth: self.worth.get(token).copied().unwrap_or(u128::MAX),
            ..self.coins
        }
    }
}

/// `0xToken=UNITS`
fn of_token(text: &str) -> Result<(Address, u128)> {
    let (token, units) = text.split_once('=').ok_or_else(|| eyre!("wanted is TOKEN=UNITS, as in 0x…=1000000"))?;
    let plain = !units.is_empty() && units.bytes().all(|byte| byte.is_ascii_digit());
    let units = units.parse().ok().filter(|_| plain);
    let token = crate::options::address::parse(token).map_err(|error| eyre!(error))?;
    Ok((token, units.ok_or_else(|| eyre!("{text:?} names no number of units"))?))
}

/// What is remembered between rounds.
struct Tower {
    rules: Rules,
    /// Since when something of a channel waits.
    since: BTreeMap<B256, u64>,
    /// What was told last.
    told: Option<(usize, usize, BTreeMap<Address, u128>)>,
    /// Lines that are no vouchers, which were told.
    faults: usize,
}

/// A channel's best voucher.
struct Waiting {
    claimable: Claimable,
    unclaimed: u128,
    reason: Option<Reason>,
    is_closing: bool,
}

impl Tower {
    async fn round(
        &mut self,
        network: &KnownNetwork,
        spender: &Spender<'_>,
        file: &Path,
        context: &Context,
    ) -> Result<()> {
        let read = read_whole_lines(file)?;
        self.faults = read.warn_of_faults(self.faults);
        let vouchers = by_channel(read.vouchers);
        let waiting = self.look(network, vouchers).await?;
        self.tell(&waiting, context);
        let mut due: Vec<Waiting> = waiting.into_iter().filter(|waiting| waiting.reason.is_some()).collect();
        // First what is taken away soon; then the largest.
        due.sort_by_key(|waiting| (waiting.reason, u128::MAX - waiting.unclaimed));
        collect(spender, due.into_iter().map(|waiting| waiting.claimable).collect(), context).await
    }

    async fn look(
        &mut self,
        network: &KnownNetwork,
        vouchers: BTreeMap<B256, Vec<SignedVoucher>>,
    ) -> Result<Vec<Waiting>> {
        let header = network.final_header().await?;
        // Else every channel would seem not to be there.
        network.client.head().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut waiting = Vec::new();
        for (id, vouchers) in vouchers {
            let channel = match channel(network, header.as_ref(), id).await {
                Ok(channel) => channel,
                Err(error) => {
                    tracing::warn!(channel = %id, error = format!("{error:#}"), "channel left out");
                    continue;
                }
            };
            let settled = channel.settled;
            let known: Vec<_> =
                vouchers.into_iter().filter(|signed| signed.voucher.cumulative_amount > settled).collect();
            if channel.finalized || known.is_empty() {
                self.since.remove(&id);
                continue;
            }
            let Some(claimable) = claimable(network, id, &channel, known).await? else { continue };
            let unclaimed = claimable.unclaimed;
            let since = *self.since.entry(id).or_insert(now);
            let is_closing = channel.close_requested.is_some();
            let reason = self.rules.of(&claimable).reason(unclaimed, Some(since), is_closing, now);
            waiting.push(Waiting { claimable, unclaimed, reason, is_closing });
        }
        Ok(waiting)
    }

    /// Says what it watches, when that changed.
    fn tell(&mut self, waiting: &[Waiting], context: &Context) {
        let closing = waiting.iter().filter(|waiting| waiting.is_closing).count();
        let unclaimed = sums(waiting.iter().map(|waiting| (waiting.claimable.token, waiting.unclaimed)));
        let seen = (waiting.len(), closing, unclaimed);
        if self.told.as_ref() == Some(&seen) {
            return;
        }
        let (_, _, unclaimed) = self.told.insert(seen);
        let each = unclaimed.iter().map(|(token, amount)| Unclaimed { token: *token, amount: amount.to_string() });
        let event = Event::Watching { channels: waiting.len(), closing, unclaimed: each.collect() };
        context.print(&event, || {
            let shown: Vec<_> = unclaimed.iter().map(|(token, amount)| shown_amount(*token, *amount)).collect();
            let shown = if shown.is_empty() { "nothing".to_owned() } else { shown.join(" and ") };
            println!("Watching {} channel(s), {closing} of them closing: {shown} not claimed", waiting.len());
        });
    }
}

/// Sums by token.
fn sums(amounts: impl Iterator<Item = (Address, u128)>) -> BTreeMap<Address, u128> {
    let mut sums = BTreeMap::new();
    for (token, amount) in amounts {
        let sum = sums.entry(token).or_insert(0_u128);
        *sum = sum.saturating_add(amount);
    }
    sums
}

/// Vouchers of a file that another program adds lines to. What is no whole line yet is read in the next round.
fn read_whole_lines(path: &Path) -> Result<VoucherFile> {
    let text =
        std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read vouchers from {}", path.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    VoucherFile::of(whole.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_left_for_the_next_round_and_a_bad_one_stops_nobody() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let line =
            |total: u32| format!(r#"{{"channelId":"{}","cumulativeAmount":"{total}","signature":"0x00"}}"#, B256::ZERO);
        std::fs::write(file.path(), format!("{}\nno voucher\n\n{}\n{}", line(1), line(2), line(3))).expect("written");
        let totals: Vec<u128> = read_whole_lines(file.path())
            .expect("read")
            .vouchers
            .iter()
            .map(|signed| signed.voucher.cumulative_amount)
            .collect();
        assert_eq!(totals, [1, 2]);
    }

    #[test]
    fn what_is_least_for_coins_says_nothing_of_other_tokens() {
        let token = Address::repeat_byte(7);
        let rules = Rules {
            coins: ClaimRules { cost: 10, worth: 100, wait_s: 60 },
            least: BTreeMap::from([(token, 3)]),
            worth: BTreeMap::new(),
        };
        let signed = payments::voucher::SignedVoucher {
            voucher: payments::voucher::Voucher { channel_id: B256::ZERO, cumulative_amount: 1 },
            signature: alloy_primitives::Bytes::new(),
        };
        let of = |token, gas| rules.of(&Claimable { token, gas, unclaimed: 1, voucher: signed.clone() });
        assert_eq!((of(Address::ZERO, 40_000).cost, of(Address::ZERO, 80_000).cost), (10, 20));
        assert_eq!(of(token, 40_000), ClaimRules { cost: 3, worth: u128::MAX, wait_s: 60 });
        assert_eq!(
            of(Address::repeat_byte(8), 40_000).cost,
            0,
            "nothing of a token that nobody spoke of is given away"
        );
        assert_eq!(of_token(&format!("{token}=5")).expect("units"), (token, 5));
        for wrong in ["5", "0x07=5", "=5", &format!("{token}="), &format!("{token}=+5"), &format!("{token}=5 sat")] {
            assert!(of_token(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_summed_apart_from_coins() {
        let token = Address::repeat_byte(7);
        let sums = sums([(Address::ZERO, 5), (token, u128::MAX), (Address::ZERO, 2), (token, 1)].into_iter());
        assert_eq!(sums, BTreeMap::from([(Address::ZERO, 7), (token, u128::MAX)]));
    }

    #[test]
    fn a_node_that_is_away_is_asked_less_and_less_often_up_to_a_minute() {
        assert_eq!([0, 1, 5, 6, 100].map(|failures| pause(failures).as_secs()), [1, 2, 32, 60, 60]);
    }
}
