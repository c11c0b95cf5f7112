//! A genesis file in words: every field that decides who owns what, and last the hash that operators compare.

use std::time::Duration;

use alloy_primitives::B256;
use bitcoin::Amount;
use bridge::amount;
use sidechain::genesis::{Bridge, Genesis, Member};

use crate::clock::time;

/// Bitcoin blocks in a day, on average.
const BLOCKS_A_DAY: u16 = 144;

/// All of it, as lines; the last is the hash alone.
pub fn lines(genesis: &Genesis, hash: B256) -> Vec<String> {
    let mut lines = Vec::new();
    for part in [network, light_client, members, recovery, bridge, blocks] {
        part(genesis, &mut lines);
    }
    lines.push(String::new());
    lines.push(format!("Network id     {}", genesis.network_id()));
    lines.push("The genesis block's hash, which all operators compare by voice, is the last line:".to_owned());
    lines.push(hash.to_string());
    lines
}

fn network(genesis: &Genesis, lines: &mut Vec<String>) {
    lines.push(format!("Chain id       {}", genesis.chain_id));
    lines.push(format!("Begins         {}", time(genesis.timestamp)));
    lines.push(format!("Bitcoin        {}", genesis.bitcoin.network));
}

fn light_client(genesis: &Genesis, lines: &mut Vec<String>) {
    let checkpoint = &genesis.bitcoin.checkpoint;
    lines.push(format!("Starts from    block {} of Bitcoin: {}", checkpoint.height, checkpoint.header.block_hash()));
    lines.push(format!("               of {}", time(checkpoint.header.time.into())));
    lines.push(format!("               with work 0x{:x}", checkpoint.work));
    lines.push(format!("               in the difficulty period since {}", time(checkpoint.epoch_time.into())));
}

fn members(genesis: &Genesis, lines: &mut Vec<String>) {
    let (threshold, count) = (genesis.federation.threshold, genesis.federation.members.len());
    lines.push(format!("Federation     any {threshold} of these {count} together can move the vault's bitcoin"));
    if let Some(validators) = genesis.federation.validators {
        lines.push(format!("               the first {validators} make blocks"));
    }
    for (index, member) in (1..).zip(&genesis.federation.members) {
        lines.extend(member_lines(index, member));
    }
}

fn member_lines(index: usize, member: &Member) -> [String; 6] {
    [
        format!("  {index:>2} {}", member.name),
        format!("       reached at      {}", member.p2p_address),
        format!("       account         {}", member.account),
        format!("       encryption key  {}", member.encryption_key),
        format!("       validator key   {}", member.validator_key),
        format!("       network key     {}", member.p2p_key),
    ]
}

fn recovery(genesis: &Genesis, lines: &mut Vec<String>) {
    let recovery = &genesis.federation.recovery;
    lines.push(format!(
        "Recovery       any {} of these {} keys can take a vault output that did not move for {}",
        recovery.threshold,
        recovery.keys.len(),
        blocks_of_bitcoin(recovery.delay)
    ));
    lines.extend((1..).zip(&recovery.keys).map(|(index, key)| format!("  {index:>2} {key}")));
}

fn bridge(genesis: &Genesis, lines: &mut Vec<String>) {
    for part in [deposits, withdrawals, charges, depth, bounds, pauses] {
        part(&genesis.bridge, lines);
    }
}

fn shown(sat: u64) -> String {
    amount::show(Amount::from_sat(sat))
}

fn deposits(bridge: &Bridge, lines: &mut Vec<String>) {
    lines.push(format!(
        "Deposits       {} or more, at most {} in a sweep",
        shown(bridge.min_deposit_sat),
        bridge.max_inputs
    ));
    lines.push(format!(
        "               their owner takes an unswept one back after {}",
        blocks_of_bitcoin(bridge.reclaim_delay)
    ));
}

fn withdrawals(bridge: &Bridge, lines: &mut Vec<String>) {
    lines.push(format!(
        "Withdrawals    {} or more, at most {} in a payout",
        shown(bridge.min_withdrawal_sat),
        bridge.max_payouts
    ));
    lines.push(format!(
        "               anybody gives one back to its owner that was queued for {}",
        duration(bridge.refund_after)
    ));
}

fn charges(bridge: &Bridge, lines: &mut Vec<String>) {
    let rate = crate::user::charge::rate_shown;
    lines.push(format!("Fees           {} to {} sat/vB", rate(bridge.min_rate), rate(bridge.max_rate)));
    lines.push(format!("               a withdrawal's owner allows {} sat/vB or more", rate(bridge.floor_rate)));
    lines.push(format!(
        "               for the reserve, {} of each deposit and {} of each withdrawal",
        shown(bridge.peg_in_fee_sat),
        shown(bridge.peg_out_fee_sat)
    ));
    lines.push(format!("               change below {} is left to the miners", shown(bridge.useful_sat)));
}

