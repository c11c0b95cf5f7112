//! A payer of MPP's sessions, by hand: for what no client of a registry would do.

use alloy_primitives::{Address, B256, Bytes, U256};
use bridge::io::sidechain::Account;
use contracts::address::{MICRO_CHANNEL, WRAPPED_BTC};
use payments::stream::StreamTerms;
use payments::terms::Terms;
use payments::typed_data::Domain;
use payments::voucher::Voucher;
use paywall::authorization::{Authorization, Token};
use paywall::mpp::{self, Challenge};
use paywall::session::credential::{
    Credential, Deposit, EIP_3009, Eip3009, Open, Payload, Signed, SignedTerms, Stream, TopUp, WithDeposit,
};

pub use crate::http::{Answer, begin, read, send};

/// Somebody with a channel.
#[derive(Clone, Debug)]
pub struct ChannelPayer {
    pub account: Account,
    pub url: String,
    pub challenge: Challenge,
    pub payee: Address,
    pub salt: B256,
    /// Zero: the payer.
    pub signer: Address,
    pub chain_id: u64,
}

impl ChannelPayer {
    /// By the challenge of a page; nothing is opened yet.
    ///
    /// # Panics
    ///
    /// The page asks for no session.
    #[must_use]
    pub fn new(account: &Account, url: &str, target: &str, payee: Address, chain_id: u64) -> Self {
        let asked = send(url, "GET", target, &[], b"");
        assert_eq!(asked.status, 402, "{asked:?}");
        let (challenge, salt) = (asked.challenge(), B256::from(rand::random::<[u8; 32]>()));
        Self { account: account.clone(), url: url.to_owned(), challenge, payee, salt, signer: Address::ZERO, chain_id }
    }

    /// The same channel for another page.
    #[must_use]
    pub fn at(&self, target: &str) -> Self {
        let asked = send(&self.url, "GET", target, &[], b"");
        Self { challenge: asked.challenge(), ..self.clone() }
    }

    #[must_use]
    pub fn domain(&self) -> Domain {
        Domain::new(self.chain_id, MICRO_CHANNEL)
    }

    /// The channel's id.
    #[must_use]
    pub fn id(&self) -> B256 {
        let payer = self.account.address();
        let terms =
            Terms { payer, payee: self.payee, token: WRAPPED_BTC, salt: self.salt, authorized_signer: self.signer };
        terms.channel_id(&self.domain())
    }

    #[must_use]
    pub fn signature(&self, total: u128) -> Bytes {
        let voucher = Voucher { channel_id: self.id(), cumulative_amount: total };
        voucher.sign(&self.domain(), &self.account.secret()).signature
    }

    #[must_use]
    pub fn signed(&self, total: u128) -> Signed {
        Signed { channel_id: self.id(), cumulative_amount: total, signature: self.signature(total) }
    }

    /// A transfer into the contract with a random nonce, as clients of the draft sign it.
    ///
    /// # Panics
    ///
    /// Before 1970.
    #[must_use]
    pub fn authorized(&self, value: u128) -> (Eip3009, Bytes) {
        let terms = Authorization {
            from: self.account.address(),
            to: MICRO_CHANNEL,
            value: U256::from(value),
            valid_after: U256::ZERO,
            valid_before: U256::from(bridge::io::clock::now().expect("after 1970") + 200),
            nonce: B256::from(rand::random::<[u8; 32]>()),
        };
        let signature = self.account.sign_digest(Token::wrapped_btc(self.chain_id).digest(&terms));
        (Eip3009 { kind: EIP_3009.to_owned(), terms }, Bytes::copy_from_slice(&signature.as_bytes()))
    }

    #[must_use]
    pub fn open(&self, deposit: u128, total: u128) -> Payload {
        let (authorization, signature) = self.authorized(deposit);
        Payload::Open(Open::Transaction {
            channel_id: self.id(),
            authorization,
            signature,
            cumulative_amount: total,
            voucher_signature: self.signature(total),
            authorized_signer: (!self.signer.is_zero()).then_some(self.signer),
            salt: self.salt,
        })
    }

    #[must_use]
    pub fn voucher(&self, total: u128) -> Payload {
        Payload::Voucher(WithDeposit { signed: self.signed(total), deposit: None })
    }

    #[must_use]
    pub fn opening_voucher(&self, deposit: u128, total: u128) -> Payload {
        let (authorization, signature) = self.authorized(deposit);
        let deposit = Deposit::Open { authorization, signature, salt: self.salt, authorized_signer: None };
        Payload::Voucher(WithDeposit { signed: self.signed(total), deposit: Some(deposit) })
    }

    #[must_use]
    pub fn top_up(&self, additional_deposit: u128) -> Payload {
        let (authorization, signature) = self.authorized(additional_deposit);
        Payload::TopUp(TopUp::Transaction { channel_id: self.id(), authorization, signature, additional_deposit })
    }

    #[must_use]
    pub fn close(&self, total: u128) -> Payload {
        Payload::Close(self.signed(total))
    }

    #[must_use]
    pub fn stream(&self, cumulative_amount: u128, tick_amount: u128, ticks: u32, root: B256) -> Payload {
        let terms = StreamTerms { channel_id: self.id(), cumulative_amount, tick_amount, ticks, root };
        let signature = terms.sign(&self.domain(), &self.account.secret()).signature;
        let stream = SignedTerms { cumulative_amount, tick_amount, ticks, root, signature };
        Payload::Stream(Stream { channel_id: self.id(), stream })
    }

    /// As a field of a request.
    #[must_use]
    pub fn credential(&self, payload: Payload) -> String {
        let source = Some(mpp::source(self.chain_id, self.account.address()));
        Credential { challenge: self.challenge.clone(), payload, source }.encode()
    }

    /// A request with a credential.
    #[must_use]
    pub fn ask(&self, method: &str, target: &str, payload: Payload) -> Answer {
        self.ask_with(method, target, payload, &[])
    }

    #[must_use]
    pub fn ask_with(&self, method: &str, target: &str, payload: Payload, more: &[(&str, &str)]) -> Answer {
        let credential = self.credential(payload);
        let headers = [&[("authorization", credential.as_str())], more].concat();
        send(&self.url, method, target, &headers, b"")
    }

    /// Sends ticks of a stream.
    #[must_use]
    pub fn tick(&self, root: B256, ticks: &[B256]) -> Answer {
        let target = format!("/.well-known/causeway-ticks/{}/{root}", self.id());
        let body: Vec<u8> = ticks.iter().flat_map(|tick| tick.0).collect();
        send(&self.url, "POST", &target, &[], &body)
    }
}
