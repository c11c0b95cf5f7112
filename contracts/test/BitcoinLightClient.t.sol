// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BitcoinLightClient} from "../src/BitcoinLightClient.sol";
import {CompactTarget} from "../src/CompactTarget.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {Regtest} from "./Regtest.sol";

/// Headers: which are accepted, and which chain of them is the best.
contract BitcoinLightClientTest is Regtest {
    IFederation private constant NOBODY = IFederation(address(0));

    function setUp() public {
        createRegtest(START + 1_000_000);
    }

    function create(IBitcoinLightClient.Parameters memory parameters, Block memory start) private returns (BitcoinLightClient) {
        uint256 own = CompactTarget.work(CompactTarget.decode(REGTEST_BITS));
        return open(parameters, start, own * (start.height + 1), start.time);
    }

    function requireTip(Block memory want) private view {
        (bytes32 hash, uint32 height, uint256 work) = client.tip();
        vm.assertEq(hash, want.hash);
        vm.assertEq(height, want.height);
        vm.assertEq(work, 2 * (uint256(want.height) + 1));
    }

    // ------------------------------------------------------------------ one chain

    function test_a_chain_grows_and_answers() public {
        Block[] memory blocks = chain(genesis, 30);
        vm.expectEmit();
        emit IBitcoinLightClient.HeadersAdded(blocks[29].hash, 30, 62);
        client.submit(join(blocks));
        requireTip(blocks[29]);
        vm.assertEq(client.confirmations(blocks[29].hash), 1);
        vm.assertEq(client.confirmations(genesis.hash), 31);
        vm.assertEq(client.hashAt(7), blocks[6].hash);
        vm.assertEq(client.hashAt(31), bytes32(0));
        IBitcoinLightClient.Header memory header = client.header(blocks[6].hash);
        vm.assertEq(header.previous, blocks[5].hash);
        vm.assertEq(header.time, blocks[6].time);
        vm.assertEq(header.bits, REGTEST_BITS);
        vm.assertEq(header.height, 7);
        vm.assertEq(header.work, 16);
        vm.assertEq(client.header(genesis.hash).previous, bytes32(0));
    }

    function test_known_headers_are_skipped_and_nothing_new_is_refused() public {
        Block[] memory blocks = chain(genesis, 3);
        Block[] memory two = new Block[](2);
        (two[0], two[1]) = (blocks[0], blocks[1]);
        client.submit(join(two));
        client.submit(join(blocks));
        requireTip(blocks[2]);
        bytes memory all = join(blocks);
        vm.expectRevert(IBitcoinLightClient.NothingNew.selector);
        client.submit(all);
    }

    function test_unknown_hashes_are_refused() public {
        vm.assertEq(client.confirmations(bytes32(uint256(1))), 0);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.UnknownHeader.selector, bytes32(uint256(1))));
        client.header(bytes32(uint256(1)));
    }

    // ------------------------------------------------------------------ rules

    function test_part_of_a_header_is_refused() public {
        bytes memory raw = bytes.concat(mineOn(genesis).raw, hex"00");
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadLength.selector, 81));
        client.submit(raw);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadLength.selector, 0));
        client.submit("");
    }

    function test_an_unconnected_header_is_refused() public {
        Block memory first = mineOn(genesis);
        Block memory second = mineOn(first);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.Unconnected.selector, second.hash, first.hash));
        client.submit(second.raw);
        Block memory third = mineOn(second);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.Unconnected.selector, third.hash, second.hash));
        client.submit(bytes.concat(first.raw, third.raw));
    }

    function test_a_hash_above_the_target_is_refused() public {
        bytes memory raw = spoil(mineOn(genesis).raw);
        vm.expectRevert(
            abi.encodeWithSelector(IBitcoinLightClient.BadWork.selector, hash256(raw), CompactTarget.decode(REGTEST_BITS))
        );
        client.submit(raw);
    }

    function test_another_target_is_refused() public {
        Block memory harder = mineOn(genesis.hash, 1, START + 600, 0x203fffff, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadTarget.selector, harder.hash, 0x203fffff, REGTEST_BITS));
        client.submit(harder.raw);
    }

    function test_one_bad_header_leaves_nothing_behind() public {
        Block memory good = mineOn(genesis);
        Block memory bad = mineOn(good.hash, 2, START, REGTEST_BITS, new bytes[](0));
        vm.expectPartialRevert(IBitcoinLightClient.TooOld.selector);
        client.submit(bytes.concat(good.raw, bad.raw));
        requireTip(genesis);
        vm.assertEq(client.confirmations(good.hash), 0);
    }

    /// The time has to be after the median of the last eleven, however they are ordered, within one call and across calls.
    function testFuzz_a_time_has_to_be_after_the_median_of_eleven(uint256 seed, uint256 splitAt) public {
        uint32[] memory times = new uint32[](21);
        times[0] = START;
        Block memory parent = genesis;
        bytes memory pending;
        splitAt = bound(splitAt, 0, 20);
        for (uint256 i = 1; i < times.length; ++i) {
            uint32 median = naiveMedian(times, i);
            if (i == splitAt && pending.length != 0) {
                client.submit(pending);
                pending = "";
            }
            Block memory early = mineOn(parent.hash, uint32(i), median, REGTEST_BITS, new bytes[](0));
            vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TooOld.selector, early.hash, median, median));
            client.submit(bytes.concat(pending, early.raw));

            times[i] = median + 1 + uint32(uint256(keccak256(abi.encode(seed, i))) % 2000);
            parent = mineOn(parent.hash, uint32(i), times[i], REGTEST_BITS, new bytes[](0));
            pending = bytes.concat(pending, parent.raw);
        }
        client.submit(pending);
        requireTip(parent);
    }

    function naiveMedian(uint32[] memory times, uint256 count) private pure returns (uint32) {
        uint256 span = count < 11 ? count : 11;
        for (uint256 i = count - span; i < count; ++i) {
            uint256 below = 0;
            uint256 equal = 0;
            for (uint256 j = count - span; j < count; ++j) {
                if (times[j] < times[i]) ++below;
                if (times[j] == times[i]) ++equal;
            }
            if (below <= span / 2 && span / 2 < below + equal) return times[i];
        }
        revert("no median");
    }

    /// Of a chain that starts at a checkpoint the earlier times are unknown, and count as the start of time.
    function test_after_a_checkpoint_no_valid_header_is_refused_for_unknown_times() public {
        Block memory start = mineOn(keccak256("earlier"), 1000, START, REGTEST_BITS, new bytes[](0));
        client = create(regtest(), start);
        Block memory parent = start;
        for (uint32 i = 1; i < 6; ++i) {
            parent = mineOn(parent.hash, 1000 + i, START - 100 - i, REGTEST_BITS, new bytes[](0));
            client.submit(parent.raw);
        }
        // Six times are known now: the sixth largest of eleven is the smallest of them.
        Block memory early = mineOn(parent.hash, 1006, START - 105, REGTEST_BITS, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TooOld.selector, early.hash, START - 105, START - 105));
        client.submit(early.raw);
        vm.assertEq(client.header(start.hash).previous, keccak256("earlier"));
    }

    function test_a_time_two_hours_ahead_is_accepted_and_a_second_more_is_not() public {
        vm.warp(START);
        Block memory late = mineOn(genesis.hash, 1, START + 7201, REGTEST_BITS, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.TooNew.selector, late.hash, START + 7201, START + 7200));
        client.submit(late.raw);
        vm.warp(START + 1);
        client.submit(late.raw);
        requireTip(late);
    }

    /// Blocks come faster than clocks agree: what is valid is not held back by what comes too early.
    function test_a_batch_whose_last_header_is_from_the_future_is_taken_up_to_it() public {
        vm.warp(START);
        Block[] memory blocks = chain(genesis, 14);
        vm.assertTrue(blocks[11].time == START + 7200);
        vm.expectEmit();
        emit IBitcoinLightClient.HeadersAdded(blocks[11].hash, 12, 26);
        client.submit(join(blocks));
        requireTip(blocks[11]);
        vm.assertEq(client.confirmations(blocks[12].hash), 0);

        // Alone it is refused, with what comes after it too; known ones before it do not help.
        bytes memory all = join(blocks);
        bytes memory why =
            abi.encodeWithSelector(IBitcoinLightClient.TooNew.selector, blocks[12].hash, START + 7800, START + 7200);
        vm.expectRevert(why);
        client.submit(all);
        vm.expectRevert(why);
        client.submit(blocks[12].raw);
        vm.warp(START + 1200);
        client.submit(all);
        requireTip(blocks[13]);
    }

    /// Only the clock's rule lets a part through: whoever sends a wrong header is not served halfway.
    function test_a_wrong_header_from_the_future_refuses_the_whole_batch() public {
        vm.warp(START);
        Block memory good = mineOn(genesis);
        Block memory wrong = mineOn(good.hash, 2, START + 9000, 0x203fffff, new bytes[](0));
        vm.expectPartialRevert(IBitcoinLightClient.BadTarget.selector);
        client.submit(bytes.concat(good.raw, wrong.raw));
        requireTip(genesis);
    }

    // ------------------------------------------------------------------ targets

    /// The period of 2016 blocks took half as long as it should: the target halves.
    function test_a_period_that_was_too_short_halves_the_target() public {
        (Block memory last, Block[] memory blocks) = period(300);
        client = create(rulesOf(false, false, false), genesis);
        client.submit(join(blocks));
        uint256 span = 300 * 2015;
        uint32 want = CompactTarget.encode(CompactTarget.decode(REGTEST_BITS) / 1_209_600 * span);
        Block memory easy = mineOn(last);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadTarget.selector, easy.hash, REGTEST_BITS, want));
        client.submit(easy.raw);
        client.submit(mineOn(last.hash, 2016, last.time + 600, want, new bytes[](0)).raw);
        (, uint32 height,) = client.tip();
        vm.assertEq(height, 2016);
    }

    /// Times that run backwards make the span negative: it counts as a quarter of a period.
    function test_a_negative_timespan_counts_as_a_quarter() public {
        Block memory start = mineOn(keccak256("p"), 2000, START, REGTEST_BITS, new bytes[](0));
        client = open(rulesOf(false, false, false), start, 10_000, START + 5_000_000);
        Block[] memory blocks = chain(start, 15);
        client.submit(join(blocks));
        uint32 want = CompactTarget.encode(CompactTarget.decode(REGTEST_BITS) / 4);
        client.submit(mineOn(blocks[14].hash, 2016, blocks[14].time + 600, want, new bytes[](0)).raw);
    }

    /// The target never gets easier than the limit, and the product with a long span does not overflow.
    function test_a_long_period_stops_at_the_limit() public {
        Block memory start = mineOn(keccak256("p"), 2000, START, REGTEST_BITS, new bytes[](0));
        client = open(rulesOf(false, false, false), start, 10_000, START - 90_000_000);
        Block[] memory blocks = chain(start, 16);
        client.submit(join(blocks));
        requireHeight(2016);
    }

    /// BIP94: the retarget starts from the period's first block, not from a minimum-difficulty one at its end.
    function test_bip94_retargets_from_the_first_block() public {
        uint32 hard = 0x2007ffff;
        Block memory start = mineOn(keccak256("p"), 2016 * 5, START, hard, new bytes[](0));
        IBitcoinLightClient.Parameters memory parameters = rulesOf(false, true, true);
        client = open(parameters, start, 1e6, START);
        // The first 1500 come after more than 20 minutes each and are easy, the others are not.
        Block[] memory blocks = new Block[](2015);
        Block memory parent = start;
        for (uint32 i = 0; i < 2015; ++i) {
            bool easy = i < 1500;
            vm.warp(parent.time + 2000);
            parent = blocks[i] = mineOn(
                parent.hash, start.height + 1 + i, parent.time + (easy ? 1201 : 1), easy ? REGTEST_BITS : hard, new bytes[](0)
            );
        }
        client.submit(join(blocks));
        uint256 span = parent.time - START;
        uint32 want = CompactTarget.encode(CompactTarget.decode(hard) / 1_209_600 * span);
        client.submit(mineOn(parent.hash, start.height + 2016, parent.time + 5000, want, new bytes[](0)).raw);
    }

    function test_bip94_limits_a_timewarp_at_the_period_border() public {
        Block memory start = mineOn(keccak256("p"), 2010, START, 0x203fffff, new bytes[](0));
        IBitcoinLightClient.Parameters memory parameters = rulesOf(true, true, true);
        client = open(parameters, start, 1e6, START);
        Block memory parent = start;
        for (uint32 i = 0; i < 5; ++i) {
            parent = mineOn(parent.hash, 2011 + i, parent.time + 1200, 0x203fffff, new bytes[](0));
            client.submit(parent.raw);
        }
        Block memory warped = mineOn(parent.hash, 2016, parent.time - 601, 0x203fffff, new bytes[](0));
        vm.expectRevert(
            abi.encodeWithSelector(IBitcoinLightClient.Timewarp.selector, warped.hash, parent.time - 601, parent.time - 600)
        );
        client.submit(warped.raw);
        client.submit(mineOn(parent.hash, 2016, parent.time - 600, 0x203fffff, new bytes[](0)).raw);
    }

    /// Twenty minutes allow a minimum-difficulty block, exactly twenty do not; the next block goes back to the period's target.
    function test_after_twenty_minutes_a_block_of_minimum_difficulty_is_allowed() public {
        Block memory start = mineOn(keccak256("p"), 100, START, 0x203fffff, new bytes[](0));
        client = open(rulesOf(false, true, false), start, 1e6, START);
        Block memory early = mineOn(start.hash, 101, START + 1200, REGTEST_BITS, new bytes[](0));
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadTarget.selector, early.hash, REGTEST_BITS, 0x203fffff));
        client.submit(early.raw);
        Block memory easy = mineOn(start.hash, 101, START + 1201, REGTEST_BITS, new bytes[](0));
        client.submit(easy.raw);
        client.submit(mineOn(easy.hash, 102, easy.time + 600, 0x203fffff, new bytes[](0)).raw);
        requireHeight(102);
    }

    function requireHeight(uint32 want) private view {
        (, uint32 height,) = client.tip();
        vm.assertEq(height, want);
    }

    /// Mainnet across the retarget at 42336 (blocks 42330 to 42340), where the target changed from 0x1c654657 to 0x1c43b3e5.
    function test_real_headers_pass_a_retarget() public {
        vm.warp(1_800_000_000);
        (bytes memory headers, uint32 epochTime) = mainnet42330();
        bytes memory start = new bytes(80);
        bytes memory rest = new bytes(headers.length - 80);
        for (uint256 i = 0; i < headers.length; ++i) {
            if (i < 80) start[i] = headers[i];
            else rest[i - 80] = headers[i];
        }
        client = new BitcoinLightClient(
            IBitcoinLightClient.Parameters(false, false, false, false, 0x1d00ffff), start, 42_330, 1e18, epochTime, NOBODY
        );
        client.submit(rest);
        (bytes32 hash,,) = client.tip();
        vm.assertEq(hash, hash256(lastOf(rest)));
        requireHeight(42_340);
        IBitcoinLightClient.Header memory first = client.header(client.hashAt(42_335));
        IBitcoinLightClient.Header memory second = client.header(client.hashAt(42_336));
        vm.assertTrue(first.bits != second.bits);
    }

    function lastOf(bytes memory headers) private pure returns (bytes memory raw) {
        raw = new bytes(80);
        for (uint256 i = 0; i < 80; ++i) {
            raw[i] = headers[headers.length - 80 + i];
        }
    }

    // ------------------------------------------------------------------ checkpoints

    function test_a_checkpoint_has_to_be_possible() public {
        IBitcoinLightClient.Parameters memory own = regtest();
        IBitcoinLightClient.Parameters memory testnet = rulesOf(false, true, true);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.BadLength.selector, 79));
        new BitcoinLightClient(own, new bytes(79), 0, 2, START, NOBODY);
        bytes memory spoilt = spoil(mineOn(genesis).raw);
        vm.expectPartialRevert(IBitcoinLightClient.BadWork.selector);
        new BitcoinLightClient(own, spoilt, 1, 2, START, NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.ImpossibleWork.selector, 1));
        new BitcoinLightClient(own, genesis.raw, 0, 1, START, NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.ImpossibleWork.selector, 1 << 128));
        new BitcoinLightClient(own, genesis.raw, 0, 1 << 128, START, NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.WrongEpochTime.selector, START + 1, START));
        new BitcoinLightClient(own, genesis.raw, 0, 2, START + 1, NOBODY);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.AmbiguousCheckpoint.selector, 5, REGTEST_BITS));
        new BitcoinLightClient(testnet, genesis.raw, 5, 20, START, NOBODY);
        own.powLimitBits = 0x203fffff;
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.InvalidBits.selector, REGTEST_BITS));
        new BitcoinLightClient(own, genesis.raw, 0, 2, START, NOBODY);
    }

    // ------------------------------------------------------------------ the best chain

    // best   0 - 1 - 2a - 3a
    // rival        \ 2b - 3b - 4b
    function test_more_work_reorganises_and_equal_work_does_not() public {
        Block[] memory a = chain(genesis, 3);
        client.submit(join(a));
        Block[] memory b = new Block[](3);
        b[0] = mineOn(a[0].hash, 2, a[0].time + 700, REGTEST_BITS, new bytes[](0));
        b[1] = mineOn(b[0]);
        b[2] = mineOn(b[1]);
        client.submit(b[0].raw);
        client.submit(b[1].raw);
        requireTip(a[2]);
        vm.assertEq(client.confirmations(b[1].hash), 0);
        vm.assertEq(client.header(b[1].hash).previous, b[0].hash);

        vm.expectEmit();
        emit IBitcoinLightClient.Reorganised(a[2].hash, b[2].hash, 1);
        client.submit(b[2].raw);
        requireTip(b[2]);
        vm.assertEq(client.confirmations(a[1].hash), 0);
        vm.assertEq(client.confirmations(b[0].hash), 3);
        vm.assertEq(client.confirmations(a[0].hash), 4);
        vm.assertEq(client.header(a[2].hash).previous, a[1].hash);
        vm.assertEq(client.header(b[0].hash).previous, a[0].hash);

        // and back again
        Block memory a4 = mineOn(a[2]);
        Block memory a5 = mineOn(a4);
        client.submit(bytes.concat(a4.raw, a5.raw));
        requireTip(a5);
        vm.assertEq(client.header(b[2].hash).previous, b[1].hash);
        vm.assertEq(client.hashAt(2), a[1].hash);
    }

    /// A harder branch wins with fewer blocks; the index above its tip is cleared.
    function test_a_shorter_chain_with_more_work_wins() public {
        Block memory start = mineOn(keccak256("p"), 100, START, 0x201fffff, new bytes[](0));
        client = open(rulesOf(false, true, false), start, 1e6, START);
        Block memory parent = start;
        for (uint32 i = 1; i <= 3; ++i) {
            parent = mineOn(parent.hash, 100 + i, parent.time + 1201, REGTEST_BITS, new bytes[](0));
            client.submit(parent.raw);
        }
        Block memory hard = mineOn(start.hash, 101, START + 1, 0x201fffff, new bytes[](0));
        client.submit(hard.raw);
        requireHeight(101);
        vm.assertEq(client.hashAt(102), bytes32(0));
        vm.assertEq(client.hashAt(103), bytes32(0));
        vm.assertEq(client.confirmations(parent.hash), 0);
        vm.assertEq(client.header(parent.hash).height, 103);
    }

    /// Random trees of headers: tip, index and confirmations are those of a naive model that keeps everything.
    function testFuzz_random_forks_follow_the_most_work(uint256 seed) public {
        uint256 count = 24;
        Block[] memory blocks = new Block[](count + 1);
        uint256[] memory parentOf = new uint256[](count + 1);
        blocks[0] = genesis;
        uint256 best = 0;
        for (uint256 i = 1; i <= count; ++i) {
            uint256 roll = uint256(keccak256(abi.encode(seed, i)));
            // Mostly near the end, so that forks grow.
            uint256 parent = roll % 3 == 0 ? (roll >> 8) % i : i - 1 - (roll >> 8) % (i < 3 ? i : 3);
            parentOf[i] = parent;
            blocks[i] =
                mineOn(blocks[parent].hash, blocks[parent].height + 1, blocks[parent].time + 600, REGTEST_BITS, new bytes[](0));
            client.submit(blocks[i].raw);
            if (blocks[i].height > blocks[best].height) best = i;

            requireTip(blocks[best]);
            uint256 walked = best;
            for (uint256 height = blocks[best].height;; --height) {
                vm.assertEq(client.hashAt(uint32(height)), blocks[walked].hash);
                if (height == 0) break;
                walked = parentOf[walked];
            }
            vm.assertEq(client.hashAt(blocks[best].height + 1), bytes32(0));
        }
        for (uint256 i = 1; i <= count; ++i) {
            vm.assertEq(client.header(blocks[i].hash).previous, blocks[parentOf[i]].hash);
        }
    }

    function period(uint32 seconds_) private returns (Block memory parent, Block[] memory blocks) {
        blocks = new Block[](2015);
        parent = genesis;
        for (uint32 i = 1; i < 2016; ++i) {
            parent = blocks[i - 1] = mineOn(parent.hash, i, parent.time + seconds_, REGTEST_BITS, new bytes[](0));
        }
    }

    /// Heights 42330..42340 and the time of block 40320, from the best chain.
    function mainnet42330() private pure returns (bytes memory, uint32) {
        return (
            hex"01000000849112f5062afc76c3c46151866a618a6a1e72f7997fabb82c9e4044000000000b26fad8ba59c7330b5787cd7dc7490f0fc37033a3f558cb73916bd4c01042c004d7844b5746651ce981d753"
            hex"0100000095cbe57c0c853220ba5409c6218438df4651d263a11f700c157b5018000000003b71d7874805a25f4686db4353c93e32005d10f594789850be9501d7f563220577d8844b5746651c1c17d56a"
            hex"010000007204acbd6ffa686abb27f0c3ed2c6355d3052383965026bac29b88070000000033696b886644ac5050be413a1d9fb8cfd1385ffb56955e12609ad22dd07b45a597d9844b5746651cc7bbd107"
            hex"01000000969eba18fa6df90b2385a27292c824cb5941f68d875af230361b071400000000d805d3420122ce8aaa3c873a9826c0be1eebe0efea9be1ebea922ab165f447b4a7d9844b5746651cbd4a3800"
            hex"01000000b67e6d200cc80782b8d2b3e49bb97c3dff30b1998cfce06aa06c4a2d0000000089f0dcf8656771abaa37bc6ea5f82d3914b691594667e3db991635e2cad90267aedd844b5746651cfc92521b"
            hex"010000008de27d75be4f529e53bada509c93937f6deb258b9f8ec8dc92ff1f1d00000000c7bb2d7e23cdccb7b32839153dd26953f95663a157f2ae7ef51409450680aee68be3844b5746651c0bd22d1d"
            hex"01000000e709fcacfe11464204e4cc1daf4a7b63df72a742a59f4f3eef9684300000000000566bd5cf161ae8760208efe6e2ed5ed9298e0b74adf61ac4b6bb8fce2d1bab20e6844be5b3431c63ec9a0f"
            hex"010000001296ba2f0a66e421d7f51c4596c2ce0820903f3d81a953173778000b000000000f51b126458d7e561bfe5b9eda7171ffdcfa0fa020aa4448eb3aafad71f464d280e6844be5b3431c33a3ba03"
            hex"0100000006f8a0b97123544a35b56b3a89e9b5ea460e4ce2643295756d62663300000000233e405f944a4ce378c6bf50786912a93725548e8c072541ef1754faceb6ce5b2ce8844be5b3431c17ab1661"
            hex"01000000742d0281c6c308684cff3fb694fdcca4723abdd6ea661060118d21060000000005b327dba8d9545c69963180ca6e1c70233fd58b994d9bad54dad5ccdea3ee2be9e8844be5b3431c01d1d003"
            hex"0100000052db50ee293f4677f289f236d7b558c258f7c63e15d11eabb033340a000000000fc73189bb68d80ad2b17a92eaf486e87524bf520da57f12ff8698cfb749557a22e9844be5b3431cdf210c01",
            1266191579
        );
    }
}
