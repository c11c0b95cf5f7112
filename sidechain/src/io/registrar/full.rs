//! What waits for the disk when much comes at once.

use super::*;
use crate::chain::{Origin, Payment};

fn arrival(number: u64, payment: Option<u64>) -> Arrival {
    let word = |number: u64| B256::from(alloy_primitives::U256::from(number));
    let payment = payment.map(|number| Payment { txid: word(number), vout: 0 });
    Arrival { output_key: word(number), registration: None, origin: Origin::USERS, payment }
}

fn keys(batch: &[Waiting]) -> Vec<u64> {
    batch.iter().map(|waiting| alloy_primitives::U256::from_be_bytes(waiting.arrival.output_key.0).to()).collect()
}

#[test]
fn a_proof_is_taken_and_written_first_however_many_wait_without() {
    let registrar = Registrar::default();
    let filled = (0..100_000).take_while(|number| registrar.enqueue(arrival(*number, None)).is_ok()).count();
    assert_eq!(filled, MAX_WAITING);
    let mut answers: Vec<_> = (0..1_000)
        .map(|_| registrar.enqueue(arrival(1_000_000, Some(7))).expect("a payment is always taken"))
        .collect();
    assert_eq!(registrar.waiting(), MAX_WAITING + 1, "the same again takes no other place");
    registrar.enqueue_unanswered(arrival(2_000_000, Some(8))).expect("another payment");
    registrar.enqueue(arrival(3_000_000, None)).expect_err("no payment");
    let batch = registrar.queue().begin().expect("much waits");
    assert_eq!((batch.len(), &keys(&batch)[..3]), (MAX_BATCH, &[1_000_000, 2_000_000, 0][..]));
    assert!(registrar.queue().begin().is_none(), "one batch at a time");
    for waiting in batch {
        waiting.answers.into_iter().for_each(|answer| answer.send(Ok(Kept::New)).unwrap_or_default());
    }
    assert!(answers.iter_mut().all(|answered| matches!(answered.try_recv(), Ok(Ok(Kept::New)))));
}

#[test]
fn what_waits_with_payments_has_a_bound_too() {
    let registrar = Registrar::default();
    let filled = (0..200_000).take_while(|number| registrar.enqueue(arrival(*number, Some(*number))).is_ok());
    assert_eq!(filled.count(), MAX_PAID_WAITING);
    registrar.enqueue(arrival(1, Some(1))).expect("it has its place");
}
