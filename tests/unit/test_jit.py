"""Kernels compile wherever jfwriter is installed, also where nothing can be cached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODULE = """
import numpy as np
from jfwriter import jit

@jit.helper
def twice(x):
    return 2 * x

@jit.kernel("int64(int32[::1])")
def total(values):
    s = 0
    for i in range(values.size):
        s += twice(values[i])
    return s

print(total(np.arange(5, dtype=np.int32)), total.stats.cache_path, sum(total.stats.cache_hits.values()))
"""

WITHOUT_ROOM = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""


def run(
    module: Path, *, cache_dir: Path | None = None, home: str = os.devnull
) -> subprocess.CompletedProcess[str]:
    """Run a file that holds a kernel; `home` is no directory unless told, nor are there other caches."""
    environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "PYTHONPATH": str(ROOT)}
    environment.pop("NUMBA_CACHE_DIR", None)
    if cache_dir is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache_dir)
    command = [sys.executable, str(module)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_compiles_where_no_cache_directory_is_writable(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(MODULE)
    # A file in the cache's place stops root as well, unlike permission bits.
    (tmp_path / "__pycache__").write_text("")
    done = run(module)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["20", "None", "0"]


def test_compiles_where_the_cache_has_no_room(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(WITHOUT_ROOM + MODULE)
    done = run(module, cache_dir=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "20"


def test_the_second_process_loads_from_the_cache(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(MODULE)
    first, second = (run(module, cache_dir=tmp_path / "cache") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.split()[::2] == ["20", "0"]
    assert second.stdout.split()[::2] == ["20", "1"]


def test_a_read_only_installation_is_cached_in_the_home(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(MODULE)
    (tmp_path / "__pycache__").write_text("")
    first, second = (run(module, home=str(tmp_path / "home")) for _ in range(2))
    assert first.stdout.split()[::2] == ["20", "0"], first.stderr
    assert second.stdout.split()[::2] == ["20", "1"]
    assert second.stdout.split()[1].startswith(str(tmp_path / "home" / "jfwriter"))


def test_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    module, other = tmp_path / "module.py", tmp_path / "other.py"
    head, body = MODULE.split("@jit.kernel")
    other.write_text(head)
    module.write_text(
        "import numpy as np\nfrom jfwriter import jit\nfrom other import twice\n\n@jit.kernel" + body
    )
    assert run(module, cache_dir=tmp_path / "cache").stdout.split()[::2] == ["20", "0"]
    other.write_text(head.replace("2 * x", "3 * x"))
    changed, again = (run(module, cache_dir=tmp_path / "cache") for _ in range(2))
    assert changed.stdout.split()[::2] == ["30", "0"], changed.stderr
    assert again.stdout.split()[::2] == ["30", "1"]


def test_kernels_of_old_sources_are_not_kept_for_ever(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    for i in range(5):
        module.write_text(f"from jfwriter import jit_cache\njit_cache.directory_for(lambda: {i})\n")
        assert run(module, cache_dir=tmp_path / "cache").returncode == 0
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_an_error_in_a_kernel_is_not_taken_for_a_cache_problem(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(MODULE.replace("s += twice(values[i])", "s += values.no_such_thing"))
    done = run(module, cache_dir=tmp_path / "cache")
    assert done.returncode == 1
    assert "TypingError" in done.stderr
