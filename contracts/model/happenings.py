"""Everything that can happen: what hostile users, members, miners and thieves may do at any time."""

from functools import lru_cache
from itertools import combinations

from bitcoin import DEPOSIT, OUTPUT, Tx, output
from ledger import Ledger
from state import chain, put


class Happenings(Ledger):

    def __init__(self, world, rules):
        super().__init__(world, rules)
        self.spent_by = lru_cache(1 << 16)(self._spent)
        self.deposits, self.withdrawals = range(len(world.deposits)), range(len(world.withdrawals))
        self.calls_about_deposits = (self.prove, self.mint, self.gone, self.mature)
        self.calls_about_losses = (self.cover, self.heal, self.repay)
        self.stealing = world.thefts or any(spec.recovers >= 0 for spec in world.deposits)

    # ------------------------------------------------------------------ Bitcoin

    def _spent(self, transactions):
        return frozenset(i for t in transactions for i in self.tx[t].inputs)

    def valid(self, s, t):
        """Whether a miner can put a transaction, as its bytes, into the next block."""
        now = chain(s)
        inputs = self.tx[t].inputs
        if t in now or len(set(inputs)) != len(inputs) or not self.spent_by(now).isdisjoint(inputs):
            return False
        makers = map(self.txs.creator, inputs)
        return all(maker is None or maker in now for maker in makers)

    def mine(self, s, t=-1):
        window = s.window + (t,)
        if len(window) <= self.world.depth:
            return s._replace(window=window)
        return s._replace(window=window[1:], base=s.base | {window[0]} if window[0] >= 0 else s.base)

    def reorganise(self, s, blocks):
        """What was recorded in the blocks that leave is stale."""
        leaving = set(s.window[-blocks:])
        stale = s.stale.union(t for t in s.settled if self.txs.onchain(t) in leaving)
        deposits = tuple(deposit._replace(stale=True) if deposit.proven and self.txs.funds[d] in leaving else deposit
                         for d, deposit in enumerate(s.deposits))
        return s._replace(window=s.window[:-blocks], stale=stale, deposits=deposits)

    def mature(self, s, d):
        """Half of the reclaim delay passes. Assumed: it is longer than any reorganisation, and not one relayer honest
        all that time is too much bad luck (a minted deposit is not left unswept for so long)."""
        if s.matured[d] or self.world.deposits[d].recovers >= 0 or not self.confirmations(s, self.txs.funds[d]):
            return None
        for k, deposit in enumerate(s.deposits):
            sweep = self.spender(s, DEPOSIT + k)
            if deposit.minted and not deposit.gone and (sweep is None or not self.included(s, sweep)):
                return None
        return s._replace(base=chain(s), window=(), matured=put(s.matured, d, True))

    # ------------------------------------------------------------------ what may be bound

    def outputs(self, s):
        """The vault outputs that are live."""
        known = list(range(len(self.world.vault))) + [output(t) for t in sorted(s.settled)]
        return [o for o in known if self.live(s, o)]

    def contents(self, s):
        """Every content that the ledger could be asked to bind."""
        bound = [self.tx[t].kind for t in s.bound]
        if bound.count("payout") + bound.count("hostage") < self.world.payouts:
            outputs = [o for o in self.outputs(s) if o < OUTPUT or self.tx[o - OUTPUT].kind != "hostage"]
            yield from self.payouts(tuple(outputs))
            yield from (self.tx[t]._replace(twin=1) for t in s.bound if self.tx[t].kind == "payout")
        if bound.count("sweep") < self.world.sweeps:
            yield from self.sweeps()

    def payouts(self, outputs):
        kinds = ["payout"] if "approved" in self.rules else ["payout", "hostage"]
        chosen = [pays for count in range(len(self.withdrawals) + 1) for pays in combinations(self.withdrawals, count)]
        chosen += [(w, w) for w in self.withdrawals]
        anchored = [(o, o) for o in outputs] if self.world.inputs > 1 else []
        for size in range(1, self.world.inputs + 1):
            for inputs in combinations(outputs, size):
                anchored += (inputs, inputs[::-1])[:size]
        for inputs in anchored:
            yield from (Tx(kind, inputs, pays, fee) for pays in chosen for fee in self.world.fees for kind in kinds)

    def sweeps(self):
        for count in range(1, len(self.deposits) + 1):
            for inputs in combinations(range(DEPOSIT, DEPOSIT + len(self.deposits)), count):
                yield from (Tx("sweep", inputs, (), fee) for fee in self.world.sweep_fees)

    # ------------------------------------------------------------------ steps

    def steps(self, s):
        """(what happens, to what, the state after it or none if it is refused)"""
        for tx in self.contents(s):
            yield "bind", tx, self.bind(s, tx)
        for t in s.bound:
            yield "settle", t, self.settle(s, t)
            yield "unsettle", t, self.unsettle(s, t)
            yield "lapse", t, self.lapse(s, t)
        for d in self.deposits:
            for call in self.calls_about_deposits:
                yield call.__name__, d, call(s, d)
        for w in self.withdrawals:
            for call in (self.withdraw, self.cancel, self.raise_most):
                yield call.__name__, w, call(s, w)
        yield from self.steps_about_losses(s)
        yield from self.steps_of_bitcoin(s)

    def steps_about_losses(self, s):
        b, outputs = s.books, self.outputs(s) if self.stealing else ()
        for outpoint in outputs:
            yield "output_gone", outpoint, self.output_gone(s, outpoint)
        if not (b.lost or b.unswept or b.reserve < 0 or s.covers):
            return
        for outpoint in [*(DEPOSIT + d for d in self.deposits), *sorted(s.gone)]:
            for call in self.calls_about_losses:
                yield call.__name__, outpoint, call(s, outpoint)
            for other, _ in s.covers:
                yield "repay", (outpoint, other), self.repay_another(s, outpoint, other) if other != outpoint else None
        yield "refill", 0, self.refill(s)

    def steps_of_bitcoin(self, s):
        for t in sorted(self.minable(s)):
            if self.valid(s, t):
                yield "mine", t, self.mine(s, t)
        if any(t >= 0 for t in s.window):
            yield "mine", -1, self.mine(s)
        for blocks in range(1, len(s.window) + 1):
            yield "reorganise", blocks, self.reorganise(s, blocks)

    def minable(self, s):
        """What somebody has signed, valid or not."""
        candidates = {self.txs.onchain(t) for t in s.bound if self.tx[t].kind != "hostage"}
        candidates.update(self.txs.funds)
        for d, spec in enumerate(self.world.deposits):
            if spec.recovers < 0:
                candidates.add(self.txs.doubles[d])
            if s.matured[d]:
                candidates.add(self.txs.reclaims[d])
        if self.world.thefts > sum(self.tx[t].kind == "theft" for t in chain(s)):
            there = [*range(len(self.world.vault)), *(output(t) for t in candidates if self.tx[t].kind == "payout")]
            there += [output(t) for t in candidates if self.tx[t].kind == "sweep"]
            candidates.update(self.txs.intern(Tx("theft", (o,))) for o in there)
        return candidates
