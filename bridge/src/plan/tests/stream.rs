//! Streams of withdrawals over days: small ones are never stopped, and a large one is not starved.
//!
//! Each round is a block of ten minutes: what was bound in the last one settles, the window refills, others ask, and proposals are bound until there are no more.

use super::*;

const ROUND_S: u64 = 600;
const BTC: u64 = 100_000_000;

struct Stream {
    ledger: LedgerFacts,
    on: Conditions,
    under_way: Vec<Built>,
    next_output: u32,
    next_id: u64,
    /// When each was paid, by id.
    paid_at: std::collections::BTreeMap<u64, u64>,
}

impl Stream {
    fn new(outputs: &[u64]) -> Self {
        let ledger = LedgerFacts { reserve_sat: 100_000_000, ..ledger(outputs, &[]) };
        let next_output = u32::try_from(outputs.len()).expect("few") + 1;
        let on = Conditions { now_s: 1_000_000, ..at(1_000) };
        Self { ledger, on, under_way: Vec::new(), next_output, next_id: 1, paid_at: Default::default() }
    }

    fn ask(&mut self, amount_sat: u64) -> u64 {
        let mut asked = withdrawal(amount_sat, 5_000);
        asked.asked_at = self.on.now_s;
        self.ledger.withdrawals.insert(self.next_id, asked);
        self.next_id += 1;
        self.next_id - 1
    }

    fn ask_often(&mut self, times: usize, amount_sat: u64) {
        for _ in 0..times {
            self.ask(amount_sat);
        }
    }

    fn receive(&mut self, amount_sat: u64) {
        self.ledger.outputs.insert(self.next_output, output(self.next_output, amount_sat));
        self.next_output += 1;
    }

    fn round(&mut self) {
        self.on.now_s += ROUND_S;
        for built in std::mem::take(&mut self.under_way) {
            self.settle(&built);
        }
        self.ledger.coming.clear();
        let refill = sat(RULES.window.to_sat() * ROUND_S / RULES.window_s);
        self.ledger.window_left = (self.ledger.window_left + refill).min(RULES.window);
        while let Some(content) = payout(&self.ledger, &self.on) {
            self.bind(&content);
        }
    }

    fn bind(&mut self, content: &Content) {
        let first_ties: Amount = content.withdrawals.iter().map(|id| self.ledger.withdrawals[id].amount).sum();
        let (ledger, built) = bound(self.ledger.clone(), content);
        self.ledger = ledger;
        self.ledger.window_left -= first_ties;
        self.ledger.coming.push(built.change);
        self.under_way.push(built);
    }

    fn settle(&mut self, built: &Built) {
        for number in &built.content.outputs {
            self.ledger.outputs.remove(number);
        }
        for id in &built.content.withdrawals {
            self.ledger.withdrawals.remove(id);
            self.paid_at.insert(*id, self.on.now_s);
        }
        self.receive(built.change.to_sat());
    }

    fn is_paid(&self, id: u64) -> bool {
        self.paid_at.contains_key(&id)
    }
}

// The vault holds 10 BTC, of which small withdrawals keep some under way all the time; as much comes in as goes out.
#[test]
fn a_stream_of_small_withdrawals_does_not_starve_a_large_one() {
    let mut stream = Stream::new(&[BTC; 10]);
    stream.ask_often(4, BTC / 2);
    stream.round();
    let large = stream.ask(8 * BTC + BTC / 2);
    let mut small = Vec::new();
    for round in 0.. {
        small.extend([stream.ask(BTC / 2), stream.ask(BTC / 2)]);
        stream.receive(BTC);
        stream.round();
        if stream.is_paid(large) {
            break;
        }
        assert!(round < 20, "the large one starves");
    }
    (0..30).for_each(|_| {
        stream.receive(BTC);
        stream.round();
    });
    assert!(small.iter().all(|id| stream.is_paid(*id)), "and the small ones follow");
}

#[test]
fn a_large_withdrawal_that_the_vault_cannot_pay_never_delays_a_small_one() {
    let mut stream = Stream::new(&[BTC; 10]);
    let large = stream.ask(50 * BTC);
    for _ in 0..100 {
        let small = stream.ask(BTC / 2);
        stream.receive(BTC / 2);
        (0..2).for_each(|_| stream.round());
        assert!(stream.is_paid(small));
    }
    assert!(!stream.is_paid(large));
}

// More is asked for than the window lets through; a withdrawal of the whole window waits behind.
#[test]
fn the_window_lets_a_large_withdrawal_through_and_others_meanwhile() {
    let mut stream = Stream::new(&[100 * BTC; 12]);
    stream.ledger.window_left = sat(0);
    let large = stream.ask(RULES.window.to_sat());
    let mut paid = 0;
    let rounds = 2 * RULES.window_s / ROUND_S + PATIENCE_S / ROUND_S + 3;
    for round in 0..rounds {
        stream.ask_often(3, BTC / 2);
        stream.round();
        if stream.is_paid(large) {
            break;
        }
        paid = stream.paid_at.len() as u64;
        // Half of what flows in, after the first hours.
        let half = round * ROUND_S * RULES.window.to_sat() / RULES.window_s / 2;
        let paid_sat = paid * (BTC / 2);
        assert!(round < 20 || paid_sat + 10 * BTC > half, "round {round}: {paid_sat} of {half}");
    }
    assert!(stream.is_paid(large), "{paid} small ones were paid, and not the large one");
}
