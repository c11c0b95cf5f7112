// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Bridge} from "../src/Bridge.sol";

/// Takes no coins; those of the bridge it can only claim for others.
contract Refuser {
    function claim(Bridge bridge, address to) external {
        bridge.claim(to);
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
