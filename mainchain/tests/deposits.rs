//! Deposit addresses: frozen bytes, and what they commit to.

use std::num::NonZeroU16;

use bitcoin::hashes::Hash;
use bitcoin::hex::{DisplayHex, FromHex};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Keypair, Secp256k1, SecretKey, XOnlyPublicKey};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TaprootBuilder};
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Sequence, TxOut, Txid};
use mainchain::Network;
use mainchain::deposit::{DepositTerms, Peg, ReclaimError};
use proptest::prelude::*;

fn key(byte: u8) -> Keypair {
    Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[byte; 32]).expect("in range"))
}

fn x_only(byte: u8) -> XOnlyPublicKey {
    key(byte).x_only_public_key().0
}

fn peg(delay: u16) -> Peg {
    let bridge = <[u8; 20]>::from_hex("ca05000000000000000000000000000000000004").expect("hex");
    let mut network_id = [0; 32];
    network_id[30..].copy_from_slice(&51_717_u16.to_be_bytes());
    Peg { network_id, bridge, delay: NonZeroU16::new(delay).expect("not 0") }
}

fn terms() -> DepositTerms {
    DepositTerms {
        recipient: [0x11; 20],
        claimant: [0x22; 20],
        reclaim_key: x_only(2),
        max_fee: Amount::from_sat(5_000),
        data_hash: [0x33; 32],
        epoch: 1,
    }
}

/// Group key of secret 0x01..01, reclaim key of secret 0x02..02, network id 51717, the genesis file's bridge, and
/// the terms above; `Scripts.t.sol` has the same. These bytes are in
/// wallets and on Bitcoin: if this test fails, the change is wrong. The values were computed apart, in Python with hashlib
/// and the curve's arithmetic written out.
#[test]
fn deposit_bytes_are_frozen() {
    let output = terms().output(&peg(1008), x_only(1));
    assert_eq!(
        terms().commitment(&peg(1008)).to_lower_hex_string(),
        "62be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a"
    );
    assert_eq!(
        output.leaf_script().to_hex_string(),
        "2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a7502f003b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
    );
    assert_eq!(
        output.merkle_root().to_byte_array().to_lower_hex_string(),
        "66b0b6a782e4028ed14ff764f2fc6d30a63a522ba6f98fa4a61be7829c518456"
    );
    assert_eq!(output.output_key().to_string(), "6184c8f19a24b188c8eeea29495d3c2107676912df4d23f20471ca44bc0bdf62");
    assert_eq!(
        output.output_key_y().to_lower_hex_string(),
        "d98b68ac1d911f2807a9467689764dee8d30864b0ff90f99a7f6b6d3e1fb7901"
    );
    let addresses = Network::ALL.map(|network| output.address(network).to_string());
    assert_eq!(
        addresses,
        [
            "bc1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3ql2xyh2",
            "tb1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3qgzstd9",
            "tb1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3qgzstd9",
            "bcrt1pvxzv3uv6yjcc3j8wag55jhfuyyrkw6gjmaxj8usyw89yf0qtma3q9m6dcl"
        ]
    );

    // Delays up to 16 are one opcode, from 128 on two bytes.
    let leaf = |delay| terms().leaf_script(&peg(delay)).to_hex_string();
    assert_eq!(
        leaf(16),
        "2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a7560b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
    );
    assert_eq!(
        leaf(17),
        "2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a750111b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
    );
    assert_eq!(
        leaf(128),
        "2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a75028000b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
    );
    assert_eq!(
        leaf(65_535),
        "2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a7503ffff00b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
    );
}

#[test]
fn each_term_changes_the_address() {
    let address =
        |peg: &Peg, terms: &DepositTerms, group| terms.output(peg, group).address(Network::Regtest).to_string();
    let (peg, terms, group) = (peg(1008), terms(), x_only(1));
    let mut addresses = vec![address(&peg, &terms, group), address(&peg, &terms, x_only(3))];
    addresses.push(address(&Peg { network_id: [1; 32], ..peg }, &terms, group));
    addresses.push(address(&Peg { bridge: [4; 20], ..peg }, &terms, group));
    addresses.push(address(&self::peg(1009), &terms, group));
    addresses.push(address(&peg, &DepositTerms { recipient: [0x12; 20], ..terms }, group));
    addresses.push(address(&peg, &DepositTerms { claimant: [0x12; 20], ..terms }, group));
    addresses.push(address(&peg, &DepositTerms { reclaim_key: x_only(4), ..terms }, group));
    addresses.push(address(&peg, &DepositTerms { data_hash: [0; 32], ..terms }, group));
    addresses.push(address(&peg, &DepositTerms { max_fee: Amount::from_sat(5_001), ..terms }, group));
    let count = addresses.len();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), count);
}

