//! The predeployed contracts and their places.

/// Where genesis puts the contracts.
pub mod address {
    use alloy_primitives::{Address, address};

    pub const LIGHT_CLIENT: Address = address!("CA05000000000000000000000000000000000001");
    pub const FEDERATION: Address = address!("CA05000000000000000000000000000000000002");
    pub const SIGNING_BOARD: Address = address!("CA05000000000000000000000000000000000003");
    pub const BRIDGE: Address = address!("CA05000000000000000000000000000000000004");
    pub const MICRO_CHANNEL: Address = address!("CA05000000000000000000000000000000000005");
    pub const VAULT: Address = address!("CA05000000000000000000000000000000000006");
    pub const DEPOSITS: Address = address!("CA05000000000000000000000000000000000007");
    pub const WRAPPED_BTC: Address = address!("CA05000000000000000000000000000000000008");
}

/// The predeployed contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contract {
    LightClient,
    Federation,
    SigningBoard,
    Bridge,
    Vault,
    Deposits,
    MicroChannel,
    WrappedBtc,
}

impl Contract {
    /// In the order of their deployment: constructors may call those before.
    pub const ALL: [Self; 8] = [
        Self::LightClient,
        Self::Federation,
        Self::SigningBoard,
        Self::Bridge,
        Self::Vault,
        Self::Deposits,
        Self::MicroChannel,
        Self::WrappedBtc,
    ];

    pub const fn address(self) -> alloy_primitives::Address {
        match self {
            Self::LightClient => address::LIGHT_CLIENT,
            Self::Federation => address::FEDERATION,
            Self::SigningBoard => address::SIGNING_BOARD,
            Self::Bridge => address::BRIDGE,
            Self::Vault => address::VAULT,
            Self::Deposits => address::DEPOSITS,
            Self::MicroChannel => address::MICRO_CHANNEL,
            Self::WrappedBtc => address::WRAPPED_BTC,
        }
    }
}
