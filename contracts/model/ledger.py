"""The ledger: what it derives from the facts it holds, and every call that changes them. A call that is refused is None."""

from bitcoin import DEPOSIT, OUTPUT, Transactions, is_deposit, output
from state import Cover, chain, put


class Ledger:
    """One world under a set of rules."""

    def __init__(self, world, rules):
        self.world, self.rules, self.txs = world, frozenset(rules), Transactions(world)
        self.tx = self.txs.table

    # ------------------------------------------------------------------ Bitcoin, as the light client knows it

    def included(self, s, t):
        return self.txs.onchain(t) in chain(s)

    def confirmations(self, s, t):
        t = self.txs.onchain(t)
        if t in s.base:
            return self.world.final
        return len(s.window) - s.window.index(t) if t in s.window else 0

    # ------------------------------------------------------------------ what the ledger derives

    def spender(self, s, outpoint):
        """The settled transaction that spends an outpoint."""
        for t in s.settled:
            if outpoint in self.tx[t].inputs:
                return t
        return None

    def live(self, s, outpoint):
        maker = self.txs.creator(outpoint)
        return (maker is None or maker in s.settled) and outpoint not in s.gone and self.spender(s, outpoint) is None

    def paid(self, s, w):
        return any(w in self.tx[t].pays for t in s.settled)

    def open(self, s, w):
        return s.closed[w] is False and not self.paid(s, w)

    def most(self, s, w):
        ask = self.world.withdrawals[w]
        return ask.raised if s.raised[w] else ask.most

    def final(self, s, t):
        """Whether a transaction is settled beyond any reorganisation, by what the ledger recorded."""
        return t in s.settled and t not in s.stale and self.txs.onchain(t) in s.base

    def beyond_doubt(self, s, t):
        return t is not None and ("final" not in self.rules or self.final(s, t))

    def ended(self, s, outpoint):
        """Whether a vault output is gone, spent, or void, beyond any reorganisation."""
        if outpoint in s.gone or self.beyond_doubt(s, self.spender(s, outpoint)):
            return True
        return "void" in self.rules and self.dead(s, self.txs.creator(outpoint))

    def dead(self, s, t):
        """Whether a vault transaction can never confirm: an input is finally another's, or will never exist."""
        if t is None or t in s.settled:
            return False
        return any(self.unsweepable(s, i) if is_deposit(i) else self.ended(s, i) for i in self.tx[t].inputs)

    def unsweepable(self, s, outpoint):
        return s.deposits[outpoint - DEPOSIT].gone or self.beyond_doubt(s, self.spender(s, outpoint))

    def rooted(self, s, outpoint):
        """Whether somebody can always end an output: it is final, or spends what is, and that can be spent otherwise.
        On chain this is one flag of the output, set when its creator is bound."""
        maker = self.txs.creator(outpoint)
        if maker is None or self.final(s, maker):
            return True
        return any(not is_deposit(i) and self.rooted(s, i) for i in self.tx[maker].inputs)

    def untied(self, s, w):
        return s.ties[w] < 0 or self.ended(s, s.ties[w])

    def stopped(self, s):
        """No first ties: too much is missing."""
        return s.books.missing() >= self.world.stop

    # ------------------------------------------------------------------ binding

    def bind(self, s, tx):
        """What threshold members approved: from now on it is to be signed."""
        for part in ("payees", "inputs"):
            named = tx.pays if part == "payees" else tx.inputs
            if part in self.rules and len(set(named)) != len(named):
                return None
        return self.bind_sweep(s, tx) if tx.kind == "sweep" else self.bind_payout(s, tx)

    def record(self, s, tx, ties):
        """Gives it a number."""
        t = self.txs.intern(tx)
        if t in s.bound:
            return None
        if "number" in self.rules and self.txs.onchain(t) in map(self.txs.onchain, s.bound):
            return None
        return s._replace(bound=s.bound | {t}, ties=ties)

    def bind_sweep(self, s, tx):
        room = self.world.cap - s.books.vault - s.books.unswept - s.books.lost
        need = self.txs.cost(tx) - len(tx.inputs) * tx.fee
        if need > 0 and not self.exempt(s, tx) and not self.reserve_pays(s, need, 0):
            return None
        for i in tx.inputs:
            deposit = s.deposits[i - DEPOSIT]
            if not deposit.proven or deposit.stale or deposit.gone or self.spender(s, i) is not None:
                return None
            if not deposit.minted or "exempt" not in self.rules:
                room -= self.txs.amount(i)
                if room < 0:
                    return None
        return self.record(s, tx, s.ties)

    def bind_payout(self, s, tx):
        if not all(self.live(s, i) for i in tx.inputs):
            return None
        tx, ties = self.charged(s, tx), s.ties
        if self.txs.change(self.txs.intern(tx)) < 1:
            return None
        for w in tx.pays:
            if "recheck" in self.rules and not self.open(s, w):
                return None
            if self.untied(s, w):
                if not self.may_tie(s, w, tx):
                    return None
                ties = put(ties, w, tx.inputs[0])
            elif s.ties[w] not in tx.inputs and "tie" in self.rules:
                return None
        need, short = self.txs.cost(tx) - sum(tx.charges), sum(tx.fee - charge for charge in tx.charges)
        if need > 0 and (not self.reserve_pays(s, need, short) or ("bump" not in self.rules and short)):
            return None        # one that needs nothing is bound even while the reserve is overdrawn
        return self.record(s, tx, ties)

    def exempt(self, s, sweep):
        """The reserve is not asked about a deposit that is minted, nor about those that are for it alone."""
        swept = [i - DEPOSIT for i in sweep.inputs]
        return any(s.deposits[d].minted for d in swept) or all(self.world.deposits[d].recovers >= 0 for d in swept)

    def reserve_pays(self, s, need, short):
        """Out of what it has; or, but for what maxima leave unpaid, on credit: up to half of what stops first ties,
        and as long as all that is missing then does not stop them."""
        overdraft = need - s.books.reserve
        if overdraft <= 0:
            return True
        if "credit" not in self.rules or short > max(0, s.books.reserve):
            return False
        return 2 * overdraft <= self.world.stop and s.books.missing_but_overdraft() + overdraft < self.world.stop

    def charged(self, s, tx):
        return tx._replace(charges=tuple(min(self.most(s, w), tx.fee) for w in tx.pays))

    def may_tie(self, s, w, tx):
        """The first time: it pays its whole charge, nothing stops first ties, and the tie can be ended."""
        if tx.fee > self.most(s, w) or self.stopped(s):
            return False
        return "rooted" not in self.rules or self.rooted(s, tx.inputs[0])

    # ------------------------------------------------------------------ facts: settled, and not any more

    def settle(self, s, t):
        """Shown: it is in the best chain. When it was settled before, in a block that left: records the new one."""
        if t not in s.bound or not self.included(s, t):
            return None
        if t in s.settled:
            return s._replace(stale=s.stale - {t}) if t in s.stale and "again" in self.rules else None
        if "order" in self.rules:
            for i in self.tx[t].inputs:
                if self.spender(s, i) is not None or (not is_deposit(i) and not self.live(s, i)):
                    return None
        return s._replace(settled=s.settled | {t}, books=self.booked(s, t, +1))

    def unsettle(self, s, t):
        """Shown: the block that it settled in has left the best chain."""
        if t not in s.stale or output(t) in s.gone:
            return None
        if "order" in self.rules and self.spender(s, output(t)) is not None:
            return None
        books = self.booked(s, t, -1) if "exact" in self.rules else self.lost_with_inputs(s, t)
        return s._replace(settled=s.settled - {t}, stale=s.stale - {t}, books=books)

    def lost_with_inputs(self, s, t):
        """Only without the rule `exact`: what was spent counts as lost."""
        gross, change = self.txs.gross(t), self.txs.change(t)
        return s.books.plus(vault=-change, owed=gross, lost=change + gross)

    def booked(self, s, t, sign):
        """The books with a transaction settled (+1) or unsettled (-1): one is the reverse of the other."""
        change = self.txs.change(t)
        if self.tx[t].kind == "sweep":
            return self.booked_sweep(s, t, sign, s.books.plus(vault=sign * change))
        spent = sum(self.txs.amount(i) for i in self.tx[t].inputs)
        need = self.txs.cost_to_reserve(t)
        if "stored" not in self.rules:
            need = self.txs.cost(self.tx[t]) - sum(self.charged(s, self.tx[t]).charges)
        return s.books.plus(vault=sign * (change - spent), owed=-sign * self.txs.gross(t), reserve=-sign * need)

    def booked_sweep(self, s, t, sign, books):
        rest = self.txs.change(t)
        for i in self.tx[t].inputs:
            deposit, brings = s.deposits[i - DEPOSIT], self.txs.net(t, i - DEPOSIT)
            if not deposit.minted:
                books, rest = books.plus(unminted=sign * brings), rest - brings
                continue
            given = self.given(s, i)
            books = books.plus(unswept=-sign * deposit.minted, covered=-sign * given, released=sign * given)
            rest -= deposit.minted
        return books.plus(reserve=sign * rest)     # what it brings more or less than is the depositors'

    # ------------------------------------------------------------------ deposits

    def prove(self, s, d):
        """Shown: an output that pays to a deposit address is in the best chain. Again when its block left."""
        deposit = s.deposits[d]
        if not self.included(s, self.txs.funds[d]):
            return None
        if deposit.proven and not (deposit.stale and "again" in self.rules):
            return None
        return s._replace(deposits=put(s.deposits, d, deposit._replace(proven=True, stale=False)))

    def mint(self, s, d):
        deposit, sweep = s.deposits[d], self.spender(s, DEPOSIT + d)
        if sweep is None or sweep in s.stale or (deposit.minted and "once" in self.rules):
            return None
        if self.depth(s, d, sweep) < (self.world.deposits[d].asks if "depth" in self.rules else 1):
            return None
        if "age" in self.rules and s.matured[d] and self.confirmations(s, sweep) < self.world.final:
            return None
        coins = self.txs.net(sweep, d)
        after = s._replace(deposits=put(s.deposits, d, deposit._replace(minted=coins)),
                           books=s.books.plus(unminted=-coins))
        if self.world.deposits[d].recovers < 0:
            return after._replace(books=after.books.plus(supply=coins))
        return self.recovered(after, coins)

    def depth(self, s, d, sweep):
        """Of the funding's block; if that has left the best chain, of the sweep's."""
        return self.confirmations(s, sweep if s.deposits[d].stale else self.txs.funds[d])

    def recovered(self, s, coins):
        """What came back is the reserve's, to pay for losses."""
        s = s._replace(books=s.books.plus(reserve=coins, recovered=coins))
        if "heal" in self.rules:
            return s
        for outpoint in sorted(s.gone):            # without the rule: only those that were shown before
            s = self.healed(s, outpoint) or s
        return s

    # ------------------------------------------------------------------ what is lost

    def gone(self, s, d):
        """Shown: what a deposit was made of, or the deposit, is spent by something that does not sweep it."""
        deposit = s.deposits[d]
        if "gone" not in self.rules or not deposit.proven or deposit.gone:
            return None
        if self.spender(s, DEPOSIT + d) is not None or not self.killed(s, d):
            return None        # what is settled is unsettled first
        return s._replace(deposits=put(s.deposits, d, deposit._replace(gone=True)),
                          books=s.books.plus(unswept=-deposit.minted, lost=deposit.minted))

    def shown(self, s):
        """What can be shown to be for ever."""
        return s.base if "deep" in self.rules else chain(s)

    def killed(self, s, d):
        recovers = self.world.deposits[d].recovers
        if recovers < 0:
            return self.txs.doubles[d] in self.shown(s) or self.txs.reclaims[d] in self.shown(s)
        return any(recovers in self.tx[t].inputs and t != self.txs.funds[d]
                   and ("killer" in self.rules or self.tx[t].kind == "theft") for t in self.shown(s))

    def output_gone(self, s, outpoint):
        """Shown: a vault output is spent by what is no vault transaction."""
        if "stolen" not in self.rules or not self.live(s, outpoint) or not self.thief(s, outpoint, self.shown(s)):
            return None
        lost = self.txs.amount(outpoint)
        return s._replace(gone=s.gone | {outpoint}, books=s.books.plus(vault=-lost, lost=lost))

    def thief(self, s, outpoint, transactions):
        if outpoint >= OUTPUT:
            outpoint = output(self.txs.onchain(outpoint - OUTPUT))
        return any(outpoint in self.tx[t].inputs and self.tx[t].kind in ("theft", "recovery") for t in transactions)

    # ------------------------------------------------------------------ cover

    def covering(self, s, outpoint):
        return next((cover for covered, cover in s.covers if covered == outpoint), Cover())

    def given(self, s, outpoint):
        cover = self.covering(s, outpoint)
        return cover.coins + cover.reserve

    def noted(self, s, outpoint, cover, books):
        others = frozenset(pair for pair in s.covers if pair[0] != outpoint)
        return s._replace(covers=others | {(outpoint, cover)}, books=books)

    def uncovered(self, s, outpoint):
        """What is missing with a deposit or vault output and not made good."""
        if outpoint in s.gone:
            return self.txs.amount(outpoint) - self.given(s, outpoint)
        if not is_deposit(outpoint) or self.spender(s, outpoint) is not None:
            return 0
        return s.deposits[outpoint - DEPOSIT].minted - self.given(s, outpoint)

    def cover(self, s, outpoint):
        """By anyone, with coins."""
        coins = min(s.books.supply, self.uncovered(s, outpoint))
        is_lost = outpoint in s.gone or (is_deposit(outpoint) and s.deposits[outpoint - DEPOSIT].gone)
        if coins <= 0 or ("cover" not in self.rules and not is_lost):
            return None
        cover = self.covering(s, outpoint)
        return self.noted(s, outpoint, cover._replace(coins=cover.coins + coins),
                          s.books.plus(supply=-coins, covered=coins))

    def refill(self, s):
        """Makes the reserve's overdraft good: by anyone, with coins."""
        coins = min(s.books.supply, -s.books.reserve)
        return s._replace(books=s.books.plus(supply=-coins, reserve=coins)) if coins > 0 else None

    def heal(self, s, outpoint):
        """Losses are paid out of what recoveries brought: by anyone, at any time."""
        return self.healed(s, outpoint) if "heal" in self.rules else None

    def healed(self, s, outpoint):
        """First what nobody covered, then whoever did."""
        is_lost = outpoint in s.gone or (is_deposit(outpoint) and s.deposits[outpoint - DEPOSIT].gone)
        pot, cover = min(s.books.recovered, max(0, s.books.reserve)), self.covering(s, outpoint)
        if not is_lost or not pot:
            return None
        loss = min(pot, self.uncovered(s, outpoint))
        back = min(pot - loss, cover.coins)
        if not loss + back:
            return None
        books = s.books.plus(reserve=-loss - back, recovered=-loss - back, covered=loss, supply=back)
        return self.noted(s, outpoint, cover._replace(coins=cover.coins - back, reserve=cover.reserve + loss + back),
                          books)

    def repay(self, s, outpoint):
        """Gives cover back when what it covers is swept again, for good."""
        cover, sweep = self.covering(s, outpoint), self.spender(s, outpoint)
        given = cover.coins + cover.reserve
        if not given or sweep is None or not is_deposit(outpoint):
            return None
        if "back" in self.rules and not self.final(s, sweep):
            return None
        books = s.books.plus(released=-given, supply=cover.coins, reserve=cover.reserve, recovered=cover.reserve)
        return self.noted(s, outpoint, Cover(repaid=cover.repaid + cover.coins), books)

    def repay_another(self, s, outpoint, other):
        """Only without the rule `each`: whoever covered something else is first, and leaves his place to the other."""
        cover, sweep = self.covering(s, outpoint), self.spender(s, outpoint)
        coins = min(cover.coins, self.covering(s, other).coins)
        if "each" in self.rules or not coins or sweep is None or not self.final(s, sweep):
            return None
        s = self.noted(s, outpoint, cover._replace(coins=cover.coins - coins),
                       s.books.plus(released=-coins, supply=coins))
        mine = self.covering(s, other)
        return self.noted(s, other, mine._replace(repaid=mine.repaid + coins), s.books)

    # ------------------------------------------------------------------ withdrawals

    def withdraw(self, s, w):
        gross = self.world.withdrawals[w].amount
        if s.closed[w] is not None or s.books.supply < gross:
            return None
        return s._replace(closed=put(s.closed, w, False), books=s.books.plus(owed=gross, supply=-gross))

    def raise_most(self, s, w):
        if s.raised[w] or not self.world.withdrawals[w].raised or not self.open(s, w):
            return None
        return s._replace(raised=put(s.raised, w, True))

    def cancel(self, s, w):
        """By its owner at any time, by anyone after a time (refund)."""
        if not self.open(s, w) or ("untied" in self.rules and not self.untied(s, w)):
            return None
        gross = self.world.withdrawals[w].amount
        return s._replace(closed=put(s.closed, w, True), books=s.books.plus(owed=-gross, supply=gross))

    def lapse(self, s, t):
        """Only without the rule `signed`: an approved transaction that nobody was seen to sign lets go."""
        if "signed" in self.rules or t not in s.bound or self.included(s, t):
            return None
        ties = tuple(-1 if w in self.tx[t].pays else tie for w, tie in enumerate(s.ties))
        return s._replace(ties=ties) if ties != s.ties else None
