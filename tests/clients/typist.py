"""Types a guide's lines at a terminal, as a reader does, and answers what is asked there: passphrases, words, yes.

    typist.py SETTINGS.json < lines

Each line runs in a shell of its own whose terminal is a pseudo-terminal. Prompts are known by their words; one that is not, or that nobody
asked for in time, ends the run with what was on the screen. Words in capitals are put in from what was shown before. At the end it prints, as
the last line, which prompts were answered, as JSON.
"""

import json
import os
import pty
import re
import select
import signal
import sys
import time

# Longer than anything a guide waits for, on a machine that does much else.
SILENCE_S = 240
# Nobody answers before the question is on the screen, and its echo is off.
THINKING_S = 0.3
# What a terminal obeys, and does not show.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")

MNEMONIC = re.compile(r"^  ([a-z]+(?: [a-z]+){11})$", re.MULTILINE)
SOME_WORDS = re.compile(r"The words ([0-9, ]+) again, with blanks between: $")


class Typist:
    def __init__(self, settings):
        self.settings = settings
        self.known = {"FRIEND": settings["friend"]}
        self.words = []
        self.answered = {}

    def answer(self, screen):
        """What a reader types now, with the name of what asked for it; none while nothing asks."""
        last = screen.rsplit("\n", 1)[-1]
        some = SOME_WORDS.search(last)
        if some:
            return "some words", " ".join(self.words[int(number) - 1] for number in some.group(1).split(","))
        if last.endswith("The wallet's words: "):
            return "all words", " ".join(self.words)
        if re.search(r"Passphrase of [^:]*: $", last):
            return "passphrase", self.settings["passphrase"]
        if last.endswith("The same again: "):
            return "the same again", self.settings["passphrase"]
        if last.endswith("Do this? [y/N] "):
            return "yes", "y"
        return None

    def learn(self, line, screen):
        """What later lines need of what was shown."""
        words = MNEMONIC.search(screen)
        if words:
            self.words = words.group(1).split(" ")
        paid = re.search(r"^Pay to +(\S+)", screen, re.MULTILINE)
        if paid:
            self.known["ADDRESS"] = paid.group(1)
        account = re.search(r"0x[0-9a-fA-F]{40}", screen)
        if line.startswith("causeway keys account") and account:
            self.known["ME"] = account.group(0)

    def type(self, line):
        """Types one line, and waits for its end."""
        typed = line
        for name, value in self.known.items():
            typed = re.sub(rf"\b{name}\b", value, typed)
        print(f"$ {line}", flush=True)
        if typed.startswith("causeway dev "):
            typed += f" --data-dir '{self.settings['network']}'"
        child, terminal = pty.fork()
        if child == 0:
            os.execvp("bash", ["bash", "-c", typed])
        try:
            screen, interrupted = self.watch(line, terminal)
        except BaseException:
            os.kill(child, signal.SIGKILL)
            raise
        status = os.waitpid(child, 0)[1]
        if self.settings["passphrase"] in screen:
            raise SystemExit(f"the passphrase is on the screen of: {line}")
        ended = os.waitstatus_to_exitcode(status)
        if ended != 0 and not (interrupted and ended in (-signal.SIGINT, 130)):
            raise SystemExit(f"FAILED ({ended}): {line}")

    def watch(self, line, terminal):
        """What is on the screen until the line's command ends, and whether the reader ended it."""
        screen, read_to, interrupted = "", 0, False
        while True:
            ready, _, _ = select.select([terminal], [], [], SILENCE_S)
            if not ready:
                raise SystemExit(f"nothing for {SILENCE_S} s, and nobody knows what is asked for: {line}")
            try:
                got = os.read(terminal, 65536)
            except OSError:  # So Linux tells that nobody has the terminal open any more.
                got = b""
            if not got:
                return screen, interrupted
            text = CONTROL.sub("", got.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "\n")
            sys.stdout.write(text)
            sys.stdout.flush()
            screen += text
            self.learn(line, screen)
            asked = self.answer(screen[read_to:])
            if asked:
                name, reply = asked
                read_to = len(screen)
                self.answered[name] = self.answered.get(name, 0) + 1
                time.sleep(THINKING_S)
                os.write(terminal, (reply + "\n").encode())
            # It would wait for the payment that the guide's next line makes.
            if "peg-in" in line and not interrupted and "Seen nothing yet" in screen:
                interrupted = True
                os.write(terminal, b"\x03")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        typist = Typist(json.load(file))
    for line in sys.stdin.read().splitlines():
        if line.strip():
            typist.type(line)
    print(json.dumps(typist.answered))


main()
