// The cases of bridge/cli/src/user/{deposit,withdrawal}_waits/tests.rs, as far as a node can tell them.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deposit, Info, Withdrawal } from "../src/peg/answers.ts";
import { conditions } from "../src/peg/conditions.ts";
import { type Outlook, type Proposal, rateOf } from "../src/peg/outlook.ts";
import { belowLeast, depositWaits, isReclaimable, needsAct, required, unseenWaits, withdrawalWaits } from "../src/peg/waits.ts";

const NOW = 1_700_000_000;
const BTC = 100_000_000;
const id = (number: number) => number.toString(16).padStart(64, "0");

function outlook(): Outlook {
  const tiers = [{ confirmations: 2, upToSat: BTC / 2 }, { confirmations: 6, upToSat: 5 * BTC }, { confirmations: 100, upToSat: 2 ** 64 }];
  const parameters = { reclaimDelay: 1008, finalBlocks: 100, minDepositSat: 1400, pegInFeeSat: 400, pegOutFeeSat: 600, floorRate: 1000, minRate: 1000, maxRate: 1_000_000, refundAfter: 604_800, tiers };
  const info = {
    bitcoinNetwork: "regtest", epoch: 1, groupKey: "0x01", threshold: 3, parameters, bitcoinTip: { height: 500 }, head: { number: 9, timestamp: NOW },
    members: [1, 2, 3, 4].map((index) => ({ index, name: `member ${index}`, account: "0x" })), books: { reserveSat: 1_000_000 },
  } as unknown as Info;
  const limits = { capSat: 100 * BTC, capUsedSat: 0, windowSat: 2 * BTC, windowLeftSat: 2 * BTC, windowSeconds: 1000, pausedUntil: NOW, alarmed: false, missingSat: 0, stopSat: 1000, stopped: false, tierUsedSat: [0, 0] };
  const vault = { outputs: [{ number: 1, txid: id(1), amountSat: 10 * BTC, epoch: 1, rooted: true }], pending: [] as Outlook["vault"]["pending"], lookedFrom: 1 };
  return { info, limits, quote: {} as Outlook["quote"], vault, proposals: [], waitedFor: [], rate: { rate: 2000, toldBy: "proposal" }, now: NOW };
}

const deposit = (changed: Partial<Deposit> = {}): Deposit => ({
  txid: id(90), vout: 0, status: "proven", recipient: "0x", claimant: "0x", amountSat: 1_000_000, maxFeeSat: 5000, mintedSat: null, bound: false, sweptBy: null, height: 500, confirmations: 1, hasLeft: false, epoch: 1, ...changed,
});
const withdrawal = (changed: Partial<Withdrawal> = {}): Withdrawal => ({ id: 7, status: "queued", owner: "0x", amountSat: BTC, maxFeeSat: 5000, askedAt: NOW - 59, tie: null, versions: [], paidBy: null, script: `0x${"51".repeat(34)}`, ...changed });
const pending = (number: number, content: Partial<Outlook["vault"]["pending"][0]["content"]>) => ({ number, txid: id(number), boundAt: NOW - 60, changeSat: 700, content: { epoch: 1, rate: 2000, reserveSat: 0, deposits: [], outputs: [], withdrawals: [], ...content } });
const proposal = (number: number, approvals: number[], content: Partial<Proposal>): Proposal => ({ number, member: 1, rate: 2000, deposits: [], withdrawals: [], approvals: new Set(approvals), openedAt: NOW - 40, bound: false, ...content });
const reasons = (waits: { reason: string }[]) => waits.map(({ reason }) => reason);
const of = (one: Deposit, all: Outlook) => reasons(depositWaits(one, all));
const out = (one: Withdrawal, all: Outlook) => reasons(withdrawalWaits(one, all));

test("what stops payouts stops no sweep", () => {
  const all = outlook();
  Object.assign(all.limits, { alarmed: true, missingSat: BTC });
  assert.deepEqual(of(deposit(), all), ["sweep"]);
});

test("what is too small to be taken is said before it is paid, with what happens to it", () => {
  assert.match(belowLeast(outlook().info.parameters), /^A payment below 1.400 sat is never taken.* 1008 Bitcoin blocks later its owner takes it back/);
  assert.ok(unseenWaits(outlook()).some(({ text }) => text === belowLeast(outlook().info.parameters)));
});

test("each reason not to sweep is named", () => {
  const dear = outlook();
  dear.rate.rate = 80_000;
  assert.deepEqual(of(deposit(), dear), ["maximum"]);
  assert.deepEqual(of(deposit({ amountSat: 300 }), outlook()), ["tooSmall"]);
  const full = outlook();
  Object.assign(full.limits, { capSat: BTC, capUsedSat: BTC - 999_999 });
  assert.deepEqual(of(deposit(), full), ["cap"]);
  assert.deepEqual(of(deposit({ confirmations: 0 }), outlook()), ["blockLeft"]);
});

test("a deposit is swept until its owner takes it back, however near that is", () => {
  const all = outlook();
  all.info.bitcoinTip.height = 500 + 1007;
  assert.deepEqual(of(deposit(), all), ["sweep"]);
  all.info.bitcoinTip.height = 500 + 1008;
  assert.deepEqual(of(deposit(), all), ["sweep", "reclaimable"]);
});

