"""A daemon whose storage misbehaves: a `sitecustomize` that replaces the writing of image 1."""

from __future__ import annotations

from pathlib import Path

WAITS_FOR_EVER = "threading.Event().wait()"
RAISES = "1 / 0"


def waits_for(path: Path) -> str:
    """Wait until `path` is there."""
    return f"while not os.path.exists({str(path)!r}): time.sleep(0.01)"


def patched(directory: Path, what_image_1_does: str) -> str:
    """A directory for PYTHONPATH, made below `directory`."""
    folder = directory / "patched"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_TEXT.format(what_image_1_does))
    return str(folder)


_TEXT = """\
import os
import sys
import threading
import time


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "jfwriter.daemon.assembly":
            sys.meta_path.remove(self)
            from jfwriter.hdf5.data_files import DataFiles
            from jfwriter.hdf5.run_writer import RunWriter

            real = RunWriter._store

            def store(self, files, order):
                if order.image.image_id == 1:
                    {}
                return real(self, files, order)

            RunWriter._store = store
            DataFiles.write_ahead = lambda self, orders: (_ for _ in ())  # every image through `_store`
        return None


sys.meta_path.insert(0, Finder())
"""
