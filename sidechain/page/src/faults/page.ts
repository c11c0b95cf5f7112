// What this page itself finds wrong, by names that stay.
import { type Words, said } from "./words.ts";

const NOT_PAID = "Nothing was paid, and nothing was sent.";

export const PAGE: Record<string, Words> = {
  "node-down": said("The node does not answer", "This page asks the node that served it, and got no answer: it is stopped, or the way to it is cut.", "Your money does not depend on it. Coins, deposits and withdrawals are in the ledger that all nodes have, and the federation goes on without this one.", "Wait: this page asks again by itself, and what you began is found again. If it stays so, use another node of the network, with the same links behind its address."),
  "insufficient-funds": said("The account has too few coins", "Amount and gas together are more than the account has. The wallet sets aside the most that the gas may cost, not what it will.", NOT_PAID, "Send less, or choose “all”: that leaves the gas. An account that has no coins at all gets some by bringing bitcoin in."),
  failed: said("The transaction was carried out and failed", "It is in a block, and the contract refused it: the ledger changed between the try and the block, or the gas was too little.", "Its gas is paid. The amount is back in the account, and no withdrawal was made or changed.", "Open the transaction's page: it names the contract's error. Then try again from the present state."),
  reverted: said("The ledger would refuse this, and names no reason", "The call was tried out before anything was signed, and failed without an error that this page can read.", "Nothing was sent. It was only tried.", "Check which account and which network the wallet uses. If a contract's account takes part, its own code may have refused."),
  Error: {
    ...said("The ledger refuses this, with a reason in words", "The contract ended the call with a sentence instead of a named error, as tokens do: a balance or an allowance that is too small, a permission that is over.", "Nothing moved.", "Read the sentence beside the link that led here, or on the transaction's page."),
    messages: [
      ["transfer amount exceeds balance", "the account has fewer wrapped coins than that"],
      ["transfer amount exceeds allowance", "the owner allowed this account to move less"],
      ["transfer to the zero address", "nobody could ever move them again"],
      ["transfer to the token itself", "nobody could ever move them again. To have coins, unwrap them"],
      ["permit is expired", "the signed permission's time is over: sign a new one"],
      ["authorization is not yet valid", "the signed payment is good from a time on: wait"],
      ["authorization is expired", "the signed payment's time is over: sign a new one"],
      ["authorization is used or canceled", "a signed payment is carried out once, and this one was, or was cancelled"],
      ["caller must be the payee", "only who is paid hands this payment in"],
      ["invalid signature", "another key signed, or for another network or contract"],
    ],
  },
  Panic: said("A contract ended by an error of its own", "A computation in the contract went beyond its bounds. The ledger's contracts do this for numbers that cannot be.", "Nothing moved.", "Check the numbers that were sent. If they are right, please report it: SECURITY.md says how."),
  "not-proven": said("The node's word is not proven", "This page checks what a node says by the validators' signatures and by proofs. What it got does not fit: the node is wrong, of another network, or of another version.", "Nothing was changed by looking. Do not pay an address that this page could not prove.", "Load the page again. If it stays so, do not use this node: open the evidence page of another one, with a genesis file that you have from the operators."),
  "other-address": said("The node names another deposit address", "The page computed the address from the federation's proven key, and the node answered another one for the same terms.", "Nothing is paid yet. Pay neither address.", "Use another node. Somebody may want your deposit: tell the operators of the network, with both addresses."),
  "no-key": said("The federation has no key yet", "Its members make the key together when a network begins. Until then there are no deposit addresses.", NOT_PAID, "Wait some minutes; the federation's page shows who is missing."),
  record: said("The record cannot be used", "The file is damaged, is the record of another address, or is of another version of the program.", "A deposit needs its record only if the federation does not sweep it. Do not pay an address whose record you do not have.", "Before paying: save the file once more, or make a new address. After paying: take the record from a backup."),
  keystore: said("The key in the record cannot be opened", "The passphrase is another one, or the encrypted key is damaged or of another version.", "The deposit is where it was. The federation sweeps it without the key; the key only takes back what it does not sweep.", "Try the passphrase again: capital letters and blanks count. Nobody can reset it. If the file is damaged, take it from a backup."),
  address: said("This is no address that can be paid", "A Bitcoin address has a checksum, a network and a kind, and one of them is wrong.", NOT_PAID, "Copy the address again from where you have it, whole. Do not correct single letters by hand."),
  cap: said("The peg is full", "The bridge holds as much bitcoin as its parameters allow, and sweeps no more until some went out.", "A deposit that is made all the same waits, and is yours again after the timelock, with its record.", "Bring in less, or wait. The overview shows how much room there is."),
  paused: said("Payouts are held up", "A guardian paused new payouts for a time, a theft was shown, or more is missing than may be.", "Withdrawals that wait are kept in their order, and can be cancelled or given back. What members signed before is paid.", "Wait: the overview says what the reason is, and until when a pause lasts."),
  "cannot-be-read": said("The node's answer cannot be shown", "The node said something of another shape than this page expects, mostly because page and node are of different versions.", "Nothing was changed by looking.", "Load the page again. If it stays so, use another node, and tell the operator of this one."),
  unexpected: said("Something failed in this page", "The page met something that it does not expect: an answer that it cannot read, or an error of its own.", "Showing things moves no money. If you had sent something, your wallet lists it.", "Load the page again. If it happens again, please report it with the words that it showed; the command line does the same without the page."),
};
