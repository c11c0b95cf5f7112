// What a deposit and a withdrawal wait for, by the ledger's own rules (docs/ledger.md), as far as a node tells: the same reasons, in the same order, as
// `causeway status` gives (bridge/cli/src/user/deposit_waits.rs, withdrawal_waits.rs). Pure: facts in, reasons out, the one that matters most first.
//
// What a node cannot tell is left out: what a bitcoind has in its mempool, and what the reserve lacks to the satoshi, for which the transaction would have to be made.
import { btc, sat as satoshis } from "../amount.ts";
import { depositCharge, withdrawalCharge } from "../bitcoin/fee.ts";
import { plainName } from "../draw/names.ts";
import { counted, duration } from "../draw/time.ts";
import { type Deposit, type Info, type Parameters, type Withdrawal, sats } from "./answers.ts";
import type { FullLimits, Outlook, Proposal, Rate } from "./outlook.ts";

export interface Wait {
  /** One word, as in the JSON of `causeway status`. */
  reason: string;
  text: string;
  /** Whether nothing goes on before somebody acts, or something changes that may never do so. */
  stuck?: boolean;
  /** About how many seconds it takes; none where nobody knows. */
  seconds?: number;
}

/** Seconds between Bitcoin's blocks, on average. */
const BLOCK_S = 600;
/** Bitcoin blocks in which a deposit is usually swept, and seconds in which a payout is usually made; nothing is wrong before. */
const SOON_BLOCKS = 2;
const USUALLY_S = 60;
/** Members that are named in one sentence. */
const MOST_NAMED = 10;
/** Seconds in which a proposal is usually approved (bridge/src/relay/proposers.rs). */
const APPROVED_WITHIN_S = 15;

/** About how many seconds so many more blocks take; none on regtest, whose blocks come when somebody wants them. */
export function blocksSeconds(blocks: number, { bitcoinNetwork }: Pick<Info, "bitcoinNetwork">): number | undefined {
  return bitcoinNetwork === "regtest" ? undefined : Math.max(0, blocks) * BLOCK_S;
}

export function shownRate({ rate, toldBy }: Rate): string {
  return `${rate / 1000} sat/vB (${toldBy === "proposal" ? "the federation's newest proposal" : "as the last vault transaction paid"})`;
}

// ---------------------------------------------------------------- deposits

/** `swept`: height and confirmations of the block that its sweep is in. */
export function depositWaits(deposit: Deposit, outlook: Outlook, swept?: { height: number; confirmations: number }): Wait[] {
  switch (deposit.status) {
    case "proven":
      return ofProven(deposit, outlook);
    case "minted":
      return deposit.sweptBy === null ? ofProven(deposit, outlook) : [];
    case "swept":
      return [depth(deposit, outlook, swept)];
    default:
      return [];
  }
}

function ofProven(deposit: Deposit, outlook: Outlook): Wait[] {
  const waits: Wait[] = [];
  if (deposit.confirmations === 0) waits.push({ reason: "blockLeft", text: "Its block left Bitcoin's best chain: for another block with it." });
  const sweep = newestSweep(deposit, outlook);
  if (sweep) waits.push(...ofBound(sweep, outlook));
  else if (!waits.length) waits.push(...ofUnbound(deposit, outlook));
  const from = reclaimableFrom(deposit.height, outlook.info.parameters);
  if (outlook.info.bitcoinTip.height >= from) {
    waits.push({ reason: "reclaimable", text: `Its owner can take it back on Bitcoin since block ${from}, unless a sweep is first.` });
  }
  return waits;
}

/** The newest pending vault transaction that sweeps it. */
export function newestSweep(deposit: Pick<Deposit, "txid" | "vout">, { vault }: Pick<Outlook, "vault">) {
  return vault.pending.findLast(({ content }) => content.deposits.includes(outpointOf(deposit)));
}

function ofBound(sweep: { txid: string; content: { rate: number } }, { rate, waitedFor, info }: Outlook): Wait[] {
  return [onBitcoin("Its sweep is fixed", sweep.content.rate, rate, info), ...members(waitedFor)];
}

