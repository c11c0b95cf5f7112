"""Liveness: what honest relayers, an honest miner and time do from any state, and what they must have brought to an end."""

from bitcoin import DEPOSIT, OUTPUT, Tx, is_deposit
from happenings import Happenings
from state import chain, put

# Who is in their way: nobody; the owner of w0, who cancels at each proposal and asks again; a member who is always
# first and chooses another output; a depositor whose funding left the chain and who does nothing.
NUISANCES = ("none", "cancel", "compete", "absent")


class Honest(Happenings):

    def nuisances(self):
        """Those that make a difference in this world."""
        choices = {"cancel": bool(self.world.withdrawals), "compete": len(self.world.vault) + len(self.deposits) > 1,
                   "absent": bool(self.deposits)}
        return [name for name in NUISANCES if choices.get(name, True)]

    def honest(self, s, market, nuisance):
        """One step at a fee rate; None when nothing is left to do."""
        return (self.tell_facts(s) or self.tell_about_deposits_and_losses(s) or self.confirm(s, market, nuisance)
                or self.propose(s, market, nuisance) or self.make_good(s) or self.give_back(s, market) or self.wait(s))

    def wait(self, s):
        """Depth ends ties, mints coins and shows what is gone."""
        return self.mine(s) if any(t >= 0 for t in s.window) else None

    # ------------------------------------------------------------------ facts

    def tell_facts(self, s):
        """What left the chain, children first; then what is in it, parents first."""
        for t in sorted(s.bound, key=lambda t: (-len(self.txs.lineage(t)), t)):
            after = None if self.included(s, t) and "again" in self.rules else self.unsettle(s, t)
            if after:
                return after
        for t in sorted(s.bound, key=lambda t: (len(self.txs.lineage(t)), t)):
            after = self.settle(s, t)
            if after:
                return after
        return None

    def tell_about_deposits_and_losses(self, s):
        for d in self.deposits:
            after = self.prove(s, d) or self.mint(s, d) or self.gone(s, d) or self.repay(s, DEPOSIT + d)
            if after:
                return after
        for outpoint in [*self.outputs(s), *sorted(s.gone), *(DEPOSIT + d for d in self.deposits)]:
            after = self.output_gone(s, outpoint) or self.heal(s, outpoint)
            if after:
                return after
        return None

    # ------------------------------------------------------------------ Bitcoin

    def confirm(self, s, market, nuisance):
        """What is signed, still useful, and pays the market's rate confirms, the dearest first."""
        ready = {self.txs.onchain(t) for t in s.bound if self.tx[t].kind != "hostage" and self.tx[t].fee >= market}
        ready = [t for t in sorted(ready) if self.valid(s, t)]
        if ready:
            return self.mine(s, max(ready, key=lambda t: (len(self.tx[t].pays), self.tx[t].fee)))
        for t in self.txs.funds if nuisance != "absent" else ():
            if self.tx[t].kind == "fund" and self.valid(s, t):
                return self.mine(s, t)
        return None

    # ------------------------------------------------------------------ new versions

    def propose(self, s, market, nuisance):
        for tx in self.plans(s, market, nuisance):
            after = self.attempt(s, tx, nuisance)
            if after:
                return after
        return None

    def plans(self, s, market, nuisance):
        """What honest relayers propose, the best first."""
        live = sorted(self.outputs(s), key=lambda o: (-self.txs.amount(o), o))
        waiting = [w for w in self.withdrawals if self.open(s, w)]
        tied = [w for w in waiting if not self.untied(s, w)]
        for tie in sorted({s.ties[w] for w in tied}):
            yield from self.versions(s, tie, tuple(w for w in tied if s.ties[w] == tie), live, market)
        free = tuple(w for w in waiting if w not in tied and self.most(s, w) >= market)
        if nuisance == "compete" and len(live) > 1:
            live = live[::-1]
        for count in range(len(free), 0, -1):
            yield from (Tx("payout", (o,), free[:count], market) for o in live)
        sweep = tuple(DEPOSIT + d for d in self.deposits if self.sweepable(s, d))
        if sweep:
            yield Tx("sweep", sweep, (), market)

    def versions(self, s, tie, pays, live, market):
        """Of what pays tied withdrawals; if its output was taken back, of the oldest ancestor that was."""
        if tie in live:
            others = [o for o in live if o != tie]
            yield from (Tx("payout", (tie, *others[:count]), pays, market) for count in range(len(others) + 1))
        lineage = self.txs.lineage(tie - OUTPUT) if tie >= OUTPUT else ()
        for maker in sorted(lineage, key=lambda t: (len(self.txs.lineage(t)), t)):
            if maker not in chain(s) and self.tx[maker].kind in ("payout", "sweep"):
                yield self.tx[maker]._replace(fee=market)
                yield from self.around(s, maker, market)
                break

    def around(self, s, maker, market):
        """What ends an output whose creator lacks an input that may never come again: another spends the others."""
        for i in self.tx[maker].inputs:
            if not is_deposit(i) and self.live(s, i):
                yield Tx("payout", (i,), (), market)

    def sweepable(self, s, d):
        deposit = s.deposits[d]
        return (deposit.proven and not deposit.gone and not s.matured[d] and self.included(s, self.txs.funds[d])
                and self.spender(s, DEPOSIT + d) is None)

    def attempt(self, s, tx, nuisance):
        """Proposes and binds; a hostile owner of w0 cancels in between, and asks again after it."""
        cancelled = self.cancel(s, 0) if nuisance == "cancel" and 0 in tx.pays else None
        if not cancelled:
            return self.bind(s, tx)
        rest = tuple(w for w in tx.pays if w != 0)
        after = self.bind(cancelled, tx._replace(pays=rest)) if "skip" in self.rules and rest else None
        gross = self.world.withdrawals[0].amount
        if after is None:
            return None        # refused, and the hostile withdrawal is back in the queue
        return after._replace(closed=put(after.closed, 0, False), books=after.books.plus(owed=gross, supply=-gross))

    # ------------------------------------------------------------------ coins given up and given back

    def make_good(self, s):
        """While first ties are stopped, somebody covers what is missing, as far as there are coins; and what the reserve
        is overdrawn by, at any time: else credit would come to its end."""
        stops = self.stopped(s) and any(self.open(s, w) for w in self.withdrawals)
        for outpoint in [*sorted(s.gone), *(DEPOSIT + d for d in self.deposits)] if stops else ():
            after = self.cover(s, outpoint)
            if after:
                return after
        return self.refill(s)

    def give_back(self, s, market):
        """What nobody can pay."""
        for w in self.withdrawals:
            if self.open(s, w) and self.untied(s, w) and self.most(s, w) < market:
                return self.cancel(s, w)
        return None

    # ------------------------------------------------------------------ what must be at an end

    def unfinished(self, s, market, nuisance):
        """What honest work did not bring to an end, or None."""
        for w in self.withdrawals:
            if self.open(s, w) and not (nuisance == "cancel" and w == 0) and not self.may_wait(s, w, market):
                return f"w{w} is neither paid nor given back{self.why(s, w)}"
        return self.unfinished_deposits(s) or self.unfinished_losses(s)

    def unfinished_deposits(self, s):
        for d, deposit in enumerate(s.deposits):
            exists = self.included(s, self.txs.funds[d]) and self.txs.reclaims[d] not in chain(s)
            if exists and not deposit.minted and not s.matured[d]:
                return f"deposit {d} is neither minted nor its owner's to reclaim"
            if exists and deposit.minted and not s.matured[d] and self.spender(s, DEPOSIT + d) is None:
                return f"deposit {d} was minted, and its owner will be able to reclaim it"
            if deposit.proven and not deposit.gone and self.lost_for_ever(s, d):
                return f"deposit {d} can never be swept, and the ledger waits for it"
            sweep = self.spender(s, DEPOSIT + d)
            if sweep is not None and self.given(s, DEPOSIT + d) and sweep not in s.stale:
                return f"deposit {d} is back, and whoever covered it is not repaid"
        return None

    def lost_for_ever(self, s, d):
        """Whether what it is made of, or the deposit, is finally spent by what does not sweep it."""
        coin = self.tx[self.txs.funds[d]].inputs[0]
        for t in s.base - {self.txs.funds[d]}:
            if coin in self.tx[t].inputs or (DEPOSIT + d in self.tx[t].inputs and self.tx[t].kind != "sweep"):
                return True
        return False

    def unfinished_losses(self, s):
        """The reserve keeps nothing that a recovery brought while anybody bears a loss."""
        pot = min(s.books.recovered, s.books.reserve)
        lost = list(s.gone) + [DEPOSIT + d for d, deposit in enumerate(s.deposits) if deposit.gone]
        borne = sum(self.uncovered(s, i) + self.covering(s, i).coins for i in lost)
        return f"{borne} are lost, and {pot} of a recovery lie in the reserve" if pot > 0 and borne > 0 else None

    def why(self, s, w):
        if not self.untied(s, w):
            return ", and its owner cannot cancel"
        if self.stopped(s):
            return f": first ties are stopped, {s.books.missing()} is missing, the reserve has {s.books.reserve}"
        return ""

    def may_wait(self, s, w, market):
        """The honest exceptions."""
        if not self.untied(s, w):  # in a fee spike, for its end, once the reserve is used up
            return market == max(self.world.fees) > 1 and s.books.reserve < market and "bump" in self.rules
        # The owner may take the coins back at any time: an empty vault after a real loss, or nobody has coins to cover.
        short = s.books.vault < self.world.withdrawals[w].amount + market
        nobody = (self.stopped(s) or s.books.reserve < 0) and s.books.supply == 0
        return (s.books.lost + s.books.unswept > 0 and short) or nobody
