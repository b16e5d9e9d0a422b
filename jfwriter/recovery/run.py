"""The recovery of one run: looks what there is, decides what to do, does it, and tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from jfwriter.errors import FailRun, StorageError
from jfwriter.hdf5.file_facts import StoredFile
from jfwriter.hdf5.left_files import part_name
from jfwriter.hdf5.run_directory import data_file_index
from jfwriter.hdf5.storage import OF_THE_RUN
from jfwriter.journal.run_journal import boot_id
from jfwriter.recovery.half import Half
from jfwriter.recovery.images import FileHeader, FileImages
from jfwriter.recovery.joining import Raw, gather
from jfwriter.recovery.manifest import Standing, standing, write_noted
from jfwriter.recovery.material import NotBegun, Unusable
from jfwriter.recovery.notes import Notes
from jfwriter.recovery.opened import CannotLock, InUse
from jfwriter.recovery.place import Options, RunPlace
from jfwriter.recovery.rebuild import Rebuild, Unpublished, shown
from jfwriter.recovery.result import RunResult, State
from jfwriter.recovery.unbegun import without_start
from jfwriter.session.orders import Outcome
from jfwriter.session.plan import FileFormat

NEED_ONE_FILE = frozenset({FileFormat.NXmxLegacy, FileFormat.NXmxIntegrated})
"""Layouts in which the images of a part have to stand in a data file, too."""


def recover_run(place: RunPlace, options: Options) -> RunResult:
    """Recover one run; never raises for what is in its files.

    Where its directory does not take what is made of it, that is made in the other root directory.
    """
    result, can_go_on = _attempt(place, options)
    if can_go_on:
        result, _ = _attempt(place, options, after=result)
    return result


def _attempt(place: RunPlace, options: Options, after: RunResult | None = None) -> tuple[RunResult, bool]:
    """Also whether the other root directory may help. `after`: what came of it without that."""
    try:
        with contextlib.ExitStack() as stack:
            try:
                raw = gather(place, options, stack, elsewhere=after is not None)
            except NotBegun:
                return without_start(place, options), False
            except FailRun as error:
                assert after is not None  # noqa: S101 else nothing is made
                problem = f"nor can it be made in the second root directory: {error}"
                return replace(after, problems=(*after.problems, problem)), False
            recovery = _Recovery(place, options, raw)
            result = recovery.result()
            is_alone = len(raw.places) == 1 and place.other is not None and not raw.lacks
            return result, is_alone and recovery.failure not in {"", *OF_THE_RUN}
    except InUse:
        return RunResult(place.path, State.IN_USE, reason="a living writer holds it"), False
    except CannotLock as error:
        text = f"the file system knows no locks ({error}), so that a writer may hold it: --force"
    except Unusable as error:
        text = f"its journal cannot be used: {error}"
    except OSError as error:
        text = f"{error.filename or 'a file'}: {error.strerror or error}"
    return RunResult(place.path, State.FAILED, reason=text), False


class _Recovery:
    """With the lock of the run held."""

    def __init__(self, place: RunPlace, options: Options, raw: Raw) -> None:
        self._place = place
        self._options = options
        self._lacks = raw.lacks
        self._material = material = raw.material
        self._plan = material.plan
        self._halves = [
            Half(where, material, origin) for where, origin in zip(raw.places, raw.origins, strict=True)
        ]
        self._work = self._halves[-1]
        """Where new files are made: the first directory is the one that has failed."""
        self.failure = ""
        """Why what was made could not be written; `errors.StorageError.reason`."""
        self._problems: list[str] = []
        self._n_gone = 0
        found = [standing(half.directory, self._plan) for half in self._halves]
        self._manifest = next((each for each in found if each is not Standing.NOTHING), Standing.NOTHING)
        self._headers = [(half, header) for half in self._halves for header in half.headers.values()]
        self._published = [stored for _, stored in sorted(material.closings.items()) if self._stands(stored)]

    def result(self) -> RunResult:
        """What becomes of the run."""
        decided = self._decide()
        result = replace(decided, raw_material=tuple(self._raw_material()))
        settled = result.state in {State.RECOVERED, State.RECOVERED_BEFORE, State.FINISHED, State.EMPTY}
        if self._options.remove and settled and result.is_good and not self._options.dry_run:
            return self._removed(result)
        return result

    def _removed(self, result: RunResult) -> RunResult:
        """The first half first: the other one tells that the run is recovered until nothing else is left."""
        for half in self._halves:
            half.remove(tuple(half.raw_material()))
            left = next(half.raw_material(), "")
            if left:
                problems = (*result.problems, f"{left} cannot be removed")
                return replace(result, raw_material=tuple(self._raw_material()), problems=problems)
        return replace(result, removed=True, raw_material=())

    def _decide(self) -> RunResult:
        done = self._material.recovered
        if done is not None:
            return self._recovered_before(int(done.get("n_lost", 0)), str(done.get("without", "")))
        if any(half.name_in_use() for half in self._halves):
            return self._told(State.IN_USE, reason="a living writer writes files of the same names")
        if self._material.has_ended:
            return self._told(State.FINISHED)
        if self._lacks and not self._options.half:
            text = f"{self._lacks} is not at hand: give both root directories (--second-root), or --half"
            return self._told(State.FAILED, reason=text)
        return self._recover()

    def _recover(self) -> RunResult:
        files = list(self._unpublished())
        if not files and self._is_whole():
            reason = self._bring_manifest() if self._published else ""
            state = State.FINISHED if self._published else State.EMPTY
            return self._told(State.FAILED if reason else state, n_lost=self._n_gone, reason=reason)
        conflict = self._conflict()
        if conflict:
            text = f"{conflict} stands there and is not of this run; move it, or the raw material, elsewhere"
            return self._told(State.FAILED, reason=text)
        directories = [half.place for half in self._halves]
        rebuild = Rebuild(self._material, directories, self._published, files, self._untold())
        if self._options.dry_run:
            order = rebuild.look()
            return self._counted(State.RECOVERABLE, rebuild, n_images=order.n_images, missing=order.missing)
        return self._write(rebuild)

    def _recovered_before(self, n_lost: int, without: str) -> RunResult:
        was_at_hand, self._lacks = not self._lacks, without
        if without and was_at_hand:
            self._problems.append(
                "what was recovered is only one half: to have both, move the files that were made of it and "
                "its .recovered away, and repeat"
            )
        return self._told(State.RECOVERED_BEFORE, n_lost=n_lost)

    def _bring_manifest(self) -> str:
        """All else stands: see that the manifest does, if it was wanted; why that is impossible."""
        plan, content = self._plan, self._material.manifest
        if not plan.manifest or self._manifest is not Standing.NOTHING:
            return ""
        if content is None:
            self._problems.append(f"{plan.manifest_name} was wanted, and the crash came before it")
            return ""
        reason = ""
        for half in self._halves if not self._options.dry_run else ():
            try:
                write_noted(half.place, plan, self._material.settings, content)
            except FailRun as error:
                reason = reason or str(error)
            else:
                return ""
        return reason

    def _write(self, rebuild: Rebuild) -> RunResult:
        plan, work = self._plan, self._work
        self._discard(self._material.temporary_names)
        try:
            with Notes(work.directory, work.notes_name, sync=plan.sync) as notes:
                notes.cut(work.notes_bytes)
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
                    self._note_recovered(notes, report.outcome, rebuild.found.n_bad)
        except FailRun as error:
            self.failure = error.reason
            return self._counted(State.FAILED, rebuild, reason=str(error))
        self.failure = report.failure
        state = State.FAILED if report.outcome is Outcome.FAILED else State.RECOVERED
        names = (*report.files, *filter(None, [report.manifest]))
        return self._counted(
            state,
            rebuild,
            reason=report.reasons[0] if state is State.FAILED else "",
            n_images=report.n_images,
            missing=report.missing,
            files=tuple(name if name.startswith("/") else name.rpartition("/")[2] for name in names),
        )

    def _note_recovered(self, notes: Notes, outcome: Outcome, n_lost: int) -> None:
        """Also in the first directory, if it takes it: it may be the only one that is looked at."""
        told = {"outcome": outcome.value, "n_lost": n_lost, "without": self._lacks}
        notes.recovered(told)
        for half in self._halves[:-1]:
            with (
                contextlib.suppress(StorageError),
                Notes(half.directory, half.notes_name, sync=self._plan.sync) as others,
            ):
                others.cut(half.notes_bytes)
                others.recovered(told)

    def _counted(self, state: State, rebuild: Rebuild, **told: object) -> RunResult:
        found = rebuild.found
        problems = (*self._all_problems(), *shown(found.bad, found.n_bad))
        return self._told(
            state, n_recovered=found.n_images, n_lost=found.n_bad + self._n_gone, problems=problems, **told
        )

    def _told(self, state: State, **told: object) -> RunResult:
        plan = self._plan
        values: dict[str, object] = {
            "file_prefix": plan.prefix,
            "n_published": self._n_published(),
            "problems": self._all_problems(),
            "went_on_in": "" if self._material.is_followed else self._material.went_on_in,
            "lacks": self._lacks,
            "files": tuple(self._name_of(stored) for stored in self._published),
        }
        return RunResult(self._place.path, state, **{**values, **told})  # type: ignore[arg-type]

    def _n_published(self) -> int:
        """An image may stand in a part and in the file that went on with it."""
        images: dict[int, set[int]] = {}
        for facts in (stored.facts for stored in self._published):
            rows = (row for first, last in facts.rows for row in range(first, last + 1))
            images.setdefault(facts.file_index, set()).update(rows)
        return sum(map(len, images.values()))

    def _all_problems(self) -> tuple[str, ...]:
        where = "" if self._material.is_followed else self._material.went_on_in
        elsewhere = [f"the run went on in {where}: what is there is not in the master"] if where else []
        if self._lacks and self._options.half:
            elsewhere.append(f"{self._lacks}: none of it is in the master")
        of_halves = (problem for half in self._halves for problem in half.problems)
        return (*elsewhere, *self._material.problems, *of_halves, *self._problems)

    def _stands(self, stored: StoredFile) -> bool:
        """Whether a data file that was about to get its final name has got it."""
        facts, half = stored.facts, self._half_of(stored)
        size_bytes = half.size(self._final_name(stored))
        if size_bytes is None or size_bytes < 0:
            return False
        if size_bytes == facts.size_bytes:
            return True
        waits = any(
            header.file_index == facts.file_index and half.size(header.temporary_name) is not None
            for header in half.headers.values()
        )
        # Somebody may have changed it since, e.g. an attribute; but with `overwrite` it may be an older one.
        return not waits and not self._plan.overwrite

    def _half_of(self, stored: StoredFile) -> Half:
        return self._halves[-1] if stored.in_second else self._halves[0]

    def _final_name(self, stored: StoredFile) -> str:
        index = stored.facts.file_index
        return part_name(self._plan, index) if stored.is_part else self._plan.data_file_name(index)

    def _name_of(self, stored: StoredFile) -> str:
        name = self._final_name(stored)
        return f"{self._halves[-1].place.absolute}{name}" if stored.in_second else name

    def _unpublished(self) -> Iterator[Unpublished]:
        """In the order of the files; of one that went on with another, the first one comes first."""
        standing = {stored.facts.file_index: stored for stored in self._published if not stored.is_part}
        seen: set[tuple[int, int]] = set()
        by_file = [
            (header.file_index, at, name, header)
            for at, half in enumerate(self._halves)
            for name, header in half.headers.items()
        ]
        for index, at, name, header in sorted(by_file, key=lambda found: found[:3]):
            half = self._halves[at]
            if index in standing:
                self._judge_other(half, name, header, standing[index])
                continue
            if (index, at) in seen and not self._are_together:
                self._problems.append(f"{name}: the data file that it tells of stands there already")
                continue
            images = self._images_of(half, name, header)
            if images is not None:
                seen.add((index, at))
                yield Unpublished(half.directory, name, images)

    @property
    def _are_together(self) -> bool:
        """Whether somebody has brought both halves into one directory."""
        return len({half.directory for half in self._halves}) < len(self._halves)

    def _images_of(self, half: Half, name: str, header: FileHeader) -> FileImages | None:
        """None if there is none that can be taken."""
        is_certain = self._material.boot_id == boot_id()
        try:
            images = FileImages(self._material, header, is_certain=is_certain)
            n_images = images.count(half.directory, name)
        except (Unusable, OSError) as error:
            self._problems.append(f"{name}: {error}")
            return None
        if n_images == 0:
            return None
        if half.size(header.temporary_name) is not None:
            return images
        if not self._is_part_now(half, header.file_index):
            self._n_gone += n_images
            self._problems.append(f"{header.temporary_name} is gone: {n_images} images are lost")
        return None

    def _is_part_now(self, half: Half, file_index: int) -> bool:
        parts = (stored for stored in self._published if stored.is_part)
        return any(s.facts.file_index == file_index and self._half_of(s) is half for s in parts)

    def _judge_other(self, half: Half, name: str, header: FileHeader, stored: StoredFile) -> None:
        """A file that did not get its final name, while another one has it."""
        if half.size(header.temporary_name) is None:
            return
        if half is not self._half_of(stored):
            if stored.in_second:  # what was left in the first directory, this one holds
                return
            images = self._images_of(half, name, header)
            self._n_gone += 0 if images is None else images.count(half.directory, name)
        self._problems.append(f"{name}: the data file that it tells of stands there already")

    def _untold(self) -> list[int]:
        """Data files of the run's names that the journal does not tell of: left as they are."""
        told = {stored.facts.file_index for stored in self._published}
        told |= {header.file_index for _, header in self._headers}
        found = []
        for name in (name for half in self._halves for name in half.place.names):
            index = data_file_index(self._plan, name)
            if index is not None and index not in told:
                found.append(index)
                self._problems.append(f"{name} stands there, what it holds is not known: counted as missing")
        return found

    def _is_whole(self) -> bool:
        """Whether neither master nor manifest is lacking, as far as one can be made."""
        if not self._published:
            return True
        mains = {stored.facts.file_index for stored in self._published if not stored.is_part}
        if self._plan.format in NEED_ONE_FILE and any(
            stored.facts.file_index not in mains for stored in self._published
        ):
            return False
        if self._plan.is_integrated:
            return True
        if self._plan.write_master:
            return self._master_stands()
        lacks_manifest = self._plan.manifest and self._manifest is Standing.NOTHING
        return not lacks_manifest or self._material.manifest is not None

    def _master_stands(self) -> bool:
        expected = self._material.master_bytes
        sizes = [half.size(self._plan.master_name) for half in self._halves]
        return expected is not None and expected in sizes

    def _conflict(self) -> str:
        """A file in the way of those that would be written; empty if there is none."""
        if self._options.overwrite and self._plan.overwrite:
            return ""
        standing = {stored.facts.file_index for stored in self._published if not stored.is_part}
        wanted = [
            self._plan.data_file_name(header.file_index)
            for _, header in self._headers
            if header.file_index not in standing
        ]
        if self._plan.write_master and not self._plan.is_integrated:
            wanted.append(self._plan.master_name)
        if self._plan.manifest and self._manifest is Standing.FOREIGN:
            wanted.append(self._plan.manifest_name)
        return next((n for n in wanted for half in self._halves if half.size(n) is not None), "")

    def _raw_material(self) -> Iterator[str]:
        """Names in the directory of the result's journal; absolute ones in the other."""
        for half in self._halves:
            is_other = half.place.descriptor != self._place.descriptor
            yield from (f"{half.place.absolute if is_other else ''}{name}" for name in half.raw_material())

    def _discard(self, names: set[str]) -> None:
        for half in self._halves:
            half.discard(names)
