#!/usr/bin/env python3
"""How much may be minted before it is deep: the window of one tier, as a model of its own.

Coins minted for a deposit whose funding is less than LENGTH deep are at stake: a reorganisation can take them for good.
Their sum is to stay below ROOM. The ledger counts in two buckets (this window and the one before), each LENGTH of work
long or longer, begun when something is minted. Depth and windows are measured in the work of one block; a block of
minimum difficulty has none. All is relative to the tip, so the states are finite and all are visited.

A reorganisation puts the funding of a deposit that was minted into a newer block: it is at stake for longer than it is
counted. That is why the bound with reorganisations is 2 * ROOM, and why no more is claimed.
"""

import sys
from collections import deque
from typing import NamedTuple

LENGTH, ROOM, LEAST = 4, 2, 1  # the window; what it may hold; the depth from which coins are minted at all

RULES = {
    "work": "windows are measured in work, not in blocks",
    "two":  "what was minted in the window before counts, too",
    "sum":  "amounts are summed, not looked at one by one",
}


class Window(NamedTuple):
    age: int = 2 * LENGTH      # work since this window began; 2 * LENGTH: that or more
    current: int = 0
    previous: int = 0
    at_stake: tuple = ()       # (depth of its funding, amount), sorted; what is LENGTH deep is not at stake


def rolled(rules, w):
    if w.age < LENGTH:
        return w
    previous = w.current if w.age < 2 * LENGTH and "two" in rules else 0
    return w._replace(age=0, current=0, previous=previous)


def mint(rules, w, depth, amount):
    """Refused (None) if there is no room."""
    new = rolled(rules, w)
    used = new.current + new.previous if "sum" in rules else 0
    if used + amount > ROOM:
        return None
    at_stake = tuple(sorted((*w.at_stake, (depth, amount))))
    return new._replace(current=new.current + amount, at_stake=at_stake)


def block(rules, w, work):
    """One more block. The ledger's windows age by what the rules measure; depth is work in any case."""
    age = min(2 * LENGTH, w.age + (work if "work" in rules else 1))
    return w._replace(age=age, at_stake=tuple((depth + work, a) for depth, a in w.at_stake if depth + work < LENGTH))


def reorganise(rules, w, blocks):
    """As many blocks, and one more, take the place of the last; the funding of what was in them is in the first again,
    at the latest (later ones are what a further reorganisation makes)."""
    depths = tuple(sorted((blocks + 1 if depth <= blocks else depth + 1, a) for depth, a in w.at_stake))
    late = tuple(sorted((1 if depth <= blocks else depth + 1, a) for depth, a in w.at_stake))
    for at_stake in {depths, late}:
        yield w._replace(age=min(2 * LENGTH, w.age + 1), at_stake=tuple(x for x in at_stake if x[0] < LENGTH))


def steps(rules, w, reorganisations):
    for amount in range(1, ROOM + 1):
        for depth in range(LEAST, LENGTH):
            after = mint(rules, w, depth, amount)
            if after:
                yield f"mint {amount} at depth {depth}", after
    yield "block", block(rules, w, 1)
    yield "block of minimum difficulty", block(rules, w, 0)
    if reorganisations:
        for blocks in range(1, LENGTH):
            for after in reorganise(rules, w, blocks):
                yield f"reorganise {blocks} block(s)", after


def stake(w):
    return sum(amount for _, amount in w.at_stake)


def search(rules, bound, once_reorganised):
    """(states, the story of more than `bound` at stake, or none). At most one reorganisation takes part."""
    start = (Window(), once_reorganised)
    parents, queue = {start: None}, deque([start])
    while queue:
        state = queue.popleft()
        for what, after in steps(rules, *state):
            reached = (after, state[1] and not what.startswith("reorganise"))
            if reached in parents:
                continue
            parents[reached] = (state, what)
            if stake(after) > bound:
                return len(parents), story(parents, reached)
            queue.append(reached)
    return len(parents), None


def story(parents, state):
    lines = []
    while parents[state]:
        state, what = parents[state]
        lines.append(what)
    return lines[::-1]


def waits_for_ever():
    """Whether a full window can stay full when nothing is minted: any room is free again after two windows."""
    full = [Window(age, current, ROOM - current) for age in range(LENGTH) for current in range(ROOM + 1)]
    for w in full:
        for _ in range(2 * LENGTH):
            w = block(RULES, w, 1)
        if mint(RULES, w, LEAST, ROOM) is None:
            return True
    return False


def failures(say):
    say("The window of what is at stake:")
    wrong = []
    for name, bound, reorganised in (("without a reorganisation", ROOM, False), ("after one", 2 * ROOM, True)):
        states, lines = search(RULES, bound, reorganised)
        say(f"  {name}: at most {bound} at stake, {states:,} states" if not lines else f"  {name}: {lines}")
        wrong += ["more is at stake than the window allows"] if lines else []
    wrong += ["a full window stays full"] if waits_for_ever() else []
    for rule in RULES:
        _, lines = search(set(RULES) - {rule}, ROOM, False)
        say(f"  without {rule}: {'; '.join(lines) if lines else 'NOTHING GOES WRONG'}")
        wrong += [] if lines else [f"the rule `{rule}` of windows is not needed"]
    return wrong


if __name__ == "__main__":
    found = failures(print)
    print("; ".join(found) or "all hold")
    sys.exit(1 if found else 0)
