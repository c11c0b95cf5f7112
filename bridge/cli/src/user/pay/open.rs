//! `causeway pay open`: a deposit is locked for a payee, in the coin or in a token.

use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolCall;
use bitcoin::Amount;
use bridge::amount;
use bridge::channel_calls::Opening;
use bridge::io::sidechain::Call;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure};
use payments::account_signature::address_of;
use payments::terms::Terms;
use rand::RngCore as _;

use super::channel::{domain, shown_amount};
use super::event::Event;
use super::seed::{self, Side};
use super::token::{self, Way};
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::spending::SpendingArgs;
use crate::user::receipt::emitted;
use crate::user::spending::Spender;

/// Seconds for which what was signed for a token can be brought: long enough for a transaction that waits, and not for ever.
const AUTHORIZED_S: u64 = 86_400;
/// An earlier transaction of which less is left is not gone on with.
const LEAST_LEFT_S: u64 = 60;
/// Channels of a seed that an interrupted command may be opening.
const MOST_BEGUN: u32 = 16;

/// Lock a deposit for a payee
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay open --payee 0x7099... --amount '100000 sat' --dev-account 0
  causeway pay open --payee 0x7099... --amount '100000 sat' --token wrapped --seed payments.seed --dev-account 0
  causeway pay open --payee 0x7099... --token 0x5FbD... --units 1000000 --dev-account 0")]
pub struct OpenArgs {
    /// Who can claim it
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    payee: Address,
    /// The deposit: the most that can be paid through the channel
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "units")]
    amount: Option<Amount>,
    /// The token: `coin`, `wrapped` (the coin as ERC-20), or the address of any ERC-20
    #[arg(long, value_name = "TOKEN", default_value = "coin", value_parser = token::parse)]
    token: Address,
    /// The deposit in a token that is not bitcoin, in its smallest unit
    #[arg(long, value_name = "NUMBER", conflicts_with = "amount")]
    units: Option<u128>,
    /// Who signs vouchers instead of you
    #[arg(long, value_name = "ADDRESS", conflicts_with = "seed", value_parser = crate::options::address::parse)]
    signer: Option<Address>,
    /// A seed, made when it is missing: the channel's key, which signs its vouchers, and its salt are of it, so that `pay list --seed` finds it again
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// Opens a channel.
///
/// # Errors
///
/// The account does not open or has too little, or the channel is not opened.
pub async fn open(args: OpenArgs, context: &Context) -> Result<()> {
    let deposit = token::units(args.token, args.amount, args.units)?;
    let network = args.network.connect(&args.account).await?;
    let spender = Spender::open(&network, &args.account, args.spending)?;
    let wanted = args.wanted(&spender, deposit).await?;
    let fresh = wanted[0];
    // A command that was interrupted goes on with its own channel: the salt of another would open a second one.
    let head = network.client.head().await?.timestamp;
    let of = |call: &Call| wanted.iter().copied().find(|one| one.are_of(call, head.saturating_add(LEAST_LEFT_S)));
    let begun = spender.kept(|call| of(call).is_some())?.and_then(|call| Some((of(&call)?, call)));
    let (wanted, call) = match begun {
        Some(begun) => begun,
        None => (fresh, fresh.call(&spender, head).await?),
    };
    if !spender.goes_on(&call)? && args.token.is_zero() {
        spender.afford(call.value, "to deposit").await?;
    }
    let opened = |receipt: &TransactionReceipt| wanted.opened(receipt);
    let (opened, transaction) = spender.transact(&call, opened).await.wrap_err("the channel is not opened")?;
    let event = Event::Opened {
        channel: opened.channelId,
        payer: opened.payer,
        payee: opened.payee,
        token: opened.token,
        signer: if opened.authorizedSigner.is_zero() { opened.payer } else { opened.authorizedSigner },
        number: wanted.number,
        deposit: opened.deposit.to_string(),
        transaction,
    };
    context.print(&event, || {
        let deposit = shown_amount(opened.token, opened.deposit.saturating_to());
        println!("Channel {} open: up to {deposit} for {}", opened.channelId, opened.payee);
    });
    Ok(())
}

/// What a channel is opened with.
#[derive(Clone, Copy)]
struct Wanted {
    network: B256,
    payer: Address,
    payee: Address,
    token: Address,
    deposit: u128,
    signer: Address,
    /// None: any.
    salt: Option<B256>,
    /// Of the seed.
    number: Option<u32>,
}

impl OpenArgs {
    /// A fresh channel; behind it, those of the seed's last numbers, of which one may be what an interrupted command opens.
    async fn wanted(&self, spender: &Spender<'_>, deposit: u128) -> Result<Vec<Wanted>> {
        let (network, payer) = (spender.network, spender.account.address());
        let plain = Wanted {
            network: network.network_id,
            payer,
            payee: self.payee,
            token: self.token,
            deposit,
            signer: self.signer.unwrap_or_default(),
            salt: None,
            number: None,
        };
        let Some(path) = &self.seed else { return Ok(vec![plain]) };
        let seed = seed::read_or_make(path)?;
        let opened = seed::opened(&network.client, network.chain_id, payer, Side::Payer).await?;
        let terms: Vec<Terms> = opened.into_iter().map(|opened| opened.terms).collect();
        let found = seed.find(network.network_id, payer, &terms);
        let fresh = found.last_key_value().map_or(0, |(last, _)| last + 1);
        let numbered = |number: u32| {
            let key = seed.channel(network.network_id, payer, number);
            Wanted { signer: address_of(&key.signer), salt: Some(key.salt), number: Some(number), ..plain }
        };
        Ok((fresh.saturating_sub(MOST_BEGUN)..=fresh).rev().map(numbered).collect())
    }
}

