"""Journals are input: torn, damaged or forged ones harm nothing and are told."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jfwriter.journal import registry
from jfwriter.journal.records import Kind, Reader, record
from jfwriter.recovery.place import Options
from jfwriter.recovery.result import State
from jfwriter.recovery.search import recover_known, waiting
from tests.support import stream
from tests.support.crashed import content, crash, recover, recover_one

Records = list[tuple[int, bytes]]


@pytest.fixture(scope="module")
def crashed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six of ten images; the first four in a file of their own."""
    work = tmp_path_factory.mktemp("crashed")
    user = {"file_format": 2, "file_prefix": "sub/run"}
    sent = [stream.start(user_data=user), *(stream.image_message(i) for i in range(6))]
    return crash(work / "living", work / "crashed", sent)


@pytest.fixture
def crashed(crashed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crashed_once, tmp_path / "root"))


def change(journal: Path, edit: Callable[[Records], Records]) -> None:
    with journal.open("rb") as file:
        found = [(r.kind, r.body) for r in Reader(file, journal.stat().st_size)]
    journal.write_bytes(b"".join(record(Kind(kind), body) for kind, body in edit(found)))


def run_journal(root: Path) -> Path:
    (found,) = root.rglob("*.run.journal")
    return found


def file_journal(root: Path) -> Path:
    (found,) = root.rglob("*.tmp.journal")
    return found


def edit_json(kind: Kind, **values: Any) -> Callable[[Records], Records]:
    def edit(found: Records) -> Records:
        return [
            (k, json.dumps({**json.loads(body), **values}).encode() if k == kind else body)
            for k, body in found
        ]

    return edit


DEEP = b'{"a":' * 100_000
HEADERS: dict[str, Callable[[Records], Records]] = {
    "no record": lambda found: [],
    "no start": lambda found: found[:1],
    "another message for the start": lambda found: [found[0], (Kind.START, stream.end())],
    "no message for the start": lambda found: [found[0], (Kind.START, b"\xff")],
    "no JSON": lambda found: [(Kind.RUN, b"{"), *found[1:]],
    "deep JSON": lambda found: [(Kind.RUN, DEEP), *found[1:]],
    "no settings": edit_json(Kind.RUN, settings=7),
    "another token": edit_json(Kind.RUN, token="0" * 16),
    "time of receipt beyond all time": edit_json(Kind.RUN, received_at=1e300),
    "another prefix": lambda found: [
        found[0], (Kind.START, stream.start(user_data={"file_prefix": "other", "file_format": 2})),
    ],
    "a prefix out of the root": lambda found: [
        found[0], (Kind.START, stream.start(user_data={"file_prefix": "../run", "file_format": 2})),
    ],
}  # fmt: skip


@pytest.mark.parametrize("edit", HEADERS.values(), ids=HEADERS)
def test_a_run_journal_that_cannot_be_used_is_told_and_nothing_touched(crashed: Path, edit: Any) -> None:
    change(run_journal(crashed), edit)
    before = content(crashed)
    results = recover(crashed, remove=True)
    assert State.FAILED in {result.state for result in results}
    assert content(crashed) == before


FILE_FACTS = {
    "rows beyond the file": {"rows": [[0, 9]]},
    "rows backwards": {"rows": [[3, 0]]},
    "2^62 rows": {"n_rows": (1 << 62) - 1, "rows": []},
    "a file far away": {"file_index": 1 << 60},
    "another shape": {"channels": [{"name": "a", "shape": [1, 1], "dtype": "<u2", "codec": "bslz4"}]},
    "an unknown codec": {"channels": [{"name": "a", "shape": [8, 16], "dtype": "<u2", "codec": "zip"}]},
    "an object type": {
        "datasets": [{"path": "/entry/a", "dtype": "O", "row_shape": [], "sentinel": None, "attributes": {}}]
    },
    "a data set elsewhere": {
        "datasets": [{"path": "/x", "dtype": "<u2", "row_shape": [], "sentinel": None, "attributes": {}}]
    },
}


@pytest.mark.parametrize("facts", FILE_FACTS.values(), ids=FILE_FACTS)
def test_false_facts_of_a_published_file_are_not_believed(crashed: Path, facts: dict[str, Any]) -> None:
    """The file stays; what it holds is not known, and so its images count as missing."""
    (published,) = (crashed / "sub").glob("*.h5")
    before = published.read_bytes()
    change(run_journal(crashed), edit_json(Kind.CLOSING, **facts))
    result = recover_one(crashed)
    assert any("is not understood" in problem for problem in result.problems)
    assert published.read_bytes() == before
    assert result.n_published == 0


