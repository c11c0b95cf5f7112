//! Whether a block that the followed node sent is the next final one.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use api::peg::FollowedBlock;
use light::finality::{self, FinalityError, Validators};
use tracing::debug;

use crate::block::Block;

/// Why a block is not taken. The followed node is at fault; another answer may be better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the answer is not a block: {0}")]
    Encoding(String),
    #[error("asked for block {want}, got {got}")]
    Number { got: u64, want: u64 },
    #[error("block {number} does not continue the final chain: parent {got}, expected {want}")]
    Parent { number: u64, got: B256, want: B256 },
    #[error(transparent)]
    Finality(#[from] FinalityError),
}

/// A block that the validators made final.
#[derive(Clone, Debug)]
pub(super) struct Final {
    pub(super) block: Block,
    /// When it is of this very block.
    pub(super) certificate: Option<Bytes>,
}

/// Checks everything about an answer that needs no state. `None`: it is not provably final yet.
pub(super) fn examine(
    answer: &FollowedBlock,
    (number, hash): (u64, B256),
    validators: &Validators,
) -> Result<Option<Final>, Refused> {
    let want = number + 1;
    let block = decode::<Block>(&answer.block)?;
    if block.header.number != want {
        return Err(Refused::Number { got: block.header.number, want });
    }
    if block.header.parent_hash != hash {
        return Err(Refused::Parent { number: want, got: block.header.parent_hash, want: hash });
    }
    let Some(proof) = &answer.finality else {
        debug!(number = want, "no certificate yet");
        return Ok(None);
    };
    let descendants = proof.descendants.iter().map(decode::<Header>).collect::<Result<Vec<_>, _>>()?;
    finality::verify_linked(&block.header, &descendants, &proof.certificate, validators)?;
    let certificate = (proof.certified.number == want && descendants.is_empty()).then(|| proof.certificate.clone());
    Ok(Some(Final { block, certificate }))
}

fn decode<T: alloy_rlp::Decodable>(bytes: &Bytes) -> Result<T, Refused> {
    let mut rest = bytes.as_ref();
    let value = T::decode(&mut rest).map_err(|error| Refused::Encoding(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(Refused::Encoding("trailing bytes".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::unsigned_transaction;
    use alloy_consensus::{TxEnvelope, proofs::calculate_transaction_root};
    use api::peg::{Certified, Finality};
    use blst::min_sig::SecretKey;

    const NETWORK: B256 = B256::repeat_byte(0x51);

    fn secrets() -> Vec<SecretKey> {
        (1..=4).map(crate::testing::validator).collect()
    }

    fn validators() -> Validators {
        let members = secrets().into_iter().enumerate();
        let keys = members.map(|(i, secret)| ([i as u8; 32], secret.sk_to_pk().compress()));
        Validators::new(NETWORK, keys).expect("valid keys")
    }

    fn child(parent: &Header, transactions: Vec<TxEnvelope>) -> Block {
        let transactions_root = calculate_transaction_root(&transactions);
        let header = Header {
            number: parent.number + 1,
            parent_hash: parent.hash_slow(),
            transactions_root,
            ..Header::default()
        };
        Block { header, transactions }
    }

    fn rlp(value: &impl alloy_rlp::Encodable) -> Bytes {
        alloy_rlp::encode(value).into()
    }

    /// What an honest node answers for `block`, certified at the last of `descendants` or itself.
    fn answer(block: &Block, descendants: &[&Block], signers: &[usize]) -> FollowedBlock {
        let certified = descendants.last().map_or(block, |last| *last);
        let certificate = finality::certify(NETWORK, &secrets(), signers, 9, certified.hash());
        FollowedBlock {
            block: rlp(block),
            finality: Some(Finality {
                number: block.header.number,
                hash: block.hash(),
                header: rlp(&block.header),
                certificate: certificate.into(),
                certified: Certified { number: certified.header.number, hash: certified.hash() },
                descendants: descendants.iter().map(|block| rlp(&block.header)).collect(),
            }),
        }
    }

    // genesis <- 1 <- 2
    fn blocks() -> [Block; 3] {
        let genesis = Block { header: Header::default(), transactions: Vec::new() };
        let one = child(&genesis.header, vec![unsigned_transaction(0)]);
        let two = child(&one.header, Vec::new());
        [genesis, one, two]
    }

    #[test]
    fn a_block_is_taken_by_its_own_certificate_or_a_descendants() {
        let [genesis, one, two] = blocks();
        let tip = (0, genesis.hash());
        let taken = examine(&answer(&one, &[], &[0, 1, 3]), tip, &validators());
        let taken = taken.expect("a quorum signed it").expect("final");
        assert_eq!(taken.block, one);
        assert!(taken.certificate.is_some());
        let taken = examine(&answer(&one, &[&two], &[0, 1, 3]), tip, &validators());
        let taken = taken.expect("a quorum signed its child").expect("final");
        assert_eq!(taken.block, one);
        assert!(taken.certificate.is_none(), "it is the child's");
        let mut early = answer(&one, &[], &[0, 1, 3]);
        early.finality = None;
        assert!(matches!(examine(&early, tip, &validators()), Ok(None)), "not final yet");
    }

    #[test]
    fn a_node_that_lies_is_not_believed() {
        let [genesis, one, two] = blocks();
        let tip = (0, genesis.hash());
        let examine = |answer| examine(&answer, tip, &validators()).expect_err("a lie");
        assert!(matches!(
            examine(answer(&one, &[], &[0, 1])),
            Refused::Finality(FinalityError::NoQuorum { got: 2, want: 3 })
        ));
        assert!(matches!(examine(answer(&two, &[], &[0, 1, 2])), Refused::Number { got: 2, want: 1 }));
        let elsewhere = child(&Header { timestamp: 7, ..Header::default() }, Vec::new());
        assert!(matches!(examine(answer(&elsewhere, &[], &[0, 1, 2])), Refused::Parent { number: 1, .. }));
        let mut without_body = one.clone();
        without_body.transactions.clear();
        assert!(matches!(examine(answer(&without_body, &[], &[0, 1, 2])), Refused::Encoding(_)));
        // Another block with the certificate of the real one.
        let mut other = answer(&child(&genesis.header, Vec::new()), &[], &[0, 1, 2]);
        other.finality = answer(&one, &[], &[0, 1, 2]).finality;
        assert!(matches!(examine(other), Refused::Finality(FinalityError::WrongBlock { .. })));
        // A certified block that does not descend from it.
        let mut unlinked = answer(&one, &[&elsewhere], &[0, 1, 2]);
        assert!(matches!(examine(unlinked.clone()), Refused::Finality(FinalityError::Unlinked { .. })));
        unlinked.block = Bytes::from_static(&[0xc0]);
        assert!(matches!(examine(unlinked), Refused::Encoding(_)));
        let mut trailing = answer(&one, &[], &[0, 1, 2]);
        trailing.block = [trailing.block.as_ref(), &[0]].concat().into();
        assert!(matches!(examine(trailing), Refused::Encoding(_)));
    }
}
