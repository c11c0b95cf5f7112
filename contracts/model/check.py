#!/usr/bin/env python3
"""Checks the ledger's rules: that they suffice (every state is safe, and honest work ends well from it), and that each is
needed (without it a story goes wrong). Exit status 1 if not.

    check.py --quick        the small worlds
    check.py                all
    check.py --stories      prints the story behind each rule, too
"""

import argparse
import sys
import time

import window
from ledger_model import show
from rules import RULES
from search import check
from worlds import WORLDS

# Where the story without a rule is short: names of worlds begin so.
SHORTEST = {
    "tie": "quick: a chain", "final": "quick: a chain", "void": "quick: a chain", "rooted": "quick: a payout",
    "gone": "quick: a payout", "killer": "quick: a recovery", "stolen": "quick: a theft,", "deep": "quick: a payout",
    "signed": "quick: a chain", "approved": "quick: a chain", "recheck": "quick: a chain", "skip": "quick: a chain",
    "payees": "quick: a chain", "inputs": "quick: 2 outputs", "number": "quick: a chain", "stored": "quick: 2 rates",
    "untied": "quick: a chain", "order": "quick: a chain", "exact": "quick: a chain", "again": "quick: a chain",
    "once": "quick: a payout", "depth": "quick: a large", "age": "quick: a large", "exempt": "quick: a cap",
    "bump": "quick: 2 rates", "credit": "quick: a cost beyond charges, an",
    "cover": "quick: a sweep", "each": "quick: a theft and", "back": "quick: a sweep", "heal": "quick: a recovery",
}


def say(line):
    print(line, flush=True)


def suffice(quick):
    say("With all rules:")
    found = check([world for world in WORLDS if world.quick or not quick], RULES, say)
    if found:
        show(found)
    return found is None


def unneeded(stories):
    """The rules without which nothing goes wrong where it should."""
    say("Without each:")
    harmless = []
    for rule in RULES:
        worlds = [world for world in WORLDS if world.name.startswith(SHORTEST[rule])]
        found = check(worlds, set(RULES) - {rule}, lambda line: None)
        say(f"  {rule:<9} {found.wrong if found else 'NOTHING GOES WRONG'}")
        if not found:
            harmless.append(rule)
        elif stories:
            show(found)
    return harmless


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--stories", action="store_true")
    options = parser.parse_args()
    failures = [] if suffice(options.quick) else ["the rules do not suffice"]
    failures += [f"the rule `{rule}` is not needed" for rule in unneeded(options.stories)]
    failures += window.failures(say)
    seconds = time.process_time()
    print(f"{'; '.join(failures) or f'all hold: {len(RULES)} rules suffice, and each is needed'} ({seconds:.0f} s)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
