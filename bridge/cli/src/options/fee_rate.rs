//! `--fee-rate`: what a Bitcoin transaction pays for its size.

use bitcoin::FeeRate;
use eyre::Result;
use mainchain::io::rpc::BitcoinRpc;

/// Paid where bitcoind has no estimate (regtest): the least that nodes relay.
const FALLBACK: FeeRate = FeeRate::BROADCAST_MIN;
/// Blocks within which a transaction should confirm: an hour. Nobody waits for it in front of the screen.
const CONFIRM_WITHIN: u16 = 6;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct FeeRateArgs {
    /// Satoshis per virtual byte [default: bitcoind's estimate]
    #[arg(long, value_name = "RATE", value_parser = parse)]
    fee_rate: Option<FeeRate>,
}

impl FeeRateArgs {
    /// The rate that was asked for, else bitcoind's estimate, at least what nodes relay.
    ///
    /// # Errors
    ///
    /// Those of bitcoind.
    pub async fn choose(&self, bitcoin: &BitcoinRpc) -> Result<FeeRate> {
        match self.fee_rate {
            Some(rate) => Ok(rate),
            None => Ok(bitcoin.fee_rate(CONFIRM_WITHIN, FALLBACK).await?.max(FALLBACK)),
        }
    }
}

fn parse(text: &str) -> Result<FeeRate, String> {
    let rate = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    FeeRate::from_sat_per_vb(rate).ok_or_else(|| format!("{rate} satoshis per virtual byte are more than there are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_rate_is_whole_satoshis_per_virtual_byte() {
        assert_eq!(parse("2"), Ok(FeeRate::from_sat_per_vb_u32(2)));
        for bad in ["", "-1", "1.5", "2 sat", "18446744073709551615"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
