"""What must hold in every state."""

from itertools import combinations

from bitcoin import DEPOSIT, OUTPUT, is_deposit, output
from ledger import Ledger
from state import chain
from story import Story


class Safety(Ledger):

    def broken(self, s):
        """What is wrong with a state, or None."""
        told = Story(self.txs)
        return (self.malformed(s, told) or self.wrong_with_withdrawals(s, told) or self.wrong_with_deposits(s)
                or self.wrong_with_outputs(s, told) or self.wrong_with_cover(s, told) or self.miscounted(s))

    def malformed(self, s, told):
        for t in s.bound:
            part = self.txs.named_twice(t)
            if part == "pays":
                return f"{told.transaction(t)} pays a withdrawal twice"
            if part:
                return f"{told.transaction(t)} spends an input twice: it is signed, and no miner can ever take it"
        return None

    def hopeful(self, s):
        """What is bound and does not contradict what is final."""
        spent = {i: t for t in s.base for i in self.tx[t].inputs}
        return [t for t in s.bound if self.tx[t].kind != "hostage"
                and all(spent.get(i, a) == a for a in self.txs.lineage(t) for i in self.tx[a].inputs)]

    def wrong_with_withdrawals(self, s, told):
        hopeful = self.hopeful(s)
        for w in range(len(self.world.withdrawals)):
            payers = [t for t in hopeful if w in self.tx[t].pays]
            for x, y in combinations(payers, 2):
                if self.txs.onchain(x) != self.txs.onchain(y) and self.txs.together(x, y):
                    return (f"w{w} can be paid twice: {told.transaction(x)} and {told.transaction(y)} fit into one "
                            "chain")
            if s.closed[w] and payers:
                return f"w{w} was given back, and {told.transaction(payers[0])} can still pay it"
            if s.ties[w] >= 0 and self.open(s, w) and not self.untied(s, w) \
                    and all(self.tx[t].kind == "hostage" for t in s.bound if w in self.tx[t].pays):
                return f"w{w} is held by a proposal that one member made alone"
        return None

    def wrong_with_deposits(self, s):
        now = chain(s)
        for d, deposit in enumerate(s.deposits):
            exists = self.txs.funds[d] in now and self.txs.reclaims[d] not in now
            if deposit.minted and not exists and self.world.deposits[d].asks >= self.world.final:
                return f"deposit {d} was minted at the depth its value asks for, and lost"
            if deposit.gone and any(DEPOSIT + d in self.tx[t].inputs for t in now if self.tx[t].kind == "sweep"):
                return f"deposit {d} counts as gone, and is in the vault"
            if deposit.gone and deposit.minted and exists:
                return f"deposit {d} counts as gone, and exists: the deficit is overstated"
        return None

    def wrong_with_outputs(self, s, told):
        for o in s.gone:
            if not self.thief(s, o, s.base):
                return f"{told.outpoint(o)} counts as gone, and can come back: the deficit is overstated"
        return None

    def wrong_with_cover(self, s, told):
        for outpoint, cover in s.covers:
            missing = outpoint in s.gone or (is_deposit(outpoint) and self.spender(s, outpoint) is None)
            if cover.repaid and missing:
                return f"{cover.repaid} that covered {told.outpoint(outpoint)} were repaid, and it is missing"
        return None

    # ------------------------------------------------------------------ the books

    def miscounted(self, s):
        """The books, counted anew from the facts, and against Bitcoin wherever all facts are told."""
        b = s.books
        for name, value in self.facts(s).items():
            if getattr(b, name) != value:
                return f"books say {name} = {getattr(b, name)}, the facts say {value}"
        if b.supply + b.owed + b.reserve + b.unminted + b.covered + b.released != b.vault + b.unswept + b.lost:
            return f"the books do not balance: {b}"
        if b.supply < 0 or b.reserve < -sum(self.txs.cost(self.tx[t]) for t in s.bound):
            return f"the supply is negative, or the reserve is overdrawn by more than all costs: {b}"
        if s.settled == {t for t in s.bound if self.included(s, t)}:
            return self.miscounted_on_bitcoin(s)
        return None

    def facts(self, s):
        swept = [self.spender(s, DEPOSIT + d) for d in range(len(self.world.deposits))]
        minted = [deposit.minted for deposit in s.deposits]
        gone = [deposit.gone for deposit in s.deposits]
        given = {outpoint: cover.coins + cover.reserve for outpoint, cover in s.covers}
        back = sum(coins for outpoint, coins in given.items()
                   if is_deposit(outpoint) and swept[outpoint - DEPOSIT] is not None)
        return {
            "vault": sum(self.txs.amount(o) for o in self.all_outputs(s) if self.live(s, o)),
            "owed": sum(ask.amount for w, ask in enumerate(self.world.withdrawals) if self.open(s, w)),
            "unminted": sum(self.txs.net(t, d) for d, t in enumerate(swept) if t is not None and not minted[d]),
            "unswept": sum(m for d, m in enumerate(minted) if swept[d] is None and not gone[d]),
            "lost": sum(m for d, m in enumerate(minted) if gone[d]) + sum(map(self.txs.amount, s.gone)),
            "released": back,
            "covered": sum(given.values()) - back,
        }

    def all_outputs(self, s):
        return [*range(len(self.world.vault)), *(output(t) for t in s.bound)]

    def miscounted_on_bitcoin(self, s):
        """What is stolen counts until that is final."""
        now = chain(s)
        spent = {i for t in now for i in self.tx[t].inputs}
        outputs = {o if o < OUTPUT else output(self.txs.onchain(o - OUTPUT)) for o in self.all_outputs(s)}
        real = sum(self.txs.amount(o) for o in outputs
                   if (o < OUTPUT or o - OUTPUT in now) and o not in s.gone
                   and (o not in spent or self.thief(s, o, now)))
        return f"{s.books.vault} in the ledger's vault, {real} on Bitcoin" if real != s.books.vault else None
