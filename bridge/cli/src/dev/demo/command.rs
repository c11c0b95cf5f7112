//! `causeway demo`: the main job on a local network, shown step by step, every amount checked.
//!
//! A holder locks 1 BTC, pays a thousand times off-chain with it, and takes 0.5 BTC back out while a quarter of the
//! federation is dead. The demo is a client like any other: it speaks to `causeway dev`, to nodes, and to bitcoind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use alloy_sol_types::{Eip712Domain, SolEvent, SolStruct, eip712_domain};
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Transaction, Txid};
use bridge::io::sidechain::{Account, Call, Client};
use bridge::io::wallet::{Seed, Wallet};
use bridge::keystore::KdfParams;
use bridge::peg::{DepositStatus, Info, Withdrawal, WithdrawalStatus};
use contracts::IMicroChannel::Voucher;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::Value;

use crate::audit::command as audit;
use crate::clock::now;
use crate::context::Context;
use crate::dev::local_network::control::{Control, Payment, Request, Status};
use crate::dev::local_network::setup::PASSPHRASE;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::sidechain::SidechainArgs;
use crate::user::deposit_record::{Reclaim, Record, Records};
use crate::user::peg_in;
use crate::user::peg_out::{show_wei, wei, withdraw};
use bridge::amount;

/// What goes in, and what comes out.
const PEG_IN: Amount = Amount::from_int_btc(1);
const PEG_OUT: Amount = Amount::from_sat(50_000_000);
/// The most that each way may cost.
const MAX_FEE: Amount = Amount::from_sat(20_000);
/// Off-chain payments, and the value of each.
const PAYMENTS: u64 = 1_000;
const PAYMENT: Amount = Amount::from_sat(1_000);
/// What the payee gets for the gas of its claim, by a plain transfer.
const GAS_MONEY: Amount = Amount::from_sat(100_000);
/// What the holder starts with on Bitcoin.
const PURSE: Amount = Amount::from_int_btc(2);
/// The operator whose validator and relayer are killed: not the one whose node the demo asks.
const VICTIM: u16 = 4;
/// How long any one step may take before something must be wrong.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(150);

/// The main job shown step by step on a local network
///
/// Starts bitcoind (regtest), four validators and four relayers; pegs 1 BTC in, makes 1,000 micropayments, kills an
/// operator, pegs 0.5 BTC out, brings the operator back, and audits. Exit status 0 only if every amount matches.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway demo
  causeway demo --keep     leaves the network up, and says how to reach it")]
pub struct Args {
    /// Leave the network up
    #[arg(long)]
    keep: bool,
    /// Folder of the network; it must not exist [default: a new temporary folder]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(demo(&args))
}

async fn demo(args: &Args) -> Result<()> {
    let mut story = Story::new();
    let folder = args.folder()?;
    story.step("A network on this machine");
    let network = Network::start(&folder, args.keep, &mut story).await?;
    let told = tell(&network, &mut story).await;
    match (&told, args.keep) {
        (Ok(()), true) => network.show(),
        (Ok(()), false) => {
            network.stop().await;
            let _ = std::fs::remove_dir_all(&folder); // Only tidiness: it is in the temporary folder.
        }
        (Err(_), _) => {
            eprintln!("\nlogs: {}", folder.join("logs").display());
            network.stop().await;
        }
    }
    told?;
    story.end();
    Ok(())
}

