"""The bounds of each exhaustive search: how many coins, withdrawals, deposits, transactions and blocks there are."""

from typing import NamedTuple

UNLIMITED = 1_000


class Ask(NamedTuple):
    """A withdrawal: its amount, the most it pays, and the most after its owner raised that (0: never raises)."""
    amount: int
    most: int
    raised: int = 0


class Funding(NamedTuple):
    """A deposit: its amount, the confirmations of its funding that this asks for, and the first vault output that its
    funding spends (a recovery: what comes back belongs to the reserve; none: a depositor's own coin)."""
    amount: int
    asks: int
    recovers: int = -1


class World(NamedTuple):
    name: str
    vault: tuple = ()          # amounts of the first vault outputs
    withdrawals: tuple = ()
    deposits: tuple = ()
    payouts: int = 0           # most payouts bound
    sweeps: int = 0            # most sweeps bound
    fees: tuple = (1,)         # of payouts: what each participant is charged
    sweep_fees: tuple = (1, 2)
    inputs: int = 1            # most vault outputs a payout spends
    overhead: int = 0          # what a vault transaction costs beyond one charge
    reserve: int = 4
    thefts: int = 0            # most vault outputs that somebody else spends
    stop: int = UNLIMITED      # no first ties while as much is missing
    cap: int = UNLIMITED       # most that the vault may hold
    depth: int = 2             # blocks that a reorganisation may take back
    quick: bool = False

    @property
    def final(self):
        """Confirmations after which nothing is taken back."""
        return self.depth + 1


POOR, RICH = Ask(5, 1), Ask(7, 2)
WORLDS = [                     # the small ones first, so that stories are short
    World("quick: a chain of 3 versions", (30,), (Ask(5, 2), RICH), payouts=3, depth=1, quick=True),
    World("quick: a payout from the only sweep", (), (Ask(5, 2),), (Funding(10, 1),), payouts=1, sweeps=1, reserve=0,
          sweep_fees=(1,), quick=True),
    World("quick: 2 rates, a poor withdrawal that can be raised, a rich one", (30,), (Ask(5, 1, 2), RICH), payouts=3,
          fees=(1, 2), reserve=2, depth=1, quick=True),
    World("quick: a cap with room for one deposit", (9,), (), (Funding(10, 1),), sweeps=1, sweep_fees=(0, 1), cap=20,
          quick=True),
    World("quick: a large deposit", (), (), (Funding(20, 3),), sweeps=2, sweep_fees=(1,), reserve=0, quick=True),
    World("quick: 2 deposits, 2 versions", (30,), (), (Funding(10, 1), Funding(20, 2)), sweeps=2, sweep_fees=(1,),
          depth=1, quick=True),
    World("quick: 2 outputs, 2 withdrawals, 2 versions", (30, 50), (Ask(5, 2), RICH), payouts=2, inputs=2, depth=1,
          quick=True),
    World("quick: a theft, cover", (30, 40), (Ask(5, 2),), payouts=2, thefts=1, stop=2, depth=1, quick=True),
    World("quick: a sweep taken back, cover", (9,), (Ask(5, 2),), (Funding(10, 1),), payouts=1, sweeps=1,
          sweep_fees=(1,), reserve=1, stop=2, quick=True),
    World("quick: a recovery, cover", (30, 40), (Ask(5, 2),), (Funding(30, 1, 0),), payouts=1, sweeps=1,
          sweep_fees=(1,), stop=2, quick=True),
    World("quick: a theft and a deposit, cover of both", (30,), (), (Funding(10, 1),), sweeps=1, sweep_fees=(1,),
          thefts=1, stop=2, quick=True),
    World("quick: a cost beyond charges, an empty reserve", (30,), (Ask(5, 1), RICH), payouts=3, overhead=1, reserve=0, stop=4,
          depth=1, quick=True),
    World("quick: a cost beyond charges, a sweep", (9,), (), (Funding(10, 1),), sweeps=2, overhead=1, reserve=0, stop=4,
          depth=1, quick=True),
    World("quick: a cost beyond charges, a loss below the stop", (30, 40), (RICH,), payouts=2, thefts=1, overhead=1,
          reserve=0, stop=60, depth=1, quick=True),
    World("one output: 4 versions in a chain", (30,), (Ask(5, 2), RICH), payouts=4),
    World("fees: 2 rates, a poor and a rich withdrawal", (30,), (Ask(5, 1, 2), RICH), payouts=3, fees=(1, 2),
          reserve=2),
    World("empty: a payout from the only sweep", (), (Ask(5, 2),), (Funding(10, 1),), payouts=2, sweeps=2, reserve=0),
    World("deep: a payout from what consolidated the only sweep", (), (Ask(5, 2),), (Funding(10, 1),), payouts=2,
          sweeps=1, fees=(0,), sweep_fees=(0,), reserve=0, depth=3),
    World("theft: 2 outputs, 3 versions, cover", (30, 40), (Ask(5, 2),), payouts=3, thefts=1, stop=2),
    World("recovery: what comes back, and cover", (30, 40), (Ask(5, 2),), (Funding(30, 1, 0),), payouts=2, sweeps=2,
          sweep_fees=(1,), stop=2),
    World("sweeps: 2 deposits (small, large), 3 versions", (30,), (), (Funding(10, 1), Funding(20, 3)), sweeps=3),
    World("payouts: 2 outputs, 2 withdrawals, 3 versions", (30, 50), (Ask(5, 2), RICH), payouts=3, inputs=2),
    World("both: 1 output, 1 deposit, 1 withdrawal, 2 versions of each", (9,), (Ask(5, 2),), (Funding(10, 1),),
          payouts=2, sweeps=2, sweep_fees=(1,), reserve=2, stop=2),
]
