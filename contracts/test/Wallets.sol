// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// A contract that signs with its owner's key (EIP-1271), behind a first byte that no key's signature has.
contract Wallet {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != 66 || signature[0] != 0x12) return 0xffffffff;
        address signer = ecrecover(hash, uint8(signature[65]), bytes32(signature[1:33]), bytes32(signature[33:65]));
        return signer == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// Answers every question with the same bytes, or reverts with them.
contract Parrot {
    bytes private answer;
    bool private immutable reverts;

    constructor(bytes memory answer_, bool reverts_) {
        (answer, reverts) = (answer_, reverts_);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        bytes memory said = answer;
        if (!reverts) return said;
        assembly {
            revert(add(said, 32), mload(said))
        }
    }
}

/// Burns all gas it is asked with.
contract Furnace {
    fallback() external {
        while (true) {}
    }
}

/// Tries to call while it is asked, and agrees if that worked.
contract Schemer {
    address private immutable target;
    bytes private call;

    constructor(address target_, bytes memory call_) {
        (target, call) = (target_, call_);
    }

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        (bool ok,) = target.call(call);
        return ok ? this.isValidSignature.selector : bytes4(0);
    }
}

/// Takes its coins back with `withdraw`, and tries it once more while they come.
contract Twice {
    address private immutable token;
    uint256 private value;
    bool public again;

    constructor(address token_) {
        token = token_;
    }

    function run(uint256 value_) external {
        value = value_;
        (bool ok,) = token.call(abi.encodeWithSignature("withdraw(uint256)", value_));
        require(ok);
    }

    receive() external payable {
        if (value == 0) return;
        bytes memory call = abi.encodeWithSignature("withdraw(uint256)", value);
        value = 0;
        (again,) = token.call(call);
    }
}