async fn tell(network: &Network, story: &mut Story) -> Result<()> {
    let info = network.client.info().await?;
    story.fact(
        "federation",
        format!(
            "{} of {} sign, group key {:x}",
            info.threshold,
            info.members.len(),
            info.group_key.unwrap_or_default()
        ),
    );
    let mut holder = Holder::new(network).await?;
    let payee = Account::random();

    story.step(format!("Peg in {}", amount::show(PEG_IN)));
    let minted = peg_in(network, &mut holder, &info, story).await?;

    story.step(format!("{PAYMENTS} micropayments of {}", amount::show(PAYMENT)));
    let spent = micropayments(network, &holder.account, &payee, story).await?;

    story.step(format!("Kill operator {VICTIM}: its validator and its relayer, with -9"));
    kill(network, story).await?;

    story.step(format!("Peg out {} while they are dead", amount::show(PEG_OUT)));
    let out = peg_out(network, &mut holder, &info, story).await?;

    story.step(format!("Bring operator {VICTIM} back"));
    revive(network, story).await?;

    story.step("Audit");
    let left = network.client.balance(holder.account.address()).await?;
    let want = wei(minted) - spent - wei(PEG_OUT) - out.gas;
    ensure!(left == want, "the holder has {left} wei left, expected {want}");
    story
        .fact("holder", format!("{} on the sidechain, {} back on Bitcoin", show_wei(left), amount::show(out.received)));
    holder.sync(network).await?;
    let (has, want) = (holder.wallet.balance().confirmed, PURSE - holder.paid + out.received);
    ensure!(has == want, "the holder's wallet has {has}, expected {want}");
    run_audit(network, story).await
}

/// The person of the story: a Bitcoin wallet and a sidechain account.
struct Holder {
    wallet: Wallet,
    seed: Seed,
    /// What left the wallet, fees included.
    paid: Amount,
    account: Account,
    records: Records,
}

impl Holder {
    /// With a funded wallet, and an account of the same words that has nothing yet.
    async fn new(network: &Network) -> Result<Self> {
        let folder = network.folder.join("holder");
        let mut rng = rand::thread_rng();
        let (seed, kdf) = (Seed::generate(&mut rng), KdfParams::default());
        let regtest = mainchain::Network::Regtest;
        let mut wallet = Wallet::create(&folder.join("wallet"), regtest, &seed, 0, PASSPHRASE, kdf, &mut rng)?;
        network.fund(&wallet.address()?, PURSE).await?;
        let account = Account::from_key(seed.account());
        let records = Records::in_home(&folder);
        let mut holder = Self { wallet, seed, paid: Amount::ZERO, account, records };
        holder.sync(network).await?;
        Ok(holder)
    }

    async fn pay(&mut self, network: &Network, script: ScriptBuf, value: Amount) -> Result<Txid> {
        let rate = FeeRate::from_sat_per_vb_u32(2);
        let sent = self.wallet.send(&network.bitcoin, &self.seed, script, Some(value), rate, now()?).await?;
        self.paid += sent.amount + sent.fee;
        Ok(sent.txid)
    }

    async fn sync(&mut self, network: &Network) -> Result<()> {
        Ok(self.wallet.sync(&network.bitcoin, now()?, |_| {}).await?)
    }
}

