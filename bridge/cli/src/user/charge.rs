//! What a deposit or a withdrawal pays, and the most that it may pay where the user names no maximum.
//!
//! A charge depends on the rate and on one's own size alone (docs/ledger.md, "fees"), so it is computed here, with the genesis file's
//! parameters. Of a node only the present rate is taken, and that lies within bounds: a node that tells too low a rate makes a
//! withdrawal wait until its maximum is raised; one that tells too high a rate makes nobody agree to more than [`HIGHEST_RATE`] costs,
//! or than [`PART`] of the amount, without saying so by `--max-fee`.

use bitcoin::Amount;
use bridge::amount::show;
use bridge::charges::{deposit_charge, withdrawal_charge};
use bridge::io::sidechain::Client;
use bridge::peg::{Parameters, Quote};
use eyre::{Result, ensure};

/// Beyond it nobody's maximum goes who names none: 300 sat/vB, more than all but the dearest days asked for.
const HIGHEST_RATE: u64 = 300_000;
/// A maximum allows for a rate that rises so many times until the payout is made.
const TIMES: u64 = 3;
/// Without a word of the user no more than this part of an amount goes to fees.
const PART: u64 = 4;
/// Least maximum of a deposit: a deposit's cannot be raised, and what is not swept waits for its timelock. 100 to 200 sat/vB.
const LEAST_OF_DEPOSIT: Amount = Amount::from_sat(20_000);

/// A rate, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Satoshis per 1,000 vB.
    pub rate: u64,
    pub amount: Amount,
}

/// Of a withdrawal to a script of so many bytes.
pub fn of_withdrawal(script_length: usize, rate: u64, parameters: &Parameters) -> Amount {
    withdrawal_charge(script_length, rate, Amount::from_sat(parameters.peg_out_fee_sat)).min(Amount::MAX_MONEY)
}

/// Of any deposit.
pub fn of_deposit(rate: u64, parameters: &Parameters) -> Amount {
    deposit_charge(rate, Amount::from_sat(parameters.peg_in_fee_sat)).min(Amount::MAX_MONEY)
}

/// The least maximum of a new withdrawal.
pub fn floor(script_length: usize, parameters: &Parameters) -> Amount {
    of_withdrawal(script_length, parameters.floor_rate, parameters)
}

/// What a withdrawal pays at the rate that the node tells.
///
/// # Errors
///
/// The node does not answer, or contradicts the parameters.
pub async fn present_of_withdrawal(client: &Client, script_length: usize, parameters: &Parameters) -> Result<Charge> {
    let quote = client.quote(script_length, None).await?;
    check(&quote, script_length, parameters, client.url())?;
    Ok(Charge { rate: quote.rate, amount: Amount::from_sat(quote.peg_out.charge_sat) })
}

/// What a deposit pays at the rate that the node tells.
///
/// # Errors
///
/// As [`present_of_withdrawal`].
pub async fn present_of_deposit(client: &Client, parameters: &Parameters) -> Result<Charge> {
    let quote = client.quote(P2TR, None).await?;
    check(&quote, P2TR, parameters, client.url())?;
    Ok(Charge { rate: quote.rate, amount: Amount::from_sat(quote.peg_in.charge_sat) })
}

/// The rate of the last vault transaction that was bound, or the lowest that there can be: as the node tells it.
///
/// # Errors
///
/// As [`present_of_withdrawal`].
pub async fn last_rate(client: &Client, parameters: &Parameters) -> Result<u64> {
    Ok(present_of_deposit(client, parameters).await?.rate)
}

/// Bytes of a P2TR script.
const P2TR: usize = 34;