function onBitcoin(before: string, pays: number | undefined, rate: Rate, info: Info): Wait {
  const seconds = blocksSeconds(1, info);
  const isLow = pays !== undefined && pays < rate.rate;
  const text = `${before}: for a Bitcoin block with it${pays === undefined ? "" : `, which pays ${pays / 1000} sat/vB`}${isLow ? ` where ${shownRate(rate)} is wanted: anybody can pay for it (causeway bump)` : ""}.`;
  return { reason: "bitcoin", text, ...(seconds !== undefined && !isLow ? { seconds } : {}) };
}

function ofUnbound(deposit: Deposit, outlook: Outlook): Wait[] {
  const { rate, waitedFor, info } = outlook;
  const waits = deposit.bound ? [] : ofFirstBinding(deposit, outlook);
  if (waits.length) return waits;
  waits.push(...approvals(outlook, ({ deposits }) => deposits.includes(outpointOf(deposit))), ...members(waitedFor));
  if (waits.length) return waits;
  const asked = beingApproved(outlook, ({ deposits }) => deposits.includes(outpointOf(deposit)));
  if (asked) return [{ reason: "sweep", text: `For the federation's next sweep: ${asked}.`, seconds: USUALLY_S }];
  const forBlocks = Math.max(0, info.bitcoinTip.height - deposit.height) + 1;
  if (forBlocks <= SOON_BLOCKS) return [{ reason: "sweep", text: "For the federation's next sweep.", seconds: USUALLY_S }];
  return [{ reason: "sweep", text: `For the federation's next sweep: its block is ${forBlocks} deep, and nothing in the ledger stops it at ${shownRate(rate)}.${reserve(info)} Its operators know more.` }];
}

/** Why the ledger would not take it into a sweep for the first time. */
function ofFirstBinding(deposit: Deposit, { limits, rate, info }: Outlook): Wait[] {
  const charge = depositCharge(BigInt(rate.rate), info.parameters).totalSat;
  const waits: Wait[] = [];
  if (charge > sats(deposit.maxFeeSat)) {
    waits.push({ reason: "maximum", stuck: true, text: `Its maximum is ${btc(sats(deposit.maxFeeSat))}, which nobody can raise, and a sweep costs ${btc(charge)} at ${shownRate(rate)}: for a lower rate.` });
  }
  if (charge >= sats(deposit.amountSat)) waits.push({ reason: "tooSmall", stuck: true, text: `A sweep costs ${btc(charge)} at ${shownRate(rate)}, as much as it holds: for a lower rate.` });
  if (sats(limits.capUsedSat) + sats(deposit.amountSat) > sats(limits.capSat)) {
    waits.push({ reason: "cap", stuck: true, text: `The peg holds ${btc(sats(limits.capUsedSat))} of at most ${btc(sats(limits.capSat))}: for room.` });
  }
  return waits;
}

/** docs/ledger.md, "depth": of the funding; of the sweep where the funding's block has left. A sweep that came late has to be final itself. */
function depth(deposit: Deposit, outlook: Outlook, swept: { height: number; confirmations: number } | undefined): Wait {
  const { confirmations, required } = depthOf(deposit, outlook, swept);
  if (confirmations >= required) return { reason: "depth", text: `It is deep enough, with ${confirmations} of ${counted(required, "confirmation")}: for a member to have its coins minted.` };
  const seconds = blocksSeconds(required - confirmations, outlook.info);
  const time = seconds ? `, about ${duration(seconds)} more` : "";
  return { reason: "depth", text: `For its coins: ${confirmations} of ${counted(required, "confirmation")}${time}. The larger an amount, the deeper it has to lie.`, ...(seconds === undefined ? {} : { seconds }) };
}

export function depthOf(deposit: Deposit, { info, limits }: Pick<Outlook, "info" | "limits">, swept?: { height: number; confirmations: number }): { confirmations: number; required: number } {
  const { parameters } = info;
  const isLate = swept && swept.height - deposit.height > parameters.reclaimDelay / 2 && swept.confirmations < parameters.finalBlocks;
  if (isLate) return { confirmations: swept.confirmations, required: parameters.finalBlocks };
  return { confirmations: deposit.confirmations || (swept?.confirmations ?? 0), required: required(deposit.amountSat, parameters, limits) };
}

