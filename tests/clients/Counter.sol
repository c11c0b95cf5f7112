// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// What the clients deploy. `Counter.json` is made of it by `node compile.mjs`.
contract Counter {
    event Counted(address indexed by, uint256 value);

    error TooMuch(uint256 asked, uint256 most);

    uint256 public value;

    constructor(uint256 start) {
        value = start;
    }

    function add(uint256 amount) external returns (uint256) {
        if (amount > 100) revert TooMuch(amount, 100);
        value += amount;
        emit Counted(msg.sender, value);
        return value;
    }

    function fail() external pure {
        revert("as asked");
    }
}
