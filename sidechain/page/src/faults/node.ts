// What a node answers instead of a result, by the numbers of docs/rpc.md.
import { type Words, said } from "./words.ts";

const UNTOUCHED = "A refused request changes nothing: coins, deposits and withdrawals are as they were.";
const SIMULATED = said("A simulation cannot be made", "A request wanted blocks tried out that cannot be: the message names what of them.", "Nothing was carried out: a simulation changes nothing.", "Correct the request; docs/rpc.md has the numbers from -38010 to -38026.");
const TOO_LARGE = said("The request is too large", "A message, or a batch of requests, is larger than a node takes.", UNTOUCHED, "Ask for less at once. If this page did it of itself, load it again.");

/** Geth's words for what a node does not take, which no number tells apart (sidechain/src/geth.rs). */
const REFUSED = [
  ["insufficient funds", "the account has less than the amount and the most that its gas may cost"],
  ["nonce too low", "the wallet counts wrongly: another transaction of the account was carried out with this number. Reset the account's activity in the wallet"],
  ["nonce too high", "an earlier transaction of the account is missing: send that first, or reset the account's activity in the wallet"],
  ["replacement transaction underpriced", "one with the same number waits already: a replacement has to pay a tenth more"],
  ["transaction underpriced", "it pays less for gas than the node takes: let the wallet estimate the price"],
  ["max fee per gas less than block base fee", "the price of gas rose meanwhile: let the wallet estimate it again"],
  ["intrinsic gas too low", "the gas limit is below the least: let the wallet estimate it"],
  ["already known", "it was sent before, and waits for a block. Do not send it again"],
  ["txpool is full", "many transactions wait: try again in a minute, or pay more for gas"],
  ["held back", "transactions of this account took too long of late: try again in some minutes"],
  ["header not found", "the node has no such block, or keeps its state no longer: ask a node that keeps all"],
] as const;

export const NODE: Record<number, Words> = {
  0: said("The node's answer cannot be read", "The node, or a proxy before it, answered something that is no answer to what was asked.", `${UNTOUCHED} Had a transaction been sent, the wallet lists it.`, "Try again. If it stays so, use another node of the network, and tell the operator of this one."),
  3: said("The contract refused", "The call was tried out, and the contract that it is for would refuse it.", "Nothing was sent. It was only tried.", "The name of the contract's error, where it has one, has a page of its own. Without a name: check the amount and the account, and let the wallet estimate the gas."),
  4: said("It is in no block yet", "The transaction was taken, and waits longer than was asked for.", "It is sent, once. It is carried out or not; both is seen by its hash.", "Do not send it again. Look it up by its hash in a minute."),
  5: said("An earlier transaction is missing", "The account's transactions are carried out in their order, and one before this is not there.", "It waits, and nothing is carried out until the gap is closed.", "Send the missing one, or reset the account's activity in the wallet and sign again."),
  [-32000]: { ...said("The node does not take this", "The node refused a transaction, a call, or a question about blocks that it does not keep. The message says which.", "What a node refuses is not sent, and moves nothing.", "Find the message below."), messages: REFUSED },
  [-32001]: said("The node has not got this", "There is no such block, its certificate is not there yet, or the node began after it.", UNTOUCHED, "Ask again in some seconds, or another node of the network."),
  [-32005]: said("Too much was asked for", "Nodes bound what they do for one client, so that all get something. The message says which bound it was.", UNTOUCHED, "Wait a minute. Others behind the same address may have used it up. Ask for a shorter range, or run a node of your own."),
  [-32007]: TOO_LARGE,
  [-32010]: TOO_LARGE,
  [-32015]: said("A call broke off", "The call was tried out and ended without a reason: for want of gas, mostly.", "Nothing was sent. It was only tried.", "Let the wallet estimate the gas."),
  [-32600]: said("The request is not understood", "What arrived is no request of JSON-RPC.", UNTOUCHED, "Load this page again. A proxy between you and the node may have changed the request."),
  [-32601]: said("The node does not do this", "There is no such method, or this node offers it to its operator alone. A light node offers few.", UNTOUCHED, "Use another node of the network. If this page asked of itself, page and node are of different versions: load the page again."),
  [-32602]: said("The question is wrong", "A part of what was asked is missing, or is not what it should be. The message names it.", UNTOUCHED, "Check what was typed, or the link. If this page asked of itself, page and node are of different versions: load the page again."),
  [-32603]: said("The node cannot read its store", "The node's disk or its database fails.", "Nothing of yours is kept by this node alone: all nodes of the network have the same ledger.", "Use another node, and tell the operator of this one: its log says why."),
  [-32700]: said("The request cannot be read", "What arrived at the node is no JSON.", UNTOUCHED, "Load this page again. A proxy between you and the node may have changed the request."),
};
for (let code = -38026; code <= -38010; code++) NODE[code] = SIMULATED;