/// Locks bitcoin and waits for the coins; what was minted.
async fn peg_in(network: &Network, holder: &mut Holder, info: &Info, story: &mut Story) -> Result<Amount> {
    let (client, to) = (&network.client, holder.account.address());
    let record = Record::new(info, mainchain::Network::Regtest, to, MAX_FEE.to_sat(), Reclaim::fresh(PASSPHRASE)?)?;
    holder.records.keep(&record)?;
    peg_in::register(client, &record).await?;
    story.fact("address", &record.address);
    story.fact("link", peg_in::uri(&record.address, Some(PEG_IN)));

    let output = record.output()?;
    let txid = holder.pay(network, output.script_pubkey(), PEG_IN).await?;
    story.fact("paid", format!("{} by {txid}, a plain P2TR output", amount::show(PEG_IN)));

    let deposit = wait("the federation sweeps the deposit", async || {
        Ok(client.deposit(&record.address).await?.deposits.into_iter().next())
    })
    .await?;
    let vault = client
        .vault_transaction(deposit.number)
        .await?
        .ok_or_else(|| eyre!("the vault transaction of the deposit is not there"))?;
    story.fact("swept", format!("by vault transaction {} ({})", deposit.number, vault.txid));
    confirmed(network, vault.txid, vault.required_confirmations, story).await?;

    let deposit = wait("the coins are minted", async || {
        let report = client.deposit(&record.address).await?;
        Ok(report.deposits.into_iter().find(|deposit| deposit.status == DepositStatus::Minted))
    })
    .await?;
    ensure!(
        deposit.txid == txid && deposit.amount_sat == PEG_IN.to_sat(),
        "the ledger minted another deposit: {deposit:?}"
    );
    ensure!(
        deposit.share_sat <= MAX_FEE.to_sat(),
        "the deposit was charged {} sat, more than the {MAX_FEE} it allowed",
        deposit.share_sat
    );
    let minted = PEG_IN - Amount::from_sat(deposit.share_sat);
    let balance = client.balance(to).await?;
    ensure!(balance == wei(minted), "the account has {balance} wei, expected {} wei", wei(minted));
    story.fact(
        "minted",
        format!(
            "{} to {to} ({} less {} for the sweep)",
            show_wei(balance),
            amount::show(PEG_IN),
            amount::show(Amount::from_sat(deposit.share_sat))
        ),
    );
    Ok(minted)
}

/// Pays the payee off-chain; it claims all at once. What the payer spent on the sidechain, gas included.
async fn micropayments(network: &Network, payer: &Account, payee: &Account, story: &mut Story) -> Result<U256> {
    let (client, total) = (&network.client, PAYMENT * PAYMENTS);
    let before = client.balance(payer.address()).await?;
    payer.transact(client, &Call::transfer(payee.address(), wei(GAS_MONEY)), PATIENCE).await?;
    let open = MicroChannel::openCall { payee: payee.address(), closeDelaySeconds: 3600, closeDelayBlocks: 100 };
    let open = Call::new(address::MICRO_CHANNEL, &open).with_value(wei(total));
    let opened = payer.transact(client, &open, PATIENCE).await.wrap_err("the channel cannot be opened")?;
    let id = MicroChannel::Opened::decode_log(&opened.inner.logs()[0].inner)?.id;
    story.fact("channel", format!("{id} opened with {} for {}", amount::show(total), payee.address()));

    let start = Instant::now();
    let domain = domain(client.chain_id().await?);
    let mut last = None;
    for number in 1..=PAYMENTS {
        let voucher = Voucher { channel: id, total: wei(PAYMENT) * U256::from(number) };
        let signature = payer.sign_digest(voucher.eip712_signing_hash(&domain));
        ensure!(
            signature.recover_address_from_prehash(&voucher.eip712_signing_hash(&domain))? == payer.address(),
            "voucher {number} is not the payer's"
        );
        last = Some((voucher.total, signature));
    }
    let (voucher_total, signature) = last.ok_or_else(|| eyre!("no payment was made"))?;
    story.fact("paid", format!("{PAYMENTS} vouchers signed and checked in {} ms", start.elapsed().as_millis()));

    let earned = client.balance(payee.address()).await?;
    let claim = MicroChannel::claimCall { id, total: voucher_total, signature: signature.as_bytes().to_vec().into() };
    let claimed = payee
        .transact(client, &Call::new(address::MICRO_CHANNEL, &claim), PATIENCE)
        .await
        .wrap_err("the voucher cannot be claimed")?;
    let gas = U256::from(claimed.gas_used) * U256::from(claimed.effective_gas_price);
    let earned = client.balance(payee.address()).await? + gas - earned;
    ensure!(earned == wei(total), "the payee got {earned} wei, expected {} wei", wei(total));
    story.fact(
        "claimed",
        format!("{} in one transaction ({}, {} gas)", amount::show(total), claimed.transaction_hash, claimed.gas_used),
    );
    Ok(before - client.balance(payer.address()).await?)
}

