"""Visits every state of a world: breadth first, so that the story of what goes wrong is a shortest one."""

import time
from collections import deque
from typing import NamedTuple

from honest import Honest
from safety import Safety
from state import genesis
from story import Story
from worlds import World

LONGEST = 80                   # honest steps; those that end take below 40


class Model(Honest, Safety):
    pass


class Found(NamedTuple):
    world: World
    wrong: str
    story: list


class Visited(NamedTuple):
    parents: dict              # by state: the state before it, what happened, to what
    steps: int
    wrong: str                 # in the state visited last; none
    where: object


def explore(model):
    start, steps = genesis(model.world), 0
    parents, queue = {start: None}, deque([start])
    if model.broken(start):
        return Visited(parents, steps, model.broken(start), start)
    while queue:
        s = queue.popleft()
        for action, argument, after in model.steps(s):
            if after is None:
                continue
            steps += 1
            if after in parents:
                continue
            parents[after] = (s, action, argument)
            wrong = model.broken(after)
            if wrong:
                return Visited(parents, steps, wrong, after)
            queue.append(after)
    return Visited(parents, steps, None, None)


def run_honestly(model, states):
    """From every state, in every market, under every nuisance: what does not end well, and from where. Runs share
    their tails."""
    for market in model.world.fees:
        for nuisance in model.nuisances():
            good = set()
            for state in states:
                wrong = run(model, state, market, nuisance, good)
                if wrong:
                    return f"{wrong} (honest work after this, rate {market}, nuisance: {nuisance})", state
    return None, None


def run(model, s, market, nuisance, good):
    path = []
    while s not in good:
        path.append(s)
        after = model.honest(s, market, nuisance)
        if after is None:
            wrong = model.unfinished(s, market, nuisance)
            if wrong:
                return wrong
            break
        s = after
        if len(path) > LONGEST:
            if nuisance == "cancel" and not model.unfinished(s, market, nuisance):
                break          # the hostile owner may go on for ever: alone
            return "honest relayers never come to an end"
    good.update(path)
    return None


def check(worlds, rules, say):
    """Safety and liveness, world by world: the first thing that goes wrong, with its story, or None."""
    total = 0
    for world in worlds:
        began, model = time.process_time(), Model(world, rules)
        visited = explore(model)
        wrong, where = visited.wrong, visited.where
        safe = time.process_time() - began
        if not wrong:
            wrong, where = run_honestly(model, visited.parents)
        if wrong:
            return Found(world, wrong, Story(model.txs).lines(visited.parents, where))
        total += len(visited.parents)
        live = time.process_time() - began - safe
        say(f"  {world.name}: {len(visited.parents):,} states, {visited.steps:,} steps; safe {safe:.0f} s, "
            f"live {live:.0f} s")
    say(f"  {total:,} states")
    return None
