//! Whether a genesis file is of this operator: before node or relayer start with it.
//!
//! Whoever made the file could have left an operator out, or put a recovery key of its own in its place. So a keystore keeps, readable
//! and authenticated, for which network it was made and which recovery key went out with it, and neither node nor relayer starts
//! with a file that says otherwise. The federation's key is made only when all relayers run: one operator whose key is missing stops it.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use bridge::keystore::{Keystore, OperatorKeys};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::Network;
use sidechain::genesis::{Genesis, Member};
use sidechain::io::keys::ValidatorPublicKeys;

use super::public_part::PublicPart;

/// Names in a keystore's readable part.
const NETWORK: &str = "network";
const CHAIN_ID: &str = "chainId";
const RECOVERY_KEY: &str = "recoveryKey";

/// Said of every file that is not this operator's.
const REFUSED: &str = "this genesis file is not to be started with";

/// What a keystore was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeFor {
    /// The Bitcoin network of the peg.
    pub network: Network,
    /// The sidechain's, by EIP-155.
    pub chain_id: u64,
    /// The recovery key that this operator gave to the others; x-only.
    pub recovery_key: B256,
}

impl MadeFor {
    /// As a keystore keeps it.
    pub fn readable(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (NETWORK.to_owned(), self.network.to_string()),
            (CHAIN_ID.to_owned(), self.chain_id.to_string()),
            (RECOVERY_KEY.to_owned(), self.recovery_key.to_string()),
        ])
    }

    /// Of a keystore that was opened: before, anybody could have changed it.
    ///
    /// # Errors
    ///
    /// It does not say what it was made for.
    pub fn of(keystore: &Keystore) -> Result<Self> {
        let field = |name: &str| {
            keystore.public().get(name).ok_or_else(|| {
                eyre!("the keystore does not say {name}: it was made by an older version; make keys again (causeway keys operator)")
            })
        };
        let wrong = |name: &'static str| move || format!("the keystore's {name} cannot be read");
        Ok(Self {
            network: field(NETWORK)?.parse().wrap_err_with(wrong(NETWORK))?,
            chain_id: field(CHAIN_ID)?.parse().wrap_err_with(wrong(CHAIN_ID))?,
            recovery_key: field(RECOVERY_KEY)?.parse().wrap_err_with(wrong(RECOVERY_KEY))?,
        })
    }

    /// Whether they were made for this network, with this recovery key.
    ///
    /// # Errors
    ///
    /// They were not.
    pub fn check(&self, genesis: &Genesis) -> Result<()> {
        let (network, chain_id) = (genesis.bitcoin.network, genesis.chain_id);
        ensure!(
            (self.network, self.chain_id) == (network, chain_id),
            "{REFUSED}: it is for {network}, chain id {chain_id}, and these keys were made for {}, chain id {}",
            self.network,
            self.chain_id
        );
        ensure!(
            genesis.federation.recovery.keys.contains(&self.recovery_key),
            "{REFUSED}: this operator's recovery key {} is not in it, so somebody else's may be in its place",
            self.recovery_key
        );
        Ok(())
    }
}

/// Checks that a validator's keys are in a genesis file.
///
/// # Errors
///
/// Names what is missing.
pub fn check_validator<'a>(genesis: &'a Genesis, keys: &ValidatorPublicKeys, made_for: &MadeFor) -> Result<&'a Member> {
    let member = find(genesis, "network key", &B256::from(keys.p2p_key), |member| member.p2p_key == keys.p2p_key)?;
    same(member, "validator key", member.validator_key.as_ref() == keys.validator_key)?;
    made_for.check(genesis)?;
    Ok(member)
}

/// Checks that a relayer's keys are in a genesis file.
///
/// # Errors
///
/// Names what is missing.
pub fn check_relayer<'a>(genesis: &'a Genesis, keys: &OperatorKeys, made_for: &MadeFor) -> Result<&'a Member> {
    let account = keys.address();
    let member = find(genesis, "account", &account, |member| member.account == account)?;
    same(member, "encryption key", member.encryption_key.as_ref() == keys.encryption_key().serialize())?;
    made_for.check(genesis)?;
    Ok(member)
}

/// Checks that all of an operator's public part is in a genesis file, as it gave it.
///
/// # Errors
///
/// Names what is missing.
pub fn check_part<'a>(genesis: &'a Genesis, part: &PublicPart) -> Result<&'a Member> {
    part.check()?;
    let mine = &part.operator.member;
    let member = find(genesis, "account", &mine.account, |member| member.account == mine.account)?;
    same(member, "name", member.name == mine.name)?;
    same(member, "address", member.p2p_address == mine.p2p_address)?;
    same(member, "encryption key", member.encryption_key == mine.encryption_key)?;
    same(member, "validator key", member.validator_key == mine.validator_key)?;
    same(member, "network key", member.p2p_key == mine.p2p_key)?;
    let operator = &part.operator;
    MadeFor { network: operator.network, chain_id: operator.chain_id, recovery_key: operator.recovery_key }
        .check(genesis)?;
    Ok(member)
}

fn find<'a>(
    genesis: &'a Genesis,
    what: &str,
    own: &impl std::fmt::Display,
    is_mine: impl Fn(&Member) -> bool,
) -> Result<&'a Member> {
    genesis.federation.members.iter().find(|member| is_mine(member)).ok_or_else(|| {
        eyre!("{REFUSED}: this operator is not in it (no member has the {what} {own}); was its public.json given to whoever made the file?")
    })
}

