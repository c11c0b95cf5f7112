// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";
import {MicroChannel} from "../src/MicroChannel.sol";

/// Takes no coins; those of the bridge it can only claim for others.
contract Refuser {
    function claim(Bridge bridge, address to) external {
        bridge.claim(to);
    }

    function close(MicroChannel channels, uint256 id) external {
        channels.close(id);
    }
}

/// Passes what it gets on to an account that would refuse it.
contract Purse {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {
        new Forcing{value: msg.value}(owner);
    }
}

/// Gives its coins to an account that is not asked.
contract Forcing {
    constructor(address owner) payable {
        selfdestruct(payable(owner));
    }
}

/// Burns all gas it is given.
contract Glutton {
    receive() external payable {
        while (true) {}
    }
}

/// Calls back while it receives coins, and refuses them when that fails.
contract Reentrant {
    address private immutable target;
    bytes private call;

    constructor(address target_, bytes memory call_) {
        (target, call) = (target_, call_);
    }

    receive() external payable {
        (bool ok,) = target.call(call);
        require(ok);
    }
}

/// Tries once to cash a voucher again while it is paid, and keeps its coins either way.
contract GreedyPayee {
    MicroChannel private immutable channels;
    bytes private voucher;
    bool public cashedTwice;

    constructor(MicroChannel channels_) {
        channels = channels_;
    }

    function take(uint256 id, uint256 total, bytes memory signature) external {
        voucher = abi.encodeCall(channels.claim, (id, total, signature));
        channels.claim(id, total, signature);
    }

    receive() external payable {
        bytes memory again = voucher;
        delete voucher;
        if (again.length != 0) (cashedTwice,) = address(channels).call(again);
    }
}
