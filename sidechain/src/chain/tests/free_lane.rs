//! What members may do without paying, and how it is bounded.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::{eip2718::Encodable2718 as _, eip2930::AccessListItem};
use alloy_primitives::Signature;
use contracts::{
    Bridge, Federation, IVault, SigningBoard, Vault,
    address::{BRIDGE, FEDERATION, SIGNING_BOARD, VAULT},
    alloy_sol_types::SolError as _,
};

use super::*;
use crate::{block::TxEnvelope, testing::free_call};

fn post(nonce: u64, payload: &[u8]) -> Bytes {
    post_on(testing::network(), nonce, payload)
}

fn post_on(network: B256, nonce: u64, payload: &[u8]) -> Bytes {
    let attempt = u32::try_from(nonce).expect("small");
    testing::post_on(network, attempt, Bytes::copy_from_slice(payload))
}

#[test]
fn a_member_posts_without_owning_a_coin() {
    let chain = chain();
    let free = member(1).free(CHAIN, 0, 200_000, contracts::address::SIGNING_BOARD, post(0, b"hello"));
    assert!(chain.check_free(&free, &Stop::never()).expect("allowed").success);
    let finalized = next(&chain, vec![free]);
    assert_eq!(finalized.receipts.len(), 1);
    assert!(finalized.receipts[0].status());
    assert_eq!(finalized.receipts[0].logs().len(), 1);
    assert_eq!(balance(&chain, 1, PROPOSER), U256::ZERO);
    assert_eq!(chain.state_at(1).expect("kept").account(member(1).address).expect("kept").map(|a| a.nonce), Some(1));
}

