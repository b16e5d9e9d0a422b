"""The recovery of one run: looks what there is, decides what to do, does it, and tells."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from jfwriter.errors import FailRun
from jfwriter.hdf5.file_facts import FileFacts
from jfwriter.hdf5.run_directory import data_file_index
from jfwriter.journal.file_journal import SUFFIX
from jfwriter.journal.run_journal import boot_id
from jfwriter.recovery.images import JOURNAL_SUFFIX, FileHeader, FileImages, read_header
from jfwriter.recovery.manifest import Standing, standing, write_noted
from jfwriter.recovery.material import (
    NOTES_SUFFIX,
    RUN_NAME,
    NotBegun,
    RunMaterial,
    Unusable,
    load_notes,
    load_run,
)
from jfwriter.recovery.names import is_temporary
from jfwriter.recovery.notes import Notes
from jfwriter.recovery.opened import CannotLock, InUse, is_held, opened, size_of
from jfwriter.recovery.place import Options, RunPlace
from jfwriter.recovery.rebuild import Rebuild, shown
from jfwriter.recovery.result import RunResult, State
from jfwriter.recovery.unbegun import without_start
from jfwriter.session.orders import Outcome


def recover_run(place: RunPlace, options: Options) -> RunResult:
    """Recover one run; never raises for what is in its files."""
    try:
        with opened(place.descriptor, place.name, lock=True, force=options.force) as journal:
            try:
                material = load_run(journal, place.name)
            except NotBegun:
                return without_start(place, options)
            return _Recovery(place, options, material).result()
    except InUse:
        return RunResult(place.path, State.IN_USE, reason="a living writer holds it")
    except CannotLock as error:
        text = f"the file system knows no locks ({error}), so that a writer may hold it: --force"
        return RunResult(place.path, State.FAILED, reason=text)
    except Unusable as error:
        return RunResult(place.path, State.FAILED, reason=f"its journal cannot be used: {error}")
    except OSError as error:
        text = f"{error.filename or 'a file'}: {error.strerror or error}"
        return RunResult(place.path, State.FAILED, reason=text)


class _Recovery:
    """With the lock of the run held."""

    def __init__(self, place: RunPlace, options: Options, material: RunMaterial) -> None:
        self._place = place
        self._options = options
        self._material = material
        self._plan = material.plan
        self._notes_name = place.name + NOTES_SUFFIX
        self._notes_bytes = self._load_notes()
        self._problems: list[str] = []
        self._n_gone = 0
        self._manifest = standing(place.descriptor, self._plan)
        self._unwritten: list[str] = []
        """Journals of data files that were never made."""
        self._headers: dict[str, FileHeader] = dict(self._find_headers())
        self._published = [facts for _, facts in sorted(material.closings.items()) if self._stands(facts)]

    def result(self) -> RunResult:
        """What becomes of the run."""
        result = replace(self._decide(), raw_material=tuple(self._raw_material()))
        settled = result.state in {State.RECOVERED, State.RECOVERED_BEFORE, State.FINISHED, State.EMPTY}
        if self._options.remove and settled and result.is_good and not self._options.dry_run:
            self._remove(result.raw_material)
            result = replace(result, removed=True, raw_material=())
        return result

    def _decide(self) -> RunResult:
        done = self._material.recovered
        if done is not None:
            return self._told(State.RECOVERED_BEFORE, n_lost=int(done.get("n_lost", 0)))
        if self._name_in_use():
            return self._told(State.IN_USE, reason="a living writer writes files of the same names")
        files = list(self._unpublished())
        if not files and self._is_whole():
            reason = self._bring_manifest() if self._published else ""
            state = State.FINISHED if self._published else State.EMPTY
            return self._told(State.FAILED if reason else state, n_lost=self._n_gone, reason=reason)
        conflict = self._conflict()
        if conflict:
            text = f"{conflict} stands there and is not of this run; move it, or the raw material, elsewhere"
            return self._told(State.FAILED, reason=text)
        rebuild = Rebuild(self._material, self._place.descriptor, self._published, files, self._untold())
        if self._options.dry_run:
            order = rebuild.look()
            return self._counted(State.RECOVERABLE, rebuild, n_images=order.n_images, missing=order.missing)
        return self._write(rebuild)

    def _bring_manifest(self) -> str:
        """All else stands: see that the manifest does, if it was wanted; why that is impossible."""
        plan, content = self._plan, self._material.manifest
        if not plan.manifest or self._manifest is not Standing.NOTHING:
            return ""
        if content is None:
            self._problems.append(f"{plan.manifest_name} was wanted, and the crash came before it")
        elif not self._options.dry_run:
            try:
                write_noted(self._place.descriptor, plan, self._material.settings, content)
            except FailRun as error:
                return str(error)
        return ""

    def _write(self, rebuild: Rebuild) -> RunResult:
        plan = self._plan
        self._discard(self._material.temporary_names)
        try:
            with Notes(self._place.descriptor, self._notes_name, sync=plan.sync) as notes:
                notes.cut(self._notes_bytes)
                try:
                    overwrite = self._options.overwrite and plan.overwrite
                    report = rebuild.write(
                        notes,
                        overwrite=overwrite,
                        replace_manifest=overwrite or self._manifest is Standing.OWN,
                    )
                finally:
                    self._discard(notes.temporary_names)
                if report.outcome is not Outcome.FAILED:
                    notes.recovered({"outcome": report.outcome.value, "n_lost": rebuild.found.n_bad})
        except FailRun as error:
            return self._counted(State.FAILED, rebuild, reason=str(error))
        state = State.FAILED if report.outcome is Outcome.FAILED else State.RECOVERED
        return self._counted(
            state,
            rebuild,
            reason=report.reasons[0] if state is State.FAILED else "",
            n_images=report.n_images,
            missing=report.missing,
            files=tuple(
                name.rpartition("/")[2] for name in (*report.files, *filter(None, [report.manifest]))
            ),
        )

    def _counted(self, state: State, rebuild: Rebuild, **told: object) -> RunResult:
        found = rebuild.found
        problems = (*self._all_problems(), *shown(found.bad, found.n_bad))
        return self._told(
            state, n_recovered=found.n_images, n_lost=found.n_bad + self._n_gone, problems=problems, **told
        )

    def _told(self, state: State, **told: object) -> RunResult:
        values: dict[str, object] = {
            "file_prefix": self._plan.prefix,
            "n_published": sum(facts.n_written for facts in self._published),
            "problems": self._all_problems(),
            "went_on_in": self._material.went_on_in,
            "files": tuple(self._plan.data_file_name(facts.file_index) for facts in self._published),
        }
        return RunResult(self._place.path, state, **{**values, **told})  # type: ignore[arg-type]

    def _all_problems(self) -> tuple[str, ...]:
        where = self._material.went_on_in
        elsewhere = (f"the run went on in {where}: what is there is not in the master",) if where else ()
        return (*elsewhere, *self._material.problems, *self._problems)

    def _load_notes(self) -> int:
        """Read what an earlier recovery has noted; the length of its whole records."""
        try:
            with opened(self._place.descriptor, self._notes_name) as notes:
                return load_notes(self._material, notes)
        except FileNotFoundError:
            return 0

    def _find_headers(self) -> Iterator[tuple[str, FileHeader]]:
        """The journals of data files of this run, by name, in the order of the files."""
        names = [name for name in self._place.names if self._may_be_of_the_run(name)]
        for name in sorted(names):
            try:
                with opened(self._place.descriptor, name) as journal:
                    header = read_header(journal, name)
            except (OSError, Unusable) as error:
                self._problems.append(f"{name}: {error}")
                continue
            if header is None:
                self._note_unwritten(name)
            elif header.token == self._material.token:
                yield name, header

    def _note_unwritten(self, name: str) -> None:
        """A journal without header was being made when the writer died, and its data file not yet; if that
        stands there, the journal has lost what it held."""
        data_file = name.removesuffix(SUFFIX)
        is_own = data_file in self._material.opening and is_temporary(self._plan.basename, data_file)
        if is_own and self._size(data_file) is None:
            self._unwritten.append(name)
        elif is_own:
            self._problems.append(f"{name}: it is empty: nothing tells where images lie in {data_file}")

    def _may_be_of_the_run(self, name: str) -> bool:
        return name.startswith(f"{self._plan.basename}_") and name.endswith(JOURNAL_SUFFIX)

    def _stands(self, facts: FileFacts) -> bool:
        """Whether a data file that was about to get its final name has got it."""
        size_bytes = size_of(self._place.descriptor, self._plan.data_file_name(facts.file_index))
        if size_bytes is None or size_bytes < 0:
            return False
        if size_bytes == facts.size_bytes:
            return True
        waits = any(
            header.file_index == facts.file_index and self._size(header.temporary_name) is not None
            for header in self._headers.values()
        )
        # Somebody may have changed it since, e.g. an attribute; but with `overwrite` it may be an older one.
        return not waits and not self._plan.overwrite

    def _unpublished(self) -> Iterator[tuple[str, FileImages]]:
        standing = {facts.file_index for facts in self._published}
        is_certain = self._material.boot_id == boot_id()
        for name, header in self._headers.items():
            if header.file_index in standing:
                if self._size(header.temporary_name) is not None:
                    self._problems.append(f"{name}: the data file that it tells of stands there already")
                continue
            try:
                images = FileImages(self._material, header, is_certain=is_certain)
                if self._size(header.temporary_name) is None:
                    n_images = images.count(self._place.descriptor, name)
                    if n_images == 0:
                        continue
                    self._n_gone += n_images
                    self._problems.append(f"{header.temporary_name} is gone: {n_images} images are lost")
                    continue
                if images.count(self._place.descriptor, name) == 0:
                    continue
            except (Unusable, OSError) as error:
                self._problems.append(f"{name}: {error}")
                continue
            standing.add(header.file_index)
            yield name, images

    def _untold(self) -> list[int]:
        """Data files of the run's names that the journal does not tell of: left as they are."""
        told = {facts.file_index for facts in self._published}
        told |= {header.file_index for header in self._headers.values()}
        found = []
        for name in self._place.names:
            index = data_file_index(self._plan, name)
            if index is not None and index not in told:
                found.append(index)
                self._problems.append(f"{name} stands there, what it holds is not known: counted as missing")
        return found

    def _is_whole(self) -> bool:
        """Whether neither master nor manifest is lacking, as far as one can be made."""
        if not self._published or self._plan.is_integrated:
            return True
        if self._plan.write_master:
            return self._master_stands()
        lacks_manifest = self._plan.manifest and self._manifest is Standing.NOTHING
        return not lacks_manifest or self._material.manifest is not None

    def _master_stands(self) -> bool:
        size_bytes = self._size(self._plan.master_name)
        return size_bytes is not None and size_bytes == self._material.master_bytes

    def _conflict(self) -> str:
        """A file in the way of those that would be written; empty if there is none."""
        if self._options.overwrite and self._plan.overwrite:
            return ""
        standing = {facts.file_index for facts in self._published}
        wanted = [
            self._plan.data_file_name(header.file_index)
            for header in self._headers.values()
            if header.file_index not in standing
        ]
        if self._plan.write_master and not self._plan.is_integrated:
            wanted.append(self._plan.master_name)
        if self._plan.manifest and self._manifest is Standing.FOREIGN:
            wanted.append(self._plan.manifest_name)
        return next((name for name in wanted if self._size(name) is not None), "")

    def _name_in_use(self) -> bool:
        """Whether a living writer has a run of the same names: nothing may appear under them."""
        for name in self._place.names:
            matched = RUN_NAME.fullmatch(name)
            if matched is None or name == self._place.name or matched["basename"] != self._plan.basename:
                continue
            if is_held(self._place.descriptor, name):
                return True
        return False

    def _size(self, name: str) -> int | None:
        return size_of(self._place.descriptor, name)

    def _raw_material(self) -> Iterator[str]:
        for name, header in self._headers.items():
            yield from (part for part in (header.temporary_name, name) if self._size(part) is not None)
        own = self._material.temporary_names - {h.temporary_name for h in self._headers.values()}
        yield from (name for name in sorted(own) if self._is_temporary(name) and self._size(name) is not None)
        yield from self._unwritten
        yield from (name for name in (self._notes_name, self._place.name) if self._size(name) is not None)

    def _is_temporary(self, name: str) -> bool:
        """Whether a name that a journal tells is one that only a writer of this run can have made."""
        return is_temporary(self._plan.basename, name)

    def _discard(self, names: Iterable[str]) -> None:
        """Half-written files of this or an earlier recovery; what they are made of is still there."""
        kept = {header.temporary_name for header in self._headers.values()}
        self._remove([name for name in names if self._is_temporary(name) and name not in kept])

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._place.descriptor)
