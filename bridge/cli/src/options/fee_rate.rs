//! `--fee-rate`: what a Bitcoin transaction pays for its size.

use bitcoin::{Amount, FeeRate};
use bridge::amount::show;
use eyre::{Result, ensure};
use mainchain::io::rpc::BitcoinRpc;

/// Paid where bitcoind has no estimate (regtest): the least that nodes relay.
const FALLBACK: FeeRate = FeeRate::BROADCAST_MIN;
/// Blocks within which a transaction should confirm: an hour. Nobody waits for it in front of the screen.
const CONFIRM_WITHIN: u16 = 6;

/// More than has ever been needed for long, even when blocks were fought for: whoever types it has mistaken the unit.
pub const HIGHEST: FeeRate = FeeRate::from_sat_per_vb_u32(1_000);
/// Core takes no higher bound with a transaction (`sendrawtransaction`): 1 BTC per 1,000 vB.
const CORES_HIGHEST: FeeRate = FeeRate::from_sat_per_vb_u32(100_000);
/// The part of an amount that its fee may be.
const PART: u64 = 10;

#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FeeRateArgs {
    /// Satoshis per virtual byte [default: bitcoind's estimate]
    #[arg(long, value_name = "RATE", value_parser = parse)]
    fee_rate: Option<FeeRate>,
    /// Pay a fee above 1000 sat/vB, or above a tenth of the amount
    #[arg(long)]
    force: bool,
}

impl FeeRateArgs {
    /// The rate that was asked for, else bitcoind's estimate, at least what nodes relay.
    ///
    /// # Errors
    ///
    /// Those of bitcoind; a rate that needs `--force`.
    pub async fn choose(&self, bitcoin: &BitcoinRpc) -> Result<FeeRate> {
        let rate = match self.fee_rate {
            Some(rate) => rate,
            None => bitcoin.fee_rate(CONFIRM_WITHIN).await?.map_or(FALLBACK, |rate| rate.max(FALLBACK)),
        };
        self.check_rate(rate)?;
        Ok(rate)
    }

    fn check_rate(&self, rate: FeeRate) -> Result<()> {
        ensure!(
            self.force || rate <= HIGHEST,
            "a fee rate of {} sat/vB is more than {}: --force pays it",
            rate.to_sat_per_kwu() / 250,
            HIGHEST.to_sat_per_kwu() / 250
        );
        Ok(())
    }

    /// The fee for moving `amount` is not out of proportion.
    ///
    /// # Errors
    ///
    /// It needs `--force`.
    pub fn check_fee(&self, fee: Amount, amount: Amount) -> Result<()> {
        ensure!(
            self.force || fee <= amount / PART,
            "the fee of {} is more than a tenth of {}: nothing was sent; --force pays it",
            show(fee),
            show(amount)
        );
        Ok(())
    }

    /// The fee rate above which bitcoind is not to send the transaction, whatever was computed here.
    pub fn bound(&self, rate: FeeRate) -> FeeRate {
        if !self.force {
            return HIGHEST;
        }
        rate.checked_mul(2).unwrap_or(CORES_HIGHEST).clamp(HIGHEST, CORES_HIGHEST)
    }
}

/// Reads satoshis per virtual byte, with up to three decimals: a rate is one of satoshis per 1,000 virtual bytes.
fn parse(text: &str) -> Result<FeeRate, String> {
    let (whole, decimals) = text.split_once('.').map_or((text, None), |(whole, decimals)| (whole, Some(decimals)));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || decimals.is_some_and(|digits| !is_number(digits) || digits.len() > 3) {
        return Err("a fee rate is a number of satoshis per virtual byte, e.g. 2 or 1.25".to_owned());
    }
    let sat_per_kvb: Result<u64, _> = format!("{whole}{:0<3}", decimals.unwrap_or_default()).parse();
    let sat_per_kvb = sat_per_kvb.map_err(|_| format!("{text} satoshis per virtual byte are more than there are"))?;
    // 1,000 virtual bytes are 4,000 weight units.
    Ok(FeeRate::from_sat_per_kwu(sat_per_kvb.div_ceil(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_rate_is_satoshis_per_virtual_byte_with_up_to_three_decimals() {
        assert_eq!(parse("2"), Ok(FeeRate::from_sat_per_vb_u32(2)));
        assert_eq!(parse("1.5"), Ok(FeeRate::from_sat_per_kwu(375)));
        assert_eq!(parse("0.104"), Ok(FeeRate::from_sat_per_kwu(26)));
        for bad in ["", "-1", "1.", ".5", "1.2345", "1.5.5", "+1", "2 sat", "18446744073709551615"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_fee_out_of_proportion_needs_force() {
        let (usual, forced) = (FeeRateArgs::default(), FeeRateArgs { force: true, ..FeeRateArgs::default() });
        let rate = FeeRate::from_sat_per_vb_u32;
        assert!(usual.check_rate(rate(1_000)).is_ok());
        assert!(usual.check_rate(rate(1_001)).expect_err("too high").to_string().contains("--force"));
        assert!(forced.check_rate(rate(1_001)).is_ok());
        let sat = Amount::from_sat;
        assert!(usual.check_fee(sat(100), sat(1_000)).is_ok());
        assert!(usual.check_fee(sat(101), sat(1_000)).expect_err("too much").to_string().contains("--force"));
        assert!(forced.check_fee(sat(999), sat(1_000)).is_ok());
        assert_eq!(usual.bound(rate(3)), rate(1_000));
        assert_eq!(forced.bound(rate(3_000)), rate(6_000));
        assert_eq!(forced.bound(rate(u32::MAX)), rate(100_000));
    }
}
