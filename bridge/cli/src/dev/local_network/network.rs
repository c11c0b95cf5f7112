//! The processes of a local network, in the order in which they need each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bitcoin::{Amount, ScriptBuf, Txid};
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::io::rpc::{Auth, BitcoinRpc};

use super::control::Payment;
use super::layout::Layout;
use super::miner::Miner;
use super::process::Process;
use super::progress::Progress;
use super::setup;
use crate::context::LogFormat;
use crate::user::deposit_record::Records;

/// Blocks at the first start: the first ten rewards can be spent then.
const FIRST_BLOCKS: u32 = 110;
/// How long a process may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the federation may take to make its key: a few sidechain blocks, and more on a loaded machine.
const KEY_PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// A local network: all its processes, and the miner.
#[derive(Debug)]
pub struct Network {
    layout: Layout,
    bitcoin: BitcoinRpc,
    miner: Miner,
    bitcoind: Process,
    validators: Vec<Process>,
    relayers: Vec<Process>,
}

impl Network {
    /// Nothing runs yet.
    pub fn new(layout: Layout, bitcoind: PathBuf, log_format: LogFormat) -> Result<Self> {
        let folder = layout.folder();
        fs::create_dir_all(layout.bitcoin()).wrap_err_with(|| format!("cannot write in {}", folder.display()))?;
        let program = std::env::current_exe().wrap_err("cannot tell where this program is")?;
        let service = |kind: &str, command: &str, index: u16| {
            let name = format!("{kind}-{index}");
            let config = layout.operator(index).join(format!("{command}.toml")).display().to_string();
            let format = match log_format {
                LogFormat::Human => "human",
                LogFormat::Json => "json",
            };
            let arguments =
                [command, "--config", &config, "--passphrase-stdin", "--exit-with-parent", "--log-format", format];
            let log = layout.log(&name);
            Process::new(name, &program, arguments.map(String::from).to_vec(), log).with_secret(setup::PASSPHRASE)
        };
        Ok(Self {
            bitcoin: BitcoinRpc::new(layout.bitcoin_url(), Auth::Cookie(layout.cookie()), mainchain::Network::Regtest),
            miner: Miner::open(&folder.join("miner.key"))?,
            bitcoind: bitcoind_process(&layout, &bitcoind),
            validators: layout.validators().map(|index| service("validator", "node", index)).collect(),
            relayers: (1..=layout.operators).map(|index| service("relayer", "relayer", index)).collect(),
            layout,
        })
    }

    /// Starts everything, and returns when the federation can take deposits.
    pub async fn start(&mut self, fresh: bool, progress: &Progress) -> Result<()> {
        self.predecessors_gone(progress).await?;
        self.layout.ports.expect_free()?;
        if fresh {
            progress.step(format!("making keys of {} operators and the genesis block", self.layout.operators));
            setup::prepare(&self.layout)?;
            self.layout.keep()?;
        }
        progress.step("starting bitcoind");
        self.start_bitcoind().await?;
        if self.bitcoin.best_tip().await?.0 < FIRST_BLOCKS {
            self.mine(FIRST_BLOCKS).await?;
        }
        progress.step(format!("starting {} validator(s)", self.validators.len()));
        self.validators.iter_mut().try_for_each(Process::start)?;
        self.nodes_answer().await?;
        progress.step(format!(
            "starting {} relayers; they make a key that {} of {} can sign with",
            self.layout.operators, self.layout.threshold, self.layout.operators
        ));
        self.relayers.iter_mut().try_for_each(Process::start)?;
        self.key_is_made().await
    }

