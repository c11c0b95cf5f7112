//! The developer accounts: everybody knows their keys, a local network funds them.

use bitcoin::Amount;
use bitcoin::bip32::{DerivationPath, Xpriv};
use bridge::io::sidechain::Account;

/// The mnemonic every Ethereum developer tool knows. Its accounts belong to everybody.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// How many of its accounts a development network funds.
pub const DEV_ACCOUNTS: u32 = 10;
/// What each of them is sent. Ten times this is well within what the first spendable rewards of the miner hold.
pub const DEV_FUNDS: Amount = Amount::from_int_btc(10);

/// Account `index` of the developer mnemonic, by the usual path m/44'/60'/0'/0/index.
pub fn dev_account(index: u32) -> Account {
    let seed = bip39::Mnemonic::parse(DEV_MNEMONIC).expect("a valid mnemonic").to_seed("");
    let path: DerivationPath = format!("m/44'/60'/0'/0/{index}").parse().expect("a valid path");
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let master = Xpriv::new_master(bitcoin::Network::Bitcoin, &seed).expect("64 bytes of seed are enough");
    let key = master.derive_priv(&secp, &path).expect("the index is small");
    Account::from_secret(&key.private_key.secret_bytes()).expect("a derived key is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn developer_accounts_are_the_ones_every_tool_shows() {
        // Source: the accounts that anvil and hardhat print.
        assert_eq!(dev_account(0).address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(dev_account(9).address().to_string(), "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");
    }
}
