//! Where the contracts keep their storage. Made by `npm run build` from what the compiler says; `npm run check` compares.

/// Storage of `BitcoinLightClient`: the slots of its variables, and the fields of its structs.
pub mod bitcoin_light_client {
    use crate::storage::Field;

    /// `uint256`.
    pub const BEST: Field = Field { slot: 0, offset: 0, size: 32 };
    /// `struct BitcoinLightClient.Branch[]`.
    pub const BRANCHES: u64 = 1;
    /// `mapping(bytes32 => struct BitcoinLightClient.Stored)`.
    pub const HEADERS: u64 = 2;
    /// `mapping(uint256 => bytes32)`.
    pub const HASHES: u64 = 3;

    /// `struct BitcoinLightClient.Branch`.
    pub mod branch {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const PARENT: Field = Field { slot: 0, offset: 0, size: 4 };
        pub const JUMP: Field = Field { slot: 0, offset: 4, size: 4 };
        pub const DEPTH: Field = Field { slot: 0, offset: 8, size: 4 };
        pub const FIRST: Field = Field { slot: 0, offset: 12, size: 4 };
        pub const LAST: Field = Field { slot: 0, offset: 16, size: 4 };
        pub const PERIOD_TIME: Field = Field { slot: 0, offset: 20, size: 4 };
        pub const PERIOD_BITS: Field = Field { slot: 0, offset: 24, size: 4 };
    }

    /// `struct BitcoinLightClient.Stored`.
    pub mod stored {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const TIME: Field = Field { slot: 0, offset: 0, size: 4 };
        pub const BITS: Field = Field { slot: 0, offset: 4, size: 4 };
        pub const HEIGHT: Field = Field { slot: 0, offset: 8, size: 4 };
        pub const BRANCH: Field = Field { slot: 0, offset: 12, size: 4 };
        pub const WORK: Field = Field { slot: 0, offset: 16, size: 16 };
    }
}

/// Storage of `Federation`: the slots of its variables, and the fields of its structs.
pub mod federation {
    /// `struct IFederation.Member[]`.
    pub const MEMBERS: u64 = 0;
    /// `mapping(address => uint16)`.
    pub const INDEX_OF: u64 = 1;
    /// `mapping(uint32 => struct Federation.Keys)`.
    pub const KEYS: u64 = 2;
    /// `mapping(uint32 => mapping(uint16 => bytes32))`.
    pub const CONFIRMED: u64 = 3;

    /// `struct IFederation.Member`.
    pub mod member {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 5;
        pub const ACCOUNT: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const ENCRYPTION_KEY: Field = Field { slot: 1, offset: 0, size: 32 };
        pub const VALIDATOR_KEY: Field = Field { slot: 2, offset: 0, size: 32 };
        pub const P2P_KEY: Field = Field { slot: 3, offset: 0, size: 32 };
        pub const NAME: Field = Field { slot: 4, offset: 0, size: 32 };
    }

    /// `struct Federation.Keys`.
    pub mod keys {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 2;
        pub const GROUP: Field = Field { slot: 0, offset: 0, size: 32 };
        pub const VAULT: Field = Field { slot: 1, offset: 0, size: 32 };
    }
}

/// Storage of `SigningBoard`: the slots of its variables, and the fields of its structs.
pub mod signing_board {
    /// `mapping(uint16 => struct SigningBoard.Used)`.
    pub const USED: u64 = 0;

    /// `struct SigningBoard.Used`.
    pub mod used {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const BYTE_COUNT: Field = Field { slot: 0, offset: 0, size: 16 };
        pub const SINCE: Field = Field { slot: 0, offset: 16, size: 16 };
    }
}

/// Storage of `Bridge`: the slots of its variables, and the fields of its structs.
pub mod bridge {
    use crate::storage::Field;

