"""The journal of a run: what stands in it, when it goes, when it stays. The run writer is the real one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.plugin_set import FilePlugins
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.journal import registry
from jfwriter.journal.image_record import ImageRecord, unpacked
from jfwriter.journal.records import Kind, Reader
from jfwriter.session.orders import WriteImage
from jfwriter.wire.decode import decode
from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.offline import OfflineDaemon
from tests.support.plain_dcu import encode
from tests.support.plain_dcu import image as pixels_message

LAYOUTS = [0, 1, 2, 3]


def daemon(root: Path, *, sync_interval_s: float = 3600.0, **files: object) -> OfflineDaemon:
    return OfflineDaemon(root, journal={"sync_interval_s": sync_interval_s}, files=files)


def records(path: Path) -> list[tuple[int, bytes]]:
    with path.open("rb") as file:
        reader = Reader(file, path.stat().st_size)
        found = [(record.kind, record.body) for record in reader]
    assert not reader.is_torn
    return found


def images(path: Path) -> list[ImageRecord]:
    return [unpacked(body, 1 << 20) for kind, body in records(path) if kind == Kind.IMAGE]


def journals(root: Path) -> list[Path]:
    return sorted(root.rglob("*.journal"))


def writer_of(run: OfflineDaemon) -> RunWriter:
    assert run.writer is not None
    return run.writer


def fail_to_sync_data(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The data files, not the journals; the list grows with each attempt."""
    calls: list[int] = []
    real = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix != ".tmp":
            return real(descriptor)
        calls.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return calls


def start(file_format: int, **fields: object) -> bytes:
    return stream.start(user_data={"file_format": file_format}, **fields)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("file_format", LAYOUTS)
def test_each_image_is_found_where_the_journal_says(tmp_path, file_format, together):
    run = daemon(tmp_path)
    run.take([start(file_format)])
    sent = [stream.image_message(i) for i in (0, 2, 1)]
    if together:
        decoded = [decode(memoryview(message), run.settings.limits) for message in sent]
        orders = [order for image in decoded for order in run.session.on_image(image)]
        assert [order for order, _ in writer_of(run).write_images(iter(orders))] == orders
    else:
        run.take(sent)
    writer_of(run).abandon()
    (journal,) = [path for path in journals(tmp_path) if path.name.endswith(".tmp.journal")]
    data = (tmp_path / journal.name.removesuffix(".journal")).read_bytes()
    found = images(journal)
    assert [(record.image_id, record.row) for record in found] == [(0, 0), (2, 2), (1, 1)]
    for record in found:
        sent = stream.image_message(record.image_id)
        (chunk,) = record.chunks
        message = record.message()
        message[chunk.cut_at : chunk.cut_at + chunk.cut_bytes] = data[
            chunk.place : chunk.place + chunk.n_bytes
        ]
        assert message == sent


@pytest.mark.parametrize(
    ("n_images", "shape"), [(3000, (8, 16)), (300, (256, 256))], ids=["small", "larger than an index grows"]
)
def test_many_images_in_one_file_are_found_without_asking_hdf5(tmp_path, monkeypatch, n_images, shape):
    """The index of HDF5 grows between the chunks; asking it would take longer with each image."""
    from jfwriter.hdf5.image_dataset import ImageDataset

    def asked(*_: object) -> int:
        raise AssertionError("HDF5 was asked for the place of a chunk")

    monkeypatch.setattr(ImageDataset, "place", asked)
    run = daemon(tmp_path)
    sent = np.random.default_rng(1).integers(0, 50_000, (n_images, *shape), np.uint16)
    size = {"image_size_x": shape[1], "image_size_y": shape[0]}
    run.take([stream.start(n_images=n_images, user_data={"images_per_file": 0}, **size)])
    for i in range(n_images):
        image = {"default": pixels_message(sent[i], None)}
        run.take([encode({"type": "image", "series_id": 1, "image_id": i, "data": image})])
    (temporary,) = tmp_path.glob("*.tmp")
    writer_of(run).abandon()
    with h5py.File(temporary) as file:
        dataset = file["/entry/data/data"].id
        places = {}
        dataset.chunk_iter(lambda chunk: places.update({chunk.chunk_offset[0]: chunk.byte_offset}))
    found = images(temporary.with_name(temporary.name + ".journal"))
    assert {record.row: record.chunks[0].place for record in found} == places
    assert len(places) == n_images


@pytest.mark.parametrize("file_format", LAYOUTS)
def test_nothing_stays_of_a_run_that_is_finished(tmp_path, file_format):
    run = daemon(tmp_path)
    run.take([start(file_format), *(stream.image_message(i) for i in range(5))])
    assert len(registry.entries(tmp_path)) == 1
    assert len(journals(tmp_path)) == 2
    run.take([stream.end(n_images=10)])
    assert journals(tmp_path) == []
    assert not (tmp_path / registry.DIRECTORY).exists()


def test_a_full_file_takes_its_journal_with_it(tmp_path):
    run = daemon(tmp_path, sync=True)
    run.take([start(2), *(stream.image_message(i) for i in range(5))])
    names = [path.name for path in journals(tmp_path)]
    assert len(names) == 2
    assert any(name.startswith("run1_data_000002.h5.") for name in names)
    assert writer_of(run).synced.n_images == 4
    (own,) = tmp_path.glob("*.run.journal")
    closing = [json.loads(body) for kind, body in records(own) if kind == Kind.CLOSING]
    assert [(facts["file_index"], facts["rows"]) for facts in closing] == [(0, [[0, 3]])]


