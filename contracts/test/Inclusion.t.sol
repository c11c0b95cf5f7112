// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MerkleProof} from "../src/MerkleProof.sol";
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

    function requireRefused(bytes memory transaction, IBitcoinLightClient.InclusionProof memory proof) private view {
        (bool ok,) = address(client).staticcall(abi.encodeCall(client.requireIncluded, (transaction, proof)));
        vm.assertFalse(ok);
    }

    function requireProven(Block memory mined, uint256 index, IBitcoinLightClient.InclusionProof memory proof) private view {
        (bytes32 txid, bytes32 blockHash, uint32 height) = client.requireIncluded(mined.transactions[index], proof);
        vm.assertEq(height, mined.height);
        vm.assertEq(txid, hash256(mined.transactions[index]));
        vm.assertEq(blockHash, mined.hash);
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
                requireProven(mined, i, proof);
                if (i != 0) requireProven(mined, i, proveWithDepth(mined, i));
                for (uint256 other = 0; other < 1 << proof.siblings.length; ++other) {
                    if (other == i) continue;
                    proof.index = uint32(other);
                    requireRefused(transaction, proof);
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
        proof.header = mineOn(rival).raw;
        refuse(best.transactions[1], proof, IBitcoinLightClient.UnknownHeader.selector);
        proof.header = bytes.concat(best.raw, hex"00");
        refuse(best.transactions[1], proof, IBitcoinLightClient.BadLength.selector);
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
    }

    // ------------------------------------------------------------------ 64 bytes: a transaction or two hashes

    /// The half that an attacker grinds: as the right one it makes 64 bytes that could be a transaction, with an output script of 4 bytes.
    function ground(uint256 seed) private pure returns (bytes32) {
        bytes memory half = bytes.concat(keccak256(abi.encode(seed)));
        (half[9], half[14], half[21], half[22], half[23]) = (0x00, 0x01, 0x07, 0x00, 0x04);
        return bytes32(half);
    }

    /// Some transaction whose txid makes a left half that fits.
    function fitting() private returns (bytes memory transaction) {
        do {
            transaction = payment(21e14, hex"51");
        } while (hash256(transaction)[4] != 0x01);
    }

    // root - coinbase
    //      \ transaction of 64 bytes: the hash of a forged transaction, and 32 bytes more
    function test_a_transaction_forged_below_a_64_byte_one_is_refused() public {
        bytes memory forged = fitting();
        bytes memory first = coinbase(7);
        bytes32 right = ground(1);
        bytes32 node = pair(hash256(forged), right);
        Block memory mined = blockWithRoot(pair(hash256(first), node), first);
        IBitcoinLightClient.InclusionProof memory proof;
        (proof.header, proof.index) = (mined.raw, 2);
        proof.siblings = new bytes32[](2);
        (proof.siblings[0], proof.siblings[1]) = (right, hash256(first));
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.AmbiguousNode.selector, 0));
        client.requireIncluded(forged, proof);

        // Nor does any path of the first transaction go as deep.
        proof.leftmost = new bytes32[](1);
        proof.leftmost[0] = hash256(first);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.WrongDepth.selector, 1, 2));
        client.requireIncluded(forged, proof);
        proof.leftmost = new bytes32[](2);
        (proof.leftmost[0], proof.leftmost[1]) = (hash256(first), right);
        refuse(forged, proof, IBitcoinLightClient.LeftmostMismatch.selector);
    }

    // root - coinbase of 64 bytes, taken for two hashes
    //      \ transaction of 64 bytes: the hash of a forged transaction, and 32 bytes more
    function test_half_of_a_64_byte_coinbase_is_no_hash_that_shows_a_depth() public {
        bytes memory forged = fitting();
        bytes memory first = bytes.concat(
            bytes.concat(hex"0200000001", bytes32(0), hex"ffffffff", hex"0401020304", hex"ffffffff"),
            hex"01",
            le(50e8, 8),
            hex"0000000000"
        );
        vm.assertEq(first.length, 64);
        (bytes32 low, bytes32 high) = abi.decode(first, (bytes32, bytes32));
        vm.assertEq(pair(low, high), hash256(first));
        bytes32 right = ground(1);
        Block memory mined = blockWithRoot(pair(hash256(first), pair(hash256(forged), right)), first);
        IBitcoinLightClient.InclusionProof memory proof;
        (proof.header, proof.index) = (mined.raw, 2);
        proof.siblings = new bytes32[](2);
        (proof.siblings[0], proof.siblings[1]) = (right, hash256(first));
        proof.leftmost = new bytes32[](2);
        (proof.leftmost[0], proof.leftmost[1]) = (low, high);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.NotATransaction.selector, low));
        client.requireIncluded(forged, proof);
    }

    function test_an_inner_node_presented_as_a_transaction_is_refused() public {
        Block memory mined = blockOf(7);
        IBitcoinLightClient.InclusionProof memory proof = prove(mined, 3);
        bytes32[] memory shorter = new bytes32[](2);
        (shorter[0], shorter[1]) = (proof.siblings[1], proof.siblings[2]);
        bytes memory node = bytes.concat(hash256(mined.transactions[2]), hash256(mined.transactions[3]));
        (proof.siblings, proof.index) = (shorter, 1);
        refuse(node, proof, IBitcoinLightClient.AmbiguousLength.selector);
        proof.leftmost = new bytes32[](1);
        proof.leftmost[0] = proof.siblings[0];
        refuse(node, proof, IBitcoinLightClient.AmbiguousLength.selector);
        // The transaction itself is deeper than that.
        refuse(mined.transactions[3], proof, IBitcoinLightClient.RootMismatch.selector);
    }

    // root - node - coinbase
    //      |      \ transaction           the miner chose transactions so that root's two halves look like a transaction
    //      \ ground
    function test_no_miner_makes_a_block_unprovable() public {
        bytes memory first;
        bytes memory second = payment(1e8, hex"51");
        bytes32 node;
        for (uint256 i = 0; node[4] != 0x01; ++i) {
            first = coinbase(i);
            node = pair(hash256(first), hash256(second));
        }
        bytes32 right = ground(2);
        Block memory mined = blockWithRoot(pair(node, right), first);
        IBitcoinLightClient.InclusionProof memory proof;
        (proof.header, proof.index) = (mined.raw, 1);
        proof.siblings = new bytes32[](2);
        (proof.siblings[0], proof.siblings[1]) = (hash256(first), right);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.AmbiguousNode.selector, 1));
        client.requireIncluded(second, proof);
        proof.leftmost = new bytes32[](1);
        proof.leftmost[0] = hash256(first);
        (bytes32 txid,,) = client.requireIncluded(second, proof);
        vm.assertEq(txid, hash256(second));

        // The first transaction's own path shows the depth.
        (proof.index, proof.siblings[0], proof.leftmost) = (0, hash256(second), new bytes32[](0));
        (txid,,) = client.requireIncluded(first, proof);
        vm.assertEq(txid, hash256(first));
        proof.leftmost = new bytes32[](1);
        refuse(first, proof, IBitcoinLightClient.WrongDepth.selector);
    }

    /// All that Bitcoin allows in 64 bytes: one input, one output, and scripts of 4 bytes together.
    function testFuzz_every_transaction_of_64_bytes_is_known_as_one(bytes32 a, bytes32 b, uint64 amountSat, uint256 split)
        public
        pure
    {
        split = bound(split, 0, 4);
        bytes memory scripts = bytes.concat(a, b);
        bytes memory transaction = bytes.concat(
            bytes.concat(a4(a), hex"01", b, a4(b), le(split, 1), slice(scripts, split), a4(a << 32)),
            bytes.concat(hex"01", le(bound(amountSat, 0, 21e14), 8), le(4 - split, 1), slice(scripts, 4 - split), a4(b << 32))
        );
        vm.assertEq(transaction.length, 64);
        (bytes32 left, bytes32 right) = abi.decode(transaction, (bytes32, bytes32));
        vm.assertTrue(MerkleProof.couldBeTransaction(left, right));
        // Random halves are not taken for one.
        vm.assertFalse(MerkleProof.couldBeTransaction(keccak256(abi.encode(a)), keccak256(abi.encode(b))));
    }

    function a4(bytes32 word) private pure returns (bytes4) {
        return bytes4(word);
    }

    function slice(bytes memory data, uint256 size) private pure returns (bytes memory part) {
        part = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            part[i] = data[i];
        }
    }

    // ------------------------------------------------------------------ a miner's giant coinbase

    /// Of `size` bytes, all in its output's script.
    function giantCoinbase(uint256 size) private pure returns (bytes memory) {
        bytes memory script = new bytes(size - 69);
        return bytes.concat(
            bytes.concat(hex"0200000001", bytes32(0), hex"ffffffff", hex"0201ff", hex"ffffffff", hex"01", le(50e8, 8)),
            bytes.concat(hex"fe", le(size - 69, 4), script, hex"00000000")
        );
    }

    function gasOf(uint256 coinbaseBytes) private returns (uint256 used) {
        bytes memory transaction = payment(1e8, hex"51");
        Block memory mined;
        mined.transactions = new bytes[](2);
        (mined.transactions[0], mined.transactions[1]) = (giantCoinbase(coinbaseBytes), transaction);
        (mined.raw, mined.hash) = header(genesis.hash, merkleRoot(mined.transactions), START + 700, REGTEST_BITS);
        client.submit(mined.raw);
        bytes memory data = abi.encodeCall(client.requireIncluded, (transaction, prove(mined, 1)));
        for (uint256 i = 0; i < data.length; ++i) {
            used += data[i] == 0 ? 4 : 16;
        }
        uint256 before = gasleft();
        (bool ok,) = address(client).staticcall(data);
        used += before - gasleft();
        vm.assertTrue(ok);
    }

    function test_a_block_with_a_coinbase_of_420_kb_is_proven_like_any_other() public {
        uint256 usual = gasOf(200);
        setUp();
        uint256 giant = gasOf(420_000);
        vm.assertLt(giant, 30_000);
        vm.assertLt(giant, usual + 500);
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
        proof.siblings = new bytes32[](16);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TooDeep.selector, 16, 15));
        client.requireIncluded(transaction, proof);
    }

    /// Any bit of the transaction or of the proof changed: refused.
    function testFuzz_a_changed_bit_is_refused(uint256 others, uint256 index, uint256 bit) public {
        Block memory mined = blockOf(bound(others, 1, 20));
        index = bound(index, 0, mined.transactions.length - 1);
        IBitcoinLightClient.InclusionProof memory proof = bit & 1 == 0 ? prove(mined, index) : proveWithDepth(mined, index);
        bytes memory transaction = bytes.concat(mined.transactions[index]);
        proof.header = bytes.concat(proof.header);
        uint256 depth = proof.siblings.length;
        bit >>= 1;
        uint256 part = bit % (2 + depth + proof.leftmost.length);
        bit >>= 16;
        if (part == 0) flip(transaction, bit);
        else if (part == 1) flip(proof.header, bit);
        else if (part < 2 + depth) proof.siblings[part - 2] ^= bytes32(1 << (bit % 256));
        else proof.leftmost[part - 2 - depth] ^= bytes32(1 << (bit % 256));
        requireRefused(transaction, proof);
    }

    function flip(bytes memory data, uint256 bit) private pure {
        data[(bit / 8) % data.length] ^= bytes1(uint8(1 << (bit % 8)));
    }
}