    /// `struct IBridge.Books`.
    pub const BOOKS: u64 = 0;
    /// `uint64`.
    pub const RECOVERED_SAT: Field = Field { slot: 2, offset: 0, size: 8 };
    /// `uint64`.
    pub const LINE_END: Field = Field { slot: 2, offset: 8, size: 8 };
    /// `uint64`.
    pub const LINE_SERVED: Field = Field { slot: 2, offset: 16, size: 8 };
    /// `uint64`.
    pub const LAST_WITHDRAWAL: Field = Field { slot: 2, offset: 24, size: 8 };
    /// `bytes`.
    pub const PARAMETERS: u64 = 3;
    /// `mapping(address => uint64)`.
    pub const CLAIMABLE: u64 = 4;
    /// `struct Bounds.Window`.
    pub const WINDOW: u64 = 5;
    /// `struct Bounds.Pause`.
    pub const PAUSE: u64 = 6;
    /// `mapping(address => bool)`.
    pub const GUARDIANS: u64 = 7;
    /// `mapping(uint256 => struct Withdrawals.Record)`.
    pub const RECORDS: u64 = 8;
    /// `mapping(bytes32 => struct Losses.Coverage)`.
    pub const COVERED: u64 = 9;
    /// `mapping(uint256 => struct Losses.Given)`.
    pub const GIVEN: u64 = 10;
    /// `uint256`.
    pub const COVER_COUNT: Field = Field { slot: 11, offset: 0, size: 32 };

    /// `struct IBridge.Books`.
    pub mod books {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 2;
        pub const VAULT: Field = Field { slot: 0, offset: 0, size: 8 };
        pub const OWED: Field = Field { slot: 0, offset: 8, size: 8 };
        pub const UNMINTED: Field = Field { slot: 0, offset: 16, size: 8 };
        pub const UNSWEPT: Field = Field { slot: 0, offset: 24, size: 8 };
        pub const LOST: Field = Field { slot: 1, offset: 0, size: 8 };
        pub const RESERVE: Field = Field { slot: 1, offset: 8, size: 8 };
        pub const UNCLAIMED: Field = Field { slot: 1, offset: 16, size: 8 };
        pub const COVERED: Field = Field { slot: 1, offset: 24, size: 8 };
    }

    /// `struct Bounds.Window`.
    pub mod window {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const LEFT_SAT: Field = Field { slot: 0, offset: 0, size: 8 };
        pub const SINCE: Field = Field { slot: 0, offset: 8, size: 5 };
    }

    /// `struct Bounds.Pause`.
    pub mod pause {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const NUMBER: Field = Field { slot: 0, offset: 0, size: 4 };
        pub const UNTIL: Field = Field { slot: 0, offset: 4, size: 5 };
        pub const ALLOWED_FROM: Field = Field { slot: 0, offset: 9, size: 5 };
        pub const VOTES: Field = Field { slot: 0, offset: 14, size: 16 };
    }

    /// `struct Withdrawals.Record`.
    pub mod record {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 3;
        pub const OWNER: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const KIND: Field = Field { slot: 0, offset: 20, size: 1 };
        pub const LENGTH: Field = Field { slot: 0, offset: 21, size: 1 };
        pub const TAIL: Field = Field { slot: 0, offset: 22, size: 8 };
        pub const TIE: Field = Field { slot: 1, offset: 0, size: 4 };
        pub const PAID_BY: Field = Field { slot: 1, offset: 4, size: 4 };
        pub const AMOUNT_SAT: Field = Field { slot: 1, offset: 8, size: 8 };
        pub const MAX_FEE_SAT: Field = Field { slot: 1, offset: 16, size: 8 };
        pub const ASKED_AT: Field = Field { slot: 1, offset: 24, size: 5 };
        pub const CLOSED: Field = Field { slot: 1, offset: 29, size: 1 };
        pub const PROGRAM: Field = Field { slot: 2, offset: 0, size: 32 };
    }

