#!/usr/bin/env python3
"""A model of the peg's ledger and of Bitcoin, and a checker that visits every state of it (see README.md).

    ledger_model.py --quick             the small worlds
    ledger_model.py                     all worlds: safety in every state, then liveness from every state
    ledger_model.py --without RULE      switch one rule off and print the shortest way to disaster
    ledger_model.py --world payouts     only the worlds whose name begins so
    ledger_model.py --list              the rules and the worlds
"""

import argparse
import sys

from rules import RULES
from search import check
from worlds import WORLDS


def worlds(options):
    """Without a rule all are searched, the small ones first; to check the rules, those of one kind are enough."""
    chosen = [world for world in WORLDS if world.name.startswith(options.world)]
    return [world for world in chosen if options.world or options.without or world.quick == options.quick]


def show(found):
    print(f"  world    {found.world.name}")
    for number, line in enumerate(found.story, 1):
        print(f"  {number:>2}. {line}")
    print(f"  =>  {found.wrong}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", choices=RULES, action="append", default=[], metavar="RULE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--world", default="")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    if options.list:
        for name, rule in RULES.items():
            print(f"  {name:<9} {rule}")
        for world in WORLDS:
            print(f"  world     {world.name}")
        return 0
    found = check(worlds(options), set(RULES) - set(options.without), print)
    if found:
        show(found)
        return 1
    print("all states are safe, and honest work ends well from each of them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