FILE_HEADERS = {
    "another token": {"token": "0" * 16},
    "a path": {"temporary_name": "../run_data_000002.h5.tmp"},
    "another file": {"file_index": 0},
    "an index of text": {"file_index": "one"},
    "no channel": {"channels": []},
    "a channel that is a path": {
        "channels": [{"name": "a/b", "shape": [8, 16], "dtype": "<u2", "codec": "bslz4"}]
    },
    "pixels of another type": {
        "channels": [{"name": "a", "shape": [8, 16], "dtype": "<f8", "codec": "bslz4"}]
    },
}


@pytest.mark.parametrize("header", FILE_HEADERS.values(), ids=FILE_HEADERS)
def test_a_false_header_of_a_file_costs_that_file_alone(crashed: Path, header: dict[str, Any]) -> None:
    change(file_journal(crashed), edit_json(Kind.FILE, **header))
    results = recover(crashed)
    told = [result for result in results if result.journal.endswith(".run.journal")]
    assert told[0].n_published == 4
    assert told[0].n_recovered == 0
    assert any(result.problems or result.state is State.FAILED for result in results)
    assert (crashed / "sub" / "run_master.h5").exists()
    assert [path.name for path in crashed.parent.iterdir()] == ["root"]


@pytest.mark.parametrize("seed", range(40))
def test_damaged_journals_never_raise(crashed: Path, seed: int) -> None:
    chosen = random.Random(seed)
    for journal in (run_journal(crashed), file_journal(crashed)):
        data = bytearray(journal.read_bytes())
        for _ in range(chosen.randint(1, 4)):
            at = chosen.randrange(len(data))
            data[at : at + chosen.randint(0, 30)] = chosen.randbytes(chosen.randint(0, 30))
        journal.write_bytes(data)
    (published,) = (crashed / "sub").glob("run_data_000001.h5")
    before = published.read_bytes()
    recover(crashed)
    recover(crashed, remove=True)
    assert published.read_bytes() == before


@pytest.mark.parametrize("seed", range(40))
def test_forged_records_never_raise(crashed: Path, seed: int) -> None:
    """Well-framed records with bytes changed inside."""
    chosen = random.Random(seed)

    def edit(found: Records) -> Records:
        number = chosen.randrange(len(found))
        kind, body = found[number]
        changed = bytearray(body)
        for _ in range(chosen.randint(1, 8)):
            changed[chosen.randrange(len(changed))] = chosen.randrange(256)
        return [*found[:number], (kind, bytes(changed)), *found[number + 1 :]]

    change(run_journal(crashed) if seed % 2 else file_journal(crashed), edit)
    assert recover(crashed)
    assert [path.name for path in crashed.parent.iterdir()] == ["root"]