/// The quote is what its rate makes.
fn check(quote: &Quote, script_length: usize, parameters: &Parameters, url: &str) -> Result<()> {
    let told = (quote.peg_in.charge_sat, quote.peg_out.charge_sat, quote.peg_out.floor_fee_sat);
    let made = (
        of_deposit(quote.rate, parameters).to_sat(),
        of_withdrawal(script_length, quote.rate, parameters).to_sat(),
        floor(script_length, parameters).to_sat(),
    );
    ensure!(
        told == made,
        "the node at {url} says that at {} sat/vB a deposit pays {} sat and a withdrawal {} sat, at least {} sat; by the network's parameters it is {}, {} and {} sat: do not use this node",
        rate_shown(quote.rate),
        told.0,
        told.1,
        told.2,
        made.0,
        made.1,
        made.2
    );
    Ok(())
}

/// The maximum of a withdrawal whose owner names none.
///
/// # Errors
///
/// What is asked for now is out of proportion.
pub fn usual_of_withdrawal(
    value: Amount,
    script_length: usize,
    now: Charge,
    parameters: &Parameters,
) -> Result<Amount> {
    let most = of_withdrawal(script_length, HIGHEST_RATE, parameters).min(value / PART);
    let least = floor(script_length, parameters);
    let usual = (now.amount * TIMES).min(most).max(least);
    require_enough(usual, now, "payout", value)?;
    Ok(usual)
}

/// The maximum of a deposit whose owner names none; `value` if it is known.
///
/// # Errors
///
/// As [`usual_of_withdrawal`].
pub fn usual_of_deposit(value: Option<Amount>, now: Charge, parameters: &Parameters) -> Result<Amount> {
    let highest = of_deposit(HIGHEST_RATE, parameters);
    let most = value.map_or(highest, |value| highest.min(value / PART));
    let usual = (now.amount * TIMES).max(LEAST_OF_DEPOSIT).min(most);
    require_enough(usual, now, "sweep", value.unwrap_or(Amount::MAX_MONEY))?;
    Ok(usual)
}

fn require_enough(usual: Amount, now: Charge, what: &str, value: Amount) -> Result<()> {
    ensure!(
        now.amount <= usual,
        "at the present rate of {} sat/vB, as the node tells it, the {what} costs {}, more than the {} that are agreed to without a word of yours ({}): ask another node, wait, or name the most that it may cost by --max-fee",
        rate_shown(now.rate),
        show(now.amount),
        show(usual),
        if usual == value / PART { "a quarter of the amount" } else { "what 300 sat/vB cost" }
    );
    Ok(())
}

