"""What there is of a run in one directory: its data files, their journals, and what else is its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence

from jfwriter.journal.file_journal import SUFFIX
from jfwriter.recovery.images import JOURNAL_SUFFIX, FileHeader, read_header
from jfwriter.recovery.material import NOTES_SUFFIX, RUN_NAME, Origin, RunMaterial, Unusable, load_notes
from jfwriter.recovery.names import is_temporary
from jfwriter.recovery.opened import is_held, opened, size_of
from jfwriter.recovery.place import RunPlace


class Half:
    """Of the run whose journal is at `place`, or should be; most runs have only one."""

    def __init__(self, place: RunPlace, material: RunMaterial, origin: Origin) -> None:
        """Adds what an earlier recovery has noted here to `material`. Raises OSError."""
        self.place = place
        self.notes_name = place.name + NOTES_SUFFIX
        self.notes_bytes = self._load_notes(material, origin)
        """Length of the whole records of the notes."""
        self.problems: list[str] = []
        self._material = material
        self._basename = material.plan.basename
        self._unwritten: list[str] = []
        """Journals of data files that were never made."""
        self.headers: dict[str, FileHeader] = dict(self._find_headers())

    @property
    def directory(self) -> int:
        """Open."""
        return self.place.descriptor

    def size(self, name: str) -> int | None:
        return size_of(self.directory, name)

    def name_in_use(self) -> bool:
        """Whether a living writer has a run of the same names: nothing may appear under them."""
        for name in self.place.names:
            matched = RUN_NAME.fullmatch(name)
            if matched is None or matched["basename"] != self._basename:
                continue
            if matched["token"] != self._material.token and is_held(self.directory, name):
                return True
        return False

    def raw_material(self) -> Iterator[str]:
        """Names of what a recovery reads or leaves, the journal of the run last."""
        for name, header in self.headers.items():
            yield from (part for part in (header.temporary_name, name) if self.size(part) is not None)
        own = self._material.temporary_names - {header.temporary_name for header in self.headers.values()}
        yield from (name for name in sorted(own) if self._is_temporary(name) and self.size(name) is not None)
        yield from self._unwritten
        yield from (name for name in (self.notes_name, self.place.name) if self.size(name) is not None)

    def discard(self, names: Iterable[str]) -> None:
        """Half-written files of a recovery; what they are made of is still there."""
        kept = {header.temporary_name for header in self.headers.values()}
        self.remove([name for name in names if self._is_temporary(name) and name not in kept])

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.directory)

    def _load_notes(self, material: RunMaterial, origin: Origin) -> int:
        try:
            with opened(self.directory, self.notes_name) as notes:
                return load_notes(material, notes, origin)
        except FileNotFoundError:
            return 0

    def _find_headers(self) -> Iterator[tuple[str, FileHeader]]:
        """The journals of data files of this run, by name, in the order of the files."""
        names = [name for name in self.place.names if self._may_be_of_the_run(name)]
        for name in sorted(names):
            try:
                with opened(self.directory, name) as journal:
                    header = read_header(journal, name)
            except (OSError, Unusable) as error:
                self.problems.append(f"{name}: {error}")
                continue
            if header is None:
                self._note_unwritten(name)
            elif header.token == self._material.token:
                yield name, header

    def _note_unwritten(self, name: str) -> None:
        """A journal without header was being made when the writer died, and its data file not yet; if that
        stands there, the journal has lost what it held."""
        data_file = name.removesuffix(SUFFIX)
        is_own = data_file in self._material.opening and self._is_temporary(data_file)
        if is_own and self.size(data_file) is None:
            self._unwritten.append(name)
        elif is_own:
            self.problems.append(f"{name}: it is empty: nothing tells where images lie in {data_file}")

    def _may_be_of_the_run(self, name: str) -> bool:
        return name.startswith(f"{self._basename}_") and name.endswith(JOURNAL_SUFFIX)

    def _is_temporary(self, name: str) -> bool:
        """Whether a name that a journal tells is one that only a writer of this run can have made."""
        return is_temporary(self._basename, name)