/** Whether its owner can take it back now. */
export function isReclaimable({ status, height }: Deposit, { parameters, bitcoinTip }: Info): boolean {
  return status === "proven" && bitcoinTip.height >= reclaimableFrom(height, parameters);
}

/** Confirmations that an amount needs, by what was minted lately: at a tier's depth it counts in this tier and all deeper ones. */
export function required(amountSat: number, { tiers, finalBlocks }: Parameters, { tierUsedSat = [] }: FullLimits): number {
  // The last tier's is beyond 2^53, and means all.
  const fits = (at: number) => !Number.isSafeInteger(tiers[at]?.upToSat) || (tierUsedSat[at] ?? 0) + amountSat <= (tiers[at]?.upToSat ?? 0);
  const first = tiers.findIndex((_, from) => tiers.every((_tier, at) => at < from || fits(at)));
  return tiers[first]?.confirmations ?? finalBlocks;
}

export function reclaimableFrom(height: number, { reclaimDelay }: Parameters): number {
  return height + reclaimDelay;
}

export const outpointOf = ({ txid, vout }: Pick<Deposit, "txid" | "vout">): string => `${txid}:${vout}`;

/** What an address waits for that nobody has paid, as far as the ledger knows; `isRegistered`: whether the node was told of it. */
export function unseenWaits({ info, rate, waitedFor }: Outlook, isRegistered = true): Wait[] {
  const charge = depositCharge(BigInt(rate.rate), info.parameters).totalSat;
  return [
    ...(isRegistered ? [] : [{ reason: "registration", stuck: true, text: "For somebody who tells the node of it: until then nobody looks for payments to it, and one that was made stays where it is." }]),
    { reason: "payment", text: `For a payment. It shows here once it is in a Bitcoin block and the federation has proven it to the ledger, which knows Bitcoin up to block ${info.bitcoinTip.height}.` },
    { reason: "minimum", text: belowLeast(info.parameters) },
    { reason: "charge", text: `A sweep costs ${satoshis(charge)} at ${shownRate(rate)}: an address that allows less waits for a lower rate.` },
    { reason: "reclaimable", text: `What is not swept is its owner's again ${info.parameters.reclaimDelay} blocks after its payment.` },
    ...members(waitedFor),
  ];
}

/** What becomes of a payment that is too small: no node sees it, for it is never proven to the ledger. */
export function belowLeast({ minDepositSat, reclaimDelay }: Pick<Parameters, "minDepositSat" | "reclaimDelay">): string {
  return `A payment below ${satoshis(sats(minDepositSat))} is never taken, and never shows here however often it is confirmed: no coins come of it. It stays at the address, and ${reclaimDelay} Bitcoin blocks later its owner takes it back with the record. Several small ones are not added up.`;
}

// ---------------------------------------------------------------- withdrawals

/** `replaced`: the settled vault transaction that spent the inputs of what would have paid it. */
export function withdrawalWaits(withdrawal: Withdrawal, outlook: Outlook, replaced?: { by: number; confirmations: number }): Wait[] {
  if (withdrawal.status === "queued") return ofQueued(withdrawal, outlook);
  return withdrawal.status === "tied" ? ofTied(withdrawal, outlook, replaced) : [];
}

function ofQueued(withdrawal: Withdrawal, outlook: Outlook): Wait[] {
  const { info, rate, waitedFor, now } = outlook;
  const poor = tooPoor(withdrawal, outlook);
  const waits = [...stops(outlook), ...poor, ...window(withdrawal, outlook), ...(poor.length ? [] : coins(withdrawal, outlook))];
  if (waits.length) return waits;
  waits.push(...approvals(outlook, ({ withdrawals }) => withdrawals.includes(withdrawal.id)), ...members(waitedFor));
  if (waits.length) return waits;
  const asked = beingApproved(outlook, ({ withdrawals }) => withdrawals.includes(withdrawal.id));
  if (asked) return [{ reason: "payout", text: `For the federation's next payout: ${asked}.`, seconds: USUALLY_S }];
  const forSeconds = Math.max(0, now - withdrawal.askedAt);
  if (forSeconds < USUALLY_S) return [{ reason: "payout", text: "For the federation's next payout.", seconds: USUALLY_S }];
  return [{ reason: "payout", text: `For the federation's next payout: it has waited ${duration(forSeconds)}, and nothing in the ledger stops it at ${shownRate(rate)}.${reserve(info)} Its operators know more.` }];
}

