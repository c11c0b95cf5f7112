//! The network the demo happens on: a `causeway dev` of its own, seen from outside.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use bitcoin::{Amount, OutPoint, Txid};
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, bail, ensure};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::Value;

use super::story::{PATIENCE, POLL, Story, wait};
use crate::dev::local_network::control::{Control, Payment, Request, Status};

pub struct Network {
    pub folder: PathBuf,
    pub control: Control,
    pub status: Status,
    /// Of the first operator's node.
    pub client: Client,
    pub bitcoin: BitcoinRpc,
    child: Child,
}

impl Network {
    /// Starts a network in `folder`, and returns when it is ready. Unless it is to be kept, it dies with this process.
    pub async fn start(folder: &Path, keep: bool, story: &mut Story) -> Result<Self> {
        let mut child = spawn(folder, keep)?;
        let control = Control::of(folder);
        let status = ready(&control, &mut child, folder, story).await?;
        let client = Client::new(&status.rpc[0])?;
        let cookie = Auth::Cookie(status.bitcoin_cookie.clone());
        let bitcoin = BitcoinRpc::new(status.bitcoin.clone(), cookie, mainchain::Network::Regtest);
        Ok(Self { folder: folder.to_owned(), control, status, client, bitcoin, child })
    }

    /// Pays from the miner and waits until it is confirmed.
    pub async fn fund(&self, address: &bitcoin::Address, value: Amount) -> Result<Txid> {
        let payment = Payment { address: address.to_string(), amount_sat: value.to_sat() };
        let paid: Value = self.control.ask(&Request::Pay { to: vec![payment] }).await?;
        self.control.ask::<Value>(&Request::Mine { blocks: 1 }).await?;
        Ok(paid["txid"].as_str().unwrap_or_default().parse()?)
    }

    /// Shows a vault transaction's way into Bitcoin's chain.
    pub async fn confirm(&self, txid: Txid, story: &mut Story) -> Result<()> {
        let mut sent = false;
        wait("the vault transaction is confirmed", async || {
            let depth = self.depth(txid).await?;
            if depth.is_some() && !sent {
                sent = true;
                story.fact("signed", "and sent to Bitcoin");
            }
            Ok(depth.filter(|depth| *depth > 0))
        })
        .await
        .map(|_| story.fact("confirmed", "by a block of Bitcoin"))
    }

    /// Confirmations of a transaction that has an output which nobody spent; 0 in the mempool.
    async fn depth(&self, txid: Txid) -> Result<Option<u32>> {
        for vout in 0..3 {
            if let Some(output) = self.bitcoin.unspent(OutPoint::new(txid, vout), true).await? {
                return Ok(Some(output.confirmations));
            }
        }
        Ok(None)
    }

    pub async fn stop(mut self) {
        let _ = self.control.ask::<()>(&Request::Stop).await; // It may have ended by itself.
        let _ = self.child.wait();
    }

    /// Says how to reach a network that stays up.
    pub fn show(&self) {
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

/// Waits until the network is up, showing each of its steps.
async fn ready(control: &Control, child: &mut Child, folder: &Path, story: &mut Story) -> Result<Status> {
    let mut shown = String::new();
    let start = Instant::now();
    loop {
        if let Ok(status) = control.ask::<Status>(&Request::Status).await {
            if status.step != shown {
                story.fact("", &status.step);
                shown.clone_from(&status.step);
            }
            if status.ready {
                return Ok(status);
            }
        }
        if let Some(ended) = child.try_wait()? {
            bail!("the network ended ({ended}): {}", last_error(folder));
        }
        ensure!(start.elapsed() < 2 * PATIENCE, "the network is not ready after {} s", (2 * PATIENCE).as_secs());
        tokio::time::sleep(POLL).await;
    }
}

fn last_error(folder: &Path) -> String {
    let log = folder.join("logs/dev.log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    match text.find("error:") {
        Some(at) => text[at..].trim_end().to_owned(),
        None => format!("see {}", log.display()),
    }
}
