//! A vault on a real bitcoind: what the ledger has of it, and the signatures of its federation, so that what is planned is what is sent.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::consensus::serialize;
use bitcoin::hashes::Hash as _;
use bitcoin::key::TweakedPublicKey;
use bitcoin::secp256k1::{Message, SECP256K1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxOut, Witness};
use bridge::peg::Content;
use bridge::plan::{Budget, Conditions, Replaced};
use bridge::vault;
use bridge::vault_tx::draft::Built;
use bridge::vault_tx::{Deposit, LedgerFacts, Output, Rules, SpentOutput, VaultTransaction, Withdrawal, build};
use mainchain::deposit::DepositOutput;
use mainchain::io::rpc::Accepted;
use tests::bitcoind::Bitcoind;
use tests::user::User;

use crate::deposits::{peg, terms};
use crate::federation::Federation;
use crate::spending::{key, spend, x_only};

const PAYER: u8 = 43;
/// What a payment to the vault pays the miners, whatever its size here: some sat/vB.
const PAYMENT_FEE: Amount = Amount::from_sat(50_000);
/// A reserve that pays for whatever is tried here.
const RESERVE: Amount = Amount::from_sat(10_000_000);
const MUCH: Amount = Amount::from_sat(100_000_000_000);

/// As a genesis file may have them at most (`sidechain::genesis`), and the fees of none.
const RULES: Rules = Rules {
    peg_in_fee: Amount::ZERO,
    peg_out_fee: Amount::ZERO,
    useful: Amount::from_sat(1_000),
    min_rate: 1_000,
    max_rate: 1_000_000,
    max_inputs: 100,
    max_payouts: 220,
    window: MUCH,
    window_s: 3_600,
    reclaim_delay: 1_008,
};

/// What is proposed at a rate.
pub fn at(rate: u64) -> Conditions {
    Conditions {
        rate,
        usual_rate: rate,
        low_rate: 0,
        now_s: 1_000,
        tip: 200,
        recovery_delay: 26_000,
        budget: Budget::default(),
    }
}

/// A transaction that waits, as another version is to replace it.
pub fn waiting(built: &Built) -> Replaced<'_> {
    Replaced { content: &built.content, fee: built.fee, vsize: built.vsize, bound_rate: built.content.rate }
}

/// What the ledger has, who signs for it, and somebody who pays.
pub struct Vault {
    pub user: User,
    pub ledger: LedgerFacts,
    federation: Federation,
}

impl Vault {
    /// With nothing in it.
    pub async fn new(bitcoind: &Bitcoind) -> Self {
        let user = User::with_rewards(bitcoind, 5).await;
        let federation = Federation::new();
        let ledger = LedgerFacts {
            rules: RULES,
            deposits: BTreeMap::new(),
            outputs: BTreeMap::new(),
            withdrawals: BTreeMap::new(),
            coming: Vec::new(),
            bound: BTreeSet::new(),
            reserve_sat: i64::try_from(RESERVE.to_sat()).expect("small"),
            credit: Amount::ZERO,
            cap_left: MUCH,
            window_left: MUCH,
            epoch: 1,
            vault_key: federation.vault_key(),
        };
        Self { user, ledger, federation }
    }

    /// Deposits of a like amount, in one block.
    pub async fn deposit(&mut self, count: u32, amount: Amount) {
        let output = TxOut { value: amount, script_pubkey: self.deposit_output().script_pubkey() };
        let txid = self.pay(vec![output; count as usize]).await.compute_txid();
        let deposit = Deposit {
            amount,
            max_fee: amount / 2,
            epoch: 1,
            was_bound: false,
            minted: None,
            for_reserve: false,
            height: 100,
            in_use: false,
        };
        self.ledger.deposits.extend((0..count).map(|vout| (OutPoint::new(txid, vout), deposit)));
    }

    /// A live vault output.
    pub async fn output(&mut self, amount: Amount) {
        let script_pubkey = vault::script(self.federation.vault_key());
        let txid = self.pay(vec![TxOut { value: amount, script_pubkey }]).await.compute_txid();
        self.live(txid, amount);
    }

    /// What the ledger says of output 0 of a transaction.
    pub fn live(&mut self, txid: bitcoin::Txid, amount: Amount) {
        let number = self.ledger.outputs.keys().last().map_or(1, |last| last + 1);
        let output = Output { txid, amount, epoch: 1, height: 100, is_rooted: true, in_use: false };
        self.ledger.outputs.insert(number, output);
    }

