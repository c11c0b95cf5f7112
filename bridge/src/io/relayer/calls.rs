//! Proofs and contents in the bindings' terms: each contract's bindings have structs of their own, of the same form.

use alloy_primitives::B256;
use contracts::{deposits, vault};
use mainchain::header::to_bytes;
use mainchain::proof::InclusionProof;

use crate::peg::Content;

fn branch(hashes: Vec<[u8; 32]>) -> Vec<B256> {
    hashes.into_iter().map(B256::from).collect()
}

/// For the Vault.
pub fn vault_proof(proof: InclusionProof) -> vault::IBitcoinLightClient::InclusionProof {
    vault::IBitcoinLightClient::InclusionProof {
        header: to_bytes(&proof.header).into(),
        index: proof.index,
        siblings: branch(proof.siblings),
        leftmost: branch(proof.leftmost),
    }
}

/// For Deposits.
pub fn deposit_proof(proof: InclusionProof) -> deposits::IBitcoinLightClient::InclusionProof {
    deposits::IBitcoinLightClient::InclusionProof {
        header: to_bytes(&proof.header).into(),
        index: proof.index,
        siblings: branch(proof.siblings),
        leftmost: branch(proof.leftmost),
    }
}

/// For Deposits.
pub fn deposits_content(content: &Content) -> deposits::IVault::Content {
    let vault::IVault::Content { epoch, rate, reserveSat, deposits, outputs, withdrawals } = content.into();
    let outpoint = |outpoint: vault::IVault::Outpoint| {
        let vault::IVault::Outpoint { txid, vout } = outpoint;
        deposits::IVault::Outpoint { txid, vout }
    };
    let deposits = deposits.into_iter().map(outpoint).collect();
    deposits::IVault::Content { epoch, rate, reserveSat, deposits, outputs, withdrawals }
}
