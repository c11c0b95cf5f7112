// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteOrder} from "../src/ByteOrder.sol";
import {CompactTarget} from "../src/CompactTarget.sol";
import {Base} from "./Base.sol";

/// Bitcoin's short form of a target, and its byte order.
contract CompactTargetTest is Base {
    /// Vectors of Bitcoin Core, arith_uint256_tests (bignum_SetCompact).
    function test_compact_targets_decode_as_in_bitcoin_core() public pure {
        uint32[8] memory zero = [uint32(0), 0x00123456, 0x01003456, 0x02000056, 0x03000000, 0x04000000, 0x01fedcba, 0x04923456];
        for (uint256 i = 0; i < zero.length; ++i) {
            vm.assertEq(CompactTarget.decode(zero[i]), 0);
        }
        vm.assertEq(CompactTarget.decode(0x01123456), 0x12);
        vm.assertEq(CompactTarget.decode(0x02123456), 0x1234);
        vm.assertEq(CompactTarget.decode(0x03123456), 0x123456);
        vm.assertEq(CompactTarget.decode(0x04123456), 0x12345600);
        vm.assertEq(CompactTarget.decode(0x20123456), 0x1234560000000000000000000000000000000000000000000000000000000000);
        vm.assertEq(CompactTarget.decode(0xff123456), 0);
        vm.assertEq(CompactTarget.decode(0x1d00ffff), 0xffff << 208);
        vm.assertEq(CompactTarget.encode(0x12), 0x01120000);
        vm.assertEq(CompactTarget.encode(0x80), 0x02008000);
        vm.assertEq(CompactTarget.encode(0x12345600), 0x04123456);
        vm.assertEq(CompactTarget.encode(0), 0);
    }

    function testFuzz_encoding_keeps_the_top_of_a_target(uint256 target, uint256 shift) public pure {
        target >>= bound(shift, 0, 255);
        uint256 back = CompactTarget.decode(CompactTarget.encode(target));
        vm.assertLe(back, target);
        vm.assertLe(target - back, target >> 15);
        vm.assertEq(uint256(CompactTarget.encode(back)), CompactTarget.encode(target));
    }

    function testFuzz_reversing_twice_changes_nothing(uint256 word) public pure {
        vm.assertEq(ByteOrder.reverse(ByteOrder.reverse(word)), word);
        vm.assertEq(ByteOrder.reverse(word) & 0xff, word >> 248);
    }
}
