//! `peg_getInfo`: what the bridge is, and where it stands.

use super::super::error;
use super::super::method::{Methods, Registered, long};
use crate::peg::{PegContracts, info};

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "peg_getInfo", |context, arguments| {
        let contracts = PegContracts::at_head(context.chain(), arguments.stop());
        info(context.chain().genesis(), &contracts).map_err(error::simulate)
    })
}
