// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {Regtest} from "./Regtest.sol";

/// Proofs of inclusion: every transaction of a block has one, and nothing else has.
contract InclusionTest is Regtest {
    /// 64 bytes: a script of 4.
    bytes private constant SHORT = hex"51515151";

    function setUp() public {
        createRegtest(START + 1_000_000);
    }

    /// A block with a coinbase and `others` more.
    function blockOf(uint256 others) private returns (Block memory mined) {
        bytes[] memory transactions = new bytes[](others);
        for (uint256 i = 0; i < others; ++i) {
            transactions[i] = payment(uint64(i), hex"51200000000000000000000000000000000000000000000000000000000000000001");
        }
        mined = mineOn(genesis, transactions);
        client.submit(mined.raw);
    }

    /// A block whose header states `root`.
    function blockWithRoot(bytes32 root, bytes memory first) private returns (Block memory mined) {
        (mined.raw, mined.hash) = header(genesis.hash, root, START + 700, REGTEST_BITS);
        mined.transactions = new bytes[](1);
        mined.transactions[0] = first;
        client.submit(mined.raw);
    }

    function refuse(bytes memory transaction, IBitcoinLightClient.InclusionProof memory proof, bytes4 selector) private {
        vm.expectPartialRevert(selector);
        client.requireIncluded(transaction, proof);
    }

    function pair(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return hash256(bytes.concat(left, right));
    }

    function test_every_transaction_is_proven_at_its_place_and_at_no_other() public {
        for (uint256 others = 0; others < 18; ++others) {
            Block memory mined = blockOf(others);
            for (uint256 i = 0; i <= others; ++i) {
                bytes memory transaction = mined.transactions[i];
                IBitcoinLightClient.InclusionProof memory proof = prove(mined, i);
                vm.assertEq(client.requireIncluded(transaction, proof), hash256(transaction));
                for (uint256 other = 0; other < 1 << proof.siblings.length; ++other) {
                    if (other == i) continue;
                    proof.index = uint32(other);
                    (bool ok,) = address(client).staticcall(abi.encodeCall(client.requireIncluded, (transaction, proof)));
                    vm.assertFalse(ok);
                }
            }
            setUp();
        }
    }

    function test_a_block_has_to_be_on_the_best_chain() public {
        Block memory best = blockOf(2);
        Block memory rival = blockOf(2);
        refuse(rival.transactions[1], prove(rival, 1), IBitcoinLightClient.NotOnBestChain.selector);
        IBitcoinLightClient.InclusionProof memory proof = prove(best, 1);
        client.requireIncluded(best.transactions[1], proof);
        proof.blockHash = keccak256("nothing");
        refuse(best.transactions[1], proof, IBitcoinLightClient.UnknownHeader.selector);
    }

    function test_a_64_byte_transaction_is_refused() public {
        bytes[] memory transactions = new bytes[](2);
        transactions[0] = payment(1, SHORT);
        transactions[1] = payment(1, hex"51");
        vm.assertEq(transactions[0].length, 64);
        Block memory mined = mineOn(genesis, transactions);
        client.submit(mined.raw);
        refuse(transactions[0], prove(mined, 1), IBitcoinLightClient.AmbiguousLength.selector);
        client.requireIncluded(transactions[1], prove(mined, 2));
        // Also as the coinbase.
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 2);
        proof.coinbase = transactions[0];
        refuse(transactions[1], proof, IBitcoinLightClient.AmbiguousLength.selector);
    }

    // root - coinbase
    //      \ node of 64 bytes - left
    //                         \ hash of a forged transaction
    function test_a_transaction_forged_below_a_64_byte_one_is_refused_for_its_depth() public {
        bytes memory forged = payment(21e14, hex"51");
        bytes memory first = coinbase(7);
        bytes32 left = keccak256("left");
        bytes32 node = pair(left, hash256(forged));
        Block memory mined = blockWithRoot(pair(hash256(first), node), first);
        IBitcoinLightClient.InclusionProof memory proof;
        proof.blockHash = mined.hash;
        proof.index = 3;
        proof.siblings = new bytes32[](2);
        (proof.siblings[0], proof.siblings[1]) = (left, hash256(first));
        proof.coinbase = first;
        proof.coinbaseSiblings = new bytes32[](1);
        proof.coinbaseSiblings[0] = node;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.WrongDepth.selector, 2, 1));
        client.requireIncluded(forged, proof);
        proof.coinbaseSiblings = new bytes32[](2);
        (proof.coinbaseSiblings[0], proof.coinbaseSiblings[1]) = (node, node);
        refuse(forged, proof, IBitcoinLightClient.RootMismatch.selector);
    }

    function test_an_inner_node_is_not_a_transaction() public {
        Block memory mined = blockOf(7);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 3);
        bytes32[] memory shorter = new bytes32[](2);
        (shorter[0], shorter[1]) = (proof.siblings[1], proof.siblings[2]);
        bytes memory node = bytes.concat(hash256(mined.transactions[2]), hash256(mined.transactions[3]));
        (proof.siblings, proof.index) = (shorter, 1);
        refuse(node, proof, IBitcoinLightClient.WrongDepth.selector);
        proof.siblings = proof.coinbaseSiblings;
        refuse(node, proof, IBitcoinLightClient.AmbiguousLength.selector);
    }

    // CVE-2012-2459: three leaves a b c hash as a b c c
    function test_the_copy_of_a_last_leaf_is_refused() public {
        Block memory mined = blockOf(2);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 2);
        vm.assertEq(proof.siblings[0], hash256(mined.transactions[2]));
        client.requireIncluded(mined.transactions[2], proof);
        proof.index = 3;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.DuplicatedSibling.selector, 0));
        client.requireIncluded(mined.transactions[2], proof);
    }

    function test_a_coinbase_beside_itself_is_refused() public {
        bytes memory first = coinbase(7);
        bytes32 leaf = hash256(first);
        Block memory mined = blockWithRoot(pair(leaf, leaf), first);
        IBitcoinLightClient.InclusionProof memory proof;
        (proof.blockHash, proof.coinbase) = (mined.hash, first);
        proof.siblings = proof.coinbaseSiblings = new bytes32[](1);
        proof.siblings[0] = leaf;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.DuplicatedSibling.selector, 0));
        client.requireIncluded(first, proof);
    }

    function test_indexes_depths_and_sizes_are_bounded() public {
        Block memory mined = blockOf(3);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 2);
        bytes memory transaction = mined.transactions[2];
        proof.index = 6;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.IndexBeyondTree.selector, 6, 2));
        client.requireIncluded(transaction, proof);
        proof.index = 2;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TransactionTooLarge.selector, 1_000_001, 1_000_000));
        client.requireIncluded(new bytes(1_000_001), proof);
        refuse(bytes.concat(transaction, hex"00"), proof, IBitcoinLightClient.RootMismatch.selector);
        proof.coinbase = transaction;
        refuse(transaction, proof, IBitcoinLightClient.NotACoinbase.selector);
        proof.coinbaseSiblings = new bytes32[](16);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TooDeep.selector, 16, 15));
        client.requireIncluded(transaction, proof);
    }

    /// Any bit of the transaction or of the proof changed: refused.
    function testFuzz_a_changed_bit_is_refused(uint256 others, uint256 index, uint256 bit) public {
        Block memory mined = blockOf(bound(others, 1, 20));
        index = bound(index, 0, mined.transactions.length - 1);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, index);
        bytes memory transaction = bytes.concat(mined.transactions[index]);
        proof.coinbase = bytes.concat(proof.coinbase);
        uint256 depth = proof.siblings.length;
        uint256 part = bit % (2 + 2 * depth);
        bit >>= 16;
        if (part == 0) flip(transaction, bit);
        else if (part == 1) flip(proof.coinbase, bit);
        else if (part < 2 + depth) proof.siblings[part - 2] ^= bytes32(1 << (bit % 256));
        else proof.coinbaseSiblings[part - 2 - depth] ^= bytes32(1 << (bit % 256));
        (bool ok,) = address(client).staticcall(abi.encodeCall(client.requireIncluded, (transaction, proof)));
        vm.assertFalse(ok);
    }

    function flip(bytes memory data, uint256 bit) private pure {
        data[(bit / 8) % data.length] ^= bytes1(uint8(1 << (bit % 8)));
    }
}
