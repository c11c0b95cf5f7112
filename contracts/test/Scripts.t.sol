// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Taproot} from "../src/Taproot.sol";
import {DepositScript} from "../src/bridge/DepositScript.sol";
import {OutputScript} from "../src/bridge/OutputScript.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {Base} from "./Base.sol";

/// The scripts of deposits, and those that a withdrawal may pay.
contract ScriptsTest is Base {
    function test_tags_are_hashes_of_their_names() public pure {
        vm.assertEq(Taproot.TWEAK_TAG, sha256("TapTweak"));
        vm.assertEq(Taproot.LEAF_TAG, sha256("TapLeaf"));
        vm.assertEq(DepositScript.TAG, sha256("causeway/deposit"));
    }

    function test_numbers_are_pushed_minimally() public pure {
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

    /// The same bytes are frozen in mainchain/tests/deposits.rs: network 51717, the predeployed bridge, group key of secret 0x01..01, reclaim key of
    /// secret 0x02..02, recipient 0x11..11, at most 5,000 sat, 1008 blocks.
    function test_the_deposit_address_is_frozen() public {
        bytes32 d = DepositScript.commitment(
            bytes32(uint256(51717)),
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
    function test_each_output_template_has_its_dust_limit() public view {
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
}