/// Satoshis per 1,000 vB as people know them, per vB.
pub fn rate_shown(rate: u64) -> String {
    let (whole, rest) = (rate / 1_000, rate % 1_000);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:03}").trim_end_matches('0').to_owned() }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A network's, with all numbers different.
    pub fn parameters() -> Parameters {
        let json = serde_json::json!({
            "reclaimDelay": 1_008, "finalBlocks": 100, "alarmBlocks": 2, "minDepositSat": 3_000, "minWithdrawalSat": 2_000,
            "pegInFeeSat": 150, "pegOutFeeSat": 250, "floorRate": 5_000, "minRate": 1_000, "maxRate": 2_000_000,
            "stopSat": 1_000_000, "usefulSat": 100_000, "capSat": 1_000_000_000, "windowSat": 400_000_000,
            "windowSeconds": 3_600, "refundAfter": 7_200, "pauseSeconds": 600, "pauseGapSeconds": 1_200,
            "maxInputs": 64, "maxPayouts": 220, "guardians": [],
            "tiers": [
                { "confirmations": 2, "upToSat": 50_000_000 },
                { "confirmations": 6, "upToSat": 500_000_000 },
                { "confirmations": 100, "upToSat": u64::MAX }
            ]
        });
        serde_json::from_value(json).expect("all of its fields")
    }

    fn sat(sat: u64) -> Amount {
        Amount::from_sat(sat)
    }

    fn at(rate: u64) -> (Charge, Charge) {
        let parameters = parameters();
        let (out, into) = (of_withdrawal(34, rate, &parameters), of_deposit(rate, &parameters));
        (Charge { rate, amount: out }, Charge { rate, amount: into })
    }

    #[test]
    fn a_charge_depends_on_the_rate_and_the_own_size_alone_and_is_rounded_up() {
        let parameters = parameters();
        // 78 vB of a P2TR payout, 92.5 vB of a deposit, and the fee.
        assert_eq!(of_withdrawal(34, 1_000, &parameters), sat(78 + 250));
        assert_eq!(of_withdrawal(22, 1_001, &parameters), sat(67 + 250));
        assert_eq!(of_deposit(1_000, &parameters), sat(93 + 150));
        assert_eq!(of_deposit(2_000, &parameters), sat(185 + 150));
        assert_eq!(floor(34, &parameters), sat(390 + 250));
    }

    #[test]
    fn whatever_rate_a_node_tells_nobody_agrees_to_more_than_300_sat_a_vbyte_or_a_quarter_without_a_word() {
        let (parameters, bitcoin) = (parameters(), Amount::ONE_BTC);
        let most = of_withdrawal(34, HIGHEST_RATE, &parameters);
        for rate in [0, 1, 1_000, 7_777, 100_000, 300_000] {
            let (out, into) = at(rate);
            let usual = usual_of_withdrawal(bitcoin, 34, out, &parameters).expect("in proportion");
            assert!(usual >= out.amount && usual >= floor(34, &parameters) && usual <= most, "{rate}: {usual}");
            let usual = usual_of_deposit(None, into, &parameters).expect("in proportion");
            assert!(usual >= into.amount && usual <= of_deposit(HIGHEST_RATE, &parameters), "{rate}: {usual}");
        }
        for rate in [300_001, 1_000_000, u64::MAX] {
            let (out, into) = at(rate);
            let refused =
                usual_of_withdrawal(bitcoin, 34, out, &parameters).expect_err("out of proportion").to_string();
            assert!(refused.contains("--max-fee") && refused.contains("what 300 sat/vB cost"), "{refused}");
            assert!(usual_of_deposit(None, into, &parameters).is_err());
        }
        let (out, into) = at(100_000);
        let small = sat(20_000);
        let refused = usual_of_withdrawal(small, 34, out, &parameters).expect_err("8,050 of 20,000").to_string();
        assert!(refused.contains("a quarter of the amount"), "{refused}");
        assert!(usual_of_deposit(Some(small), into, &parameters).is_err());
        assert_eq!(usual_of_withdrawal(small, 34, at(10_000).0, &parameters).expect("1,030"), sat(3_090));
    }

    #[test]
    fn a_quote_that_its_rate_does_not_make_is_a_lie() {
        let parameters = parameters();
        let (out, into) = at(4_000);
        let quote = Quote {
            rate: 4_000,
            peg_in: bridge::peg::PegInQuote { charge_sat: into.amount.to_sat(), min_amount_sat: 3_000 },
            peg_out: bridge::peg::PegOutQuote {
                charge_sat: out.amount.to_sat(),
                floor_fee_sat: floor(34, &parameters).to_sat(),
                min_amount_sat: 2_000,
            },
        };
        assert!(check(&quote, 34, &parameters, "http://node").is_ok());
        assert!(check(&quote, 22, &parameters, "http://node").is_err());
        let mut dear = quote;
        dear.peg_out.charge_sat += 1;
        let refused = check(&dear, 34, &parameters, "http://node").expect_err("a lie").to_string();
        assert!(refused.contains("do not use this node"), "{refused}");
        let mut high = quote;
        high.peg_out.floor_fee_sat *= 100;
        assert!(check(&high, 34, &parameters, "http://node").is_err());
    }

    #[test]
    fn rates_are_shown_as_people_know_them() {
        assert_eq!([1_000, 1_500, 1_050, 12, 300_000].map(rate_shown), ["1", "1.5", "1.05", "0.012", "300"]);
    }
}
