//! Tells, once each, which members the others wait for.

use std::collections::BTreeMap;

use super::health::Vitals;
use crate::foreign;
use crate::peg::Member;

/// The members that were told.
pub struct Waiting {
    vitals: Vitals,
    told: BTreeMap<u16, String>,
}

impl Waiting {
    pub fn new(vitals: &Vitals) -> Self {
        Self { vitals: vitals.clone(), told: BTreeMap::new() }
    }

    /// The members that are waited for now, with what is missing.
    pub fn tell(&mut self, now: BTreeMap<u16, String>, members: &[Member]) {
        if now == self.told {
            return;
        }
        let name = |number: u16| {
            let named = members.iter().find(|member| member.index == number);
            foreign::shown(named.map_or("", |member| &member.name))
        };
        for (member, what) in now.iter().filter(|(member, what)| self.told.get(member) != Some(what)) {
            tracing::warn!(member, name = %name(*member), "the federation waits for a member: {what}");
        }
        for member in self.told.keys().filter(|member| !now.contains_key(member)) {
            tracing::info!(member, name = %name(*member), "the federation waits no longer for a member");
        }
        self.vitals.waited_for(now.clone());
        self.told = now;
    }
}
