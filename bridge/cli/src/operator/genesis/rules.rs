//! `--cap`, `--window`, `--guardian`, `--reclaim-delay`, `--rules`: the rules of the peg that operators agree on, where they are not the
//! usual ones.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, WrapErr, ensure};
use mainchain::Network;
use serde_json::{Map, Value};
use sidechain::genesis::Bridge;

use super::agreement::usual_rules;
use crate::operator::public_part::PublicPart;

/// The rules of the peg, where they are not the usual ones.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RulesArgs {
    /// The most that the peg holds [default: 100 BTC; on regtest all there is]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    cap: Option<Amount>,
    /// What is paid out at most at once, and as much again in each hour; no withdrawal is larger [default: 10 BTC; on regtest 1000 BTC]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    window: Option<Amount>,
    /// Who may pause payouts; may be given several times [default: each operator]
    #[arg(long = "guardian", value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    guardians: Vec<Address>,
    /// Blocks after which a depositor can take an unswept deposit back [default: 1008, a week]
    #[arg(long, value_name = "BLOCKS")]
    reclaim_delay: Option<u16>,
    /// A JSON file with any other of the genesis file's `bridge` fields, as `--show` and docs/ledger.md explain them
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl RulesArgs {
    /// The usual rules, with what the file says, and then what the options say, in their place.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or says what is no rule.
    pub fn choose(&self, network: Network, parts: &[PublicPart]) -> Result<Bridge> {
        let mut rules = usual_rules(network, parts);
        if let Some(path) = &self.rules {
            rules = with_file(&rules, path)?;
        }
        rules.cap_sat = self.cap.map_or(rules.cap_sat, Amount::to_sat);
        rules.window_sat = self.window.map_or(rules.window_sat, Amount::to_sat);
        rules.reclaim_delay = self.reclaim_delay.unwrap_or(rules.reclaim_delay);
        if !self.guardians.is_empty() {
            rules.guardians.clone_from(&self.guardians);
        }
        Ok(rules)
    }
}

fn with_file(rules: &Bridge, path: &Path) -> Result<Bridge> {
    let text = std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read the rules {}", path.display()))?;
    with(rules, &text).wrap_err_with(|| path.display().to_string())
}

/// The rules with those in `text` in their place.
fn with(rules: &Bridge, text: &str) -> Result<Bridge> {
    let changes: Map<String, Value> = serde_json::from_str(text).wrap_err("not an object of JSON")?;
    let mut fields = serde_json::to_value(rules).wrap_err("rules are numbers and lists")?;
    for (name, value) in changes {
        let known = fields.get_mut(&name);
        ensure!(known.is_some(), "{name:?} is no rule of the peg; rules are {}", names(rules));
        if let Some(known) = known {
            *known = value;
        }
    }
    serde_json::from_value(fields).wrap_err("a rule has a value of another kind")
}

fn names(rules: &Bridge) -> String {
    let fields = serde_json::to_value(rules).ok();
    let names = fields.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned();
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_the_rules_that_it_names_and_no_others() {
        let usual = Bridge::defaults(Network::Testnet4, Vec::new());
        let changed = with(&usual, r#"{"stopSat": 7, "maxPayouts": 9}"#).expect("two rules");
        assert_eq!(changed, Bridge { stop_sat: 7, max_payouts: 9, ..usual.clone() });
        let said = with(&usual, r#"{"stopSats": 7}"#).expect_err("no rule").to_string();
        assert!(said.contains("stopSats") && said.contains("capSat"), "{said}");
        assert!(with(&usual, r#"{"stopSat": "7"}"#).is_err());
        assert!(with(&usual, "[]").is_err());
    }

    #[test]
    fn an_option_goes_before_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rules.json");
        std::fs::write(&path, r#"{"capSat": 5, "windowSat": 6}"#).expect("written");
        let args = RulesArgs { rules: Some(path), cap: Some(Amount::from_sat(9)), ..RulesArgs::default() };
        let rules = args.choose(Network::Regtest, &[]).expect("read");
        assert_eq!((rules.cap_sat, rules.window_sat), (9, 6));
    }
}
