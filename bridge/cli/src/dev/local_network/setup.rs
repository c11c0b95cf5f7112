//! The files of a local network, made by the same code as `causeway keys` and `causeway genesis`.

use std::fs;
use std::path::Path;

use eyre::{Result, WrapErr};
use files::write_atomic;
use mainchain::Network;
use sidechain::genesis::{Bitcoin, DEV_CHAIN_ID};

use super::layout::Layout;
use crate::clock::now;
use crate::operator::genesis::{Agreement, RECOVERY_DELAY, collect, usual_rules};
use crate::operator::keys::{self, NewOperator, make_operator};

/// Of all keystores of a local network. It protects coins that anybody can mine.
pub const PASSPHRASE: &str = "causeway-dev";

/// Makes keys, genesis and configurations. May be called again when it did not finish: nothing refers to the old files then.
pub fn prepare(layout: &Layout) -> Result<()> {
    let mut parts = Vec::new();
    for index in 1..=layout.operators {
        let folder = layout.operator(index);
        let p2p = format!("127.0.0.1:{}", layout.ports.p2p[usize::from(index) - 1]);
        let new = NewOperator {
            name: format!("operator-{index}"),
            p2p_address: p2p.clone(),
            network: Network::Regtest,
            chain_id: DEV_CHAIN_ID,
        };
        parts.push(make_operator(&folder, &new, None, PASSPHRASE)?);
        configure(layout, index, &folder, &p2p)?;
    }
    let agreement = Agreement {
        threshold: layout.threshold,
        validators: layout.validators,
        // As on mainnet, so that what is tried here is what happens there.
        bridge: usual_rules(Network::Regtest, &parts),
        recovery_delay: RECOVERY_DELAY,
        bitcoin: Bitcoin::start_of(Network::Regtest),
        timestamp: now()?,
    };
    let genesis = collect(&parts, &agreement)?;
    write_atomic(&layout.genesis(), (genesis.to_json() + "\n").as_bytes())?;
    Ok(())
}

/// `relayer.toml` of one operator, and `node.toml` when it has a validator.
fn configure(layout: &Layout, index: u16, folder: &Path, p2p: &str) -> Result<()> {
    let rpc = layout.ports.rpc[usize::from(index) - 1];
    let private = layout.ports.private_rpc[usize::from(index) - 1];
    // Whoever develops here asks as much as they like.
    let node = format!(
        "genesis = \"../../genesis.json\"\ndata_dir = \"node\"\nkeystore = \"{}\"\nrpc_listen = \"127.0.0.1:{rpc}\"\nrpc_private_listen = \"127.0.0.1:{private}\"\nrpc_unlimited = [\"127.0.0.0/8\"]\nrpc_origins = [\"*\"]\npage = true\ndeveloper_accounts = true\np2p_listen = \"{p2p}\"\n",
        keys::VALIDATOR_KEYSTORE
    );
    // Blocks come every few seconds or on demand, and nobody saves fees: ask often, collect briefly. bitcoind never estimates fees here.
    let relayer = format!(
        "genesis = \"../../genesis.json\"\nnode = \"{}\"\nkeystore = \"{}\"\ndata_dir = \"relayer\"\npoll_ms = 200\nbatch_ms = 300\nfee_rate = 1\n\n[bitcoind]\nurl = \"{}\"\ncookie_file = \"../../bitcoin/regtest/.cookie\"\n\n[duty]\nwindow_s = 10\ntakeover_ms = 3000\n",
        layout.private_rpc_url(layout.node_of(index)),
        keys::OPERATOR_KEYSTORE,
        layout.bitcoin_url()
    );
    let node = layout.validators().contains(&index).then_some(("node.toml", node));
    for (name, text) in node.into_iter().chain([("relayer.toml", relayer)]) {
        let path = folder.join(name);
        fs::write(&path, text).wrap_err_with(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
