//! How `causeway pay serve` takes channels of x402's scheme `batch-settlement`.

use std::time::Duration;

use alloy_primitives::Address;
use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, ensure};
use paywall::batch::Terms;
use paywall::batch::channel::{LEAST_DELAY_S, MOST_DELAY_S};
use paywall::io::serve::ClaimSettings;

/// Options of `causeway pay serve`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Channels of x402's scheme batch-settlement")]
pub struct BatchArgs {
    /// Take no channels: each request is paid by a transaction of its own
    #[arg(long)]
    no_batch: bool,
    /// How long a payer waits for what it takes back by itself: 15min to 30days. Longer than your node and the chain may stand still; a
    /// payer that asks you has its rest back at once. Another delay makes other channels
    #[arg(long, value_name = "TIME", default_value = "1day", value_parser = humantime::parse_duration)]
    batch_delay: Duration,
    /// The smallest deposit: you pay its gas, some 16 sat
    #[arg(long, value_name = "AMOUNT", default_value = "100 sat", value_parser = amount::parse)]
    batch_least_deposit: Amount,
    /// Claim a channel as soon as it owes so much. When a payer begins to take its money back, its channel is claimed at once
    #[arg(long, value_name = "AMOUNT", default_value = "10000 sat", value_parser = amount::parse)]
    batch_claim_at: Amount,
    /// Claim also what has been owed so long, if it is worth its gas
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    batch_claim_after: Duration,
}

impl BatchArgs {
    /// On what terms channels are taken, if they are.
    pub fn terms(&self, authorizer: Address) -> Result<Option<Terms>> {
        let delay_s = self.batch_delay.as_secs();
        ensure!(
            (LEAST_DELAY_S..=MOST_DELAY_S).contains(&delay_s),
            "--batch-delay is 15min at least, and 30days at most"
        );
        let least_deposit = amount::wei(self.batch_least_deposit).to();
        Ok((!self.no_batch).then_some(Terms { authorizer, delay_s, least_deposit }))
    }

    pub fn claims(&self) -> ClaimSettings {
        ClaimSettings { at: amount::wei(self.batch_claim_at).to(), after: self.batch_claim_after }
    }
}
