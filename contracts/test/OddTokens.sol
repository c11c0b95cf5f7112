// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// A token that may do whatever tokens do: fees, rebasing, lists, calls of its holders, no answers.
contract OddToken {
    uint256 private constant WHOLE = 10_000;
    /// Balances are in shares of what there is, so that all of them can shrink or grow at once.
    mapping(address => uint256) private shares;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public listed;
    uint256 public index = 1e18;
    /// Taken from what arrives,
    uint256 public feeBps;
    /// or from the sender, on top.
    uint256 public senderFeeBps;
    bool public silent;
    bool public burning;
    bool public lying;
    address private target;
    bytes private call;

    function mint(address to, uint256 amount) external {
        shares[to] += amount * 1e18 / index;
    }

    function setFees(uint256 receiver, uint256 sender) external {
        (feeBps, senderFeeBps) = (receiver, sender);
    }

    function rebase(uint256 bps) external {
        index = index * bps / WHOLE;
    }

    function list(address account, bool blocked) external {
        listed[account] = blocked;
    }

    function setManners(bool silent_, bool burning_, bool lying_) external {
        (silent, burning, lying) = (silent_, burning_, lying_);
    }

    /// Calls once, in the middle of the next movement.
    function plan(address target_, bytes calldata call_) external {
        (target, call) = (target_, call_);
    }

    function balanceOf(address account) public view returns (uint256) {
        return shares[account] * index / 1e18;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external {
        answer(move(msg.sender, to, amount));
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        answer(move(from, to, amount));
    }

    function move(address from, address to, uint256 amount) private returns (bool) {
        require(!listed[from] && !listed[to], "listed");
        while (burning) {}
        if (lying) return false;
        if (target != address(0)) {
            (address called, bytes memory input) = (target, call);
            delete target;
            (bool ok,) = called.call(input);
            require(ok, "refused");
        }
        shares[from] -= (amount + amount * senderFeeBps / WHOLE) * 1e18 / index;
        shares[to] += (amount - amount * feeBps / WHOLE) * 1e18 / index;
        return true;
    }

    function answer(bool ok) private view {
        if (silent) return;
        assembly {
            mstore(0, ok)
            return(0, 32)
        }
    }
}
