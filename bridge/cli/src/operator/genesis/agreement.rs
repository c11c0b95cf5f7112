//! What a genesis file says besides its operators' keys, and how both become one.

use std::collections::BTreeSet;

use eyre::{Result, WrapErr, ensure};
use mainchain::Network;
use sidechain::genesis::{Bitcoin, BlockRules, Bridge, Federation, Genesis, Recovery};

use crate::operator::public_part::PublicPart;

/// Bitcoin blocks after which the recovery keys can spend a vault output: a year.
pub const RECOVERY_DELAY: u16 = 52_560;

/// What the operators agree on besides their keys, and the network and chain id that their public parts name.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// Relayers that must sign together.
    pub threshold: u16,
    /// Members that make blocks, the first ones; none: all.
    pub validators: Option<u16>,
    /// The rules of the peg.
    pub bridge: Bridge,
    /// Bitcoin blocks.
    pub recovery_delay: u16,
    /// Where the light client starts.
    pub bitcoin: Bitcoin,
    /// Of the genesis block, in unix seconds.
    pub timestamp: u64,
}

/// Makes the genesis of a network of these operators, in this order.
///
/// # Errors
///
/// A part that is not signed by its own account, parts for different networks or chains, a key or a name twice, a threshold out of
/// range, and what else the genesis block's rules refuse.
pub fn collect(parts: &[PublicPart], agreement: &Agreement) -> Result<Genesis> {
    let (network, chain_id) = common(parts)?;
    let count = count(parts)?;
    ensure!(
        agreement.threshold >= 2,
        "a threshold of {} with {count} operator(s): a threshold key is made by at least 2 who sign together",
        agreement.threshold
    );
    ensure!(
        network == agreement.bitcoin.network,
        "the operators' parts are for {network}, the light client would start on {}",
        agreement.bitcoin.network
    );
    let genesis = Genesis {
        chain_id,
        timestamp: agreement.timestamp,
        federation: Federation {
            threshold: agreement.threshold,
            members: parts.iter().map(|part| part.operator.member.clone()).collect(),
            validators: agreement.validators,
            recovery: Recovery {
                // A majority, which the operators could decide by anyway if they started over, but never fewer than sign together.
                threshold: (count / 2 + 1).max(agreement.threshold),
                delay: agreement.recovery_delay,
                keys: parts.iter().map(|part| part.operator.recovery_key).collect(),
            },
        },
        bridge: agreement.bridge.clone(),
        block: BlockRules::dev(),
        bitcoin: agreement.bitcoin.clone(),
    };
    genesis.check()?;
    Ok(genesis)
}

/// The network and the chain that all parts are for, once each was checked.
///
/// # Errors
///
/// A part that nobody signed, or parts that do not belong together.
pub fn common(parts: &[PublicPart]) -> Result<(Network, u64)> {
    parts.iter().try_for_each(PublicPart::check)?;
    let first = parts.first().ok_or_else(|| eyre::eyre!("no operator's public part was given"))?;
    let of = |part: &PublicPart| (part.operator.network, part.operator.chain_id);
    if let Some(other) = parts.iter().find(|part| of(part) != of(first)) {
        let (a, b) = (&first.operator, &other.operator);
        eyre::bail!(
            "{} made keys for {}, chain id {}, and {} for {}, chain id {}: all are to be for one network",
            a.member.name,
            a.network,
            a.chain_id,
            b.member.name,
            b.network,
            b.chain_id
        );
    }
    distinct_recovery_keys(parts)?;
    Ok(of(first))
}

/// All other keys, and the names, the genesis file's rules compare.
fn distinct_recovery_keys(parts: &[PublicPart]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match parts.iter().find(|part| !seen.insert(part.operator.recovery_key)) {
        None => Ok(()),
        Some(part) => eyre::bail!("the recovery key of {} is another operator's too", part.operator.member.name),
    }
}

/// How many operators there are.
pub fn count(parts: &[PublicPart]) -> Result<u16> {
    u16::try_from(parts.len()).wrap_err("too many operators")
}

/// More than two thirds: a minority can neither steal nor, alone, stop payouts.
pub fn default_threshold(operators: u16) -> u16 {
    operators - operators.div_ceil(3) + 1
}

/// The usual rules of the peg on a network of these operators: each of them may pause payouts.
pub fn usual_rules(network: Network, parts: &[PublicPart]) -> Bridge {
    Bridge::defaults(network, parts.iter().map(|part| part.operator.member.account).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::keys::{NewOperator, make_operator};

    fn part(new: NewOperator) -> PublicPart {
        let folder = tempfile::tempdir().expect("a temporary folder");
        make_operator(folder.path(), &new, None, "correct horse").expect("made")
    }

    fn operators(count: u16) -> Vec<PublicPart> {
        (1..=count).map(|index| part(NewOperator::example(&format!("operator-{index}"), 30_300 + index))).collect()
    }

    fn agreement(threshold: u16) -> Agreement {
        let bitcoin = Bitcoin::start_of(Network::Regtest);
        let bridge = Bridge::defaults(Network::Regtest, Vec::new());
        Agreement { threshold, validators: None, bridge, recovery_delay: 10, bitcoin, timestamp: 1_700_000_000 }
    }

    #[test]
    fn parts_that_are_unsigned_mixed_or_doubled_make_no_genesis() {
        let parts = operators(3);
        let genesis = collect(&parts, &agreement(2)).expect("three operators");
        assert_eq!(genesis.chain_id, parts[0].operator.chain_id);
        let refused = |change: &dyn Fn(&mut Vec<PublicPart>)| {
            let mut parts = parts.clone();
            change(&mut parts);
            collect(&parts, &agreement(2)).expect_err("refused").to_string()
        };
        let said = refused(&|parts| parts[1].operator.recovery_key = parts[0].operator.recovery_key);
        assert!(said.contains("is not signed by its account"), "{said}");
        let said = refused(&|parts| parts[1] = parts[0].clone());
        assert!(said.contains("recovery key of operator-1 is another operator's too"), "{said}");
        let other = part(NewOperator { chain_id: 51_718, ..NewOperator::example("mallory", 30_399) });
        let said = refused(&|parts| parts[2] = other.clone());
        assert!(said.contains("all are to be for one network") && said.contains("51718"), "{said}");
        let namesake = part(NewOperator::example("operator-1", 30_399));
        let said = refused(&|parts| parts[2] = namesake.clone());
        assert!(said.contains("name of member 3 is another member's too"), "{said}");
        assert!(collect(&[], &agreement(2)).is_err());
    }

    #[test]
    fn every_operator_may_pause_unless_they_agree_otherwise() {
        let parts = operators(3);
        let rules = usual_rules(Network::Regtest, &parts);
        let accounts: Vec<_> = parts.iter().map(|part| part.operator.member.account).collect();
        assert_eq!(rules.guardians, accounts);
    }

    #[test]
    fn recovery_is_never_easier_than_signing() {
        let parts = operators(5);
        for threshold in 2..=5 {
            let genesis = collect(&parts, &agreement(threshold)).expect("sound");
            assert_eq!(genesis.federation.recovery.threshold, threshold.max(3));
        }
    }
}