/// What the channel's vouchers are signed for.
fn domain(chain_id: u64) -> Eip712Domain {
    eip712_domain! { name: "Causeway MicroChannel", version: "1", chain_id: chain_id, verifying_contract: address::MICRO_CHANNEL, }
}

/// Kills the victim's processes.
async fn kill(network: &Network, story: &mut Story) -> Result<()> {
    for name in victims() {
        network.control.ask::<()>(&Request::Kill { name: name.clone() }).await?;
        story.fact("killed", name);
    }
    Ok(())
}

/// Starts them again, and waits until the validator has caught up.
async fn revive(network: &Network, story: &mut Story) -> Result<()> {
    for name in victims() {
        network.control.ask::<()>(&Request::Start { name }).await?;
    }
    let head = network.client.head().await?;
    let revived = Client::new(&network.status.rpc[usize::from(VICTIM) - 1])?;
    let block = wait("the validator catches up", async || Ok(revived.block(head.number).await.ok().flatten())).await?;
    ensure!(
        block.hash == head.hash,
        "the revived validator has block {} as {}, the others as {}",
        head.number,
        block.hash,
        head.hash
    );
    story.fact("caught up", format!("block {} is {} on both", head.number, head.hash));
    Ok(())
}

fn victims() -> [String; 2] {
    [format!("validator-{VICTIM}"), format!("relayer-{VICTIM}")]
}

/// What a peg-out did.
struct PaidOut {
    /// On Bitcoin.
    received: Amount,
    /// Wei that the request cost on the sidechain.
    gas: U256,
}

/// Takes bitcoin out to a new address, and looks at the payment as Bitcoin sees it.
async fn peg_out(network: &Network, holder: &mut Holder, info: &Info, story: &mut Story) -> Result<PaidOut> {
    let payee = holder.wallet.address()?;
    let (client, account) = (&network.client, &holder.account);
    story.fact("to", &payee);
    let before = client.balance(account.address()).await?;
    let (id, hash) = withdraw(client, info, account, PEG_OUT, MAX_FEE, &payee.script_pubkey()).await?;
    let gas = before - wei(PEG_OUT) - client.balance(account.address()).await?;
    story.fact("queued", format!("withdrawal {id} by transaction {hash}"));

    let vault = wait("the federation pays the withdrawal", async || {
        let number = client.withdrawal(id).await?.and_then(|withdrawal| withdrawal.number);
        match number {
            Some(number) => Ok(client.vault_transaction(number).await?),
            None => Ok(None),
        }
    })
    .await?;
    story.fact("paying", format!("by vault transaction {} ({})", vault.number, vault.txid));
    confirmed(network, vault.txid, vault.required_confirmations, story).await?;
    let paid = wait("the withdrawal is paid", async || {
        Ok(client.withdrawal(id).await?.filter(|withdrawal| withdrawal.status == WithdrawalStatus::Paid))
    })
    .await?;
    let (transaction, received) = payment(network, &paid, &payee.script_pubkey()).await?;
    ensure!(
        paid.share_sat <= MAX_FEE.to_sat(),
        "the withdrawal was charged {} sat, more than the {MAX_FEE} it allowed",
        paid.share_sat
    );
    ensure!(
        received + Amount::from_sat(paid.share_sat) == PEG_OUT,
        "{received} arrived and {} sat were charged: not {PEG_OUT} together",
        paid.share_sat
    );
    story.fact(
        "paid",
        format!(
            "{} ({} less {} for the payout) by {}",
            amount::show(received),
            amount::show(PEG_OUT),
            amount::show(Amount::from_sat(paid.share_sat)),
            transaction.compute_txid()
        ),
    );
    story.fact(
        "size",
        format!(
            "{} vB, {} input(s), {} outputs",
            transaction.vsize(),
            transaction.input.len(),
            transaction.output.len()
        ),
    );
    for input in &transaction.input {
        let witness: Vec<_> = input.witness.iter().collect();
        ensure!(
            witness.len() == 1 && witness[0].len() == 64,
            "input {} is not spent by one 64-byte signature",
            input.previous_output
        );
        story.fact(
            "signature",
            format!(
                "{} (64 bytes: {} of {} signed as one)",
                hex::encode(witness[0]),
                info.threshold,
                info.members.len()
            ),
        );
    }
    Ok(PaidOut { received, gas })
}

