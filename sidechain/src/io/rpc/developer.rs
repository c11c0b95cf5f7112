//! The accounts of `causeway dev`, whose keys everybody knows: every other node holds no keys, and signs nothing.

use alloy_primitives::{Address, B256, Signature, hex};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

use super::error;

/// The first ten accounts of the mnemonic "test test test test test test test test test test test junk", as anvil and hardhat show them. These and no
/// others: a key that somebody else does not know has no place here.
const SECRETS: [[u8; 32]; 10] = [
    hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    hex!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    hex!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    hex!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    hex!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    hex!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    hex!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    hex!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    hex!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

/// Namespaces of nodes that set time, blocks and accounts at will.
const OF_SIMULATORS: [&str; 3] = ["evm_", "anvil_", "hardhat_"];

/// The accounts that this node signs for: all of the above, or none.
#[derive(Default)]
pub struct Developers {
    accounts: Vec<(Address, SecretKey)>,
    /// One transaction at a time is filled in, signed and sent: each has the nonce after the one before.
    pub turn: tokio::sync::Mutex<()>,
}

impl Developers {
    /// The ten of `causeway dev`.
    pub fn well_known() -> Self {
        let account = |secret: &[u8; 32]| {
            let secret = SecretKey::from_slice(secret).expect("a constant below the group's order");
            let key = PublicKey::from_secret_key(SECP256K1, &secret).serialize_uncompressed();
            (Address::from_raw_public_key(&key[1..]), secret)
        };
        Self { accounts: SECRETS.iter().map(account).collect(), ..Self::default() }
    }

    pub fn addresses(&self) -> Vec<Address> {
        self.accounts.iter().map(|(address, _)| *address).collect()
    }

    /// Whether it signs for an account.
    ///
    /// # Errors
    ///
    /// `-32601` where there are no keys; `-32000` for an account that is not among them, in geth's words.
    pub fn check(&self, address: Address) -> error::Result<()> {
        self.secret(address).map(drop)
    }

    /// An account's signature.
    ///
    /// # Errors
    ///
    /// As [`Self::check`].
    pub fn sign(&self, address: Address, hash: B256) -> error::Result<Signature> {
        let signature = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(hash.0), self.secret(address)?);
        let (recovery, bytes) = signature.serialize_compact();
        Ok(Signature::from_bytes_and_parity(&bytes, recovery.to_i32() == 1))
    }

    fn secret(&self, address: Address) -> error::Result<&SecretKey> {
        if self.accounts.is_empty() {
            return Err(error::no_keys());
        }
        let found = self.accounts.iter().find(|(own, _)| *own == address);
        found.map(|(_, secret)| secret).ok_or_else(|| error::server("unknown account"))
    }

    /// Whether a method that is none here is one of simulators, and whoever asks is a developer who may expect it.
    pub fn is_of_simulators(&self, method: &str) -> bool {
        !self.accounts.is_empty() && OF_SIMULATORS.iter().any(|namespace| method.starts_with(namespace))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{address, keccak256};

    use super::*;

    // As anvil and hardhat print them.
    const ADDRESSES: [Address; 10] = [
        address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
        address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
        address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
        address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
        address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
        address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
        address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
    ];

    #[test]
    fn the_accounts_are_those_that_every_tool_shows_and_no_others() {
        let developers = Developers::well_known();
        assert_eq!(developers.addresses(), ADDRESSES);
        let hash = keccak256("said");
        for address in ADDRESSES {
            let signature = developers.sign(address, hash).expect("one of them");
            assert_eq!(signature.recover_address_from_prehash(&hash).expect("a signature"), address);
        }
        assert_eq!(developers.sign(Address::ZERO, hash).expect_err("nobody's").code(), -32000);
        assert_eq!(Developers::default().sign(ADDRESSES[0], hash).expect_err("no keys").code(), -32601);
    }
}
