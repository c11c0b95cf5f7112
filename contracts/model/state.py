"""One state of both chains."""

from functools import lru_cache
from typing import NamedTuple


class Deposit(NamedTuple):
    proven: bool = False
    stale: bool = False        # the block it was proven in has left the best chain
    minted: int = 0            # coins
    gone: bool = False


class Cover(NamedTuple):
    """What was given up for one deposit or vault output that is missing."""
    coins: int = 0             # by a person
    reserve: int = 0           # by the reserve, out of what recoveries brought
    repaid: int = 0            # to the person


class Books(NamedTuple):
    """Invariant: supply + owed + reserve + unminted + covered + released = vault + unswept + lost.
    Missing is lost + unswept - covered and what the reserve is overdrawn by."""
    supply: int = 0
    owed: int = 0              # to withdrawals neither paid nor given back
    reserve: int = 0           # overdrawn by costs, no more: on credit, or if a miner chooses a dearer version
    recovered: int = 0         # part of the reserve: what recoveries brought and no loss has used
    unminted: int = 0          # swept, not deep enough
    covered: int = 0           # given up for what is missing
    released: int = 0          # given up for what is back, not repaid
    vault: int = 0             # settled outputs that nothing settled spends
    unswept: int = 0           # minted, but the sweep was reorganised away; the deposit is still there
    lost: int = 0              # minted deposits and vault outputs that are gone

    def plus(self, **changes):
        return self._replace(**{name: getattr(self, name) + by for name, by in changes.items()})

    def missing(self):
        return self.missing_but_overdraft() + max(0, -self.reserve)

    def missing_but_overdraft(self):
        return self.lost + self.unswept - self.covered


class State(NamedTuple):
    # Bitcoin
    base: frozenset            # final transactions
    window: tuple              # the last blocks: one transaction each, -1 for none
    matured: tuple             # by deposit: its owner can reclaim it
    # the ledger
    bound: frozenset           # approved transactions
    settled: frozenset
    stale: frozenset           # of the settled: the block each settled in has left the best chain
    ties: tuple                # by withdrawal: a vault output, -1 for none
    closed: tuple              # by withdrawal: cancelled or refunded; None: not asked for yet
    raised: tuple              # by withdrawal: its owner raised the most it pays
    deposits: tuple
    gone: frozenset            # vault outputs
    covers: frozenset          # (outpoint, Cover)
    books: Books


def genesis(world):
    """Withdrawals are queued already, where there are coins that can have been withdrawn."""
    queued, vault = bool(world.vault), sum(world.vault)
    owed = sum(ask.amount for ask in world.withdrawals) if queued else 0
    n, m = len(world.withdrawals), len(world.deposits)
    books = Books(vault - owed - world.reserve, owed, world.reserve, vault=vault)
    nothing = frozenset()
    return State(nothing, (), (False,) * m, nothing, nothing, nothing, (-1,) * n, (False if queued else None,) * n,
                 (False,) * n, (Deposit(),) * m, nothing, nothing, books)


def put(values, index, value):
    return values[:index] + (value,) + values[index + 1:]


@lru_cache(1 << 16)
def _chain(base, window):
    return base.union(window) - {-1}


def chain(s):
    """All transactions of the best chain."""
    return _chain(s.base, s.window)