    /// Waits for children of a killed predecessor: they stop by themselves, but take a moment to close their databases.
    async fn predecessors_gone(&self, progress: &Progress) -> Result<()> {
        let start = Instant::now();
        while let Some(pid) = self.layout.process_left() {
            if start.elapsed() > PATIENCE {
                bail!(
                    "process {pid} still uses {}, though its parent has ended: end it, then start again",
                    self.layout.folder().display()
                );
            }
            progress.step("waiting for the processes of the last run to end");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    async fn bitcoin_answers(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.bitcoin.chain_info().await {
                Ok(_) => return Ok(()),
                Err(error) if !error.retry() && self.layout.cookie().exists() => {
                    return Err(error).wrap_err("bitcoind is not usable");
                }
                Err(error) if start.elapsed() > PATIENCE => {
                    return Err(error).wrap_err("bitcoind does not answer");
                }
                Err(_) => {}
            }
            self.bitcoind.expect_running()?;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn nodes_answer(&mut self) -> Result<()> {
        let start = Instant::now();
        for index in self.layout.validators() {
            let client = Client::new(&self.layout.rpc_url(index))?;
            while let Err(error) = client.block_number().await {
                if start.elapsed() > PATIENCE {
                    return Err(error).wrap_err_with(|| {
                        format!(
                            "validator-{index} does not answer; its log is {}",
                            self.layout.log(&format!("validator-{index}")).display()
                        )
                    });
                }
                self.expect_running()?;
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn key_is_made(&mut self) -> Result<()> {
        let (client, start) = (self.client()?, Instant::now());
        loop {
            match client.info().await {
                Ok(info) if info.group_key.is_some() => return Ok(()),
                Ok(_) if start.elapsed() > KEY_PATIENCE => bail!(
                    "the federation made no key within {} s; the relayers' logs tell why: {}",
                    KEY_PATIENCE.as_secs(),
                    self.logs()
                ),
                Err(error) if !error.retry() => return Err(error.into()),
                _ => {}
            }
            self.expect_running()?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Fails when one that should run does not.
    pub fn expect_running(&mut self) -> Result<()> {
        self.all().filter(|process| process.is_wanted()).try_for_each(Process::expect_running)
    }

    /// Logs each process that ended by itself since the last call, with its last words.
    pub fn report_ended(&mut self) {
        for process in self.all() {
            if let Some(status) = process.ended() {
                eprintln!(
                    "{} ended ({status}). Start it again: causeway dev start {}\nThe last lines of {}:\n{}",
                    process.name(),
                    process.name(),
                    process.log().display(),
                    process.tail()
                );
            }
        }
    }

    /// Stops everything, relayers first, bitcoind last.
    pub fn stop(&mut self) {
        for group in [&mut self.relayers[..], &mut self.validators[..], std::slice::from_mut(&mut self.bitcoind)] {
            let asked = Instant::now();
            group.iter_mut().for_each(Process::ask_to_stop);
            group.iter_mut().for_each(|process| process.wait_stopped(asked));
        }
    }

    /// Starts one that was killed; bitcoind answers then, as the next request may be to mine.
    pub async fn start_again(&mut self, name: &str) -> Result<()> {
        if name == self.bitcoind.name() { self.start_bitcoind().await } else { self.process(name)?.start() }
    }

    /// One that was killed left its cookie, which the next does not know: who asks by it before there is another is refused.
    async fn start_bitcoind(&mut self) -> Result<()> {
        if self.bitcoind.pid().is_none() {
            match fs::remove_file(self.layout.cookie()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).wrap_err("the cookie of the last bitcoind cannot be removed");
                }
                _ => {}
            }
        }
        self.bitcoind.start()?;
        self.bitcoin_answers().await
    }

    pub fn process(&mut self, name: &str) -> Result<&mut Process> {
        let names: Vec<_> = self.all().map(|process| process.name().to_owned()).collect();
        self.all()
            .find(|process| process.name() == name)
            .ok_or_else(|| eyre!("there is no process {name:?} in this network; there are {}", names.join(", ")))
    }

    /// Names of what runs.
    pub fn running(&self) -> Vec<String> {
        let all = std::iter::once(&self.bitcoind).chain(&self.validators).chain(&self.relayers);
        all.filter(|process| process.pid().is_some()).map(|process| process.name().to_owned()).collect()
    }

    /// Mines blocks; the new height.
    pub async fn mine(&mut self, blocks: u32) -> Result<u32> {
        self.miner.mine(&self.bitcoin, blocks).await?;
        Ok(self.bitcoin.best_tip().await?.0)
    }

    /// Pays from the miner's wallet.
    pub async fn pay(&mut self, payments: &[Payment]) -> Result<Txid> {
        let output = |payment: &Payment| -> Result<(ScriptBuf, Amount)> {
            let address: bitcoin::Address<_> =
                payment.address.parse().wrap_err_with(|| format!("{} is not a Bitcoin address", payment.address))?;
            let address = address
                .require_network(bitcoin::Network::Regtest)
                .map_err(|_| eyre!("{} is not a regtest address", payment.address))?;
            Ok((address.script_pubkey(), Amount::from_sat(payment.amount_sat)))
        };
        let outputs = payments.iter().map(output).collect::<Result<Vec<_>>>()?;
        self.miner.pay(&self.bitcoin, &outputs).await
    }

    /// A client of the first node.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.layout.rpc_url(1))?)
    }

    /// Where the deposit records of this network's own peg-ins are.
    pub fn records(&self) -> Records {
        Records::in_home(self.layout.folder())
    }

    pub fn logs(&self) -> String {
        self.layout.folder().join("logs").display().to_string()
    }

    /// Whether a step that must not be done twice was done.
    pub fn marked(&self, step: &str) -> Result<bool> {
        self.mark_path(step).try_exists().wrap_err("the network's folder cannot be read")
    }

    pub fn mark(&self, step: &str) -> Result<()> {
        fs::write(self.mark_path(step), "").wrap_err("the network's folder cannot be written")
    }

    fn mark_path(&self, step: &str) -> PathBuf {
        self.layout.folder().join(format!("{step}.done"))
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        std::iter::once(&mut self.bitcoind).chain(&mut self.validators).chain(&mut self.relayers)
    }
}

/// bitcoind, stopped when its parent ends: it does not watch its input itself, so a shell beside it does.
fn bitcoind_process(layout: &Layout, bitcoind: &Path) -> Process {
    // The shell becomes bitcoind; its helper waits for the end of the pipe, then asks that process to stop.
    const UNTIL_PARENT_ENDS: &str =
        r#"exec 3<&0; (while read -r line <&3; do :; done; kill -TERM $$ 2>&-) & exec "$0" "$@" 3<&- </dev/null"#;
    let flags = [
        "-regtest".to_owned(),
        format!("-datadir={}", layout.bitcoin().display()),
        format!("-rpcport={}", layout.ports.bitcoin_rpc),
        format!("-bind=127.0.0.1:{}", layout.ports.bitcoin_p2p),
        "-rpcbind=127.0.0.1".to_owned(),
        "-rpcallowip=127.0.0.1".to_owned(),
        "-listenonion=0".to_owned(),
        "-dnsseed=0".to_owned(),
        "-fixedseeds=0".to_owned(),
        // The auditor and explorers look transactions up by id alone.
        "-txindex=1".to_owned(),
        "-server=1".to_owned(),
        "-printtoconsole=1".to_owned(),
        "-nodebuglogfile".to_owned(),
    ];
    let mut arguments = vec!["-c".to_owned(), UNTIL_PARENT_ENDS.to_owned(), bitcoind.display().to_string()];
    arguments.extend(flags);
    Process::new("bitcoind", Path::new("/bin/sh"), arguments, layout.log("bitcoind"))
}
