//! An address that every node let go, because its list of registrations was full: its user brings it back, by waiting or with a proof.

use std::time::Duration;

use alloy_primitives::{B256, b256};
use bridge::io::sidechain::{Account, Call, Client};
use bridge::peg::{DepositReport, DepositStatus};
use contracts::BitcoinLightClient;
use contracts::address::LIGHT_CLIENT;
use mainchain::header::to_bytes;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::Value;
use sidechain::chain::{Arrival, Chain, Origin, Registration, Retention};
use sidechain::genesis::Genesis;
use sidechain::io::db::Database;
use tests::known::{DEVELOPER_0, RECLAIM_KEY};
use tests::network::{Network, Options};

/// Of the account that everybody knows (`test test … junk`).
const DEVELOPER_0_SECRET: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

/// Of the network's validators and relayers, from 1.
const OPERATORS: std::ops::RangeInclusive<usize> = 1..=4;

struct World {
    network: Network,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn start() -> Self {
        let network = Network::start(Options::default());
        Self { network, runtime: tokio::runtime::Runtime::new().expect("threads") }
    }

    fn report(&self, address: &str) -> Option<DepositReport> {
        self.report_of(1, address)
    }

    fn report_of(&self, index: usize, address: &str) -> Option<DepositReport> {
        let node = Client::new(&self.network.rpc(index)).expect("a URL");
        self.runtime.block_on(node.deposit(address)).ok()
    }

    fn is_registered(&self, address: &str) -> bool {
        self.report(address).is_some_and(|report| report.registered == Some(true))
    }

    fn all_have(&self, address: &str) -> bool {
        let mut reports = OPERATORS.map(|index| self.report_of(index, address));
        reports.all(|report| report.is_some_and(|report| report.registered == Some(true)))
    }

    fn is_minted(&self, address: &str) -> bool {
        let deposits = self.report(address).map(|report| report.deposits).unwrap_or_default();
        deposits.iter().any(|deposit| deposit.status == DepositStatus::Minted)
    }

    fn light_client_height(&self) -> Option<u64> {
        let node = Client::new(&self.network.rpc(1)).expect("a URL");
        self.runtime.block_on(node.info()).ok().map(|info| info.bitcoin_tip.height.into())
    }

    /// Shows the ledger Bitcoin's blocks up to a height.
    fn show_headers(&self, height: u64) {
        let (url, cookie) = self.network.bitcoin();
        let bitcoin = BitcoinRpc::new(url, Auth::Cookie(cookie), mainchain::Network::Regtest);
        let node = Client::new(&self.network.rpc(1)).expect("a URL");
        let next = u32::try_from(self.light_client_height().expect("it answers") + 1).expect("small");
        let last = u32::try_from(height).expect("small");
        self.runtime.block_on(async {
            let headers = bitcoin.headers(next..last + 1).await.expect("it has them");
            let headers: Vec<u8> = headers.iter().flat_map(to_bytes).collect();
            let call = Call::new(LIGHT_CLIENT, &BitcoinLightClient::submitCall { headers: headers.into() });
            let developer = Account::from_secret(&DEVELOPER_0_SECRET.0).expect("a secret");
            developer.transact(&node, &call, Duration::from_secs(60)).await.expect("valid headers");
        });
    }

    /// Fills the list of every node, as if it had room for one, until an address has gone; the relayers forget it with their nodes.
    /// The nodes at which it stayed all the same.
    fn fill_the_lists(&self, address: &str) -> Vec<usize> {
        let output_key = output_key(address);
        let kill = |kind: &str| OPERATORS.for_each(|index| self.network.kill(&format!("{kind}-{index}")));
        kill("relayer");
        kill("validator");
        let stayed = OPERATORS.filter(|index| self.stays(*index, output_key)).collect();
        let restart = |kind: &str| OPERATORS.for_each(|index| self.network.restart(&format!("{kind}-{index}")));
        restart("validator");
        self.network.until("the nodes are back", || self.light_client_height());
        restart("relayer");
        stayed
    }

    fn stays(&self, index: usize, output_key: B256) -> bool {
        let genesis = std::fs::read_to_string(self.network.folder().join("genesis.json")).expect("readable");
        let path = self.network.folder().join(format!("operators/{index}/node/chain"));
        let database = Database::open(&path).expect("its node has ended");
        let genesis = Genesis::from_json(&genesis).expect("the network's");
        let chain = Chain::open_with(genesis, database, Retention::default(), &[]).expect("a node's chain");
        let kept = || chain.registration(output_key).expect("readable");
        let Some((_, Registration { terms, .. })) = kept() else { return false };
        for number in 1..=20 {
            let newcomer = B256::repeat_byte(number);
            let registration = Some(Registration { terms, output_key: newcomer });
            let arrival = Arrival { output_key: newcomer, registration, origin: Origin::USERS, payment: None };
            // No payment of this test is minted yet.
            chain.register_deposits(&[arrival], now_ms(), 1, &|_| false).expect("writable");
        }
        kept().is_some()
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    since.as_millis().try_into().expect("for a long time")
}

fn output_key(address: &str) -> B256 {
    let address = address.parse::<bitcoin::Address<_>>().expect("an address").assume_checked();
    B256::from_slice(&address.script_pubkey().as_bytes()[2..])
}

fn address(shown: &Value) -> String {
    shown["address"].as_str().expect("an address").to_owned()
}

#[test]
fn an_address_that_all_nodes_let_go_is_registered_again_by_peg_in_and_stays_once_its_payment_is_proven() {
    let world = World::start();
    let network = &world.network;
    let to = DEVELOPER_0.to_string();
    let of = |max_fee| ["peg-in", "--json", "--to", &to, "--reclaim-key", RECLAIM_KEY, "--max-fee", max_fee];

    // Whoever waits for the payment tells the node again.
    let (mut peg_in, events) = network.spawn("peg-in", &of("20000 sat"));
    let waiting = address(&network.until("an address is shown", || events().into_iter().next()));
    assert!(world.fill_the_lists(&waiting).is_empty());
    network.until("peg-in registers again", || world.is_registered(&waiting).then_some(()));
    network.pay(&waiting, 5_000_000);
    let ended = network.mine_until("the coins are minted", || peg_in.ended());
    assert!(ended.success() && world.is_minted(&waiting), "{:?}", events().pop());

    // Nobody waits for this one: it is paid, and gone before a relayer has swept it.
    let paid = address(&network.causeway(&[&of("21000 sat")[..], &["--no-wait"]].concat()).json()[0]);
    OPERATORS.for_each(|index| network.kill(&format!("relayer-{index}")));
    // A stranger's dust beside it keeps it from nothing.
    network.pay(&paid, 600);
    network.pay(&paid, 4_000_000);
    let height = network.mine(1);
    // Not by a relayer: it would prove the payment next.
    world.show_headers(height);
    assert!(world.fill_the_lists(&paid).is_empty());
    assert!(!world.is_registered(&paid), "all have let it go");
    let proving = network.causeway(&["status", &paid, "--prove", "--json"]);
    assert!(proving.stderr.contains("1 payment(s) of 0.000006 BTC together are not proven"), "{proving}");
    let shown = proving.json().remove(0);
    assert_eq!((&shown["registered"], &shown["address"]), (&true.into(), &paid.as_str().into()));
    // Others may not have been connected yet when it was passed on; the node that was shown the payment keeps it whatever comes.
    network.until("the others hear of it", || world.all_have(&paid).then_some(()));
    assert!(world.fill_the_lists(&paid).contains(&1), "a list that is full does not let it go");
    network.mine_until("the coins are minted", || world.is_minted(&paid).then_some(()));
}