/// The confirmed transaction that paid a withdrawal, and what it paid.
async fn payment(network: &Network, paid: &Withdrawal, script: &bitcoin::ScriptBuf) -> Result<(Transaction, Amount)> {
    let txid = paid.txid.ok_or_else(|| eyre!("withdrawal {} is paid, but by no transaction", paid.id))?;
    let transaction =
        network.bitcoin.transaction(txid, None).await?.ok_or_else(|| eyre!("bitcoind does not know {txid}"))?;
    let vout = transaction
        .output
        .iter()
        .position(|output| output.script_pubkey == *script)
        .ok_or_else(|| eyre!("{txid} does not pay the address"))?;
    let outpoint = OutPoint::new(txid, u32::try_from(vout)?);
    let coin =
        network.bitcoin.unspent(outpoint, false).await?.ok_or_else(|| eyre!("{outpoint} is not an unspent output"))?;
    ensure!(coin.confirmations > 0, "{outpoint} is not confirmed");
    Ok((transaction, coin.value))
}

async fn run_audit(network: &Network, story: &mut Story) -> Result<()> {
    let args = audit::Args {
        genesis: network.status.genesis.clone(),
        sidechain: SidechainArgs { rpc: network.status.rpc[0].clone() },
        bitcoin: BitcoinArgs {
            bitcoin: Some(network.status.bitcoin.clone()),
            bitcoin_cookie: Some(network.status.bitcoin_cookie.clone()),
            bitcoin_user: None,
            bitcoin_password_file: None,
        },
    };
    let report = audit::audit(&args).await?;
    audit::show(&report);
    ensure!(report.missing_sat == 0 && report.covered, "the audit finds satoshis missing");
    story.fact("audit", "exit status 0");
    Ok(())
}

/// The network the story happens on: a `causeway dev` of its own, seen from outside.
struct Network {
    folder: PathBuf,
    control: Control,
    status: Status,
    client: Client,
    bitcoin: BitcoinRpc,
    child: Child,
}

impl Network {
    async fn start(folder: &Path, keep: bool, story: &mut Story) -> Result<Self> {
        let mut child = spawn(folder, keep)?;
        let control = Control::of(folder);
        let mut shown = String::new();
        let start = Instant::now();
        let status = loop {
            if let Ok(status) = control.ask::<Status>(&Request::Status).await {
                if status.step != shown {
                    story.fact("", &status.step);
                    shown.clone_from(&status.step);
                }
                if status.ready {
                    break status;
                }
            }
            if let Some(ended) = child.try_wait()? {
                bail!("the network ended ({ended}): {}", last_error(folder));
            }
            ensure!(start.elapsed() < 2 * PATIENCE, "the network is not ready after {} s", (2 * PATIENCE).as_secs());
            tokio::time::sleep(POLL).await;
        };
        let client = Client::new(&status.rpc[0])?;
        let bitcoin = BitcoinRpc::new(
            status.bitcoin.clone(),
            Auth::Cookie(status.bitcoin_cookie.clone()),
            mainchain::Network::Regtest,
        );
        Ok(Self { folder: folder.to_owned(), control, status, client, bitcoin, child })
    }

    /// Pays from the miner and waits until it is confirmed.
    async fn fund(&self, address: &bitcoin::Address, value: Amount) -> Result<Txid> {
        let payment = Payment { address: address.to_string(), amount_sat: value.to_sat() };
        let paid: Value = self.control.ask(&Request::Pay { to: vec![payment] }).await?;
        self.control.ask::<Value>(&Request::Mine { blocks: 1 }).await?;
        Ok(paid["txid"].as_str().unwrap_or_default().parse()?)
    }

