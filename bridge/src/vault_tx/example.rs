//! Vault transactions for tests, built as the ledger builds them.

use bitcoin::hashes::Hash as _;
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, XOnlyPublicKey, absolute, consensus, transaction,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{ANCHOR, ANCHOR_SCRIPT, SpentOutput};
use crate::{threshold, vault};

pub(crate) fn outpoint(number: usize) -> OutPoint {
    OutPoint {
        txid: Txid::from_byte_array([u8::try_from(number % 256).expect("a byte"); 32]),
        vout: u32::try_from(number).expect("small"),
    }
}

pub(crate) fn group_key() -> XOnlyPublicKey {
    threshold::deal(1, 2, 3, &mut StdRng::seed_from_u64(1))[0].group_key()
}

fn vault_script() -> ScriptBuf {
    vault::script(vault::output_key(group_key(), &[7; 32]))
}

/// A vault transaction over these inputs that pays these outputs, vault and anchor added.
pub(crate) fn built(
    inputs: &[(OutPoint, Amount)],
    change: Amount,
    paid: &[(ScriptBuf, Amount)],
) -> (Vec<u8>, Vec<SpentOutput>) {
    let output = |script_pubkey: ScriptBuf, value| TxOut { script_pubkey, value };
    let input = |(previous_output, _): &(OutPoint, Amount)| bitcoin::TxIn {
        previous_output: *previous_output,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..bitcoin::TxIn::default()
    };
    let mut outputs = vec![output(vault_script(), change)];
    outputs.extend(paid.iter().map(|(script, value)| output(script.clone(), *value)));
    outputs.push(output(ScriptBuf::from_bytes(ANCHOR_SCRIPT.to_vec()), ANCHOR));
    let transaction = Transaction {
        version: transaction::Version(3),
        lock_time: absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: outputs,
    };
    let spent = |(position, (outpoint, amount)): (usize, &(OutPoint, Amount))| {
        let merkle_root = [u8::try_from(position % 256).expect("a byte"); 32];
        let output_key = vault::output_key(group_key(), &merkle_root);
        SpentOutput { outpoint: *outpoint, amount: *amount, output_key, merkle_root, epoch: 1 }
    };
    (consensus::serialize(&transaction), inputs.iter().enumerate().map(spent).collect())
}

pub(crate) fn p2wpkh() -> ScriptBuf {
    ScriptBuf::from_hex("0014751e76e8199196d454941c45d1b3a323f1433bd6").expect("hex")
}

pub(crate) fn example() -> (Vec<u8>, Vec<SpentOutput>) {
    let [first, second, change, paid] = [100_000, 50_000, 120_000, 29_000].map(Amount::from_sat);
    built(&[(outpoint(1), first), (outpoint(2), second)], change, &[(p2wpkh(), paid)])
}
