// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Bitcoin's headers, their work and the best chain. All hashes are in internal byte order (as hashed).
interface IBitcoinLightClient {
    /// Proof that a transaction is in a block. `siblings` go from the leaf upwards. The block's coinbase is proven too: its
    /// path has the true depth of the tree, which a transaction's path must share.
    struct InclusionProof {
        bytes32 blockHash;
        /// Position of the transaction in the block.
        uint32 index;
        bytes32[] siblings;
        /// The block's first transaction, stripped of its witness.
        bytes coinbase;
        bytes32[] coinbaseSiblings;
    }

    /// Rules of a network, as Bitcoin Core's consensus parameters name them.
    struct Parameters {
        /// Targets never change (regtest).
        bool noRetarget;
        /// The 20-minute rule of test networks.
        bool minDifficulty;
        /// BIP94 (testnet4): retargets start from the first block's target, and a timewarp limit.
        bool bip94;
        /// The easiest target, in compact form.
        uint32 powLimitBits;
    }

    struct Header {
        bytes32 previous;
        bytes32 merkleRoot;
        uint32 time;
        uint32 bits;
        uint32 height;
        /// Work of the chain up to and including this header.
        uint256 work;
    }

    /// The best tip after a call that added headers.
    event HeadersAdded(bytes32 indexed tip, uint32 height, uint256 work);
    /// The best chain now goes another way above `forkHeight`, the height of the last common block.
    event Reorganised(bytes32 indexed oldTip, bytes32 indexed newTip, uint32 forkHeight);

    /// Headers come in whole units of 80 bytes.
    error BadLength(uint256 got);
    /// Every header in the call was known already.
    error NothingNew();
    /// The parent is unknown: submit earlier headers first.
    error Unconnected(bytes32 hash, bytes32 previous);
    error BadTarget(bytes32 hash, uint32 gotBits, uint32 wantBits);
    error BadWork(bytes32 hash, uint256 target);
    /// Not after the median time of the last eleven headers.
    error TooOld(bytes32 hash, uint32 time, uint32 medianTimePast);
    /// More than two hours ahead of this block's clock: try later.
    error TooNew(bytes32 hash, uint32 time, uint256 limit);
    /// BIP94: the first header of a period is more than ten minutes before its parent.
    error Timewarp(bytes32 hash, uint32 time, uint32 limit);
    /// The compact form is negative, overflows, is zero, or is easier than the network allows.
    error InvalidBits(uint32 bits);
    /// The checkpoint hides its period's target (it may be a minimum-difficulty block): choose the period's first block.
    error AmbiguousCheckpoint(uint32 height, uint32 bits);
    /// Less than the checkpoint's own, or more than any chain has.
    error ImpossibleWork(uint256 work);
    /// The checkpoint is its period's first block, and has another time.
    error WrongEpochTime(uint32 got, uint32 want);

    error UnknownHeader(bytes32 hash);
    error NotOnBestChain(bytes32 blockHash);
    /// A 64-byte transaction could be an inner node of the tree.
    error AmbiguousLength();
    error NotACoinbase();
    error TransactionTooLarge(uint256 got, uint256 max);
    error TooDeep(uint256 got, uint256 max);
    error WrongDepth(uint256 got, uint256 want);
    error IndexBeyondTree(uint32 index, uint256 depth);
    /// CVE-2012-2459: a right node equal to its left sibling is a copy, not a transaction.
    error DuplicatedSibling(uint256 level);
    error RootMismatch(bytes32 got, bytes32 want);

    /// Adds headers: n*80 bytes, each the child of the one before, the first the child of a known header. Known headers
    /// are skipped. Reverts when none is new or any breaks a rule; then nothing changes.
    function submit(bytes calldata headers) external;

    function tip() external view returns (bytes32 hash, uint32 height, uint256 work);

    /// Reverts with UnknownHeader.
    function header(bytes32 hash) external view returns (Header memory);

    /// On the best chain; zero if there is none.
    function hashAt(uint32 height) external view returns (bytes32);

    /// 1 for the tip; 0 when unknown or off the best chain.
    function confirmations(bytes32 hash) external view returns (uint32);

    /// Reverts unless the transaction is in the block and the block on the best chain.
    function requireIncluded(bytes calldata strippedTransaction, InclusionProof calldata proof)
        external
        view
        returns (bytes32 txid);
}
