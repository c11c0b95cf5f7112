//! A header by its certificate.

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rlp::Decodable as _;
use api::peg::Finality;

use crate::finality::{self, FinalityError, Validators};

/// A header that a quorum of the validators signed, or a descendant of which they signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalHeader {
    pub header: Header,
    /// keccak256 of the RLP header.
    pub hash: B256,
    /// How many validators signed.
    pub signers: usize,
    /// How many there are.
    pub validators: usize,
}

/// Why an answer does not prove that its block is final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("a header is not RLP: {0}")]
    Encoding(alloy_rlp::Error),
    #[error("a header is followed by {extra} more bytes")]
    TrailingBytes { extra: usize },
    #[error(transparent)]
    Finality(#[from] FinalityError),
}

impl FinalHeader {
    /// Checks an answer of `peg_getFinality`. Only its headers and certificate are looked at, not what it says about them.
    ///
    /// # Errors
    ///
    /// The node that gave the answer is at fault in every case.
    pub fn verify(answer: &Finality, validators: &Validators) -> Result<Self, HeaderError> {
        let header = decode(&answer.header)?;
        let descendants = answer.descendants.iter().map(|raw| decode(raw)).collect::<Result<Vec<_>, _>>()?;
        let certificate = finality::verify_linked(&header, &descendants, &answer.certificate, validators)?;
        let signers = certificate.signers.iter().filter(|signed| **signed).count();
        Ok(Self { hash: header.hash_slow(), header, signers, validators: validators.len() })
    }
}

fn decode(mut raw: &[u8]) -> Result<Header, HeaderError> {
    let header = Header::decode(&mut raw).map_err(HeaderError::Encoding)?;
    if raw.is_empty() { Ok(header) } else { Err(HeaderError::TrailingBytes { extra: raw.len() }) }
}
