"""A run writer fed with orders as the session gives them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import ClosedFile, FinishRun, Outcome, WriteImage
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage
from tests.support import messages
from tests.support.payloads import packed

SHAPE = (messages.HEIGHT, messages.WIDTH)


def pixels(image_id: int) -> np.ndarray[Any, Any]:
    return np.full(SHAPE, image_id + 1, "u2")


class Run:
    """A writer on a fresh root, fed with orders as the session gives them."""

    def __init__(
        self, root: Path, *, plugins: Any = None, files: dict[str, object] | None = None, **start: Any
    ):
        values: dict[str, object] = {"root_dir": str(root), "sync": False} | (files or {})
        self.settings = Settings.model_validate({"files": values})
        self.plan = make_plan(messages.start(**start), self.settings, 1, 0.0)
        self.closed: list[ClosedFile] = []
        self.root = root
        chosen = plugins_for(self.plan) if plugins is None else plugins
        self.writer = RunWriter(self.plan, chosen, self.settings, self.closed.append)
        self.writer.open()

    def write(self, *image_ids: int, **fields: Any) -> None:
        for image_id in image_ids:
            values = {"channels": {"default": packed(pixels(image_id))}} | fields
            self.write_image(messages.image(image_id, **values))

    def write_image(self, image: ImageMessage) -> int:
        return self.writer.write_image(WriteImage(*self.plan.place(image.image_id), image))

    def write_together(self, images: Iterable[ImageMessage]) -> None:
        orders = [WriteImage(*self.plan.place(image.image_id), image) for image in images]
        assert [order for order, _ in self.writer.write_images(iter(orders))] == orders

    def finish(self, n_images: int = 0, **order: Any) -> Any:
        values: dict[str, Any] = {"missing": (), "end": None, "outcome": Outcome.COMPLETE} | order
        return self.writer.finish(FinishRun(n_images=n_images, **values))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())
