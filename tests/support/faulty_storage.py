"""Storage that misbehaves at chosen operations of a process: the shim `storage_faults.c`, built on need."""

from __future__ import annotations

import errno
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.daemon import wait_for

SOURCE = Path(__file__).with_name("storage_faults.c")


@functools.cache
def shim() -> Path:
    """The shared object, compiled once for a test run; skips where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the storage shim with")
    target = Path(tempfile.mkdtemp(prefix="storage-faults-")) / "storage_faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE), "-ldl", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the storage shim cannot be built here: {built.stderr[-300:]}")
    return target


class FaultyStorage:
    """`environment` makes a process subject to the rules; no rule at first."""

    def __init__(self, directory: Path) -> None:
        self._rules = directory / "storage-rules"
        self._rules.touch()
        self._struck = directory / "storage-rules.struck"
        self.environment = {"LD_PRELOAD": str(shim()), "STORAGE_FAULTS": str(self._rules)}

    def fail(self, operation: str, text: str, number: int = errno.EIO, nth: str = "1+") -> None:
        """`operation` (create, write, truncate, fsync, close, rename, mkdir) on paths with `text` fails."""
        self._set(f"{operation} {text} {nth} {number}\n")

    def wait_at(self, operation: str, text: str, nth: str = "1") -> None:
        """It waits until the next rule or `work`."""
        self._set(f"{operation} {text} {nth} wait\n")

    def set_clock(self, seconds: int) -> None:
        """The time of day is so much later from now on; negative: earlier."""
        new = self._rules.with_suffix(".clock.new")
        new.write_text(str(seconds))
        new.rename(f"{self._rules}.clock")

    def work(self) -> None:
        """As storage should."""
        self._set("")

    def wait_until_struck(self) -> None:
        wait_for(self._struck.exists)

    def _set(self, text: str) -> None:
        self._struck.unlink(missing_ok=True)
        new = self._rules.with_suffix(".new")
        new.write_text(text)
        new.rename(self._rules)
