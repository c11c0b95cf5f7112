"""Bitcoin's side: transactions, what they spend and make, and what excludes what.

Outpoints are integers: 0, 1 the first vault outputs; 10 + i deposit i; 20 + i the coin that funds deposit i; 100 + t the
vault output of transaction t.
"""

from functools import lru_cache
from typing import NamedTuple

DEPOSIT, COIN, OUTPUT = 10, 20, 100


class Tx(NamedTuple):
    """A transaction with the content that the ledger gave it a number for."""
    kind: str                  # payout, sweep; hostage: a payout nobody approved; fund, double, reclaim: a depositor's;
                               # theft, recovery: of a vault output
    inputs: tuple
    pays: tuple = ()           # withdrawals
    fee: int = 0
    charges: tuple = ()        # what each withdrawal pays, fixed when it was bound
    twin: int = 0              # 1: another content (a rate that rounds to the same fee) with the same bytes


def is_deposit(outpoint):
    return DEPOSIT <= outpoint < COIN


def output(t):
    return OUTPUT + t


class Transactions:
    """Every transaction that was ever thought of in one world, by number."""

    def __init__(self, world):
        self.world, self.table, self.numbers = world, [], {}
        for name in ("amount", "change", "gross", "cost_to_reserve", "onchain", "lineage", "conflict", "together",
                     "named_twice"):
            setattr(self, name, lru_cache(None)(getattr(self, name)))
        self.funds = [self.intern(self.funding(d)) for d in range(len(world.deposits))]
        self.doubles = [self.intern(Tx("double", (COIN + d,))) for d in range(len(world.deposits))]
        self.reclaims = [self.intern(Tx("reclaim", (DEPOSIT + d,))) for d in range(len(world.deposits))]

    def intern(self, tx):
        if tx not in self.numbers:
            self.numbers[tx] = len(self.table)
            self.table.append(tx)
        return self.numbers[tx]

    def funding(self, d):
        recovers = self.world.deposits[d].recovers
        return Tx("fund", (COIN + d,)) if recovers < 0 else Tx("recovery", (recovers,))

    def creator(self, outpoint):
        """The transaction that makes an outpoint; none for what exists from the start."""
        if outpoint >= OUTPUT:
            return outpoint - OUTPUT
        return self.funds[outpoint - DEPOSIT] if is_deposit(outpoint) else None

    # ------------------------------------------------------------------ amounts

    def amount(self, outpoint):
        if outpoint >= OUTPUT:
            return self.change(outpoint - OUTPUT)
        return self.world.deposits[outpoint - DEPOSIT].amount if outpoint >= DEPOSIT else self.world.vault[outpoint]

    def gross(self, t):
        return sum(self.world.withdrawals[w].amount for w in self.table[t].pays)

    def change(self, t):
        tx = self.table[t]
        return sum(self.amount(i) for i in tx.inputs) - self.gross(t) + sum(tx.charges) - self.cost(tx)

    def cost(self, tx):
        """To miners: what one participant is charged, and what no charge is for."""
        return tx.fee + self.world.overhead

    def cost_to_reserve(self, t):
        """What the reserve adds to a payout; below 0: what it gains."""
        return self.cost(self.table[t]) - sum(self.table[t].charges)

    def net(self, t, d):
        """What a sweep brings for deposit d: each pays for itself, whoever else is there."""
        return self.world.deposits[d].amount - self.table[t].fee

    # ------------------------------------------------------------------ what excludes what

    def onchain(self, t):
        """The number that stands for the transaction's bytes: twins have one."""
        tx = self.table[t]
        inputs = tuple(output(self.onchain(i - OUTPUT)) if i >= OUTPUT else i for i in tx.inputs)
        return self.intern(tx._replace(inputs=inputs, twin=0))

    def lineage(self, t):
        """The transaction and all its ancestors, as their bytes."""
        t = self.onchain(t)
        makers = [self.creator(i) for i in self.table[t].inputs]
        return frozenset([t]).union(*(self.lineage(m) for m in makers if m is not None))

    def conflict(self, transactions):
        """Whether two of these spend the same."""
        spent = [i for t in transactions for i in self.table[t].inputs]
        return len(spent) != len(set(spent))

    def together(self, x, y):
        """Whether one chain can hold both."""
        return not self.conflict(self.lineage(x) | self.lineage(y))

    def named_twice(self, t):
        """The first part of a content that is named twice, or none."""
        tx = self.table[t]
        return next((part for part in ("pays", "inputs") if len(set(getattr(tx, part))) != len(getattr(tx, part))), None)
