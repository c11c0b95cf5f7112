//! `rpc_modules`: which namespaces this server has.

use std::collections::BTreeMap;

use super::method::{Methods, Registered, inline};

/// Registered last, for it names what was registered before.
pub fn register(methods: &mut Methods) -> Registered {
    let names = methods.names().filter_map(|name| name.split_once('_')).map(|(namespace, _)| namespace);
    // Versions as geth says them: there is one of each.
    let modules: BTreeMap<_, _> = names.chain(["rpc"]).map(|namespace| (namespace, "1.0")).collect();
    inline(methods, "rpc_modules", move |_, _| Ok(modules.clone()))
}