fn same(member: &Member, what: &str, is_same: bool) -> Result<()> {
    if is_same { Ok(()) } else { bail!("{REFUSED}: the {what} of {} in it is not this operator's", member.name) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sidechain::genesis::Bitcoin;
    use sidechain::io::keys::ValidatorKeys;
    use tempfile::TempDir;

    use super::*;
    use crate::keystores;
    use crate::operator::genesis::{Agreement, RECOVERY_DELAY, collect, usual_rules};
    use crate::operator::keys::{NewOperator, OPERATOR_KEYSTORE, VALIDATOR_KEYSTORE, make_operator};

    const PASSPHRASE: &str = "correct horse";

    /// Alice, with what she has on her disk.
    struct Alice {
        part: PublicPart,
        validator: ValidatorKeys,
        operator: OperatorKeys,
        made_for: [MadeFor; 2],
        _folder: TempDir,
    }

    impl Alice {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let part =
                make_operator(folder.path(), &NewOperator::example("alice", 30_301), None, PASSPHRASE).expect("made");
            let (validator, operator) = (folder.path().join(VALIDATOR_KEYSTORE), folder.path().join(OPERATOR_KEYSTORE));
            let keystores = [&validator, &operator].map(|path| keystores::read(path).expect("a keystore"));
            Self {
                part,
                validator: keystores::open_validator(&validator, PASSPHRASE).expect("its passphrase"),
                operator: OperatorKeys::open(&keystores[1], PASSPHRASE).expect("its passphrase"),
                made_for: keystores.map(|keystore| MadeFor::of(&keystore).expect("it says so")),
                _folder: folder,
            }
        }

        /// What node, relayer and `genesis verify` say of a file.
        fn said(&self, genesis: &Genesis) -> [Option<String>; 3] {
            let [validator, operator] = &self.made_for;
            [
                check_validator(genesis, &self.validator.public(), validator).err(),
                check_relayer(genesis, &self.operator, operator).err(),
                check_part(genesis, &self.part).err(),
            ]
            .map(|error| error.map(|error| error.to_string()))
        }
    }

    fn genesis(alice: &Alice) -> Genesis {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bob = make_operator(folder.path(), &NewOperator::example("bob", 30_302), None, PASSPHRASE).expect("made");
        let parts = [alice.part.clone(), bob];
        let agreement = Agreement {
            threshold: 2,
            validators: None,
            bridge: usual_rules(Network::Regtest, &parts),
            recovery_delay: RECOVERY_DELAY,
            bitcoin: Bitcoin::start_of(Network::Regtest),
            timestamp: 1_700_000_000,
        };
        collect(&parts, &agreement).expect("two operators")
    }

    /// Whoever collects the public parts writes another file than they make, and everybody starts with it.
    #[test]
    fn a_file_in_which_anything_of_an_operator_was_replaced_is_not_started_with() {
        let alice = Alice::new();
        let right = genesis(&alice);
        assert_eq!(alice.said(&right), [None, None, None]);
        let mallory = Alice::new().part.operator;
        let changed = |change: &dyn Fn(&mut Genesis)| {
            let mut file = right.clone();
            change(&mut file);
            file.check().expect("a file that can be read");
            alice.said(&file)
        };
        let all = |said: [Option<String>; 3], what: &str| {
            assert!(said.iter().all(|said| said.as_ref().is_some_and(|said| said.contains(what))), "{what}: {said:?}");
        };
        all(changed(&|file| file.federation.recovery.keys[0] = mallory.recovery_key), "recovery key");
        all(changed(&|file| file.chain_id += 1), "chain id 51718");
        all(changed(&|file| file.federation.members[0] = mallory.member.clone()), "this operator is not in it");
        let [_, relayer, part] =
            changed(&|file| file.federation.members[0].encryption_key = mallory.member.encryption_key.clone());
        assert!(relayer.is_some_and(|said| said.contains("encryption key of alice")) && part.is_some());
        let [validator, _, part] = changed(&|file| {
            file.federation.members[0].validator_key = mallory.member.validator_key.clone();
            file.federation.members[0].validator_proof = mallory.member.validator_proof.clone();
        });
        assert!(validator.is_some_and(|said| said.contains("validator key of alice")) && part.is_some());
        let [.., part] = changed(&|file| file.federation.members[0].p2p_address = "mallory.example:1".to_owned());
        assert!(part.is_some_and(|said| said.contains("address of alice")));
    }

    #[test]
    fn a_keystore_that_does_not_say_what_it_was_made_for_is_refused() {
        let alice = Alice::new();
        let keystore = alice.operator.seal(BTreeMap::new(), PASSPHRASE, Default::default(), &mut rand::thread_rng());
        let error = MadeFor::of(&keystore.expect("sealed")).expect_err("it says nothing");
        assert!(error.to_string().contains("older version"), "{error}");
    }

    #[test]
    fn what_a_keystore_was_made_for_cannot_be_changed_without_its_passphrase() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let part =
            make_operator(folder.path(), &NewOperator::example("alice", 30_301), None, PASSPHRASE).expect("made");
        let path = folder.path().join(OPERATOR_KEYSTORE);
        let text = fs::read_to_string(&path).expect("readable");
        let other = B256::repeat_byte(7).to_string();
        fs::write(&path, text.replace(&part.operator.recovery_key.to_string(), &other)).expect("written");
        let opened = keystores::read(&path).and_then(|keystore| Ok(OperatorKeys::open(&keystore, PASSPHRASE)?));
        assert!(opened.is_err(), "changed");
    }
}
