//! Whether a member's own bitcoind has what is spent.

use bitcoin::TxOut;

use super::refusal::Refusal;
use crate::vault;
use crate::vault_tx::SpentOutput;

/// Each input must be what its own bitcoind has unspent.
pub(super) fn check(inputs: &[SpentOutput], own_outputs: &[Option<TxOut>]) -> Result<(), Refusal> {
    for (input, spent) in inputs.iter().enumerate() {
        let outpoint = spent.outpoint;
        let want = TxOut { value: spent.amount, script_pubkey: vault::script(spent.output_key) };
        let got = own_outputs.get(input).cloned().flatten().ok_or(Refusal::UnknownOutput { input, outpoint })?;
        if got != want {
            return Err(Refusal::OtherOutput {
                input,
                got_sat: got.value.to_sat(),
                got_script: got.script_pubkey.to_hex_string(),
                want_sat: want.value.to_sat(),
                want_script: want.script_pubkey.to_hex_string(),
            });
        }
    }
    Ok(())
}