    async fn stop(mut self) {
        let _ = self.control.ask::<()>(&Request::Stop).await; // It may have ended by itself.
        let _ = self.child.wait();
    }

    fn show(&self) {
        let folder = self.folder.display();
        println!("\nThe network stays up:");
        for (index, rpc) in self.status.rpc.iter().enumerate() {
            println!("  node {}   {rpc}", index + 1);
        }
        println!("  bitcoind {}  cookie {}", self.status.bitcoin, self.status.bitcoin_cookie.display());
        println!("  genesis  {}", self.status.genesis.display());
        println!("  logs     {folder}/logs");
        println!("  blocks   causeway dev --data-dir {folder} mine 1");
        println!("  stop     causeway dev --data-dir {folder} stop");
    }
}

/// Starts the network. Unless it is kept, it dies with this process.
fn spawn(folder: &Path, keep: bool) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    std::fs::create_dir_all(folder.join("logs")).wrap_err_with(|| format!("cannot write in {}", folder.display()))?;
    let log = std::fs::File::create(folder.join("logs/dev.log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("dev").arg("--data-dir").arg(folder).args(["--ports", "free", "--block-interval", "1s", "--no-fund"]);
    command.stdout(log.try_clone()?).stderr(log);
    if keep {
        command.process_group(0).stdin(Stdio::null());
    } else {
        command.arg("--exit-with-parent").stdin(Stdio::piped());
    }
    command.spawn().wrap_err("cannot start causeway dev")
}

fn last_error(folder: &Path) -> String {
    let log = folder.join("logs/dev.log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    match text.find("error:") {
        Some(at) => text[at..].trim_end().to_owned(),
        None => format!("see {}", log.display()),
    }
}

/// Shows a vault transaction's way into Bitcoin's chain, until it is as deep as the ledger wants.
async fn confirmed(network: &Network, txid: Txid, required: u32, story: &mut Story) -> Result<()> {
    let mut shown = None;
    wait("the vault transaction is confirmed", async || {
        let output = network.bitcoin.unspent(OutPoint::new(txid, 0), true).await?;
        let depth = output.map(|output| output.confirmations);
        if depth != shown {
            shown = depth;
            match depth {
                Some(0) => story.fact("signed", "and sent to Bitcoin"),
                Some(depth) => story.fact("confirmed", format!("{depth} of {required}")),
                None => {}
            }
        }
        Ok(depth.filter(|depth| *depth >= required))
    })
    .await
    .map(drop)
}

/// Asks until there is an answer.
async fn wait<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("waited {} s until {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What is shown, with the time each step took.
struct Story {
    start: Instant,
    step: Instant,
    number: u32,
}

impl Story {
    fn new() -> Self {
        Self { start: Instant::now(), step: Instant::now(), number: 0 }
    }

    fn step(&mut self, title: impl AsRef<str>) {
        self.number += 1;
        self.step = Instant::now();
        println!("\n{}. {}", self.number, title.as_ref());
    }

    fn fact(&mut self, name: &str, text: impl std::fmt::Display) {
        let elapsed = self.step.elapsed();
        println!("   {:>3}.{} s  {name:<11} {text}", elapsed.as_secs(), elapsed.subsec_millis() / 100);
    }

    fn end(&self) {
        println!("\nEvery amount matches. {} s in all.", self.start.elapsed().as_secs());
    }
}

impl Args {
    fn folder(&self) -> Result<PathBuf> {
        match &self.data_dir {
            Some(folder) if folder.exists() => {
                bail!("{} exists: the demo starts from nothing, name a folder that does not exist", folder.display())
            }
            Some(folder) => Ok(folder.clone()),
            None => Ok(std::env::temp_dir().join(format!("causeway-demo-{}", std::process::id()))),
        }
    }
}