/** What stops all first ties. */
export function stops({ limits, now }: Pick<Outlook, "limits" | "now">): Wait[] {
  const waits: Wait[] = [];
  if (limits.pausedUntil > now) waits.push({ reason: "pause", stuck: true, text: `A guardian paused payouts: for ${duration(limits.pausedUntil - now)} at most, unless members end it. Deposits and cancelling go on.` });
  if (limits.alarmed) waits.push({ reason: "alarm", stuck: true, text: "Something that is no vault transaction spends a vault output: payouts stand still until its operators have looked." });
  if (limits.missingSat >= limits.stopSat) waits.push({ reason: "deficit", stuck: true, text: `${btc(sats(limits.missingSat))} are missing, and from ${btc(sats(limits.stopSat))} on payouts stand still until that is covered.` });
  return waits;
}

function window({ amountSat }: Withdrawal, { limits }: Outlook): Wait[] {
  const lacks = sats(amountSat) - sats(limits.windowLeftSat);
  if (lacks <= 0n) return [];
  const size = sats(limits.windowSat);
  const seconds = Number((lacks * BigInt(limits.windowSeconds)) / (size > 0n ? size : 1n)) + 1;
  return [{ reason: "window", seconds, text: `The limit for payouts has ${btc(sats(limits.windowLeftSat))} left; there is enough in about ${duration(seconds)} if nobody else takes it.` }];
}

function tooPoor(withdrawal: Withdrawal, { rate, info }: Outlook): Wait[] {
  const charge = withdrawalCharge(scriptBytes(withdrawal), BigInt(rate.rate), info.parameters).totalSat;
  if (sats(withdrawal.maxFeeSat) >= charge) return [];
  return [{ reason: "maximum", stuck: true, text: `Its maximum is ${btc(sats(withdrawal.maxFeeSat))}, and it costs ${btc(charge)} at ${shownRate(rate)}: its owner raises the maximum, or waits for a lower rate.` }];
}

/** Free coins of the vault, by amounts: those of outputs that no pending vault transaction spends. */
function coins({ amountSat, tie }: Withdrawal, { vault, info }: Outlook): Wait[] {
  if (tie === null && !vault.outputs.some(({ rooted }) => rooted)) {
    return [{ reason: "root", text: `No vault output is ${counted(info.parameters.finalBlocks, "block")} deep yet: for Bitcoin blocks.` }];
  }
  const inUse = new Set(vault.pending.flatMap(({ content }) => content.outputs));
  const free = vault.outputs.filter(({ number, epoch }) => epoch === info.epoch && !inUse.has(number));
  const freeSat = free.some(({ rooted }) => rooted) ? free.reduce((total, output) => total + sats(output.amountSat), 0n) : 0n;
  if (freeSat >= sats(amountSat)) return [];
  const coming = vault.pending.filter(({ changeSat }) => changeSat > 0).map(({ number }) => number);
  const rest = coming.length ? `; the rest comes back by vault ${coming.length === 1 ? "transaction" : "transactions"} ${coming.join(", ")}: for a Bitcoin block with ${coming.length === 1 ? "it" : "them"}` : ": for deposits";
  return [{ reason: "coins", text: `The vault's free outputs hold ${btc(freeSat)}${rest}.` }];
}