    /// Withdrawals are asked for.
    pub fn withdraw(&mut self, count: u64, script: &ScriptBuf) {
        let first = self.ledger.withdrawals.keys().last().map_or(1, |last| last + 1);
        for id in first..first + count {
            let (amount, max_fee) = (Amount::from_sat(100_000 + id), Amount::from_sat(50_000));
            let withdrawal = Withdrawal { amount, max_fee, script: script.clone(), tie: None, asked_at: 0 };
            self.ledger.withdrawals.insert(id, withdrawal);
        }
    }

    /// What `bind` makes of a content.
    pub fn built(&self, content: &Content) -> Built {
        build(content, &self.ledger).expect("the ledger takes it")
    }

    /// With all its signatures.
    pub fn signed(&mut self, built: &Built) -> Transaction {
        let bytes = serialize(&built.transaction);
        let vault_tx = VaultTransaction::parse(&bytes, self.spent(built), built.change).expect("the layout");
        self.federation.sign(&vault_tx)
    }

    /// What bitcoind measures of it.
    pub async fn accepted(&self, signed: &Transaction) -> Result<Accepted, String> {
        let verdicts = self.user.rpc.test_accept(std::slice::from_ref(signed)).await.expect("answers");
        verdicts.into_iter().next().expect("one for each").verdict
    }

    /// Binds, signs and broadcasts.
    pub async fn send(&mut self, content: &Content) -> (Built, Transaction) {
        let built = self.built(content);
        let signed = self.signed(&built);
        self.user.rpc.broadcast(&signed).await.expect("bitcoind takes what was planned");
        self.bind(&built);
        (built, signed)
    }

    fn bind(&mut self, built: &Built) {
        let ledger = &mut self.ledger;
        ledger.bound.insert(built.transaction.compute_txid());
        for outpoint in &built.content.deposits {
            let deposit = ledger.deposits.get_mut(outpoint).expect("it was taken");
            (deposit.was_bound, deposit.in_use) = (true, true);
        }
        for number in &built.content.outputs {
            ledger.outputs.get_mut(number).expect("it was taken").in_use = true;
        }
        for id in &built.content.withdrawals {
            ledger.withdrawals.get_mut(id).expect("it was taken").tie = built.content.outputs.first().copied();
        }
    }

    fn spent(&self, built: &Built) -> Vec<SpentOutput> {
        let deposit = self.deposit_output();
        let root = if built.content.deposits.is_empty() {
            (self.federation.vault_key(), self.federation.recovery_root())
        } else {
            (deposit.output_key(), deposit.merkle_root().to_byte_array())
        };
        let inputs = built.transaction.input.iter().zip(&built.amounts);
        let spent = inputs.map(|(input, amount)| SpentOutput {
            outpoint: input.previous_output,
            amount: *amount,
            output_key: root.0,
            merkle_root: root.1,
            epoch: 1,
        });
        spent.collect()
    }

    fn deposit_output(&self) -> DepositOutput {
        terms(x_only(2)).output(&peg(1008), self.federation.group_key())
    }

    /// A transaction with these outputs and no others, in a block.
    async fn pay(&mut self, outputs: Vec<TxOut>) -> Transaction {
        let key = key(PAYER);
        let tweaked = TweakedPublicKey::dangerous_assume_tweaked(key.x_only_public_key().0);
        let script = ScriptBuf::new_p2tr_tweaked(tweaked);
        let amount = outputs.iter().map(|output| output.value).sum::<Amount>() + PAYMENT_FEE;
        let (funding, vout) = self.user.pay(&script, amount).await;
        let mut payment = spend(&[OutPoint::new(funding.compute_txid(), vout)], Sequence::MAX);
        payment.output = outputs;
        let spent = [TxOut { value: amount, script_pubkey: script }];
        let sighash = SighashCache::new(&payment)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&spent), TapSighashType::Default)
            .expect("one input");
        let signature = SECP256K1.sign_schnorr(&Message::from_digest(sighash.to_byte_array()), &key);
        payment.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
        self.user.rpc.broadcast(&payment).await.expect("it pays enough");
        self.user.mine(1).await;
        self.user.sync().await;
        payment
    }
}
