//! Transactions made to take as long as they can, sent to a network of four: its blocks keep coming as before, and whoever sent
//! one pays for it, or waits.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, Bytes, U256, hex};
use bridge::io::sidechain::{Account, Call, Client, Error, Fees, Pending};
use tests::known::{DEVELOPER_0, DEVELOPER_1, RECIPIENT};
use tests::network::{Network, Options};

/// Of the mnemonic `test test ... junk`, known to everybody.
const SECRETS: [[u8; 32]; 2] = [
    hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
];

/// Loops that use all the gas they get, with their names.
const LOOPS: [(&str, &[u8]); 5] = [
    // JUMPDEST, the hash of the block GAS & 255 before this one, POP, to 0.
    ("BLOCKHASH", &hex!("5b5a60ff16430340505f56")),
    ("JUMP", &hex!("5b5f56")),
    // STATICCALLs of precompile 5 (modexp) with 32 bytes of 0xff for base, exponent and modulus.
    ("MODEXP", &hex!("60205f52602060205260206040525f1960605260805f1990525f1960a0525b5f5f60c05f60055afa50601e56")),
    // EXTCODESIZE of addresses that follow each other: none is there.
    ("EXTCODESIZE", &hex!("435b600101803b50600156")),
    // CALLs itself as deep as it can.
    ("CALL", &hex!("5b5f5f5f5f5f305af1505f56")),
];

/// The most that a transaction may ask for.
const GAS: u64 = 1 << 24;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Attack<'a> {
    network: &'a Network,
    runtime: tokio::runtime::Runtime,
    client: Client,
    chain_id: u64,
    attacker: Account,
    bystander: Account,
}

impl Attack<'_> {
    fn deploy(&self, code: &[u8]) -> Address {
        let length = u8::try_from(code.len()).expect("short");
        // PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN
        let input = Bytes::from([&[0x60, length][..], &hex!("8060095f395ff3"), code].concat());
        let call = Call { to: None, value: U256::ZERO, input };
        let receipt = self.runtime.block_on(self.attacker.transact(&self.client, &call, PATIENCE)).expect("deployed");
        receipt.contract_address.expect("a contract")
    }

    /// `None` when the attacker is held back.
    fn send(&self, to: Address) -> Option<Pending> {
        let nonce = self.runtime.block_on(self.client.pending_nonce(self.attacker.address())).expect("it answers");
        let fees = Fees { max_fee: 100_000_000, priority_fee: 10_000_000 };
        let call = Call { to: Some(to), value: U256::ZERO, input: Bytes::new() };
        let pending = self.attacker.sign(self.chain_id, nonce, GAS, fees, &call);
        match self.runtime.block_on(self.client.send_raw(&pending.raw)) {
            Ok(_) => Some(pending),
            Err(error) if is_held_back(&error) => None,
            Err(error) => panic!("a good transaction is refused: {error}"),
        }
    }

    /// All are mined, and so paid for; or their sender is held back with the first that is not, behind which the others wait.
    fn are_dealt_with(&self, sent: &[Pending]) -> bool {
        let is_mined = |pending: &Pending| {
            let receipt = self.runtime.block_on(self.client.receipt(pending.hash));
            matches!(receipt, Ok(Some(_)))
        };
        let Some(first) = sent.iter().find(|pending| !is_mined(pending)) else { return true };
        let again = self.runtime.block_on(self.client.send_raw(&first.raw));
        again.is_err_and(|error| is_held_back(&error))
    }

    /// How long a payment of somebody else takes to be final.
    fn payment(&self) -> Duration {
        let started = Instant::now();
        let call = Call::transfer(RECIPIENT, U256::from(1));
        self.runtime.block_on(self.bystander.transact(&self.client, &call, PATIENCE)).expect("paid");
        started.elapsed()
    }
}

fn is_held_back(error: &Error) -> bool {
    error.to_string().contains("held back")
}

#[test]
fn transactions_made_to_take_long_neither_stop_the_blocks_nor_go_unpaid() {
    let network = Network::start(Options { fund: true, ..Options::default() });
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let client = Client::new(&network.rpc(1)).expect("a good URL");
    let chain_id = runtime.block_on(client.chain_id()).expect("it answers");
    let [attacker, bystander] = SECRETS.map(|secret| Account::from_secret(&secret).expect("a key"));
    assert_eq!([attacker.address(), bystander.address()], [DEVELOPER_0, DEVELOPER_1]);
    let attack = Attack { network: &network, runtime, client, chain_id, attacker, bystander };
    let contracts: Vec<_> = LOOPS.iter().map(|(name, code)| (*name, attack.deploy(code))).collect();
    // Some blocks for BLOCKHASH to ask for, and what a payment takes when nothing else happens.
    let before: Duration = (0..5).map(|_| attack.payment()).sum();

    let mut slowest = Duration::ZERO;
    for (name, contract) in contracts {
        let sent: Vec<_> = (0..3).filter_map(|_| attack.send(contract)).collect();
        for _ in 0..5 {
            slowest = slowest.max(attack.payment());
        }
        attack.network.until(&format!("all of {name} are mined, or their sender is held back"), || {
            attack.are_dealt_with(&sent).then_some(())
        });
        println!("{name}: dealt with, the slowest payment until now took {slowest:?}");
    }
    println!("five payments took {before:?} before; the slowest during the attacks {slowest:?}");
    // A round that is lost costs three and a half seconds: the attack that this is about cost 75 and more.
    assert!(slowest < before.max(Duration::from_secs(10)), "{slowest:?}");
}
