"""Objects of an HDF5 file by their path, without a step into another file."""

from __future__ import annotations

from typing import TypeAlias

import h5py

TROUBLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError)
"""What h5py raises for damaged, odd or missing content."""

Node: TypeAlias = h5py.Group | h5py.Dataset

_MAX_LINKS = 8


def find(root: h5py.Group, path: str, depth: int = 0) -> Node | None:
    """The object at an absolute path, without following links into other files."""
    node: Node = root
    parts = [part for part in path.split("/") if part]
    for i, part in enumerate(parts):
        if not isinstance(node, h5py.Group):
            return None
        try:
            link = node.get(part, getlink=True)
            if isinstance(link, h5py.SoftLink):
                if depth >= _MAX_LINKS:
                    return None
                target = link.path if link.path.startswith("/") else f"{node.name}/{link.path}"
                return find(root, "/".join([target, *parts[i + 1 :]]), depth + 1)
            if not isinstance(link, h5py.HardLink):
                return None
            node = node[part]
        except TROUBLE:
            return None
    return node


def dataset_at(root: h5py.Group, path: str) -> h5py.Dataset | None:
    """The data set at `path`, None if there is none."""
    node = find(root, path)
    return node if isinstance(node, h5py.Dataset) else None