def test_the_journals_are_locked_while_the_writer_lives(tmp_path):
    run = daemon(tmp_path)
    run.take([start(2), stream.image_message(0)])

    def is_locked(path: Path) -> bool:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    assert all(map(is_locked, journals(tmp_path)))
    writer_of(run).abandon()
    assert len(journals(tmp_path)) == 2
    assert not any(map(is_locked, journals(tmp_path)))


def test_images_are_synced_while_the_run_goes_on(tmp_path):
    run = daemon(tmp_path, sync_interval_s=0.01)
    run.take([start(2), stream.image_message(0), stream.image_message(1)])
    synced = writer_of(run).synced
    wait_for(lambda: synced.n_images == 2)
    run.take([stream.image_message(2)])
    wait_for(lambda: synced.n_images == 3)
    writer_of(run).abandon()
    (journal,) = tmp_path.glob("*.tmp.journal")
    notes = [json.loads(body)["n_images"] for kind, body in records(journal) if kind == Kind.SYNCED]
    assert notes[-1] == 3
    assert notes == sorted(notes)


def test_a_sync_that_fails_fails_the_run_and_is_not_repeated(tmp_path, monkeypatch):
    run = daemon(tmp_path, sync_interval_s=0.01)
    calls = fail_to_sync_data(monkeypatch)
    run.take([start(2), stream.image_message(0)])
    wait_for(lambda: bool(calls))
    run.take([stream.image_message(1)])
    (failure,) = run.written.failures
    assert isinstance(failure, StorageError)
    assert failure.reason == "io_error"
    assert "cannot sync run1_data_000001.h5" in str(failure)
    assert len(calls) == 1
    assert writer_of(run).synced.n_images == 0


def test_a_sync_that_failed_keeps_the_file_from_its_final_name(tmp_path, monkeypatch):
    run = daemon(tmp_path, sync_interval_s=0.01, sync=True)
    failed = fail_to_sync_data(monkeypatch)
    run.take([start(2), stream.image_message(0)])
    wait_for(lambda: bool(failed))
    run.take([stream.end(n_images=1)])
    assert run.written.report.outcome == "failed"
    assert not list(tmp_path.glob("*.h5"))


def test_a_journal_that_cannot_be_written_is_given_up_and_not_the_run(tmp_path, monkeypatch):
    run = daemon(tmp_path)
    run.take([start(2), stream.image_message(0)])
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if ".journal" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    run.take([*(stream.image_message(i) for i in range(1, 10)), stream.end(n_images=10)])
    assert run.written.report.outcome == "complete"
    assert "given up" in writer_of(run).synced.problem
    assert journals(tmp_path) == []


def test_no_journal_where_it_is_switched_off(tmp_path):
    run = OfflineDaemon(tmp_path, journal={"enabled": False})
    run.take([start(2), stream.image_message(0)])
    assert journals(tmp_path) == []
    assert not (tmp_path / registry.DIRECTORY).exists()


def test_a_run_that_failed_without_an_image_leaves_nothing(tmp_path):
    run = daemon(tmp_path)
    run.take([start(2)])
    writer_of(run).abandon()
    assert list(tmp_path.iterdir()) == []


def test_the_memory_and_descriptors_of_a_run_are_given_back(tmp_path):
    def n_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = n_descriptors()
    run = daemon(tmp_path, sync_interval_s=0.01)
    run.take(stream.run(n_images=10))
    wait_for(lambda: n_descriptors() == before)  # a sync that was going on closes its own


def test_without_a_driver_of_its_own_hdf5_is_asked_for_each_place(tmp_path, monkeypatch):
    monkeypatch.setattr("jfwriter.hdf5.data_file.driver", lambda: None)
    run = daemon(tmp_path)
    run.take([start(3), *(stream.image_message(i) for i in range(3))])
    (temporary,) = tmp_path.glob("*.tmp")
    writer_of(run).abandon()
    with h5py.File(temporary) as file:
        dataset = file["/entry/data/data"].id
        places = [dataset.get_chunk_info_by_coord((row, 0, 0)).byte_offset for row in range(3)]
    found = images(temporary.with_name(temporary.name + ".journal"))
    assert [record.chunks[0].place for record in found] == places


@pytest.mark.parametrize("at", [0, 2])
def test_images_stored_anew_in_the_second_root_are_counted_as_synced_once(tmp_path, monkeypatch, at):
    """All four were entered in the journal of the first root when a value of one could not be written."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    real = FilePlugins.append
    failing = [at]

    def append(self: FilePlugins, index: int, image: Any, rows: Any) -> None:
        if index in failing:
            failing.clear()
            raise StorageError("io_error", "a block of rows cannot be written")
        real(self, index, image, rows)

    monkeypatch.setattr(FilePlugins, "append", append)
    run = daemon(first, sync=True, second_root_dir=str(second), preflight="off")
    run.take([start(2, n_images=4)])
    decoded = [decode(memoryview(stream.image_message(i)), run.settings.limits) for i in range(4)]
    orders = [o for image in decoded for o in run.session.on_image(image) if isinstance(o, WriteImage)]
    writer = writer_of(run)
    assert len(list(writer.write_images(iter(orders)))) == 4
    run.take([stream.end(n_images=4)])
    assert run.written.reports[-1].n_written == 4
    assert writer.synced.n_images == 4
