"""Processes that end with their parent, whatever ends it: SIGKILL and a lack of memory, too. Linux.

    python -m jfwriter.bench.with_parent PARENT COMMAND ...

sends the command SIGTERM when the process PARENT, which has called this, is gone. The request belongs to the
process and outlives exec(2), so that nothing has to run between fork and exec of a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals) -> None:
    """This process gets the signal when the thread that has made it ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def command(parent: int, wanted: list[str]) -> list[str]:
    """The command line that runs `wanted` as long as its parent lives."""
    return [sys.executable, "-m", __name__, str(parent), *wanted]


if __name__ == "__main__":
    end_with_parent(signal.SIGTERM)
    if os.getppid() == int(sys.argv[1]):  # else it has gone before anybody could be told
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 no shell is wanted
