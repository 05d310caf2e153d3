"""Somebody at a real terminal watches a recorded answer, and presses keys.

Environment: COMMAND as a JSON list; PIECES, what the answer says in order, as a JSON list. Prints what was on
the screen, step by step, as one line of JSON.
"""

import json
import os
import pty
import select

command, pieces = json.loads(os.environ["COMMAND"]), json.loads(os.environ["PIECES"])


class Screen:
    """The command at a terminal of its own."""

    def __init__(self):
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.execv(command[0], command)
        self.text, self.over = "", False
        self.read(lambda: "q ends" in self.text)

    def read(self, enough, patience=60):
        """Reads until it is enough, or nothing comes for a while, or nothing will."""
        while not self.over and not enough() and select.select([self.terminal], [], [], patience)[0]:
            try:
                came = os.read(self.terminal, 4096)
            except OSError:
                came = b""
            self.over = not came
            self.text += came.decode(errors="replace")

    def press(self, keys):
        os.write(self.terminal, keys)

    def shown(self):
        return [piece for piece in pieces if piece in self.text]

    def end(self):
        self.read(lambda: False)
        _, status = os.waitpid(self.child, 0)
        return os.waitstatus_to_exitcode(status)


screen, seen = Screen(), {}
# Paused, nothing comes, however fast it would.
screen.press(b" " + b"+" * 12)
screen.read(lambda: False, patience=1)
seen["paused"] = screen.shown()
while not screen.shown() and not screen.over:
    screen.press(b"n")
    screen.read(screen.shown, patience=1)
seen["stepped"] = screen.shown()
screen.press(b" ")
seen["exit"] = screen.end()
seen["played"] = screen.shown()

quitter = Screen()
quitter.press(b"q")
seen["quit"] = {"exit": quitter.end(), "shown": quitter.shown()}
print(json.dumps(seen))
