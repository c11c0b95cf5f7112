// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Box, BoxProxy, Shares} from "../contracts/OpenZeppelin.sol";

interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// What a deployment by `forge script --broadcast` does: ordinary creations, one with a salt, and calls.
contract Deploy {
    // keccak256("hevm cheat code"), shortened: where forge answers cheat codes.
    Vm private constant VM = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    // forge's mark of a script.
    bool public IS_SCRIPT = true;

    function run() external {
        VM.startBroadcast();
        Shares shares = new Shares(msg.sender);
        Box model = new Box{salt: keccak256("box")}();
        BoxProxy proxy = new BoxProxy(address(model), abi.encodeCall(Box.initialize, (5)));
        require(shares.transfer(address(0xbeef), 3));
        VM.stopBroadcast();
        require(Box(address(proxy)).value() == 5 && shares.balanceOf(address(0xbeef)) == 3);
    }
}
