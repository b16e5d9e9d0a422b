"""The command `jfwriter`: finds the sub-command and imports nothing heavy before it is needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from jfwriter import __version__
from jfwriter.errors import RefuseToStart
from jfwriter.printable import printable_lines

COMMANDS = {
    "run": "the daemon: receives images and writes files until it is stopped",
    "simulate": "a detector: sends a run to a writer",
    "demo": "simulator, writer and a look at the result, to the end",
    "validate": "says whether a finished run is whole, or what is wrong with it and where",
    "bench": "how fast a writer is on this machine and storage, and what it is bound by",
    "plot": "a picture of an image with its spots, rings and regions",
    "recover": "final files of the runs that a crash has left",
    "keys": "makes a key pair for encrypted sockets, or a token for HTTP",
    "check-config": "says what a configuration file means, or what is wrong with it",
}

_USAGE = """\
usage: jfwriter COMMAND [options]

Writes the images of an X-ray detector's CBOR stream into NeXus/NXmx HDF5 files.

{commands}

`jfwriter COMMAND --help` says more. `jfwriter --version` names the version.

exit status: 0 stopped in good order, 1 forced or a bug, 2 wrong usage, 74 storage or endpoint,
             78 settings
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status of the process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        print(usage(), file=sys.stderr, end="")
        return 2
    first, *rest = arguments
    if first in {"-h", "--help", "help"}:
        print(usage(), end="")
        return 0
    if first == "--version":
        print(f"jfwriter {__version__}")
        return 0
    command = first.replace("_", "-")
    if command not in COMMANDS:
        print(f"jfwriter: {_unknown(first)}\n\n{usage()}", file=sys.stderr, end="")
        return 2
    return _run(command, one_spelling(rest))


def usage() -> str:
    width = max(map(len, COMMANDS))
    return _USAGE.format(commands="\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()))


def one_spelling(arguments: Sequence[str]) -> list[str]:
    """Long options with `-` for `_`, as the parsers know them: `--http_port=1` becomes `--http-port=1`."""
    spelled: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*spelled, *arguments[position:]]
        name, equals, value = argument.partition("=")
        spelled.append(name.replace("_", "-") + equals + value if argument.startswith("--") else argument)
    return spelled


def _run(command: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"jfwriter.commands.{command.replace('-', '_')}")
    try:
        return int(module.main(arguments))
    except SystemExit as end:  # argparse: --help, or wrong usage
        return end.code if isinstance(end.code, int) else 2
    except RefuseToStart as error:
        lines = (f"jfwriter {command}: {line}" for line in str(error).splitlines())
        print(printable_lines(lines), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe went away, e.g. `| head`
        sys.stderr.close()
        return 141


def _unknown(word: str) -> str:
    if word.startswith("-") or "://" in word:
        return f"a command must come before {word!r}; the daemon is started with `jfwriter run ...`"
    return f"unknown command {word!r}"
