"""How a model tells what happened, in words."""

from bitcoin import COIN, OUTPUT, is_deposit

UNITS = {"withdraw": "w", "cancel": "w", "raise_most": "w"}


class Story:

    def __init__(self, txs):
        self.txs = txs

    def outpoint(self, i):
        if i < 10:
            return "AB"[i]
        return f"deposit {i - 10}" if is_deposit(i) else f"coin {i - COIN}" if i < OUTPUT else f"change of #{i - OUTPUT}"

    def transaction(self, t):
        if t < 0:
            return "nothing"
        tx = self.txs.table[t]
        pays = " paying " + " and ".join(f"w{w}" for w in tx.pays) if tx.pays else ""
        fee = f", fee {tx.fee}" if tx.fee else ""
        charges = f", charged {' and '.join(map(str, tx.charges))}" if tx.charges else ""
        twin = f", the same bytes as #{self.txs.onchain(t)}" if tx.twin else ""
        return f"#{t} {tx.kind}({' + '.join(map(self.outpoint, tx.inputs))}{pays}{fee}{charges}{twin})"

    def step(self, action, argument):
        return f"{action.replace('_', ' '):<12} {self.argument(action, argument)}"

    def argument(self, action, argument):
        if action == "bind":
            return self.transaction(argument)
        if action in ("settle", "unsettle", "mine", "lapse"):
            return self.transaction(argument)
        if action == "reorganise":
            return f"{argument} block(s)"
        if action in UNITS:
            return f"{UNITS[action]}{argument}"
        if action in ("output_gone", "cover", "heal"):
            return self.outpoint(argument)
        if action == "repay":
            return self.repaid(argument)
        return "" if action == "refill" else f"deposit {argument}"

    def repaid(self, argument):
        if isinstance(argument, int):
            return self.outpoint(argument)
        return f"whoever covered {self.outpoint(argument[1])}, by {self.outpoint(argument[0])}"

    def lines(self, parents, state):
        """From the start to a state."""
        lines = []
        while parents[state] is not None:
            before, action, argument = parents[state]
            if action == "bind":       # the transaction as it was bound, with its charges
                argument = next(iter(state.bound - before.bound))
            lines.append(self.step(action, argument))
            state = before
        return lines[::-1]
