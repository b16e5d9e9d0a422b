"""The daemon on storage that does not answer: what is told meanwhile, and that it goes on when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
import zmq

from tests.support import stream
from tests.support.daemon import wait_for
from tests.support.faulty_storage import FaultyStorage
from tests.support.plain_dcu import PlainDcu
from tests.support.service import Service


@pytest.fixture
def dcu() -> Iterator[PlainDcu]:
    with PlainDcu() as dcu:
        yield dcu


def assert_whole(root: Path, series_id: int, n_images: int) -> None:
    found = [h5py.File(path) for path in sorted(root.glob(f"run{series_id}_data_*.h5"))]
    rows = [image for file in found for image in file["/entry/data/data"][()]]
    np.testing.assert_array_equal(rows, [stream.pixels(i) for i in range(n_images)])


def test_the_run_is_given_up_and_everything_else_goes_on(tmp_path: Path, dcu: PlainDcu) -> None:
    """At a write, at the sync of a full file, at the end of a run: one after the other in one process."""
    root = tmp_path / "root"
    root.mkdir()
    config = tmp_path / "stall.toml"
    config.write_text("[service]\nstorage_give_up_s = 0.5\n[memory]\nbyte_budget_bytes = 1_048_576\n")
    storage = FaultyStorage(tmp_path)
    with (
        zmq.Context() as context,
        context.socket(zmq.PULL) as consumer,
        Service(
            root, "-H0", "-r0", f"--config={config}", dcu.address, environment=storage.environment
        ) as service,
    ):
        service.wait_until_ready()
        consumer.linger = 0
        consumer.connect(service.endpoint("republishing"))
        n_runs = 0
        for series_id, operation in enumerate(("write", "fsync", "rename"), 1):
            text = "_master" if operation == "rename" else "_data_000002"
            storage.wait_at(operation, f"run{series_id}{text}")
            # More than the budget holds: the sender would wait for ever.
            dcu.send(stream.run(series_id, n_images=600)[: 12 if operation == "rename" else 600])
            if operation == "rename":
                dcu.send([stream.end(series_id, 11)])
            storage.wait_until_struck()
            wait_for(lambda: any("given up" in line or "no_answer" in line for line in told(service)))
            if operation != "rename":
                status = service.wait_for_status(state="draining", images_received=599)
                assert status["images_dropped"]["run_failed"] > 500
                assert any("cannot be written" in text for text in status["warnings"])
                assert service.get("health")[0] == 503
                dcu.send([stream.end(series_id, 600)])
            n_runs += 1
            wait_for(lambda n=n_runs: runs(service) == n)
            last = service.status["last_run"]
            assert (last["outcome"], last["run_name"]) == ("failed", f"series {series_id}")
            assert "has not answered" in last["reasons"][0]
            dcu.send(stream.run(series_id + 10, n_images=6))
            n_runs += 1
            wait_for(lambda n=n_runs: runs(service) == n)
            assert service.status["totals"]["runs_refused"] == {"no_answer": series_id}
            storage.work()
            wait_for(lambda n=series_id: service.log.count("answers again") == n)
            dcu.send(stream.run(series_id + 20, n_images=6))
            n_runs += 1
            wait_for(lambda n=n_runs: runs(service) == n)
            assert service.status["last_run"]["outcome"] == "complete"
            assert_whole(root, series_id + 20, 6)
        assert service.status["totals"]["runs"] == {"failed": 6, "complete": 3}
        assert service.end() == 0
    for path in root.glob("*.h5"):
        h5py.File(path).close()


def told(service: Service) -> list[str]:
    return service.log.splitlines()


def runs(service: Service) -> int:
    return sum(service.status["totals"]["runs"].values())