proptest! {
    #[test]
    fn the_output_is_the_taproot_of_its_leaf(group in 1u8..200, owner in 1u8..200, recipient: [u8; 20], delay in 1u16.., max_fee: u32) {
        let terms = DepositTerms { recipient, reclaim_key: x_only(owner), max_fee: Amount::from_sat(max_fee.into()), ..terms() };
        let output = terms.output(&peg(delay), x_only(group));
        let secp = Secp256k1::new();
        let tree = TaprootBuilder::with_huffman_tree([(1, output.leaf_script().into())]).expect("one leaf");
        let spend = tree.finalize(&secp, x_only(group)).expect("complete");
        prop_assert_eq!(spend.output_key().to_x_only_public_key(), output.output_key());
        prop_assert_eq!(spend.merkle_root(), Some(output.merkle_root()));
        prop_assert_eq!(ScriptBuf::new_p2tr_tweaked(spend.output_key()), output.script_pubkey());

        // Whoever has the group's key can sign for it by the key path.
        let tweaked = key(group).tap_tweak(&secp, Some(output.merkle_root())).to_keypair();
        prop_assert_eq!(tweaked.x_only_public_key().0, output.output_key());
        prop_assert_eq!(&tweaked.public_key().serialize_uncompressed()[33..], output.output_key_y());
    }
}

fn coins() -> Vec<(OutPoint, Amount)> {
    [(1, 100_000), (2, 50_000)]
        .map(|(byte, sat)| (OutPoint::new(Txid::from_byte_array([byte; 32]), 0), Amount::from_sat(sat)))
        .to_vec()
}

#[test]
fn the_owner_takes_all_coins_back() {
    let (secp, output, coins) = (Secp256k1::new(), terms().output(&peg(1008), x_only(1)), coins());
    let destination = ScriptBuf::new_p2tr(&secp, x_only(9), None);
    let rate = FeeRate::from_sat_per_vb_u32(3);
    let transaction = output.reclaim(&coins, destination.clone(), rate, &key(2)).expect("enough");

    assert_eq!(transaction.output[0].script_pubkey, destination);
    let fee = Amount::from_sat(150_000) - transaction.output[0].value;
    assert_eq!(Some(fee), rate.fee_wu(transaction.weight()));
    let spent: Vec<TxOut> =
        coins.iter().map(|(_, value)| TxOut { value: *value, script_pubkey: output.script_pubkey() }).collect();
    for (index, input) in transaction.input.iter().enumerate() {
        assert_eq!(input.sequence, Sequence::from_height(1008));
        let parts: Vec<&[u8]> = input.witness.iter().collect();
        assert_eq!(parts[1], output.leaf_script().as_bytes());
        let control = ControlBlock::decode(parts[2]).expect("a control block");
        assert!(control.verify_taproot_commitment(&secp, output.output_key(), output.leaf_script()));
        let leaf = TapLeafHash::from_script(output.leaf_script(), LeafVersion::TapScript);
        let hash = SighashCache::new(&transaction)
            .taproot_script_spend_signature_hash(index, &Prevouts::All(&spent), leaf, TapSighashType::Default)
            .expect("has its outputs");
        let signature = bitcoin::secp256k1::schnorr::Signature::from_slice(parts[0]).expect("64 bytes");
        secp.verify_schnorr(&signature, &hash.into(), &x_only(2)).expect("the owner's signature");
    }
}

#[test]
fn only_the_owner_reclaims_and_only_what_is_worth_it() {
    let output = terms().output(&peg(1008), x_only(1));
    let destination = ScriptBuf::new_p2tr_tweaked(bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(x_only(9)));
    let rate = FeeRate::from_sat_per_vb_u32(1000);
    let reclaim = |coins: &[_], by| output.reclaim(coins, destination.clone(), rate, &key(by));
    assert_eq!(reclaim(&coins(), 3), Err(ReclaimError::WrongKey { got: x_only(3) }));
    assert_eq!(reclaim(&[], 2), Err(ReclaimError::NoCoins));
    assert!(matches!(reclaim(&coins(), 2), Err(ReclaimError::TooLittle { .. })));
}
