// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Bitcoin's headers, their work and the best chain. All hashes are in internal byte order (as hashed), times in seconds since
/// 1970, targets in Bitcoin's compact form (`nBits`) unless said otherwise, work in expected hashes.
interface IBitcoinLightClient {
    /// Proof that a transaction is in a block.
    struct InclusionProof {
        /// The 80 bytes of the header of the block that holds the transaction.
        bytes header;
        /// Position of the transaction in the block, from 0.
        uint32 index;
        /// The transaction's Merkle siblings, from the leaf upwards.
        bytes32[] siblings;
        /// Empty, unless an inner node of the path could be a transaction of 64 bytes: then the depth of the tree is shown by the path of
        /// the block's first transaction. Its txid, and its Merkle siblings from the leaf upwards until it joins the path above: as many
        /// as `index` has binary digits, less one.
        bytes32[] leftmost;
    }

    /// Rules of a network, as Bitcoin Core's consensus parameters name them.
    struct Parameters {
        /// Targets never change (regtest).
        bool noRetarget;
        /// The 20-minute rule of test networks.
        bool minDifficulty;
        /// BIP94 (testnet4): retargets start from the first block's target, and a timewarp limit.
        bool bip94;
        /// Blocks are valid by a signature that headers do not show (signet): headers are taken from members of the federation only.
        bool signedBlocks;
        /// The easiest target, in compact form.
        uint32 powLimitBits;
    }

    /// A checked header.
    struct Header {
        /// Hash of the parent.
        bytes32 previous;
        /// Seconds since 1970, as the miner states them.
        uint32 time;
        /// Target in compact form.
        uint32 bits;
        /// Blocks before this one, from Bitcoin's genesis.
        uint32 height;
        /// Work of the chain up to and including this header.
        uint256 work;
    }

    /// The best tip after a call that added headers.
    /// @param tip hash of the best chain's last header.
    /// @param height of the tip.
    /// @param work of the chain up to and including the tip.
    event HeadersAdded(bytes32 indexed tip, uint32 height, uint256 work);

    /// Another branch is the best chain now.
    /// @param oldTip last header of the branch that was left.
    /// @param newTip last header of the branch that was joined.
    /// @param forkHeight height of the last block that both have in common.
    event Reorganised(bytes32 indexed oldTip, bytes32 indexed newTip, uint32 forkHeight);

    // ------------------------------------------------------------------ errors of `submit` and of the constructor

    /// Headers come in whole units of 80 bytes, at least one.
    /// @param got length in bytes.
    error BadLength(uint256 got);

    /// Every header in the call was known already.
    error NothingNew();

    /// On a network whose blocks are signed only members of the federation submit headers.
    /// @param account that called.
    error NotAMember(address account);

    /// Blocks are signed, and no federation was named whose members would submit their headers.
    error NobodyToTrust();

    /// The parent is unknown, or is not the header before this one in the call: submit earlier headers first.
    /// @param hash of the refused header.
    /// @param previous the parent it names.
    error Unconnected(bytes32 hash, bytes32 previous);

    /// The header states another target than the rules give it.
    /// @param hash of the refused header.
    /// @param gotBits target in the header, in compact form.
    /// @param wantBits target by the rules, in compact form.
    error BadTarget(bytes32 hash, uint32 gotBits, uint32 wantBits);

    /// The hash is above the target.
    /// @param hash of the refused header.
    /// @param target as a 256-bit number.
    error BadWork(bytes32 hash, uint256 target);

    /// Not after the median time of the last eleven headers.
    /// @param hash of the refused header.
    /// @param time in the header.
    /// @param medianTimePast which the time must exceed.
    error TooOld(bytes32 hash, uint32 time, uint32 medianTimePast);

    /// The first new header of the call is more than two hours ahead of this block's clock: try later. Behind others it is left out.
    /// @param hash of the refused header.
    /// @param time in the header.
    /// @param limit the latest time accepted now.
    error TooNew(bytes32 hash, uint32 time, uint256 limit);

    /// BIP94: the first header of a period is more than ten minutes before its parent.
    /// @param hash of the refused header.
    /// @param time in the header.
    /// @param limit the earliest time accepted.
    error Timewarp(bytes32 hash, uint32 time, uint32 limit);

    /// The compact form is negative, overflows, is zero, or is easier than the network allows.
    /// @param bits the compact form.
    error InvalidBits(uint32 bits);

    /// The checkpoint hides its period's target (it may be a minimum-difficulty block): choose the period's first block.
    /// @param height of the checkpoint.
    /// @param bits of the checkpoint.
    error AmbiguousCheckpoint(uint32 height, uint32 bits);

    /// Less than the checkpoint's own, or more than any chain has (2^128).
    /// @param work of the chain.
    error ImpossibleWork(uint256 work);

    /// The checkpoint is its period's first block, and has another time.
    /// @param got time stated for the period's first block.
    /// @param want time in the checkpoint.
    error WrongEpochTime(uint32 got, uint32 want);

    // ------------------------------------------------------------------ errors of questions and proofs

    /// No header with this hash was added.
    /// @param hash that was asked for.
    error UnknownHeader(bytes32 hash);

