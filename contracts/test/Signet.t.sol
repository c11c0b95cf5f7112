// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BitcoinLightClient} from "../src/BitcoinLightClient.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {Regtest} from "./Regtest.sol";

/// Its first member has index 1.
contract OneMember {
    address private immutable _member;

    constructor(address member) {
        _member = member;
    }

    function indexOf(address account) external view returns (uint16) {
        return account == _member ? 1 : 0;
    }
}

/// Networks whose blocks are valid by a signature that headers do not show: anybody can make headers there.
contract SignetTest is Regtest {
    address private constant MEMBER = address(0x3E3BE5);
    address private constant STRANGER = address(0x57A6E5);
    IBitcoinLightClient.Parameters private rules;

    function setUp() public {
        createRegtest(START + 1_000_000);
        rules = IBitcoinLightClient.Parameters(true, false, false, true, REGTEST_BITS);
        IFederation federation = IFederation(address(new OneMember(MEMBER)));
        client = new BitcoinLightClient(rules, genesis.raw, 0, 2, START, federation);
    }

    function test_signet_headers_from_a_stranger_are_refused_and_from_a_member_taken() public {
        Block memory mined = mineOn(genesis);
        vm.expectRevert(abi.encodeWithSelector(IBitcoinLightClient.NotAMember.selector, STRANGER));
        vm.prank(STRANGER);
        client.submit(mined.raw);
        vm.assertEq(client.confirmations(mined.hash), 0);
        vm.prank(MEMBER);
        client.submit(mined.raw);
        vm.assertEq(client.confirmations(mined.hash), 1);
    }

    function test_signet_without_a_federation_is_refused() public {
        vm.expectRevert(IBitcoinLightClient.NobodyToTrust.selector);
        new BitcoinLightClient(rules, genesis.raw, 0, 2, START, IFederation(address(0)));
    }

    /// Where work alone makes a block valid anybody may bring it, whatever federation there is.
    function test_elsewhere_the_federation_is_not_asked() public {
        rules.signedBlocks = false;
        client = new BitcoinLightClient(rules, genesis.raw, 0, 2, START, IFederation(address(new OneMember(MEMBER))));
        vm.prank(STRANGER);
        client.submit(mineOn(genesis).raw);
    }
}