test("what was bound before is asked for no charge and no room again", () => {
  const all = outlook();
  all.vault.pending.push(pending(3, { deposits: [`${id(90)}:0`] }));
  all.limits.capUsedSat = 100 * BTC;
  all.rate.rate = 200_000;
  const waits = depositWaits(deposit({ bound: true }), all);
  assert.deepEqual(reasons(waits), ["bitcoin"]);
  assert.match(waits[0]?.text ?? "", /2 sat\/vB where 200/);
  all.vault.pending.length = 0;
  assert.deepEqual(of(deposit({ bound: true }), all), ["sweep"], "nothing that sweeps it can confirm: another will");
});

test("a sweep or payout that too few approve says who has and who is waited for", () => {
  const all = outlook();
  all.proposals.push(proposal(5, [1, 2], { deposits: [`${id(90)}:0`], withdrawals: [7] }));
  all.waitedFor = [{ member: 4, name: "dave", what: "has not approved it" }];
  assert.deepEqual(of(deposit(), all), ["approvals", "member"]);
  assert.match(withdrawalWaits(withdrawal(), all)[0]?.text ?? "", /proposal 5: 2 of 3 members have in 40 seconds \(1, 2\)/);
  all.proposals.push(proposal(6, [1, 2, 4], { withdrawals: [7] }));
  all.waitedFor = [];
  assert.deepEqual(out(withdrawal(), all), ["payout"], "the newest has enough");
});

test("while a proposal is young, what it waits for says who has approved it and who has not yet", () => {
  const all = outlook();
  all.proposals.push(proposal(5, [1, 4], { deposits: [`${id(90)}:0`], withdrawals: [7], openedAt: NOW - 3 }));
  all.info.bitcoinTip.height = 600;
  const [sweep] = depositWaits(deposit(), all);
  assert.equal(sweep?.text, "For the federation's next sweep: 2 of 3 members have approved proposal 5, which is 3 seconds old; not yet 2 (member 2), 3 (member 3).");
  const [payout] = withdrawalWaits(withdrawal({ askedAt: NOW - 600 }), all);
  assert.deepEqual([sweep?.reason, payout?.reason], ["sweep", "payout"], "it is not late, so the reason is the one of causeway status");
  assert.match(payout?.text ?? "", /next payout: 2 of 3 members .*not yet 2 \(member 2\), 3 \(member 3\)/);
});

test("two members that are away are named from when others have approved, and once", () => {
  const names = (all: Outlook) => depositWaits(deposit(), all).map(({ text }) => text).join(" ").match(/member [23]\b/g) ?? [];
  const all = outlook();
  const one = proposal(5, [1], { deposits: [`${id(90)}:0`], openedAt: NOW - 16 });
  all.proposals.push(one);
  assert.deepEqual(names(all), [], "one alone may propose anything");
  one.approvals.add(4);
  assert.deepEqual(names(all), ["member 2", "member 3"]);
  all.waitedFor = [2, 3].map((member) => ({ member, name: "away", what: "has not approved proposal 5 (2 of 3 have)" }));
  assert.deepEqual(names(all), ["member 2", "member 3"]);
});

test("what stops payouts is told everybody in the words that the owner of a withdrawal reads", () => {
  const all = outlook();
  const told = () => conditions(all.info, all.limits, NOW).filter(({ stops }) => stops).map(({ text }) => text);
  assert.deepEqual(told(), []);
  Object.assign(all.limits, { pausedUntil: NOW + 60, alarmed: true, missingSat: 1000, stopped: true });
  const waits = withdrawalWaits(withdrawal(), all).filter(({ reason }) => ["pause", "alarm", "deficit"].includes(reason));
  assert.equal(waits.length, 3);
  assert.deepEqual(told(), waits.map(({ text }) => text));
  Object.assign(all.limits, { pausedUntil: 0, alarmed: false, missingSat: 0 });
  assert.match(told().join(), /a reason that is not known here/);
});

test("coins wait for the depth that their amount asks for by what was minted lately", () => {
  const at = (amount: number, tierUsedSat: number[]) => required(amount, outlook().info.parameters, { ...outlook().limits, tierUsedSat });
  assert.equal(at(50_000_000, [0, 0]), 2);
  assert.equal(at(50_000_001, [0, 0]), 6);
  assert.equal(at(1, [50_000_000, 50_000_000]), 6);
  assert.equal(at(1, [0, 500_000_000]), 100);
  assert.equal(at(500_000_001, [0, 0]), 100);
});

test("a late sweep has to be final, and one whose funding left counts for it", () => {
  const depth = (one: Deposit, swept: { height: number; confirmations: number }) => depositWaits(one, outlook(), swept)[0]?.text ?? "";
  const swept = deposit({ status: "swept" });
  assert.match(depth(swept, { height: 501, confirmations: 1 }), /1 of 2 confirmations/);
  assert.match(depth(deposit({ status: "swept", confirmations: 510 }), { height: 1005, confirmations: 5 }), /5 of 100/);
  assert.match(depth(deposit({ status: "swept", confirmations: 0 }), { height: 501, confirmations: 1 }), /1 of 2/);
});

