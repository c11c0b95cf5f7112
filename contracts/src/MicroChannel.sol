// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Funds} from "./channels/Funds.sol";
import {Vouchers} from "./channels/Vouchers.sol";

/// A payer's deposit for one payee, paid out by vouchers that the payer signs off-chain. A voucher names the total paid so far, so only the last one matters
/// and none can be cashed twice. The payer gets the rest back only after a delay in time and in blocks, in which the payee or anybody for it can still bring
/// the last voucher.
///
/// ```text
///   (none) -- open --> open -- requestClose --> closing -- withdraw, after both delays --> finalized
///                       |  <---- topUp --------    |
///                       +-------- close ----------------------------------------------------^
/// ```
/// Functions, channel id and voucher are those of the public draft "EVM Session" (draft-evm-session-00); what it lacks has names of its own
/// (docs/adr/0035-a-channel-is-the-public-drafts-where-that-is-safe.md).
contract MicroChannel is Funds, Vouchers {
    uint256 private constant MAX_SPLITS = 16;
    /// Hashes of a stream that one claim takes: some 100,000 gas.
    uint256 private constant MAX_TICKS = 1_024;
    uint256 private constant WHOLE_BPS = 10_000;

    /// Whether the other slots of a channel say anything.
    uint8 private constant HAS_TOKEN = 1;
    uint8 private constant HAS_SIGNER = 2;
    uint8 private constant HAS_SPLITS = 4;
    uint8 private constant CLOSING = 8;
    uint8 private constant FINALIZED = 16;

    /// Packed so that a plain channel of coins takes two slots. 88 bits of wei are 15 times all bitcoin, and 309 million of a token with 18 decimals.
    struct Record {
        address payer;
        uint88 deposit;
        uint8 flags;
        address payee;
        uint88 settled;
        address token;
        address authorizedSigner;
        uint48 closeRequestedAt;
        uint48 closeRequestedAtBlock;
    }

    struct Split {
        address recipient;
        uint16 bps;
    }

    /// Claims one after the other for the same payee in the same token, paid by one transfer.
    struct Run {
        bytes32 domain;
        address token;
        address payee;
        uint256 amount;
    }

    address public immutable wrappedCoin;
    uint64 public immutable CLOSE_GRACE_PERIOD;
    uint64 public immutable CLOSE_GRACE_BLOCKS;

    mapping(bytes32 channelId => Record) private _channels;
    mapping(bytes32 channelId => Split[]) private _splits;

    /// @param networkId_ so that what is signed for another network opens nothing here, even with the same chain id.
    /// @param wrappedCoin_ the token that lets only this contract bring what was signed for it.
    constructor(bytes32 networkId_, address wrappedCoin_, uint64 gracePeriod, uint64 graceBlocks) Vouchers(networkId_) {
        (wrappedCoin, CLOSE_GRACE_PERIOD, CLOSE_GRACE_BLOCKS) = (wrappedCoin_, gracePeriod, graceBlocks);
    }

    // ------------------------------------------------------------------ opening

    function open(
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external payable nonReentrant returns (bytes32) {
        Terms memory terms = Terms(msg.sender, payee, token, salt, authorizedSigner);
        bytes32 channelId = _newId(terms);
        _create(channelId, terms, _take(token, deposit), splitRecipients, splitBps);
        return channelId;
    }

    function openOnNetwork(
        bytes32 network,
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external payable nonReentrant returns (bytes32) {
        if (network != networkId) revert WrongNetwork(network, networkId);
        Terms memory terms = Terms(msg.sender, payee, token, salt, authorizedSigner);
        bytes32 channelId = _newId(terms);
        _create(channelId, terms, _take(token, deposit), splitRecipients, splitBps);
        return channelId;
    }

    function openWithAuthorization(
        address payee,
        address token,
        uint128 deposit,
        bytes32 salt,
        address authorizedSigner,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) external nonReentrant returns (bytes32) {
        Terms memory terms = Terms(from, payee, token, salt, authorizedSigner);
        bytes32 channelId = _newId(terms);
        bool bound = nonce == openNonce(channelId, splitRecipients, splitBps);
        if (!bound) _requireHarmless(token, from, authorizedSigner, splitRecipients.length);
        Authorization memory signed = Authorization(from, deposit, validAfter, validBefore, nonce, v, r, s);
        _create(channelId, terms, _takeAuthorized(token, signed, bound), splitRecipients, splitBps);
        return channelId;
    }

    /// With a nonce that says nothing of the channel, whoever sees what the payer signed can choose the channel. Nobody can take anything out of it if the
    /// payer alone signs its vouchers and it has no third parties; and the money cannot be brought without a channel if the token does not let others.
    function _requireHarmless(address token, address from, address authorizedSigner, uint256 splits) private view {
        bool payerSigns = authorizedSigner == address(0) || authorizedSigner == from;
        if (token != wrappedCoin || !payerSigns || splits != 0) revert UnboundAuthorization(token, authorizedSigner, splits);
    }

    function _newId(Terms memory terms) private view returns (bytes32 channelId) {
        _requireRecipient(terms.payee);
        channelId = computeChannelId(terms.payer, terms.payee, terms.token, terms.salt, terms.authorizedSigner);
        if (_channels[channelId].payer != address(0)) revert ChannelExists(channelId);
    }

    function _create(
        bytes32 channelId,
        Terms memory terms,
        uint256 amount,
        address[] calldata splitRecipients,
        uint16[] calldata splitBps
    ) private {
        Record storage created = _channels[channelId];
        uint8 flags = 0;
        if (terms.token != COIN) (flags, created.token) = (flags | HAS_TOKEN, terms.token);
        if (terms.authorizedSigner != address(0)) {
            (flags, created.authorizedSigner) = (flags | HAS_SIGNER, terms.authorizedSigner);
        }
        if (splitRecipients.length != 0 || splitBps.length != 0) {
            flags |= HAS_SPLITS;
            _keepSplits(channelId, splitRecipients, splitBps);
        }
        (created.payer, created.deposit, created.flags) = (terms.payer, _sum(0, amount), flags);
        created.payee = terms.payee;
        emit ChannelOpened(channelId, terms.payer, terms.payee, terms.token, terms.authorizedSigner, terms.salt, amount);
    }

    function _keepSplits(bytes32 channelId, address[] calldata recipients, uint16[] calldata bps) private {
        if (recipients.length != bps.length) revert LengthMismatch(recipients.length, bps.length);
        uint256 sum = 0;
        for (uint256 i = 0; i < recipients.length; ++i) {
            _requireRecipient(recipients[i]);
            if (bps[i] == 0) revert BadSplits(recipients.length, 0);
            sum += bps[i];
            _splits[channelId].push(Split(recipients[i], bps[i]));
        }
        if (recipients.length > MAX_SPLITS || sum >= WHOLE_BPS) revert BadSplits(recipients.length, sum);
    }

    // ------------------------------------------------------------------ more money

    function topUp(bytes32 channelId, uint128 additionalDeposit) external payable nonReentrant {
        Record storage channel = _live(channelId);
        _requirePayer(channel);
        _add(channelId, channel, _take(_tokenOf(channel), additionalDeposit));
        _stay(channelId, channel);
    }

    function fund(bytes32 channelId, uint128 additionalDeposit) external payable nonReentrant {
        Record storage channel = _live(channelId);
        _add(channelId, channel, _take(_tokenOf(channel), additionalDeposit));
    }

    function topUpWithAuthorization(
        bytes32 channelId,
        uint128 additionalDeposit,
        address from,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        Record storage channel = _live(channelId);
        if (from != channel.payer) revert NotPayer(from, channel.payer);
        address token = _tokenOf(channel);
        bool bound = nonce == topUpNonce(channelId, uint96(uint256(nonce)));
        // Splits are no harm here: its payer opened this channel with them.
        if (!bound) _requireHarmless(token, from, _signerOf(channel), 0);
        Authorization memory signed = Authorization(from, additionalDeposit, validAfter, validBefore, nonce, v, r, s);
        _add(channelId, channel, _takeAuthorized(token, signed, bound));
        _stay(channelId, channel);
    }

    function _add(bytes32 channelId, Record storage channel, uint256 amount) private {
        channel.deposit = _sum(channel.deposit, amount);
        emit ToppedUp(channelId, amount, channel.deposit);
    }

    /// Who adds to the deposit does not want to leave any more.
    function _stay(bytes32 channelId, Record storage channel) private {
        if (channel.flags & CLOSING == 0) return;
        channel.flags &= ~CLOSING;
        emit CloseCancelled(channelId);
    }

    // ------------------------------------------------------------------ claims

    function settle(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external nonReentrant {
        _requirePayee(_live(channelId));
        _claim(channelId, cumulativeAmount, getVoucherDigest(channelId, cumulativeAmount), signature);
    }

    function claim(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external nonReentrant {
        _claim(channelId, cumulativeAmount, getVoucherDigest(channelId, cumulativeAmount), signature);
    }

    function claimMany(Voucher[] calldata vouchers, bytes[] calldata signatures) external nonReentrant {
        if (vouchers.length != signatures.length) revert LengthMismatch(vouchers.length, signatures.length);
        Run memory run;
        run.domain = domainSeparator();
        for (uint256 i = 0; i < vouchers.length; ++i) {
            _claimNext(run, vouchers[i].channelId, vouchers[i].cumulativeAmount, signatures[i]);
        }
        _deliver(run.token, run.payee, run.amount);
    }

    function claimLocked(
        bytes32 channelId,
        uint128 cumulativeAmount,
        Lock calldata lock,
        bytes32 preimage,
        bytes calldata signature
    ) external nonReentrant {
        if (block.timestamp >= lock.lockExpiry) revert LockExpired(channelId, lock.lockExpiry);
        if (sha256(abi.encode(preimage)) != lock.sha256Hash) revert WrongPreimage(channelId, lock.sha256Hash);
        bytes32 digest = getLockedVoucherDigest(channelId, cumulativeAmount, lock);
        _claim(channelId, uint256(cumulativeAmount) + lock.lockedAmount, digest, signature);
    }

    function claimStream(
        bytes32 channelId,
        uint128 cumulativeAmount,
        Stream calldata stream,
        uint32 ticks,
        bytes32 tick,
        bytes calldata signature
    ) external nonReentrant {
        if (ticks > stream.ticks || ticks > MAX_TICKS) revert TooManyTicks(channelId, ticks, stream.ticks);
        if (_hashed(tick, ticks) != stream.root) revert WrongTick(channelId, ticks);
        bytes32 digest = getStreamDigest(channelId, cumulativeAmount, stream);
        _claim(channelId, uint256(cumulativeAmount) + uint256(stream.tickAmount) * ticks, digest, signature);
    }

    function _hashed(bytes32 value, uint256 times) private pure returns (bytes32) {
        assembly ("memory-safe") {
            mstore(0, value)
            for {} times { times := sub(times, 1) } { mstore(0, keccak256(0, 32)) }
            value := mload(0)
        }
        return value;
    }

    function _claim(bytes32 channelId, uint256 total, bytes32 digest, bytes calldata signature) private {
        Record storage channel = _live(channelId);
        (address payee, uint256 settled, uint256 deposit) = (channel.payee, channel.settled, channel.deposit);
        if (total <= settled) revert NothingNew(channelId, total, settled);
        if (total > deposit) revert BeyondDeposit(channelId, total, deposit);
        address signer = _signerOf(channel);
        if (!_isSigned(signer, digest, signature)) revert BadSignature(channelId, signer);
        uint256 amount = total - settled;
        channel.settled = uint88(total);
        emit Settled(channelId, amount, total);
        address token = _tokenOf(channel);
        if (channel.flags & HAS_SPLITS != 0) amount -= _deliverParts(channelId, token, amount);
        _deliver(token, payee, amount);
    }

    /// One of many: what is worth nothing now is left out.
    function _claimNext(Run memory run, bytes32 channelId, uint256 total, bytes calldata signature) private {
        Record storage channel = _channels[channelId];
        (address payer, uint256 deposit, uint8 flags) = (channel.payer, channel.deposit, channel.flags);
        (address payee, uint256 settled) = (channel.payee, channel.settled);
        address signer = flags & HAS_SIGNER == 0 ? payer : channel.authorizedSigner;
        bool worth = total > settled && total <= deposit && flags & FINALIZED == 0
            && _isSigned(signer, _voucherDigest(run.domain, channelId, total), signature);
        if (!worth) {
            emit Skipped(channelId, total);
            return;
        }
        uint256 amount = total - settled;
        channel.settled = uint88(total);
        emit Settled(channelId, amount, total);
        address token = flags & HAS_TOKEN == 0 ? COIN : channel.token;
        if (flags & HAS_SPLITS != 0) amount -= _deliverParts(channelId, token, amount);
        if (token != run.token || payee != run.payee) {
            _deliver(run.token, run.payee, run.amount);
            (run.token, run.payee, run.amount) = (token, payee, 0);
        }
        run.amount += amount;
    }

    /// To the split recipients; what they get together.
    function _deliverParts(bytes32 channelId, address token, uint256 amount) private returns (uint256 sum) {
        Split[] storage splits = _splits[channelId];
        for (uint256 i = 0; i < splits.length; ++i) {
            uint256 part = amount * splits[i].bps / WHOLE_BPS;
            sum += part;
            _deliver(token, splits[i].recipient, part);
        }
    }

    // ------------------------------------------------------------------ closing

    function close(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external nonReentrant {
        Record storage channel = _live(channelId);
        _requirePayee(channel);
        if (cumulativeAmount > channel.settled) {
            _claim(channelId, cumulativeAmount, getVoucherDigest(channelId, cumulativeAmount), signature);
        }
        _finalize(channelId, channel);
    }

    function requestClose(bytes32 channelId) external {
        Record storage channel = _live(channelId);
        _requirePayer(channel);
        if (channel.flags & CLOSING != 0) revert AlreadyClosing(channelId);
        channel.flags |= CLOSING;
        (channel.closeRequestedAt, channel.closeRequestedAtBlock) = (uint48(block.timestamp), uint48(block.number));
        (uint256 time, uint256 number) = _closable(channel);
        emit CloseRequested(channelId, time, number);
    }

    function withdraw(bytes32 channelId) external nonReentrant {
        Record storage channel = _live(channelId);
        _requirePayer(channel);
        if (channel.flags & CLOSING == 0) revert NotClosing(channelId);
        (uint256 time, uint256 number) = _closable(channel);
        if (block.timestamp < time || block.number < number) revert TooEarly(channelId, time, number);
        _finalize(channelId, channel);
    }

    function _closable(Record storage channel) private view returns (uint256 time, uint256 number) {
        return (channel.closeRequestedAt + CLOSE_GRACE_PERIOD, channel.closeRequestedAtBlock + CLOSE_GRACE_BLOCKS);
    }

    function _finalize(bytes32 channelId, Record storage channel) private {
        channel.flags |= FINALIZED;
        uint256 refund = channel.deposit - channel.settled;
        emit ChannelClosed(channelId, channel.settled, refund);
        _deliver(_tokenOf(channel), channel.payer, refund);
    }

    // ------------------------------------------------------------------ answers

    function getChannel(bytes32 channelId) external view returns (Channel memory answer) {
        Record storage channel = _channels[channelId];
        (answer.payer, answer.payee, answer.token) = (channel.payer, channel.payee, channel.token);
        answer.authorizedSigner = channel.authorizedSigner;
        (answer.deposit, answer.settled) = (channel.deposit, channel.settled);
        answer.finalized = channel.flags & FINALIZED != 0;
        if (channel.flags & CLOSING != 0) {
            answer.closeRequestedAt = channel.closeRequestedAt;
            answer.closeRequestedAtBlock = channel.closeRequestedAtBlock;
        }
        Split[] storage splits = _splits[channelId];
        answer.splitRecipients = new address[](splits.length);
        answer.splitBps = new uint16[](splits.length);
        for (uint256 i = 0; i < splits.length; ++i) {
            (answer.splitRecipients[i], answer.splitBps[i]) = (splits[i].recipient, splits[i].bps);
        }
    }

    // ------------------------------------------------------------------ steps

    function _live(bytes32 channelId) private view returns (Record storage channel) {
        channel = _channels[channelId];
        if (channel.payer == address(0)) revert NoSuchChannel(channelId);
        if (channel.flags & FINALIZED != 0) revert AlreadyClosed(channelId);
    }

    function _tokenOf(Record storage channel) private view returns (address) {
        return channel.flags & HAS_TOKEN != 0 ? channel.token : COIN;
    }

    function _signerOf(Record storage channel) private view returns (address) {
        return channel.flags & HAS_SIGNER != 0 ? channel.authorizedSigner : channel.payer;
    }

    function _requirePayer(Record storage channel) private view {
        if (msg.sender != channel.payer) revert NotPayer(msg.sender, channel.payer);
    }

    function _requirePayee(Record storage channel) private view {
        if (msg.sender != channel.payee) revert NotPayee(msg.sender, channel.payee);
    }

    function _requireRecipient(address to) private view {
        if (to == address(0) || to == address(this)) revert BadRecipient(to);
    }

    function _sum(uint256 before, uint256 amount) private pure returns (uint88) {
        uint256 sum = before + amount;
        if (amount == 0 || sum > type(uint88).max) revert AmountOutOfRange(amount);
        return uint88(sum);
    }
}
