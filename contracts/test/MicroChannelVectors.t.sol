// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {MicroChannel} from "../src/MicroChannel.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {Channels} from "./Channels.sol";

/// What viem computed of names, nonces and digests (`tests/clients/vectors.mjs`) is what the contract says; the Rust library reads the same file.
contract MicroChannelVectorsTest is Channels {
    string private json;
    string private prefix;

    function setUp() public {
        createChannels();
        json = vm.readFile("test/vectors/payments.json");
    }

    function test_a_channel_in_coins() public {
        check(".cases[0].");
    }

    function test_a_channel_in_tokens_with_a_signer_and_splits() public {
        check(".cases[1].");
    }

    function test_the_largest_numbers() public {
        check(".cases[2].");
    }

    function check(string memory prefix_) private {
        prefix = prefix_;
        vm.chainId(number("chainId"));
        address predeployed = account("contract");
        vm.etch(predeployed, address(channels).code);
        MicroChannel there = MicroChannel(predeployed);
        bytes32 id = word("channelId");
        vm.assertEq(there.networkId(), word("network"));
        vm.assertEq(there.domainSeparator(), word("domainSeparator"));
        vm.assertEq(
            there.computeChannelId(
                account("payer"), account("payee"), account("token"), word("salt"), account("authorizedSigner")
            ),
            id
        );
        checkDigests(there, id, uint128(number("cumulativeAmount")));
        checkNonces(there, id);
    }

    function checkDigests(MicroChannel there, bytes32 id, uint128 total) private view {
        vm.assertEq(there.getVoucherDigest(id, total), word("voucherDigest"));
        vm.assertEq(sha256(abi.encode(word("preimage"))), word("sha256Hash"));
        IMicroChannel.Lock memory lock =
            IMicroChannel.Lock(uint128(number("lockedAmount")), word("sha256Hash"), uint64(number("lockExpiry")));
        vm.assertEq(there.getLockedVoucherDigest(id, total, lock), word("lockedVoucherDigest"));
        IMicroChannel.Stream memory stream =
            IMicroChannel.Stream(uint128(number("tickAmount")), uint32(number("ticks")), word("root"));
        vm.assertEq(there.getStreamDigest(id, total, stream), word("streamDigest"));
    }

    function checkNonces(MicroChannel there, bytes32 id) private view {
        uint256[] memory numbers = vm.parseJsonUintArray(json, string.concat(prefix, "splitBps"));
        uint16[] memory bps = new uint16[](numbers.length);
        for (uint256 i; i < bps.length; ++i) {
            bps[i] = uint16(numbers[i]);
        }
        address[] memory recipients = vm.parseJsonAddressArray(json, string.concat(prefix, "splitRecipients"));
        vm.assertEq(there.openNonce(id, recipients, bps), word("openNonce"));
        vm.assertEq(there.topUpNonce(id, uint96(number("topUpNumber"))), word("topUpNonce"));
    }

    function number(string memory field) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(prefix, field));
    }

    function word(string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(prefix, field));
    }

    function account(string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(prefix, field));
    }
}