def test_links_are_not_followed(crashed: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(crashed / "sub")
    before = content(crashed)
    assert recover(tmp_path / "elsewhere") == []
    journal = run_journal(crashed)
    real = journal.with_name("real")
    journal.rename(real)
    journal.symlink_to(real)
    assert {result.state for result in recover(crashed)} == {State.FAILED}
    journal.unlink()
    real.rename(journal)
    assert content(crashed) == before


def test_a_data_file_that_is_a_link_is_not_read(crashed: Path, tmp_path: Path) -> None:
    (temporary,) = (crashed / "sub").glob("*.tmp")
    temporary.rename(tmp_path / "moved")
    temporary.symlink_to(tmp_path / "moved")
    result = recover_one(crashed)
    assert result.state is State.FAILED
    assert not (crashed / "sub" / "run_master.h5").exists()


def test_what_is_no_regular_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.0123456789abcdef.run.journal")
    (tmp_path / "run_data_000001.h5.0123456789abcdef.tmp.journal").mkdir()
    assert [result.state for result in recover(tmp_path)] == [State.FAILED]


def test_a_file_without_the_journal_of_its_run_is_told(crashed: Path) -> None:
    run_journal(crashed).unlink()
    result = recover_one(crashed)
    assert result.state is State.FAILED
    assert "the journal of its run is not beside it" in result.reason


def test_the_runs_that_a_root_knows_are_found_without_a_search(crashed: Path) -> None:
    (path,) = waiting([crashed])
    assert path.startswith("sub/run.")
    registry.add(crashed, "0123456789abcdef", "../outside/run.journal")
    registry.add(crashed, "1123456789abcdef", "gone/run.journal")
    results = list(recover_known(crashed, Options(remove=True)))
    assert sorted(result.state for result in results) == [State.FAILED, State.FAILED, State.RECOVERED]
    assert waiting([crashed]) == []
    assert sorted(path.name for path in (crashed / "sub").iterdir()) == [
        "run_data_000001.h5", "run_data_000002.h5", "run_master.h5",
    ]  # fmt: skip


def test_an_empty_directory_and_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jfwriter.cli import main

    assert main(["recover", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["recover", str(tmp_path / "absent")]) == 74
    assert "No such file" in capsys.readouterr().err


BEGINNINGS = {"no byte": 0, "a torn header": 40, "a header": None, "a torn start message": -5}


def beginning(crashed: Path, tmp_path: Path, n_bytes: int | None) -> Path:
    """A root with nothing but the first bytes of the journal of a run; None: just its header."""
    journal = run_journal(crashed)
    with journal.open("rb") as file:
        header, start = itertools.islice(Reader(file, journal.stat().st_size), 2)
    first = record(Kind.RUN, header.body)
    data = first + record(Kind.START, start.body)
    root = tmp_path / "begun"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / journal.name).write_bytes(first if n_bytes is None else data[:n_bytes])
    return root


@pytest.mark.parametrize("n_bytes", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_run_whose_journal_was_being_made_is_empty(
    crashed: Path, tmp_path: Path, n_bytes: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    from jfwriter.cli import main

    root = beginning(crashed, tmp_path, n_bytes)
    (name,) = content(root)
    assert recover_one(root, remove=True, dry_run=True).raw_material == (Path(name).name,)
    assert main(["recover", str(root)]) == 0
    assert "no image had come to the disk" in capsys.readouterr().out
    result = recover_one(root, remove=True)
    assert (result.state, result.removed) == (State.EMPTY, True)
    assert content(root) == {}


BESIDE = {
    "a data file in work": "run_data_000001.h5.0123456789abcdef.tmp",
    "a journal": "run_data_000001.h5.0123456789abcdef.tmp.journal",
    "a single file in work": "run_master.h5.0123456789abcdef.tmp",
    "a data file": "run_data_000001.h5",
}


@pytest.mark.parametrize("name", BESIDE.values(), ids=BESIDE)
def test_a_run_without_start_with_files_beside_it_is_no_empty_one(
    crashed: Path, tmp_path: Path, name: str
) -> None:
    root = beginning(crashed, tmp_path, 0)
    (root / "sub" / name).write_bytes(b"")
    before = content(root)
    result = recover_one(root, remove=True)
    assert result.state is State.FAILED
    assert f"does not hold the start of its run, and {name} may be of that run" in result.reason
    assert content(root) == before


def test_files_of_other_runs_beside_a_run_without_start(crashed: Path, tmp_path: Path) -> None:
    """A crashed run of the same names, whose journals say whose files are whose, and one of a longer name."""
    root = beginning(crashed, tmp_path, 0)
    own = run_journal(root)
    for path in (crashed / "sub").iterdir():
        if ".tmp" in path.name or path.name.endswith(".journal"):
            shutil.copy(path, root / "sub")
    (root / "sub" / "run_2_data_000001.h5.0123456789abcdef.tmp").write_bytes(b"")
    own.write_bytes(run_journal(crashed).read_bytes())
    # Looked at first: once the other run has its final files, no journal says whose they are.
    empty = own.with_name(f"run.{'0' * 16}.run.journal")
    empty.write_bytes(b"")
    states = {result.journal: result.state for result in recover(root, remove=True)}
    assert states[f"sub/{empty.name}"] is State.EMPTY
    assert not empty.exists()


def test_a_journal_that_is_damaged_at_its_start_is_not_called_a_beginning(
    crashed: Path, tmp_path: Path
) -> None:
    root = beginning(crashed, tmp_path, -5)
    journal = run_journal(root)
    data = bytearray(journal.read_bytes())
    data[40] ^= 1
    journal.write_bytes(data)
    assert recover_one(root, remove=True).state is State.FAILED
    assert journal.exists()
