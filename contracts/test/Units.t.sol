// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ByteOrder} from "../src/ByteOrder.sol";
import {CompactTarget} from "../src/CompactTarget.sol";
import {Taproot} from "../src/Taproot.sol";
import {DepositScript} from "../src/bridge/DepositScript.sol";
import {FeeShares} from "../src/bridge/FeeShares.sol";
import {NumberList} from "../src/bridge/NumberList.sol";
import {OutputScript} from "../src/bridge/OutputScript.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Base} from "./Base.sol";

contract UnitsTest is Base {
    using NumberList for NumberList.List;

    NumberList.List private _list;
    uint256[] private _naive;

    // ------------------------------------------------------------------ compact targets

    /// Vectors of Bitcoin Core, arith_uint256_tests (bignum_SetCompact).
    function test_compact_targets() public pure {
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

    // ------------------------------------------------------------------ tags and scripts

    function test_tags() public pure {
        vm.assertEq(Taproot.TWEAK_TAG, sha256("TapTweak"));
        vm.assertEq(Taproot.LEAF_TAG, sha256("TapLeaf"));
        vm.assertEq(DepositScript.TAG, sha256("causeway/deposit"));
    }

    function test_minimal_pushes() public pure {
        vm.assertEq(DepositScript.push(1), hex"51");
        vm.assertEq(DepositScript.push(16), hex"60");
        vm.assertEq(DepositScript.push(17), hex"0111");
        vm.assertEq(DepositScript.push(127), hex"017f");
        vm.assertEq(DepositScript.push(128), hex"028000");
        vm.assertEq(DepositScript.push(255), hex"02ff00");
        vm.assertEq(DepositScript.push(1008), hex"02f003");
        vm.assertEq(DepositScript.push(32767), hex"02ff7f");
        vm.assertEq(DepositScript.push(32768), hex"03008000");
        vm.assertEq(DepositScript.push(65535), hex"03ffff00");
    }

    /// The same bytes are frozen in mainchain/tests/deposits.rs: chain 51717, the predeployed bridge, group key of secret 0x01..01, reclaim key of
    /// secret 0x02..02, recipient 0x11..11, at most 5,000 sat, 1008 blocks.
    function test_the_deposit_address_is_frozen() public {
        bytes32 d = DepositScript.commitment(
            51717,
            0xca05000000000000000000000000000000000004,
            address(bytes20(hex"1111111111111111111111111111111111111111")),
            5000
        );
        vm.assertEq(d, 0x70784a7f2d21f8351ed5751fe29027e11149933e186beb75d23940360e36f778);
        bytes32 reclaimKey =
            bytes32(vm.createWallet(0x0202020202020202020202020202020202020202020202020202020202020202).publicKeyX);
        bytes memory leaf = DepositScript.leaf(d, 1008, reclaimKey);
        vm.assertEq(
            leaf,
            hex"2070784a7f2d21f8351ed5751fe29027e11149933e186beb75d23940360e36f7787502f003b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
        );
        bytes32 leafHash = Taproot.leafHash(leaf);
        vm.assertEq(leafHash, 0xdf706f39e12ad0bd4aa8cecd3de2df066dff7d0e948654f38b708b9461cbdafb);
        bytes32 group = bytes32(vm.createWallet(0x0101010101010101010101010101010101010101010101010101010101010101).publicKeyX);
        vm.assertTrue(
            Taproot.isTweaked(
                group,
                leafHash,
                0xa0b028866cec6e4f15292c1cb9ea9ed1fdde98aa7e403eb2f81ba7161b204e60,
                0x9120777a005674e41377fed3be801fbd345b5720f29853512c48973fc516f6b8
            )
        );
    }

    function dust(bytes calldata script) external pure returns (uint64) {
        return OutputScript.dust(script);
    }

    /// Dust as Bitcoin Core's GetDustThreshold gives it at 3 sat/vB.
    function test_output_templates() public view {
        vm.assertEq(this.dust(bytes.concat(hex"76a914", bytes20(0), hex"88ac")), 546);
        vm.assertEq(this.dust(bytes.concat(hex"a914", bytes20(0), hex"87")), 540);
        vm.assertEq(this.dust(bytes.concat(hex"0014", bytes20(0))), 294);
        vm.assertEq(this.dust(bytes.concat(hex"0020", bytes32(0))), 330);
        vm.assertEq(this.dust(bytes.concat(hex"5120", bytes32(0))), 330);
        vm.assertEq(this.dust(hex"5202abcd"), 240);
        vm.assertEq(this.dust(bytes.concat(hex"6028", bytes32(0), bytes8(0))), 354);
    }

    function test_other_scripts_are_refused() public {
        bytes[10] memory scripts = [
            bytes(""),
            hex"51",
            hex"51024e73",
            bytes.concat(hex"6a20", bytes32(0)),
            bytes.concat(hex"0013", bytes19(0)),
            bytes.concat(hex"0021", bytes32(0), hex"00"),
            bytes.concat(hex"5114", bytes20(0)),
            hex"5201ab",
            bytes.concat(hex"6029", bytes32(0), bytes9(0)),
            bytes.concat(hex"6114", bytes20(0))
        ];
        for (uint256 i = 0; i < scripts.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBridge.ScriptNotStandard.selector, scripts[i]));
            this.dust(scripts[i]);
        }
    }

    // ------------------------------------------------------------------ fee shares

    function testFuzz_shares_are_exact_and_proportional(uint256 cost, uint8 deposits, uint8 withdrawals, uint256 seed)
        public
        pure
    {
        cost = bound(cost, 240, 5_000_000_000);
        uint256 count = bound(deposits, 0, 64) + bound(withdrawals, 1, 64);
        uint256[] memory weights = new uint256[](count);
        uint256 total = 0;
        for (uint256 i = 0; i < count; ++i) {
            weights[i] = i < bound(deposits, 0, 64)
                ? FeeShares.DEPOSIT_WEIGHT
                : FeeShares.withdrawalWeight(22 + uint256(keccak256(abi.encode(seed, i))) % 21);
            total += weights[i];
        }
        uint64[] memory shares = FeeShares.split(cost, weights);
        uint256 sum = 0;
        bool odd = true;
        for (uint256 i = 0; i < count; ++i) {
            uint256 floor = cost * weights[i] / total;
            if (shares[i] == floor) odd = false;
            // Once one participant pays no odd satoshi, none behind it does.
            vm.assertEq(shares[i], odd ? floor + 1 : floor);
            sum += shares[i];
        }
        vm.assertEq(sum, cost);
    }

    function test_the_odd_satoshis_go_to_the_first() public pure {
        uint256[] memory weights = new uint256[](3);
        (weights[0], weights[1], weights[2]) = (230, 230, 172);
        uint64[] memory shares = FeeShares.split(1001, weights);
        // 364.29, 364.29 and 272.42 of 1001
        vm.assertEq(shares[0], 365);
        vm.assertEq(shares[1], 364);
        vm.assertEq(shares[2], 272);
    }

    // ------------------------------------------------------------------ the list

    function testFuzz_the_list_keeps_the_order_of_arrival(uint256 seed) public {
        for (uint256 step = 1; step <= 40; ++step) {
            uint256 roll = uint256(keccak256(abi.encode(seed, step)));
            if (_naive.length != 0 && roll % 3 == 0) {
                uint256 index = (roll >> 8) % _naive.length;
                _list.remove(_naive[index]);
                for (uint256 i = index; i + 1 < _naive.length; ++i) {
                    _naive[i] = _naive[i + 1];
                }
                _naive.pop();
            } else {
                _list.append(step);
                _naive.push(step);
            }
            uint256[] memory all = _list.behind(0, type(uint256).max);
            vm.assertEq(all.length, _naive.length);
            for (uint256 i = 0; i < all.length; ++i) {
                vm.assertEq(all[i], _naive[i]);
            }
        }
        if (_naive.length > 2) {
            uint256[] memory some = _list.behind(_naive[0], 2);
            vm.assertEq(some.length, 2);
            vm.assertEq(some[0], _naive[1]);
            vm.assertEq(some[1], _naive[2]);
        }
    }
}
