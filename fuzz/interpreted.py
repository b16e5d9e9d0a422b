"""Kernels as plain Python: the same source, every access to memory checked, every branch seen by the fuzzer.

A compiled kernel tells a coverage-guided fuzzer nothing, and reads wherever its indices point. Here the
source of its module is executed again without Numba: arrays are `Memory`, which knows its bounds, and the
loads and stores of `jfwriter.compression._memory` are functions that check theirs.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_U64 = (1 << 64) - 1


class OutOfBoundsError(Exception):
    """A kernel left its arrays: the bug that is looked for."""


class Memory(bytearray):
    """A flat uint8 array whose elements are Python integers; no index is negative or beyond the end."""

    @property
    def size(self) -> int:
        return len(self)

    def check(self, offset: int, n_bytes: int) -> None:
        if offset < 0 or offset + n_bytes > len(self):
            raise OutOfBoundsError(f"bytes {offset} to {offset + n_bytes} of {len(self)}")

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)
        self.check(index, 1)
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            self.check(index.start, index.stop - index.start)
            if index.stop - index.start != len(value):
                raise OutOfBoundsError(f"{len(value)} bytes for {index}")
        else:
            self.check(index, 1)
            value = int(value) & 255
        super().__setitem__(index, value)


def _loads(n_bytes: int, order: str) -> Callable[[Memory, int], int]:
    def load(array: Memory, offset: int) -> int:
        array.check(offset, n_bytes)
        return int.from_bytes(bytes(array)[offset : offset + n_bytes], order)  # type: ignore[arg-type]

    return load


def _copies(n_bytes: int) -> Callable[[Memory, int, Memory, int], None]:
    def copy(target: Memory, to: int, source: Memory, from_: int) -> None:
        source.check(from_, n_bytes)
        target[to : to + n_bytes] = source[from_ : from_ + n_bytes]

    return copy


def _puts(n_times: int) -> Callable[[Memory, int, int], None]:
    def put(target: Memory, to: int, value: int) -> None:
        target[to : to + 8 * n_times] = (int(value) & _U64).to_bytes(8, "little") * n_times

    return put


def _memory_module() -> ModuleType:
    module = ModuleType("_memory")
    names = {
        "load_u8": _loads(1, "little"), "load_u16": _loads(2, "little"),
        "load_u32_be": _loads(4, "big"), "load_u64": _loads(8, "little"),
        "copy_8": _copies(8), "copy_16": _copies(16), "copy_32": _copies(32),
        "put_8": _puts(1), "put_32": _puts(4),
        "prefetch": lambda _array, _offset: None,  # touches nothing
    }  # fmt: skip
    vars(module).update(names)
    return module


def _jit_module() -> ModuleType:
    module = ModuleType("jit")
    vars(module).update(
        kernel=lambda *_, **__: lambda function: function, helper=lambda f: f, inlined=lambda f: f
    )
    return module


def interpreted(name: str, instrument: Callable[[Any], Any], **replaced: Any) -> Any:
    """The module `name` executed without Numba; `instrument` is applied to each of its functions.

    `replaced`: names of the module that get another value, for what only Numba can do.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    code = compile(Path(spec.origin).read_text(encoding="utf-8"), f"<interpreted {name}>", "exec")
    module = ModuleType(f"interpreted.{name}")
    stand_ins = {"jfwriter.jit": _jit_module(), "jfwriter.compression._memory": _memory_module()}
    before = {key: sys.modules.get(key) for key in stand_ins}
    # Dataclasses and enums of the module look for it by its name.
    sys.modules[module.__name__] = module
    try:
        sys.modules.update(stand_ins)
        _execute(code, module)
    finally:
        for key, old in before.items():
            if old is None:
                del sys.modules[key]
            else:
                sys.modules[key] = old
    for key, value in list(vars(module).items()):
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            vars(module)[key] = instrument(value)
    vars(module).update(replaced)
    return module


def _execute(code: CodeType, module: ModuleType) -> None:
    exec(code, vars(module))