    /// The header is known, but a branch with more work has left it.
    /// @param blockHash of the block in the proof.
    error NotOnBestChain(bytes32 blockHash);

    /// A 64-byte transaction could be an inner node of the tree.
    error AmbiguousLength();

    /// The transaction is larger than a block allows.
    /// @param got size in bytes, without witness.
    /// @param max accepted size in bytes.
    error TransactionTooLarge(uint256 got, uint256 max);

    /// The tree would be deeper than a block allows.
    /// @param got levels of the transaction's path.
    /// @param max accepted levels.
    error TooDeep(uint256 got, uint256 max);

    /// An inner node of the path could be a transaction of 64 bytes, and the proof does not show the tree's depth.
    /// @param level of its two children, from 0 at the leaves.
    error AmbiguousNode(uint256 level);

    /// The path of the first transaction does not begin as deep as the transaction's own.
    /// @param got nodes in `leftmost`.
    /// @param want nodes that the index asks for.
    error WrongDepth(uint256 got, uint256 want);

    /// What is called the first transaction's txid has the zeros of a coinbase's input, and no hash has them.
    /// @param node in its place.
    error NotATransaction(bytes32 node);

    /// The path of the first transaction does not lead to where it joins the transaction's own.
    /// @param got node that it leads to.
    /// @param want node of the transaction's path.
    error LeftmostMismatch(bytes32 got, bytes32 want);

    /// A tree of this depth has no such position.
    /// @param index position of the transaction.
    /// @param depth levels of the tree.
    error IndexBeyondTree(uint32 index, uint256 depth);

    /// CVE-2012-2459: a right node equal to its left sibling is a copy, not a transaction.
    /// @param level where the two are equal, from 0 at the leaves.
    error DuplicatedSibling(uint256 level);

    /// The transaction's path does not lead to the block's root.
    /// @param got root that the path leads to.
    /// @param want root in the header.
    error RootMismatch(bytes32 got, bytes32 want);

    // ------------------------------------------------------------------ functions

    /// Adds headers, for anyone; for members of the federation where blocks are signed. Known headers at the start of the call are skipped.
    /// From the first one on that is too far ahead of the clock they are left out, to be submitted again later. When any other rule is
    /// broken, or none is left, nothing changes. What a header costs does not depend on how the best chain changes.
    ///
    /// Reverts with NotAMember, BadLength, NothingNew, Unconnected, BadTarget, BadWork, TooOld, Timewarp or TooNew.
    /// @param headers 80 bytes each; each is the child of the one before, the first the child of a known header.
    function submit(bytes calldata headers) external;

    /// The last header of the best chain. Never fails: the checkpoint is there from the start.
    /// @return hash of the tip.
    /// @return height of the tip.
    /// @return work of the chain up to and including the tip.
    function tip() external view returns (bytes32 hash, uint32 height, uint256 work);

    /// What windows are measured in.
    /// @return height of the best chain's tip.
    /// @return work of the chain up to and including the tip.
    /// @return unit work of one block at the target that the tip's difficulty period asks for.
    function tipWork() external view returns (uint32 height, uint256 work, uint256 unit);

    /// A known header, on the best chain or not. Reverts with UnknownHeader.
    /// @param hash of the header.
    function header(bytes32 hash) external view returns (Header memory);

    /// The header of the best chain at a height.
    /// @param height from the checkpoint's to the tip's.
    /// @return its hash, or zero when the best chain has no header there.
    function hashAt(uint32 height) external view returns (bytes32);

    /// How deep a block lies in the best chain.
    /// @param hash of the block.
    /// @return blocks from it to the tip, both counted: 1 for the tip; 0 when it is unknown or off the best chain.
    function confirmations(bytes32 hash) external view returns (uint32);

    /// How deep a block lies in the best chain by work: that of the blocks from it to the tip, both counted, divided by the work of one
    /// block at the target that its difficulty period asks for, rounded down. Blocks of minimum difficulty count as about nothing.
    /// @param hash of the block.
    /// @return as many blocks of its period as that work makes; 0 when it is unknown or off the best chain.
    function confirmationsInWork(bytes32 hash) external view returns (uint32);

    /// The header of the best chain at a height, and how deep it lies: the lesser of `confirmations` and `confirmationsInWork`.
    /// @param height from the checkpoint's to the tip's.
    /// @return hash of the header, or zero when the best chain has no header there.
    /// @return blocks of depth; 0 when it has none.
    function depthAt(uint32 height) external view returns (bytes32 hash, uint32 blocks);

    /// Checks that a transaction is in a block of the best chain.
    ///
    /// Reverts with BadLength, UnknownHeader, NotOnBestChain, AmbiguousLength, TransactionTooLarge, TooDeep, IndexBeyondTree, AmbiguousNode,
    /// WrongDepth, NotATransaction, LeftmostMismatch, DuplicatedSibling or RootMismatch.
    /// @param strippedTransaction raw bytes without witness.
    /// @param proof of its place in the block.
    /// @return txid double SHA-256 of the transaction.
    /// @return blockHash of the block that holds it.
    /// @return height of that block.
    function requireIncluded(bytes calldata strippedTransaction, InclusionProof calldata proof)
        external
        view
        returns (bytes32 txid, bytes32 blockHash, uint32 height);
}
