//! Deploys the contracts that Ethereum's tools expect on every chain.

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
use alloy_eips::Decodable2718 as _;
use alloy_primitives::{Address, Bytes, hex};
use contracts::standard::{BY_CREATE2, CREATE2_FACTORY, Create2, KEYLESS, Keyless, SAFE_SINGLETON_FACTORY};

use super::{create::create, error::GenesisError};
use crate::state::{StateReader, Working};

/// Runs the creation code of all of them.
///
/// # Errors
///
/// Names the contract whose transaction or code is not the one that everybody knows.
pub(super) fn deploy<R: StateReader>(
    chain_id: u64,
    timestamp: u64,
    mut working: Working<'_, R>,
) -> Result<Working<'_, R>, GenesisError> {
    for keyless in &KEYLESS {
        for address in addresses(keyless) {
            let refuse = |error: String| GenesisError(format!("{}: {error}", keyless.name));
            let code = creation_code(keyless).map_err(refuse)?;
            working = create(chain_id, timestamp, working, address, code).map_err(refuse)?;
        }
    }
    for made in &BY_CREATE2 {
        let refuse = |error: String| GenesisError(format!("{}: {error}", made.name));
        let code = salted_code(made).map_err(refuse)?;
        working = create(chain_id, timestamp, working, made.address, code).map_err(refuse)?;
    }
    Ok(working)
}

fn addresses(keyless: &Keyless) -> impl Iterator<Item = Address> {
    // The Safe's factory is the same code at another address.
    let twin = (keyless.address == CREATE2_FACTORY).then_some(SAFE_SINGLETON_FACTORY);
    [keyless.address].into_iter().chain(twin)
}

/// The creation code in a keyless transaction, once its sender proves that it makes the contract's address.
fn creation_code(keyless: &Keyless) -> Result<Bytes, String> {
    let raw = hex::decode(keyless.transaction.trim()).map_err(|error| error.to_string())?;
    let transaction = TxEnvelope::decode_2718_exact(&raw).map_err(|error| error.to_string())?;
    let sender = transaction.recover_signer().map_err(|error| error.to_string())?;
    let (got, want) = (sender.create(transaction.nonce()), keyless.address);
    if !transaction.is_create() || got != want {
        return Err(format!("its transaction creates {got}, expected {want}"));
    }
    Ok(transaction.input().clone())
}

/// The creation code of a contract by CREATE2, once it makes the contract's address.
fn salted_code(made: &Create2) -> Result<Bytes, String> {
    let code = hex::decode(made.creation_code.trim()).map_err(|error| error.to_string())?;
    let (got, want) = (CREATE2_FACTORY.create2_from_code(made.salt, &code), made.address);
    if got != want {
        return Err(format!("its code makes {got}, expected {want}"));
    }
    Ok(code.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_is_the_one_that_everybody_knows() {
        for keyless in &KEYLESS {
            creation_code(keyless).expect(keyless.name);
        }
    }

    #[test]
    fn code_that_is_changed_by_a_bit_has_another_address() {
        for made in &BY_CREATE2 {
            salted_code(made).expect(made.name);
            let mut text = made.creation_code.trim().to_owned();
            let last = text.pop().expect("not empty");
            text.push(if last == '1' { '2' } else { '1' });
            salted_code(&Create2 { creation_code: text.leak(), ..*made }).expect_err(made.name);
        }
    }

    #[test]
    fn a_changed_transaction_is_refused_because_its_sender_changes_with_it() {
        for keyless in &KEYLESS {
            let mut text = keyless.transaction.trim().to_owned();
            // The last digit of the signature's s.
            let last = text.pop().expect("not empty");
            text.push(if last == '1' { '2' } else { '1' });
            let changed = Keyless { transaction: text.leak(), ..*keyless };
            creation_code(&changed).expect_err(keyless.name);
        }
    }
}
