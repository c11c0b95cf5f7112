// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {Deposits} from "../src/Deposits.sol";
import {Federation} from "../src/Federation.sol";
import {MicroChannel} from "../src/MicroChannel.sol";
import {SigningBoard} from "../src/SigningBoard.sol";
import {Vault} from "../src/Vault.sol";
import {IBitcoinLightClient} from "../src/interfaces/IBitcoinLightClient.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {IDeposits} from "../src/interfaces/IDeposits.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {IMicroChannel} from "../src/interfaces/IMicroChannel.sol";
import {ISigningBoard} from "../src/interfaces/ISigningBoard.sol";
import {IVault} from "../src/interfaces/IVault.sol";
import {Peg} from "./Peg.sol";

/// A second network with the same members, the same chain id, the same contracts at the same addresses: a stranger repeats there, byte for
/// byte, what was public on the first one.
contract NetworksTest is Peg {
    bytes32 private constant OTHER = keccak256("a network of the same operators");
    uint256 private constant PAYER = 0xA11CE;
    bytes32 private vaultY;

    function setUp() public {
        createPeg();
        (, vaultY) = tweaked(RECOVERY_LEAF);
    }

    function other() private returns (Federation) {
        return new Federation(OTHER, 3, members(), RECOVERY_LEAF);
    }

    /// Puts the code of the other network's contract where that of the first one is; immutables are in the code.
    function supplant(address first, address second) private {
        vm.etch(first, second.code);
    }

    /// As the member would have sent it.
    function repeat(uint256 member, address to, bytes memory input, bytes memory why) private {
        vm.prank(account(member));
        (bool done, bytes memory answer) = to.call(input);
        vm.assertFalse(done);
        vm.assertEq(answer, why);
    }

    function wrong(bytes4 selector) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, NETWORK, OTHER);
    }

    function test_a_key_of_another_network_is_never_brought_into_force() public {
        Federation second = other();
        bytes memory input = abi.encodeCall(IFederation.confirmKey, (NETWORK, 1, groupKey, vaultKey, vaultY));
        for (uint256 i = 1; i <= 4; ++i) {
            repeat(i, address(second), input, wrong(IFederation.WrongNetwork.selector));
        }
        vm.assertEq(second.groupKey(1), bytes32(0));
        vm.assertEq(second.networkId(), OTHER);
        vm.assertEq(federation.networkId(), NETWORK);
    }

    function test_posts_of_another_network_are_refused() public {
        SigningBoard second = new SigningBoard(other(), vault);
        bytes memory input = abi.encodeCall(ISigningBoard.postKeygen, (NETWORK, 1, 0, 1, hex"c0ffee"));
        repeat(2, address(second), input, wrong(ISigningBoard.WrongNetwork.selector));
        input = abi.encodeCall(ISigningBoard.approve, (NETWORK, 1, 0, hex"c0ffee"));
        repeat(2, address(second), input, wrong(ISigningBoard.WrongNetwork.selector));
    }

    function test_proposals_and_votes_of_another_network_are_refused() public {
        Federation federation_ = other();
        Bridge bridge_ = new Bridge(parameters(), client, federation_, vault, deposits);
        Vault vault_ = new Vault(bridge_, address(board));
        bytes memory input = abi.encodeCall(IVault.propose, (NETWORK, 0, payoutOf(1, 0, RATE)));
        repeat(1, address(vault_), input, wrong(IVault.WrongNetwork.selector));
        input = abi.encodeCall(IBridge.lift, (NETWORK, 1));
        repeat(1, address(bridge_), input, wrong(IVault.WrongNetwork.selector));
    }

    /// The holders of the old shares could take what is paid to such an address: the new network must not credit it.
    function test_a_deposit_to_an_address_of_another_network_is_refused_even_with_the_same_key() public {
        Funding memory funding = fund(ALICE, 1e8, 10_000);
        bytes32 key = groupKey;
        Federation second = other();
        for (uint256 i = 1; i <= 4; ++i) {
            vm.prank(account(i));
            second.confirmKey(OTHER, 1, key, vaultKey, vaultY);
        }
        Bridge there = new Bridge(parameters(), client, second, vault, deposits);
        supplant(address(federation), address(second));
        supplant(address(deposits), address(new Deposits(there)));
        bytes memory transaction = funding.mined.transactions[1];
        IBitcoinLightClient.InclusionProof memory proof = prove(funding.mined, 1);
        vm.expectPartialRevert(IDeposits.WrongDepositKey.selector);
        deposits.prove(transaction, 1, funding.terms, funding.outputKeyY, proof);
    }

    /// Chain id, contract and whatever the payer signed are the same there, so the channel must not be.
    function test_a_voucher_of_another_network_is_worth_nothing() public {
        MicroChannel channels = new MicroChannel(NETWORK, address(0), 1 days, 1_000);
        address payer = vm.createWallet(PAYER).addr;
        vm.deal(payer, 2 ether);
        uint256 start = vm.snapshotState();
        bytes memory opening = abi.encodeCall(
            IMicroChannel.openOnNetwork,
            (NETWORK, BOB, address(0), 1 ether, bytes32(0), address(0), new address[](0), new uint16[](0))
        );
        bytes32 id = channels.computeChannelId(payer, BOB, address(0), bytes32(0), address(0));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER, channels.getVoucherDigest(id, 1 ether));
        vm.prank(payer);
        (bool done,) = address(channels).call{value: 1 ether}(opening);
        vm.assertTrue(done);

        vm.revertToState(start);
        supplant(address(channels), address(new MicroChannel(OTHER, address(0), 1 days, 1_000)));
        vm.prank(payer);
        bytes memory why;
        (done, why) = address(channels).call{value: 1 ether}(opening);
        vm.assertFalse(done);
        vm.assertEq(why, wrong(IMicroChannel.WrongNetwork.selector));
        vm.expectRevert(abi.encodeWithSelector(IMicroChannel.NoSuchChannel.selector, id));
        channels.claim(id, 1 ether, abi.encodePacked(r, s, v));
    }

    /// Neither does what the payer signed for the token open the channel there.
    function test_an_authorization_of_another_network_names_no_channel_here() public {
        MicroChannel first = new MicroChannel(NETWORK, address(0), 1 days, 1_000);
        bytes32 id = first.computeChannelId(ALICE, BOB, address(0), bytes32(0), address(0));
        bytes32 opening = first.openNonce(id, new address[](0), new uint16[](0));
        bytes32 more = first.topUpNonce(id, 7);
        supplant(address(first), address(new MicroChannel(OTHER, address(0), 1 days, 1_000)));
        vm.assertTrue(opening != first.openNonce(id, new address[](0), new uint16[](0)));
        vm.assertTrue(more != first.topUpNonce(id, 7));
    }
}