    /// `struct Losses.Coverage`.
    pub mod coverage {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const SAT: Field = Field { slot: 0, offset: 0, size: 8 };
        pub const GIVEN_SAT: Field = Field { slot: 0, offset: 8, size: 8 };
        pub const PLACE_IN_LINE: Field = Field { slot: 0, offset: 16, size: 8 };
    }

    /// `struct Losses.Given`.
    pub mod given {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 3;
        pub const BY: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const AMOUNT_SAT: Field = Field { slot: 0, offset: 20, size: 8 };
        pub const VOUT: Field = Field { slot: 0, offset: 28, size: 4 };
        pub const TXID: Field = Field { slot: 1, offset: 0, size: 32 };
        pub const REPAID_SAT: Field = Field { slot: 2, offset: 0, size: 8 };
        pub const PLACE: Field = Field { slot: 2, offset: 8, size: 8 };
        pub const LOST: Field = Field { slot: 2, offset: 16, size: 1 };
    }
}

/// Storage of `Vault`: the slots of its variables, and the fields of its structs.
pub mod vault {
    use crate::storage::Field;

    /// `mapping(uint16 => mapping(uint8 => struct Proposals.Place))`.
    pub const PLACES: u64 = 0;
    /// `mapping(bytes32 => struct Binding.Output)`.
    pub const OUTPUTS: u64 = 1;
    /// `mapping(uint32 => bytes32)`.
    pub const TXIDS: u64 = 2;
    /// `uint32`.
    pub const VAULT_TRANSACTION_COUNT: Field = Field { slot: 3, offset: 0, size: 4 };
    /// `struct Vault.Shown`.
    pub const ALARM: u64 = 4;

    /// `struct Proposals.Place`.
    pub mod place {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 2;
        pub const CONTENT: Field = Field { slot: 0, offset: 0, size: 32 };
        pub const APPROVALS: Field = Field { slot: 1, offset: 0, size: 16 };
        pub const GENERATION: Field = Field { slot: 1, offset: 16, size: 5 };
        pub const OPENED_AT: Field = Field { slot: 1, offset: 21, size: 5 };
        pub const EPOCH: Field = Field { slot: 1, offset: 26, size: 3 };
        pub const USED_BYTES: Field = Field { slot: 1, offset: 29, size: 3 };
    }

    /// `struct Binding.Output`.
    pub mod output {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 2;
        pub const CONTENT: Field = Field { slot: 0, offset: 0, size: 32 };
        pub const CHANGE_SAT: Field = Field { slot: 1, offset: 0, size: 8 };
        pub const SPENT_BY: Field = Field { slot: 1, offset: 8, size: 4 };
        pub const HEIGHT: Field = Field { slot: 1, offset: 12, size: 4 };
        pub const BLOCK_HEAD: Field = Field { slot: 1, offset: 16, size: 8 };
        pub const EPOCH: Field = Field { slot: 1, offset: 24, size: 3 };
        pub const FLAGS: Field = Field { slot: 1, offset: 27, size: 1 };
        pub const NUMBER: Field = Field { slot: 1, offset: 28, size: 4 };
    }

    /// `struct Vault.Shown`.
    pub mod shown {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const NUMBER: Field = Field { slot: 0, offset: 0, size: 4 };
        pub const HEIGHT: Field = Field { slot: 0, offset: 4, size: 4 };
        pub const BLOCK_HEAD: Field = Field { slot: 0, offset: 8, size: 8 };
    }
}

/// Storage of `Deposits`: the slots of its variables, and the fields of its structs.
pub mod deposits {
    /// `mapping(uint256 => uint256)`.
    pub const TIERS: u64 = 0;
    /// `mapping(uint256 => struct Tiers.Bucket)`.
    pub const BUCKETS: u64 = 1;
    /// `mapping(bytes32 => struct Deposits.Record)`.
    pub const RECORDS: u64 = 2;
    /// `struct Deposits.Pending`.
    pub const PENDING: u64 = 3;