test("a minted deposit that a reorganisation left unswept says what sweeps it again", () => {
  const all = outlook();
  all.vault.pending.push(pending(3, { deposits: [`${id(90)}:0`] }));
  const minted = deposit({ status: "minted", mintedSat: 999_000, confirmations: 0, bound: true });
  assert.deepEqual(of(minted, all), ["blockLeft", "bitcoin"]);
  assert.deepEqual(of({ ...minted, sweptBy: 3, confirmations: 9 }, all), []);
});

test("a withdrawal that nothing stops waits for the next payout, and after a minute says by what that is judged", () => {
  assert.equal(withdrawalWaits(withdrawal(), outlook())[0]?.text, "For the federation's next payout.");
  assert.match(withdrawalWaits(withdrawal({ askedAt: NOW - 600 }), outlook())[0]?.text ?? "", /waited 10 minutes.*2 sat\/vB/);
});

test("each reason of the ledger is named", () => {
  const all = outlook();
  Object.assign(all.limits, { pausedUntil: NOW + 1, alarmed: true, missingSat: 1000, windowLeftSat: 40_000_000 });
  all.rate.rate = 80_000;
  const waits = withdrawalWaits(withdrawal(), all);
  assert.deepEqual(reasons(waits), ["pause", "alarm", "deficit", "maximum", "window"]);
  assert.equal(waits[4]?.seconds, 301);
});

test("a payout that needs what is on its way back waits for those vault transactions", () => {
  const all = outlook();
  all.vault.outputs.push({ number: 2, txid: id(2), amountSat: 1000, epoch: 1, rooted: true });
  all.vault.pending.push(pending(3, { outputs: [1], withdrawals: [6] }));
  assert.match(withdrawalWaits(withdrawal(), all)[0]?.text ?? "", /0.00001 BTC; the rest comes back by vault transaction 3/);
  all.vault.pending.length = 0;
  all.vault.outputs.shift();
  assert.deepEqual(out(withdrawal(), all), ["coins"]);
  all.vault.outputs = [1, 2, 3].map((number) => ({ number, txid: id(number), amountSat: 40_000_000, epoch: 1, rooted: true }));
  assert.deepEqual(out(withdrawal(), all), ["payout"], "several small outputs pay it together");
  for (const output of all.vault.outputs) output.rooted = false;
  assert.deepEqual(out(withdrawal(), all), ["root"]);
});

test("a tied one waits for Bitcoin by its newest version, and for nothing that stops first ties", () => {
  const all = outlook();
  all.vault.pending.push(pending(2, { outputs: [1], withdrawals: [7] }));
  Object.assign(all.limits, { pausedUntil: NOW + 1, windowLeftSat: 0 });
  const tied = withdrawal({ status: "tied", tie: 1, versions: [{ number: 2, txid: id(2), status: "bound", chargeSat: 406 }] });
  assert.deepEqual(out(tied, all), ["bitcoin"]);
  all.rate.rate = 200_000;
  assert.deepEqual(out(tied, all), ["bitcoin", "maximum"]);
  assert.deepEqual(reasons(withdrawalWaits(tied, all, { by: 3, confirmations: 4 })), ["replaced"]);
  assert.deepEqual(out({ ...tied, status: "paid" }, all), []);
});

test("the rate is what most members agree on, else the last that was paid", () => {
  const { info } = outlook();
  const proposals = [proposal(1, [1, 2], { rate: 9000 }), proposal(2, [1], { rate: 900_000 })];
  assert.deepEqual(rateOf(proposals, 3000, info), { rate: 9000, toldBy: "proposal" });
  assert.deepEqual(rateOf(proposals.slice(1), 3000, info), { rate: 3000, toldBy: "lastBound" });
  assert.deepEqual(rateOf([proposal(1, [1, 2], { rate: 9000, openedAt: NOW - 601 })], 3000, info).rate, 3000);
});

test("an address that nobody paid says what it waits for and what is kept out", () => {
  assert.deepEqual(reasons(unseenWaits(outlook())), ["payment", "minimum", "charge", "reclaimable"]);
  const [first] = unseenWaits(outlook(), false);
  assert.deepEqual([first?.reason, first?.stuck], ["registration", true], "nobody looks for what no node was told of");
});

test("what needs its owner is told from what goes on by itself", () => {
  const all = outlook();
  assert.equal(isReclaimable(deposit(), all.info), false);
  all.info.bitcoinTip.height = 1508;
  assert.equal(isReclaimable(deposit(), all.info), true);
  assert.equal(isReclaimable(deposit({ status: "swept" }), all.info), false);
  assert.equal(needsAct(withdrawal(), all), false);
  assert.equal(needsAct(withdrawal({ askedAt: NOW - 604_800 }), all), true, "overdue");
  all.rate.rate = 80_000;
  assert.equal(needsAct(withdrawal(), all), true, "its maximum is too low");
  assert.equal(needsAct(withdrawal({ status: "paid" }), all), false);
});
