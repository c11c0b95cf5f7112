//! Whether a request's head shows that one of our payers asks, before anything of its body is kept.

use std::sync::Arc;

use payments::payee::streams::StreamOffer;

use super::super::desk::now;
use super::state::Sessions;
use crate::price_list::Entry;
use crate::session::credential::{Credential, Funding, Proof, Steps};
use crate::session::funding::Opening;

/// Nothing is taken or changed by it, and the chain is not asked: a channel that is not known yet shows nothing.
pub fn is_by_payer(sessions: &Arc<Sessions>, entry: &Entry, credential: &Credential) -> bool {
    let challenge = &credential.challenge;
    if sessions.till.check_session(challenge, sessions.channels(), entry, now()).is_err() {
        return false;
    }
    credential.steps().is_ok_and(|steps| pays(sessions, &steps))
}

fn pays(sessions: &Sessions, steps: &Steps) -> bool {
    match (&steps.proof, &steps.funding) {
        (Proof::Voucher(voucher), None | Some(Funding::ToppedUpBy { .. } | Funding::TopUp { .. })) => {
            sessions.payee.is_by_signer(voucher, now())
        }
        (Proof::Voucher(voucher), Some(Funding::Open { authorization, signature, salt, authorized_signer })) => {
            let (channel, salt, authorized_signer) = (steps.channel, *salt, *authorized_signer);
            let opening = Opening { channel, authorization, signature, salt, authorized_signer };
            let clock = sessions.chain.clock(now());
            clock
                .is_ok_and(|clock| sessions.channels().check_opening(&sessions.token, &opening, voucher, clock).is_ok())
        }
        (Proof::Stream(stream), _) => {
            let domain = &sessions.channels().domain;
            let offer =
                StreamOffer { chain_id: domain.chain_id(), contract: domain.contract(), stream: stream.clone() };
            sessions.payee.is_new_stream(&offer, now())
        }
        (Proof::Voucher(_), Some(Funding::OpenedBy { .. })) | (Proof::None, _) => false,
    }
}