/// The pool does not take it either.
fn refused(transaction: Transaction, wanted: &str) {
    let chain = chain();
    let said = match chain.check_free(&transaction, &Stop::never()) {
        Err(SimulateError::Invalid(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(said.contains(wanted), "{said}");
    stands_in_no_block(transaction, wanted);
}

#[test]
fn strangers_other_contracts_values_and_failures_are_refused() {
    let board = contracts::address::SIGNING_BOARD;
    refused(Key::new(1).free(CHAIN, 0, 100_000, board, post(0, b"x")), "the sender is not a member");
    refused(member(1).free(CHAIN, 0, 100_000, PROPOSER, Bytes::new()), "not a contract of the peg");
    refused(
        member(1).free(CHAIN, 0, 100_000, contracts::address::MICRO_CHANNEL, Bytes::new()),
        "not a contract of the peg",
    );
    refused(member(1).free(CHAIN, 0, 100_000, board, Bytes::from_static(&[1, 2, 3, 4])), "none of the free calls");
    let closed = SigningBoard::postSigningCall {
        network: testing::network(),
        number: 1,
        attempt: 1,
        kind: 1,
        payload: Bytes::from_static(b"no such session"),
    };
    refused(member(1).free(CHAIN, 0, 200_000, board, closed.abi_encode().into()), "must succeed");
    let free = free_call(CHAIN, 0, 100_000, board, post(0, b"x"));
    refused(member(1).sign(TxEip1559 { value: U256::from(1), ..free.clone() }), "sends value");
    refused(member(1).sign(TxEip1559 { to: TxKind::Create, ..free.clone() }), "not a contract of the peg");
    let read = AccessListItem { address: board, storage_keys: vec![B256::ZERO] };
    refused(member(1).sign(TxEip1559 { access_list: vec![read].into(), ..free }), "access list");
}

/// Neither what it names, nor what it did not use of its gas, nor a tip.
#[test]
fn nobody_is_charged_for_a_free_call_and_nobody_gets_a_fee() {
    let coins = [(member(1).address, COIN_SAT)];
    let chain = Chain::open_with(genesis(), Memory::default(), Retention::default(), &coins).expect("right");
    let (before, supply) = (balance(&chain, 0, member(1).address), balance(&chain, 0, BRIDGE));
    let free = |nonce| member(1).free(CHAIN, nonce, 1 << 24, SIGNING_BOARD, post(nonce, b"hello"));
    let finalized = next(&chain, vec![free(0), free(1)]);
    assert_eq!(finalized.receipts.iter().filter(|receipt| receipt.status()).count(), 2);
    assert_eq!(balance(&chain, 1, member(1).address), before);
    assert_eq!(balance(&chain, 1, PROPOSER), U256::ZERO);
    assert_eq!(balance(&chain, 1, BRIDGE), supply);
    for transaction in &finalized.block.transactions {
        assert_eq!(block::gas_price(transaction, finalized.block.header.base_fee_per_gas), 0);
    }
}

#[test]
fn one_wei_beside_the_free_price_or_another_type_pays_as_everybody() {
    let free = free_call(CHAIN, 0, 200_000, SIGNING_BOARD, post(0, b"x"));
    let TxEip1559 { chain_id, nonce, gas_limit, max_fee_per_gas: price, to, value, input, .. } = free.clone();
    let others = [
        member(1).sign(TxEip1559 { max_fee_per_gas: price - 1, ..free.clone() }),
        member(1).sign(TxEip1559 { max_fee_per_gas: price + 1, ..free.clone() }),
        member(1).sign(TxEip1559 { max_priority_fee_per_gas: 1, ..free.clone() }),
        member(1).sign(TxLegacy {
            chain_id: Some(CHAIN),
            gas_price: price,
            gas_limit,
            to,
            value,
            input: input.clone(),
            nonce,
        }),
        member(1).sign(TxEip2930 {
            chain_id,
            gas_price: price,
            gas_limit,
            to,
            value,
            input: input.clone(),
            nonce,
            ..TxEip2930::default()
        }),
        member(1).sign(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: price,
            to: SIGNING_BOARD,
            authorization_list: vec![member(2).authorize(CHAIN, 0, PROPOSER)],
            input,
            ..TxEip7702::default()
        }),
    ];
    assert!(block::is_free(member(1).sign(free).inner()));
    for other in others {
        assert!(!block::is_free(other.inner()), "{other:?}");
        stands_in_no_block(other, "funds");
    }
}

/// What members sent before the free lane had a price of its own.
#[test]
fn a_gas_price_of_zero_is_below_the_base_fee_for_members_too() {
    let dynamic = TxEip1559 { max_fee_per_gas: 0, ..free_call(CHAIN, 0, 200_000, SIGNING_BOARD, post(0, b"x")) };
    let TxEip1559 { gas_limit, to, value, input, .. } = dynamic.clone();
    let legacy = TxLegacy { chain_id: Some(CHAIN), nonce: 0, gas_price: 0, gas_limit, to, value, input };
    for old in [member(1).sign(dynamic), member(1).sign(legacy)] {
        assert!(!block::is_free(old.inner()));
        stands_in_no_block(old, "less than block base fee");
    }
}

/// Whoever fills blocks makes gas dear, and stops no relayer.
#[test]
fn a_free_call_is_in_a_block_whatever_the_base_fee() {
    let chain = chain();
    let view = chain.view(chain.head_hash()).expect("the head");
    let header = child_header(&chain.rules, &chain.head(), chain.head_hash(), chain.head().timestamp, PROPOSER);
    let dear = Header { base_fee_per_gas: Some(u64::MAX), ..header };
    let mut execution = Execution::new(&chain.rules, dear, Working::new(&view, &chain.codes)).expect("in memory");
    let free = member(1).free(CHAIN, 0, 200_000, SIGNING_BOARD, post(0, b"x"));
    execution.include(&free, &Stop::never()).expect("free");
    let paid = execution.include(&Key::new(1).transfer(CHAIN, 0, PROPOSER, 1), &Stop::never());
    assert!(paid.expect_err("too dear").to_string().contains("less than block base fee"));
}

/// An attacker that passes a free call on, or puts it into a block of its own.
#[test]
fn a_free_call_that_was_changed_on_its_way_is_nobody_s() {
    let free = free_call(CHAIN, 0, 200_000, SIGNING_BOARD, post(0, b"x"));
    let signed = member(1).sign(free.clone());
    let raw = signed.inner().encoded_2718();
    let decode = |raw: &[u8]| block::decode_transaction(raw, CHAIN);
    assert_eq!(decode(&raw).expect("as it was signed"), signed);
    // The other signature of the same key over the same bytes (EIP-2).
    let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
    let (low, r) = (signed.inner().signature().s(), signed.inner().signature().r());
    let twin = Signature::new(r, order - low, !signed.inner().signature().v());
    let twin = Transaction::new_unchecked(free.clone().into_signed(twin).into(), member(1).address);
    assert_ne!(twin.tx_hash(), signed.tx_hash());
    assert_eq!(decode(&twin.inner().encoded_2718()), Err(block::TransactionError::Signature));
    // Its signature under another nonce is somebody else's, who is no member.
    let moved = TxEip1559 { nonce: 1, ..free.clone() }.into_signed(*signed.inner().signature());
    let moved = decode(&TxEnvelope::from(moved).encoded_2718()).expect("some key's");
    assert_ne!(moved.signer(), member(1).address);
    refused(moved, "not a member");
    let foreign = decode(&member(1).sign(TxEip1559 { chain_id: 1, ..free }).inner().encoded_2718());
    assert_eq!(foreign, Err(block::TransactionError::ChainId { got: Some(1), want: CHAIN }));
    assert!(decode(&[&raw[..], &[0]].concat()).is_err(), "a byte behind it");
    for other_type in [0x00, 0x05, 0x7d, 0x7e, 0x7f] {
        let relabelled = [&[other_type], &raw[1..]].concat();
        assert!(matches!(decode(&relabelled), Err(block::TransactionError::Encoding(_))), "type {other_type:#x}");
    }
    assert!(decode(&raw[1..]).is_err(), "without its type");
}

/// A proposer skips it, and a block with it is refused.
fn stands_in_no_block(transaction: Transaction, wanted: &str) {
    let chain = chain();
    let candidates = std::iter::once(transaction.clone());
    let mut block = chain.propose(chain.head_hash(), NOW_MS, PROPOSER, candidates, &Stop::never()).expect("proposed");
    assert!(block.transactions.is_empty());
    block.transactions.push(transaction.into_inner());
    match chain.verify(&block, NOW_MS, &Stop::never()) {
        Err(BlockError::Transaction { index: 0, error, .. }) => assert!(error.to_string().contains(wanted), "{error}"),
        other => panic!("{other:?}"),
    }
}

/// What a contract of the peg logged is kept for ever, and its block with it.
#[test]
fn what_stands_behind_a_free_call_or_pads_it_is_refused() {
    let board = contracts::address::SIGNING_BOARD;
    let plain = post(0, b"hello");
    let behind = [&plain[..], &[0; 100_000]].concat();
    let reason = "none of the free calls, as they are encoded";
    refused(member(1).free(CHAIN, 0, 5_000_000, board, behind.into()), reason);
    // The payload further behind than it has to be: the contract reads the same.
    let mut moved = plain.to_vec();
    let offset = plain.len() - 64;
    let head = 4 + 4 * 32;
    assert_eq!(U256::from_be_slice(&moved[head..head + 32]), U256::from(offset - 4), "where the payload is");
    moved.splice(offset..offset, [0; 32_000]);
    moved[head..head + 32].copy_from_slice(&U256::from(offset - 4 + 32_000).to_be_bytes::<32>());
    refused(member(1).free(CHAIN, 0, 5_000_000, board, moved.into()), reason);
    // A question changes nothing, and is kept with its block all the same.
    let many = IVault::Content { withdrawals: vec![7; 8_000], ..content() };
    let question = Vault::hashOfCall { content: many }.abi_encode();
    refused(member(1).free(CHAIN, 0, 5_000_000, VAULT, question.into()), reason);
}

#[test]
fn a_revert_is_told_with_its_reason() {
    let chain = chain();
    let long = vec![1u8; 16_385];
    let transaction = member(1).free(CHAIN, 0, 5_000_000, contracts::address::SIGNING_BOARD, post(0, &long));
    let error = chain.check_free(&transaction, &Stop::never()).expect_err("too long").to_string();
    assert!(error.contains("16385") && error.contains("16384"), "{error}");
}

#[test]
fn its_nonce_may_lie_ahead_when_it_is_checked_but_not_in_a_block() {
    let chain = chain();
    let ahead = member(1).free(CHAIN, 3, 200_000, contracts::address::SIGNING_BOARD, post(3, b"x"));
    assert!(chain.check_free(&ahead, &Stop::never()).is_ok());
    assert!(next(&chain, vec![ahead]).block.transactions.is_empty());
}

#[test]
fn it_takes_at_most_half_of_the_gas_and_a_megabyte() {
    // With more, its bytes would be used up first.
    let chain = chain_of(60_000_000);
    let post = |nonce, payload: &[u8]| post_on(chain.network_id(), nonce, payload);
    let board = contracts::address::SIGNING_BOARD;
    let payload = vec![0xab; 16_000];
    // Of several members: one alone may not use as much.
    let mut posts: Vec<_> = (0..30)
        .flat_map(|nonce| (1..=4).map(move |index| (index, nonce)))
        .map(|(index, nonce)| member(index).free(CHAIN, nonce, 1_500_000, board, post(nonce, &payload)))
        .collect();
    posts.push(Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
    let finalized = next(&chain, posts);
    let block = &finalized.block;
    let free: u64 = block.header.gas_used - 21_000;
    assert!(free <= chain.rules().free_gas(), "{free}");
    assert!(free > chain.rules().free_gas() - 2_000_000, "{free}");
    assert!(!block::is_free(block.transactions.last().expect("not empty")), "the paying one found room");
    // One more is refused although the block has gas left.
    let of_one = finalized.senders.iter().filter(|sender| **sender == member(1).address).count();
    let nonce = of_one as u64;
    let more = member(1).free(CHAIN, nonce, 1_500_000, board, post(nonce, &payload)).into_inner();
    let mut fuller = block.clone();
    fuller.transactions.push(more);
    match chain_of(60_000_000).verify(&fuller, NOW_MS, &Stop::never()) {
        Err(BlockError::Transaction { error: InclusionError::BlockGas { got, left }, .. }) => assert!(left < got),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_member_that_fills_its_quota_leaves_room_for_the_others_and_for_who_pays() {
    // With more, its bytes would be used up first.
    let chain = chain_of(60_000_000);
    let post = |nonce, payload: &[u8]| post_on(chain.network_id(), nonce, payload);
    let board = contracts::address::SIGNING_BOARD;
    let payload = vec![0xab; 16_000];
    // The hostile member is first, and each of its transactions asks for all that one may ask for.
    let mut candidates: Vec<_> =
        (0..40).map(|nonce| member(1).free(CHAIN, nonce, 1 << 24, board, post(nonce, &payload))).collect();
    candidates.extend((2..=4).map(|index| member(index).free(CHAIN, 0, 1_500_000, board, post(0, b"honest"))));
    candidates.push(Key::new(1).transfer(CHAIN, 0, PROPOSER, 1));
    let finalized = next(&chain, candidates.clone());
    for index in 2..=4 {
        assert!(finalized.senders.contains(&member(index).address), "member {index}");
    }
    assert!(finalized.senders.contains(&Key::new(1).address), "who pays");
    // A proposer that gives the member more than its quota makes a block that nobody takes.
    let hostile = finalized.senders.iter().filter(|sender| **sender == member(1).address).count();
    let mut fuller = finalized.block.clone();
    fuller.transactions.insert(hostile, candidates[hostile].inner().clone());
    match chain_of(60_000_000).verify(&fuller, NOW_MS, &Stop::never()) {
        Err(BlockError::Transaction { index, error: InclusionError::BlockGas { .. }, .. }) => {
            assert_eq!(index, hostile)
        }
        other => panic!("{other:?}"),
    }
}

/// What a member sends free of gas, as it would on the network whose id this is: all calls that only members may make.
fn said_on(network: B256) -> Vec<(Address, Bytes)> {
    let payload = Bytes::from_static(b"round 1");
    let keygen = SigningBoard::postKeygenCall { network, epoch: 1, attempt: 0, kind: 1, payload: payload.clone() };
    let signing = SigningBoard::postSigningCall { network, number: 1, attempt: 1, kind: 1, payload: payload.clone() };
    let approve = SigningBoard::approveCall { network, proposal: 1, contentHash: B256::ZERO, payload };
    // No points: the contract looks at the network first.
    let confirm = Federation::confirmKeyCall {
        network,
        epoch_: 1,
        groupKey_: B256::repeat_byte(1),
        vaultKeyX: B256::repeat_byte(2),
        vaultKeyY: B256::repeat_byte(3),
    };
    let propose = Vault::proposeCall { network, place: 0, content: content() };
    let lift = Bridge::liftCall { network, number: 1 };
    vec![
        (SIGNING_BOARD, keygen.abi_encode().into()),
        (SIGNING_BOARD, signing.abi_encode().into()),
        (SIGNING_BOARD, approve.abi_encode().into()),
        (FEDERATION, confirm.abi_encode().into()),
        (VAULT, propose.abi_encode().into()),
        (BRIDGE, lift.abi_encode().into()),
    ]
}

fn content() -> IVault::Content {
    IVault::Content {
        epoch: 1,
        rate: 1_000,
        reserveSat: 0,
        deposits: Vec::new(),
        outputs: vec![1],
        withdrawals: vec![1],
    }
}

/// The same operators run a second network with the same keys and chain id; a stranger sends there, byte for byte, what was public on the
/// first one.
#[test]
fn what_a_member_did_on_another_network_is_in_no_block_here() {
    let first = chain();
    let mut genesis = genesis();
    genesis.timestamp += 1;
    let second = Chain::open(genesis, Memory::default()).expect("the genesis is right");
    let network = second.genesis().network_id();
    assert_ne!(network, first.genesis().network_id());
    for (contract, input) in said_on(first.genesis().network_id()) {
        let repeated = member(1).free(CHAIN, 0, 1_000_000, contract, input);
        let said = second.check_free(&repeated, &Stop::never()).expect_err("of another network").to_string();
        let wrong = Federation::WrongNetwork { got: first.genesis().network_id(), want: network };
        assert!(said.contains(&hex::encode(wrong.abi_encode())) || said.contains("WrongNetwork"), "{contract}: {said}");
        let candidates = std::iter::once(repeated);
        let block = second.propose(second.head_hash(), NOW_MS, PROPOSER, candidates, &Stop::never()).expect("proposed");
        assert!(block.transactions.is_empty(), "{contract}");
    }
    // So its nonce is free for what it says here.
    let (board, input) = said_on(network).swap_remove(0);
    let said_here = next(&second, vec![member(1).free(CHAIN, 0, 1_000_000, board, input)]);
    assert!(said_here.receipts[0].status());
}