impl Wanted {
    /// The call, after the token was asked to allow it where that takes a transaction of its own.
    async fn call(&self, spender: &Spender<'_>, now_unix_s: u64) -> Result<Call> {
        let network = spender.network;
        let opening = self.opening();
        let to = Some(address::MICRO_CHANNEL);
        let way = Way::of(network, self.token).await?;
        if !self.token.is_zero() {
            token::afford(&network.client, self.token, self.payer, self.deposit).await?;
        }
        Ok(match way {
            Way::Coin => Call { to, value: U256::from(self.deposit), input: opening.call() },
            Way::Authorization { separator } => {
                let authorization = opening.authorization(&domain(network), now_unix_s.saturating_add(AUTHORIZED_S));
                let signed = authorization.sign(separator, &spender.account.secret());
                let input = opening.call_with(&signed).expect("it was just signed");
                Call { to, value: U256::ZERO, input }
            }
            Way::Approval => {
                token::allow(spender, self.token, self.deposit).await?;
                Call { to, value: U256::ZERO, input: opening.call() }
            }
        })
    }

    fn opening(&self) -> Opening {
        let mut random = B256::ZERO;
        rand::thread_rng().fill_bytes(random.as_mut_slice());
        let terms = Terms {
            payer: self.payer,
            payee: self.payee,
            token: self.token,
            salt: self.salt.unwrap_or(random),
            authorized_signer: self.signer,
        };
        Opening { network: self.network, terms, deposit: self.deposit, splits: Vec::new() }
    }

    /// Whether a call opens such a channel, and still can at this time.
    fn are_of(&self, call: &Call, now_unix_s: u64) -> bool {
        let value = if self.token.is_zero() { U256::from(self.deposit) } else { U256::ZERO };
        if call.to != Some(address::MICRO_CHANNEL) || call.value != value {
            return false;
        }
        let same = |payee, token, deposit, salt, signer| {
            (payee, token, deposit, signer) == (self.payee, self.token, self.deposit, self.signer)
                && self.salt.is_none_or(|want| want == salt)
        };
        let plain = MicroChannel::openOnNetworkCall::abi_decode(&call.input).is_ok_and(|open| {
            open.network == self.network && same(open.payee, open.token, open.deposit, open.salt, open.authorizedSigner)
        });
        plain
            || MicroChannel::openWithAuthorizationCall::abi_decode(&call.input).is_ok_and(|open| {
                open.from == self.payer
                    && open.validBefore > U256::from(now_unix_s)
                    && same(open.payee, open.token, open.deposit, open.salt, open.authorizedSigner)
            })
    }

    /// Of a token less may arrive than was sent.
    fn opened(&self, receipt: &TransactionReceipt) -> Result<(MicroChannel::ChannelOpened, B256)> {
        let opened: MicroChannel::ChannelOpened = emitted(receipt, address::MICRO_CHANNEL)?;
        let deposit = U256::from(self.deposit);
        let right = (opened.payer, opened.payee, opened.token) == (self.payer, self.payee, self.token)
            && opened.authorizedSigner == self.signer
            && self.salt.is_none_or(|salt| salt == opened.salt)
            && if token::is_bitcoin(self.token) { opened.deposit == deposit } else { opened.deposit <= deposit };
        ensure!(right, "another channel was opened than was asked for");
        Ok((opened, receipt.transaction_hash))
    }
}

#[cfg(test)]
mod tests {
    use payments::typed_data::Domain;

    use super::*;
    use crate::dev::accounts::dev_account;

    fn wanted(payee: u8, deposit: u128) -> Wanted {
        Wanted {
            network: B256::repeat_byte(1),
            payer: Address::repeat_byte(9),
            payee: Address::repeat_byte(payee),
            token: Address::ZERO,
            deposit,
            signer: Address::ZERO,
            salt: None,
            number: None,
        }
    }

    fn call(wanted: &Wanted) -> Call {
        let value = if wanted.token.is_zero() { U256::from(wanted.deposit) } else { U256::ZERO };
        Call { to: Some(address::MICRO_CHANNEL), value, input: wanted.opening().call() }
    }

    #[test]
    fn a_channel_that_is_being_opened_is_known_again_whatever_its_salt_unless_that_is_of_a_seed() {
        let first = call(&wanted(2, 7));
        assert_ne!(first, call(&wanted(2, 7)), "two channels");
        assert!(wanted(2, 7).are_of(&first, 0));
        assert!(!wanted(3, 7).are_of(&first, 0) && !wanted(2, 8).are_of(&first, 0));
        assert!(!Wanted { signer: Address::repeat_byte(4), ..wanted(2, 7) }.are_of(&first, 0));
        assert!(!Wanted { token: Address::repeat_byte(4), ..wanted(2, 7) }.are_of(&first, 0));
        let of_seed = |salt: u8| Wanted { salt: Some(B256::repeat_byte(salt)), ..wanted(2, 7) };
        assert!(of_seed(5).are_of(&call(&of_seed(5)), 0) && !of_seed(6).are_of(&call(&of_seed(5)), 0));
    }

    #[test]
    fn one_that_was_authorized_is_known_again_while_it_can_be_brought() {
        let wanted = Wanted { token: Address::repeat_byte(4), ..wanted(2, 7) };
        let opening = wanted.opening();
        let authorization = opening.authorization(&Domain::new(1, address::MICRO_CHANNEL), 1_000);
        let signed = authorization.sign(B256::ZERO, &dev_account(0).secret());
        let input = opening.call_with(&signed).expect("it was just signed");
        let call = Call { to: Some(address::MICRO_CHANNEL), value: U256::ZERO, input };
        assert!(wanted.are_of(&call, 999) && !wanted.are_of(&call, 1_000));
        assert!(!Wanted { payer: Address::ZERO, ..wanted }.are_of(&call, 0));
    }
}
