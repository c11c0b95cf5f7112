// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Taproot} from "../src/Taproot.sol";
import {DepositScript} from "../src/bridge/DepositScript.sol";
import {OutputScript} from "../src/bridge/OutputScript.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
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

    /// Network 51717, the predeployed bridge, group key of secret 0x01..01, reclaim key of secret 0x02..02, recipient 0x11..11, claimant 0x22..22, data
    /// hash 0x33..33, at most 5,000 sat, 1008 blocks. Computed by another program.
    function test_the_deposit_address_is_frozen() public {
        IDeposits.Terms memory terms = IDeposits.Terms(
            address(bytes20(hex"1111111111111111111111111111111111111111")),
            address(bytes20(hex"2222222222222222222222222222222222222222")),
            bytes32(vm.createWallet(0x0202020202020202020202020202020202020202020202020202020202020202).publicKeyX),
            5000,
            0x3333333333333333333333333333333333333333333333333333333333333333,
            1
        );
        address bridge = 0xca05000000000000000000000000000000000004;
        bytes32 d = DepositScript.commitment(bytes32(uint256(51717)), bridge, terms);
        vm.assertEq(d, 0x62be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a);
        bytes memory leaf = DepositScript.leaf(d, 1008, terms.reclaimKey);
        vm.assertEq(
            leaf,
            hex"2062be42730a75e5d233071577f2b87e530bccd5c3bf8b4d445bee33d8dbacfa3a7502f003b275204d4b6cd1361032ca9bd2aeb9d900aa4d45d9ead80ac9423374c451a7254d0766ac"
        );
        bytes32 leafHash = DepositScript.leafHash(bytes32(uint256(51717)), bridge, terms, 1008);
        vm.assertEq(leafHash, 0x66b0b6a782e4028ed14ff764f2fc6d30a63a522ba6f98fa4a61be7829c518456);
        bytes32 group = bytes32(vm.createWallet(0x0101010101010101010101010101010101010101010101010101010101010101).publicKeyX);
        vm.assertTrue(
            Taproot.isTweaked(
                group,
                leafHash,
                0x6184c8f19a24b188c8eeea29495d3c2107676912df4d23f20471ca44bc0bdf62,
                0xd98b68ac1d911f2807a9467689764dee8d30864b0ff90f99a7f6b6d3e1fb7901
            )
        );
    }

    function packed(bytes calldata script) external pure returns (bytes memory) {
        OutputScript.Packed memory apart = OutputScript.pack(script);
        assert(OutputScript.size(apart.kind, apart.length) == script.length);
        assert(OutputScript.dustOf(apart.kind, apart.length) == OutputScript.dust(script));
        return OutputScript.unpack(apart);
    }

    /// What three slots hold is the script again.
    function testFuzz_a_script_taken_apart_is_put_together_again(bytes32 head, bytes8 tail, uint8 version, uint8 length)
        public
        view
    {
        bytes memory program = bytes.concat(head, tail);
        bytes[7] memory scripts = [
            bytes.concat(hex"76a914", bytes20(head), hex"88ac"),
            bytes.concat(hex"a914", bytes20(head), hex"87"),
            bytes.concat(hex"0014", bytes20(head)),
            bytes.concat(hex"0020", head),
            bytes.concat(hex"5120", head),
            bytes.concat(hex"6028", program),
            bytes.concat(bytes1(uint8(bound(version, 0x52, 0x60))), hex"02", bytes2(head))
        ];
        for (uint256 i = 0; i < scripts.length; ++i) {
            vm.assertEq(this.packed(scripts[i]), scripts[i]);
        }
        uint256 size = bound(length, 2, 40);
        bytes memory other = bytes.concat(hex"52", bytes1(uint8(size)), program);
        assembly ("memory-safe") {
            mstore(other, add(size, 2))
        }
        vm.assertEq(this.packed(other), other);
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
