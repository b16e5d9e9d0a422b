"""What the fuzzers share: their options, their seeds, and how they are handed to libFuzzer.

Everything that a program is called with beyond its own options goes to libFuzzer (`-help=1`).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeVar, cast

import cbor2

F = TypeVar("F", bound=Callable[..., Any])
ROOT = Path(__file__).parent
CORPUS = ROOT.parent / "tests" / "corpus"
"""Small inputs that are kept: what was found, and what reaches parts of the code that no seed does."""
MAX_KEPT = 300


def run(
    name: str, target: Callable[[bytes], None], seeds: Iterable[bytes], words: Iterable[bytes] = ()
) -> NoReturn:
    """Fuzz `target`, which raises for each input that shows a bug, until libFuzzer has had enough.

    `seeds` and the kept corpus are where it begins; new inputs go to `--work`. `words`: byte strings that
    mutations put in (libFuzzer's dictionary).
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__, allow_abbrev=False)
    parser.add_argument("--work", type=Path, default=ROOT / "work", help="folder for what is found")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--keep", action="store_true", help="do not fuzz; keep what was found as tests")
    options, rest = parser.parse_known_args()
    if options.keep:
        print(f"{keep(name, options.work)} inputs are kept")
        raise SystemExit(0)
    found = options.work / name
    seeded = options.work / f"{name}-seeds"
    for folder in (found, seeded):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in (*seeds, *kept(name)):
        (seeded / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    dictionary = options.work / f"{name}.dict"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in (b"\0", *words)))
    arguments = [
        sys.argv[0], f"-runs={options.runs}", f"-artifact_prefix={found}-", f"-dict={dictionary}",
        "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
        str(found), str(seeded), *rest,
    ]  # fmt: skip
    import atheris

    atheris.Setup(arguments, target)
    atheris.Fuzz()
    raise SystemExit(0)


def kept(name: str) -> list[bytes]:
    """The kept corpus of a fuzzer, which is part of its seeds and of the tests."""
    path = CORPUS / f"{name}.cbor"
    return cast("list[bytes]", cbor2.loads(path.read_bytes())) if path.exists() else []


def keep(name: str, work: Path) -> int:
    """Make the kept corpus of what was found, the smallest inputs of it; their number."""
    found = {path.read_bytes() for path in (work / name).iterdir()} | set(kept(name))
    small = sorted(found, key=lambda data: (len(data), data))[:MAX_KEPT]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.cbor").write_bytes(cbor2.dumps(small))
    return len(small)


def seen(function: F) -> F:
    """Let the fuzzer see the branches of a function, where there is a fuzzer."""
    if importlib.util.find_spec("atheris") is None:
        return function
    import atheris

    return cast("F", atheris.instrument_func(function))


def instrument(*modules: ModuleType) -> None:
    """Let the fuzzer see the branches of all functions and methods of these modules.

    After their import, because the kernels among their imports must reach Numba as they are.
    """
    for module in modules:
        for value in vars(module).values():
            members = vars(value).values() if inspect.isclass(value) else (value,)
            for function in members:
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    seen(function)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