function ofTied(withdrawal: Withdrawal, outlook: Outlook, replaced: { by: number; confirmations: number } | undefined): Wait[] {
  const { info, rate, vault, waitedFor } = outlook;
  if (replaced) {
    const { finalBlocks } = info.parameters;
    const seconds = blocksSeconds(finalBlocks - replaced.confirmations, info);
    return [{ reason: "replaced", ...(seconds === undefined ? {} : { seconds }), text: `Vault transaction ${replaced.by} was mined in the place of what pays it: it is queued again once that is final, ${replaced.confirmations} of ${counted(finalBlocks, "confirmation")}. Then a higher maximum is of use.` }];
  }
  const newest = withdrawal.versions.findLast(({ status }) => status !== "void");
  const pays = vault.pending.find(({ number }) => number === newest?.number)?.content.rate;
  const waits = newest ? [onBitcoin("Its payout is fixed", pays, rate, info)] : [];
  // What was bound since the last look is not known yet.
  if (pays !== undefined && pays < rate.rate) waits.push(...tooPoor(withdrawal, outlook));
  return [...waits, ...members(waitedFor)];
}

/** Bytes of its output script. */
export function scriptBytes({ script }: Pick<Withdrawal, "script">): number {
  return Math.max(0, script.length - 2) / 2;
}

/** When anyone may give it back. */
export function refundableAt({ askedAt }: Pick<Withdrawal, "askedAt">, { refundAfter }: Parameters): number {
  return askedAt + refundAfter;
}

/** Whether it may go on only when its owner, or for an overdue one anybody, acts. */
export function needsAct(withdrawal: Withdrawal, outlook: Outlook): boolean {
  const isOpen = withdrawal.status === "queued" || withdrawal.status === "tied";
  const isOverdue = withdrawal.status === "queued" && outlook.now >= refundableAt(withdrawal, outlook.info.parameters);
  return isOpen && (isOverdue || tooPoor(withdrawal, outlook).length > 0);
}

// ---------------------------------------------------------------- both

/** Those with too few approvals, back to the last one with enough: the newest first. */
function unanswered({ proposals, info }: Outlook, isOfIt: (proposal: Proposal) => boolean): Proposal[] {
  const newest = proposals.filter(isOfIt).toReversed();
  const answered = newest.findIndex(({ bound, approvals: by }) => bound || by.size >= info.threshold);
  return newest.slice(0, answered < 0 ? undefined : answered);
}

function approvals(outlook: Outlook, isOfIt: (proposal: Proposal) => boolean): Wait[] {
  const { info, now } = outlook;
  const late = unanswered(outlook, isOfIt).find(({ openedAt }) => now - openedAt >= APPROVED_WITHIN_S);
  if (!late) return [];
  const by = [...late.approvals].sort((a, b) => a - b);
  return [{ reason: "approvals", text: `For approvals of proposal ${late.number}: ${by.length} of ${info.threshold} members have in ${duration(now - late.openedAt)}${by.length ? ` (${by.join(", ")})` : ""}${missing(late, outlook)}.` }];
}

/** What is said of a proposal that is not late yet. */
function beingApproved(outlook: Outlook, isOfIt: (proposal: Proposal) => boolean): string | undefined {
  const [newest] = unanswered(outlook, isOfIt);
  return newest && `${newest.approvals.size} of ${outlook.info.threshold} members have approved proposal ${newest.number}, which is ${duration(outlook.now - newest.openedAt)} old${missing(newest, outlook)}`;
}

/** Who has not approved what more members have than could all be lying: nobody is named for leaving junk alone, nor twice. */
function missing({ approvals: by }: Proposal, { info, waitedFor }: Outlook): string {
  const mayLie = Math.max(0, info.members.length - info.threshold);
  if (by.size <= mayLie) return "";
  const absent = info.members.filter(({ index }) => !by.has(index) && !waitedFor.some(({ member }) => member === index));
  const names = absent.slice(0, MOST_NAMED).map(({ index, name }) => `${index} (${plainName(name)})`);
  return names.length ? `; not yet ${names.join(", ")}${absent.length > MOST_NAMED ? ` and ${absent.length - MOST_NAMED} more` : ""}` : "";
}

function members(waitedFor: Outlook["waitedFor"]): Wait[] {
  return waitedFor.map(({ member, name, what }) => ({ reason: "member", text: `For member ${member} (${plainName(name)}): ${what}.` }));
}

/** A used-up reserve pays no one's part of what a lone sweep or payout costs more than its charge. */
function reserve({ books }: Info): string {
  return sats(books.reserveSat) > 0n ? "" : " The reserve is used up, so it may have to share a transaction with others (anybody fills it: causeway peg-in --reserve).";
}
