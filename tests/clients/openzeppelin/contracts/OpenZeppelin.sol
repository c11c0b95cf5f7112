// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {GovernorVotesQuorumFraction} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Consecutive} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Consecutive.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// A token with votes: each transfer writes checkpoints by block number.
contract Shares is ERC20, ERC20Permit, ERC20Votes {
    constructor(address holder) ERC20("Shares", "SHR") ERC20Permit("Shares") {
        _mint(holder, 1_000 ether);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }
}

/// Tokens that are made in the constructor in one batch.
contract Pieces is ERC721, ERC721Consecutive {
    constructor(address holder) ERC721("Pieces", "PCS") {
        _mintConsecutive(holder, 300);
    }

    function burn(uint256 id) external {
        _update(address(0), id, msg.sender);
    }

    function _ownerOf(uint256 id) internal view override(ERC721, ERC721Consecutive) returns (address) {
        return super._ownerOf(id);
    }

    function _update(address to, uint256 id, address auth)
        internal
        override(ERC721, ERC721Consecutive)
        returns (address)
    {
        return super._update(to, id, auth);
    }
}

contract Assembly is Governor, GovernorSettings, GovernorCountingSimple, GovernorVotes, GovernorVotesQuorumFraction {
    constructor(IVotes votes)
        Governor("Assembly")
        GovernorSettings(1, 25, 0)
        GovernorVotes(votes)
        GovernorVotesQuorumFraction(4)
    {}

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }
}

/// What only the assembly may change.
contract Law is Ownable {
    uint256 public rate;

    constructor(address owner) Ownable(owner) {}

    function enact(uint256 next) external onlyOwner {
        rate = next;
    }
}

contract Box is Initializable, UUPSUpgradeable {
    address public keeper;
    uint256 public value;

    error NotKeeper(address caller);

    constructor() {
        _disableInitializers();
    }

    function initialize(uint256 first) external initializer {
        (keeper, value) = (msg.sender, first);
    }

    function version() external pure virtual returns (uint256) {
        return 1;
    }

    function _authorizeUpgrade(address) internal view override {
        if (msg.sender != keeper) revert NotKeeper(msg.sender);
    }
}

contract BetterBox is Box {
    function version() external pure override returns (uint256) {
        return 2;
    }
}

contract Boxes {
    event Cloned(address box);

    function clone(address model, bytes32 salt) external {
        address box = Clones.cloneDeterministic(model, salt);
        emit Cloned(box);
    }

    function expected(address model, bytes32 salt) external view returns (address) {
        return Clones.predictDeterministicAddress(model, salt);
    }
}

/// So that tools make its artifact.
contract BoxProxy is ERC1967Proxy {
    constructor(address code, bytes memory data) ERC1967Proxy(code, data) {}
}