    /// `struct Tiers.Bucket`.
    pub mod bucket {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const CURRENT_SAT: Field = Field { slot: 0, offset: 0, size: 8 };
        pub const PREVIOUS_SAT: Field = Field { slot: 0, offset: 8, size: 8 };
        pub const SINCE: Field = Field { slot: 0, offset: 16, size: 16 };
    }

    /// `struct Deposits.Record`.
    pub mod record {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 3;
        pub const RECIPIENT: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const HEIGHT: Field = Field { slot: 0, offset: 20, size: 4 };
        pub const SWEPT_BY: Field = Field { slot: 0, offset: 24, size: 4 };
        pub const FLAGS: Field = Field { slot: 0, offset: 28, size: 1 };
        pub const EPOCH: Field = Field { slot: 0, offset: 29, size: 3 };
        pub const AMOUNT_SAT: Field = Field { slot: 1, offset: 0, size: 8 };
        pub const MAX_FEE_SAT: Field = Field { slot: 1, offset: 8, size: 8 };
        pub const MINTED_SAT: Field = Field { slot: 1, offset: 16, size: 8 };
        pub const BLOCK_HEAD: Field = Field { slot: 1, offset: 24, size: 8 };
        pub const CLAIMANT: Field = Field { slot: 2, offset: 0, size: 20 };
    }

    /// `struct Deposits.Pending`.
    pub mod pending {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const SAT: Field = Field { slot: 0, offset: 0, size: 8 };
        pub const KEPT: Field = Field { slot: 0, offset: 8, size: 1 };
    }
}

/// Storage of `MicroChannel`: the slots of its variables, and the fields of its structs.
pub mod micro_channel {
    /// `mapping(address => mapping(address => uint256))`.
    pub const OWED: u64 = 0;
    /// `mapping(address => uint256)`.
    pub const HELD: u64 = 1;
    /// `mapping(bytes32 => struct MicroChannel.Record)`.
    pub const CHANNELS: u64 = 2;
    /// `mapping(bytes32 => struct MicroChannel.Split[])`.
    pub const SPLITS: u64 = 3;

    /// `struct MicroChannel.Record`.
    pub mod record {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 4;
        pub const PAYER: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const DEPOSIT: Field = Field { slot: 0, offset: 20, size: 11 };
        pub const FLAGS: Field = Field { slot: 0, offset: 31, size: 1 };
        pub const PAYEE: Field = Field { slot: 1, offset: 0, size: 20 };
        pub const SETTLED: Field = Field { slot: 1, offset: 20, size: 11 };
        pub const TOKEN: Field = Field { slot: 2, offset: 0, size: 20 };
        pub const AUTHORIZED_SIGNER: Field = Field { slot: 3, offset: 0, size: 20 };
        pub const CLOSE_REQUESTED_AT: Field = Field { slot: 3, offset: 20, size: 6 };
        pub const CLOSE_REQUESTED_AT_BLOCK: Field = Field { slot: 3, offset: 26, size: 6 };
    }

    /// `struct MicroChannel.Split`.
    pub mod split {
        use crate::storage::Field;

        /// Slots of one.
        pub const SLOTS: u64 = 1;
        pub const RECIPIENT: Field = Field { slot: 0, offset: 0, size: 20 };
        pub const BPS: Field = Field { slot: 0, offset: 20, size: 2 };
    }
}

/// Storage of `WrappedBtc`: the slots of its variables, and the fields of its structs.
pub mod wrapped_btc {
    use crate::storage::Field;

    /// `uint256`.
    pub const TOTAL_SUPPLY: Field = Field { slot: 0, offset: 0, size: 32 };
    /// `mapping(address => uint256)`.
    pub const BALANCE_OF: u64 = 1;
    /// `mapping(address => mapping(address => uint256))`.
    pub const ALLOWANCE: u64 = 2;
    /// `mapping(address => uint256)`.
    pub const NONCES: u64 = 3;
    /// `mapping(address => mapping(bytes32 => bool))`.
    pub const AUTHORIZATION_STATE: u64 = 4;
}
