//! What the EVM runs in.

use revm::{
    Context,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
};

use crate::state::Working;
use crate::stop::Stop;

/// Block, transaction and state as the EVM sees them, and the means to stop it.
pub(super) type Environment<'a, R> = Context<BlockEnv, TxEnv, CfgEnv, Working<'a, R>, Journal<Working<'a, R>>, Stop>;
