"""The allocator of the C library, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jfwriter.daemon.memory import Allocator

CODE = """
import resource
import threading
from jfwriter.daemon.memory import Allocator

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def messages(n):
    # Like ZeroMQ's: allocated on a thread of their own, large, freed on another one.
    found = []
    thread = threading.Thread(target=lambda: found.extend(bytearray(2_000_000) for _ in range(n)))
    thread.start()
    thread.join()
    return found

allocator = Allocator()
allocator.keep_freed_memory()
for _ in range(3):
    messages(50)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    messages(50)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
kept = resident_bytes()
allocator.give_back()
print(faults, kept, resident_bytes())
"""


@pytest.mark.skipif(Allocator()._mallopt is None, reason="not glibc")
def test_memory_is_kept_until_it_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    n_faults, kept_bytes, left_bytes = map(int, done.stdout.split())
    n_pages = 250 * 2_000_000 // 4096
    assert n_faults < 0.1 * n_pages
    assert left_bytes < kept_bytes - 50_000_000


def test_what_is_loaded_is_out_of_the_collectors_way() -> None:
    code = (
        "import gc; from jfwriter.daemon.memory import COLLECT_AFTER, spare_what_stays; spare_what_stays();"
        "print(gc.get_freeze_count(), len(gc.get_objects()), gc.get_threshold()[0] == COLLECT_AFTER)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    n_frozen, n_watched, is_rare = done.stdout.split()
    assert int(n_frozen) > 1000
    assert int(n_watched) < 100
    assert is_rare == "True"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = Allocator()
    monkeypatch.setattr(allocator, "_mallopt", None)
    monkeypatch.setattr(allocator, "_malloc_trim", None)
    allocator.keep_freed_memory()
    allocator.give_back()


@pytest.mark.parametrize(("more", "left"), [(-100, 1), (100, 0)])
def test_garbage_is_looked_for_once_it_is_much(more: int, left: int) -> None:
    code = f"""
import gc, weakref
from jfwriter.daemon.memory import YOUNG_OBJECTS, collect_young, spare_what_stays
class Ring:
    pass
spare_what_stays()
ring = Ring()
ring.itself, seen = ring, weakref.ref(ring)
del ring
others = [[] for _ in range(YOUNG_OBJECTS + {more} - gc.get_count()[0])]
collect_young()
print(int(seen() is not None))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == left
