//! Who may have `causeway pay serve` settle payments for x402 servers of their own.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, ensure, eyre};
use paywall::access::{Access, TOKEN_BYTES, Token};
use zeroize::Zeroizing;

/// Options of `causeway pay serve`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Facilitator of x402")]
pub struct FacilitatorArgs {
    /// Be a facilitator of x402 as well, for resource servers of the same payee: /supported, /verify, /settle. You pay the gas of what it
    /// settles, so it takes no payment that is not worth twice its gas; and who may ask is named by one of the two options below,
    /// unless clients reach this server on this machine alone (--listen on a loopback address, no --public-url)
    #[arg(long)]
    facilitator: bool,
    /// Only for whoever shows the token in this file (`Authorization: Bearer TOKEN`); 16 characters at least, for its owner alone
    #[arg(long, value_name = "FILE", requires = "facilitator", conflicts_with = "facilitator_open")]
    facilitator_token: Option<PathBuf>,
    /// For whoever reaches it
    #[arg(long, requires = "facilitator")]
    facilitator_open: bool,
}

impl FacilitatorArgs {
    /// Who may ask; none if nobody may.
    pub fn access(&self, listens: SocketAddr, is_public: bool) -> Result<Option<Access>> {
        if !self.facilitator {
            return Ok(None);
        }
        if let Some(path) = &self.facilitator_token {
            return token(path).map(Access::Bearer).map(Some);
        }
        ensure!(
            self.facilitator_open || (listens.ip().is_loopback() && !is_public),
            "strangers would have payments settled at your cost: name who may by --facilitator-token FILE, or let everybody by --facilitator-open"
        );
        Ok(Some(Access::Anybody))
    }
}

fn token(path: &Path) -> Result<Token> {
    let cannot = || format!("cannot read the facilitator's token {}", path.display());
    let about = fs::metadata(path).wrap_err_with(cannot)?;
    ensure!(about.is_file() && about.len() <= 4_096, "{} is no file with a token", path.display());
    ensure!(about.permissions().mode() & 0o077 == 0, "others than its owner may use {}: chmod 600 it", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).wrap_err_with(cannot)?);
    Token::new(text.trim()).ok_or_else(|| {
        let (least, most) = (TOKEN_BYTES.start(), TOKEN_BYTES.end());
        let path = path.display();
        eyre!("{path} has no token: {least} to {most} visible characters, for example `openssl rand -hex 32`")
    })
}