fn depth(bridge: &Bridge, lines: &mut Vec<String>) {
    for tier in &bridge.tiers {
        let (depth, up_to) = (tier.confirmations, tier.up_to_sat);
        let what =
            if up_to == u64::MAX { "anything".to_owned() } else { format!("up to {} in all lately", shown(up_to)) };
        lines.push(format!("Confirmations  {depth}: coins for {what}"));
    }
    lines.push(format!("Final          {} blocks of Bitcoin: no reorganisation takes them back", bridge.final_blocks));
}

fn bounds(bridge: &Bridge, lines: &mut Vec<String>) {
    lines.push(format!("Cap            the peg holds at most {}", shown(bridge.cap_sat)));
    lines.push(format!(
        "Payouts        at most {} at once, and as much again in {}",
        shown(bridge.window_sat),
        duration(bridge.window_seconds)
    ));
    lines.push(format!("               none while {} or more are missing", shown(bridge.stop_sat)));
    lines.push(format!("               none after a theft that is {} blocks deep", bridge.alarm_blocks));
}

fn pauses(bridge: &Bridge, lines: &mut Vec<String>) {
    lines.push(format!(
        "Pauses         of payouts last {}, the next one may begin {} after",
        duration(bridge.pause_seconds),
        duration(bridge.pause_gap_seconds)
    ));
    let who =
        if bridge.guardians.is_empty() { "nobody can begin one" } else { "each of these guardians can begin one" };
    lines.push(format!("               {who}"));
    lines.extend((1..).zip(&bridge.guardians).map(|(index, guardian)| format!("  {index:>2} {guardian}")));
}

fn duration(seconds: u32) -> String {
    humantime::format_duration(Duration::from_secs(seconds.into())).to_string()
}

fn blocks(genesis: &Genesis, lines: &mut Vec<String>) {
    let rules = &genesis.block;
    lines.push(format!("Blocks         {} gas", rules.gas_limit));
    lines.push(format!(
        "               every {} ms under load, every {} ms without",
        rules.interval_ms, rules.heartbeat_ms
    ));
}

fn blocks_of_bitcoin(blocks: u16) -> String {
    match blocks / BLOCKS_A_DAY {
        0 => format!("{blocks} blocks (less than a day)"),
        days => format!("{blocks} blocks (about {days} days)"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sidechain::testing::genesis;

    use super::*;

    /// Every number and text in the file, by its path.
    fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, inner)| leaves(inner, &format!("{path}/{name}"), found))
            }
            Value::Array(items) => {
                (0..).zip(items).for_each(|(index, inner)| leaves(inner, &format!("{path}/{index}"), found))
            }
            leaf => found.push((path.to_owned(), leaf.clone())),
        }
    }

    fn changed(leaf: &Value) -> Value {
        match leaf {
            Value::Number(number) => (number.as_u64().expect("unsigned") / 2 + 7).into(),
            Value::String(text) => {
                let at = text.len() - 1;
                let last = if text.ends_with('1') { "2" } else { "1" };
                format!("{}{last}", &text[..at]).into()
            }
            other => panic!("{other}"),
        }
    }

    /// Except the proofs of possession, which say nothing that the keys do not, and the bytes of the header, of which the hash is shown.
    #[test]
    fn whatever_is_changed_in_a_file_changes_what_is_shown_besides_the_hash() {
        let genesis = genesis();
        let hash = B256::ZERO;
        let shown = |genesis: &Genesis| -> Vec<String> {
            lines(genesis, hash).into_iter().filter(|line| !line.starts_with("Network id")).collect()
        };
        let file: Value = serde_json::from_str(&genesis.to_json()).expect("JSON");
        let mut found = Vec::new();
        leaves(&file, "", &mut found);
        let mut seen = 0;
        for (path, leaf) in
            found.iter().filter(|(path, _)| !path.ends_with("/validatorProof") && !path.ends_with("/network"))
        {
            let mut other = file.clone();
            *other.pointer_mut(path).expect("its own path") = changed(leaf);
            // Not checked: also what would be refused is to be seen.
            let Ok(other) = serde_json::from_value::<Genesis>(other) else { continue };
            assert_ne!(shown(&other), shown(&genesis), "{path}");
            seen += 1;
        }
        assert!(seen > 40, "{seen} fields");
    }

    #[test]
    fn the_hash_is_the_last_line_and_alone_on_it() {
        let hash = B256::repeat_byte(7);
        let lines = lines(&genesis(), hash);
        assert_eq!(lines.last(), Some(&hash.to_string()));
        assert_eq!(lines.iter().filter(|line| line.contains(&hash.to_string())).count(), 1);
    }
}
