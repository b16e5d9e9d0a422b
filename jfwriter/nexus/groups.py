"""Groups of a file by their paths, each opened once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import h5py

from jfwriter.nexus import fields


class Groups:
    """The groups below `top`, made where they are lacking.

    To look for a group costs as much as to make a dataset in it, and most of them hold many.
    """

    def __init__(self, top: h5py.Group, classes: Mapping[str, str] = MappingProxyType({})) -> None:
        """`classes`: NeXus classes by path below `top`, of those that are no NXcollection."""
        self._opened = {"": top}
        self._classes = classes

    def at(self, path: str) -> h5py.Group:
        """The group `path` below `top`, empty for `top` itself."""
        found = self._opened.get(path)
        if found is None:
            above, _, name = path.rpartition("/")
            found = fields.group(self.at(above), name, self._classes.get(path, "NXcollection"))
            self._opened[path] = found
        return found
