"""Do master, manifest and files say the same of which images there are?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader.contents import DETECTOR_SPECIFIC, MAX_IMAGES
from jfwriter.reader.fields import Vector, integer_of, numbers_of, text_of
from jfwriter.reader.summary import ranges
from jfwriter.session.image_status import IN_A_FILE, ImageStatus
from jfwriter.validation.data_file import FileFacts
from jfwriter.validation.findings import Check, Report

MAX_MANIFEST_BYTES = 64 << 20
_SHOWN = 5

Mask = npt.NDArray[np.bool_]


def check_accounts(
    file: h5py.File, name: str, n_images: int, facts: Sequence[FileFacts], report: Report
) -> None:
    """Compare what the master lists with the rows of the files in `facts`."""
    if n_images > MAX_IMAGES:
        report.note(Check.STATUS, name, f"{n_images} images are too many to be compared one by one")
        return
    known, written = _in_files(n_images, facts)
    status = _status(file, name, n_images, report)
    missing = _missing(file, name, n_images, report)
    report.outcome = text_of(file, f"{DETECTOR_SPECIFIC}/outcome")
    own = np.ones(n_images, np.bool_)
    if status is not None:
        own = status != ImageStatus.OTHER_WRITER
        in_a_file = np.isin(status, [int(s) for s in IN_A_FILE])
        text = "image_status says that they are in a file, and they are not"
        _differ(known & in_a_file & ~written, text, name, report)
        text = "image_status says that they are in no file, and they are in one"
        _differ(known & own & ~in_a_file & written, text, name, report)
        if missing is not None:
            text = "missing_images and image_status do not say the same of them"
            _differ(own & (missing == in_a_file), text, name, report)
    if missing is not None:
        judged = own if status is not None else _judged(file, n_images, facts)
        _differ(known & missing & written, "missing_images lists them, and they are there", name, report)
        text = "they are not there, and missing_images does not list them"
        _differ(known & judged & ~missing & ~written, text, name, report)
    _counts(file, name, int(written.sum()), all_known=bool(known.all()), report=report)
    _verdict(name, missing, status, report)


def images_in_files(file: h5py.File, n_images: int | None) -> Mask | None:
    """Images that the master takes to be in a file, of this writer or another; None if it does not say."""
    if n_images is None or not 0 <= n_images <= MAX_IMAGES:
        return None
    status = numbers_of(file, f"{DETECTOR_SPECIFIC}/image_status")
    if status is not None and status.shape == (n_images,):
        there: Mask = np.isin(status, [int(s) for s in (*IN_A_FILE, ImageStatus.OTHER_WRITER)])
        return there
    missing = _missing(file, "", n_images, Report(""))
    return None if missing is None else ~missing


def _in_files(n_images: int, facts: Sequence[FileFacts]) -> tuple[Mask, Mask]:
    """(images of which a file tells, images that are in one). [n_images]"""
    known, written = np.zeros(n_images, np.bool_), np.zeros(n_images, np.bool_)
    for file in facts:
        if file.written is None:
            continue
        part = slice(file.first_image, file.first_image + file.n_rows)
        n_rows = known[part].size
        known[part] = True
        written[part] |= file.written[:n_rows]
    return known, written


def _status(file: h5py.File, name: str, n_images: int, report: Report) -> Vector | None:
    path = f"{DETECTOR_SPECIFIC}/image_status"
    values = numbers_of(file, path)
    if values is None:
        if n_images:
            report.note(Check.STATUS, name, "no image_status: other writers do not store it")
        return None
    if values.shape != (n_images,):
        return None  # said with the other arrays
    unknown = np.flatnonzero(values > max(ImageStatus))
    if unknown.size:
        text = f"image_status holds {values[unknown[0]]}, which has no meaning"
        report.problem(Check.STATUS, name, text, int(unknown[0]))
    return values


def _missing(file: h5py.File, name: str, n_images: int, report: Report) -> Mask | None:
    """Which images the master lists as missing; None if it cannot say so."""
    mask = np.zeros(n_images, np.bool_)
    path = f"{DETECTOR_SPECIFIC}/missing_images"
    if path not in file:
        return mask if integer_of(file, f"{DETECTOR_SPECIFIC}/nimages") is not None else None
    listed = numbers_of(file, path)
    if listed is None or listed.ndim != 1 or listed.dtype.kind not in "iu":
        report.problem(Check.STATUS, name, "missing_images cannot be read as a list of image numbers")
        return None
    good = (listed >= 0) & (listed < n_images)
    if not good.all():
        text = f"missing_images lists {int(listed[~good][0])}; the run has {n_images} images"
        report.problem(Check.STATUS, name, text)
    mask[listed[good].astype(np.int64)] = True
    return mask


def _judged(file: h5py.File, n_images: int, facts: Sequence[FileFacts]) -> Mask:
    """Of several writers without image_status: images in the data files that `missing_images` is about."""
    judged = np.ones(n_images, np.bool_)
    numbers = numbers_of(file, f"{DETECTOR_SPECIFIC}/files_judged")
    if numbers is None or not facts:
        return judged
    judged[:] = False
    for position in numbers.astype(np.int64).tolist():
        if 0 < position <= len(facts):
            judged[facts[position - 1].first_image :][: facts[position - 1].n_rows] = True
    return judged


def _counts(file: h5py.File, name: str, n_written: int, *, all_known: bool, report: Report) -> None:
    said = integer_of(file, f"{DETECTOR_SPECIFIC}/nimages_written")
    if said is not None and all_known and said != n_written:
        report.problem(Check.STATUS, name, f"nimages_written is {said}; the files hold {n_written} images")


def _verdict(name: str, missing: Mask | None, status: Vector | None, report: Report) -> None:
    """Missing images are no fault of the files if the master says so, but such a run is not complete."""
    if report.outcome is not None and report.outcome != "complete":
        report.note(Check.STATUS, name, f"the writer called the run {report.outcome}")
    if missing is None or not missing.any():
        return
    report.note(Check.STATUS, name, f"{shown_images(missing)} missing, as the master says")
    wanted = status is not None and bool((status[missing] == ImageStatus.REJECTED_BY_SENDER).all())
    if report.outcome == "complete" and not wanted:
        report.problem(Check.STATUS, name, "the run is called complete, and images of it are missing")


def _differ(wrong: Mask, text: str, name: str, report: Report) -> None:
    if wrong.any():
        report.problem(Check.STATUS, name, f"{shown_images(wrong)}: {text}", int(np.flatnonzero(wrong)[0]))


def shown_images(images: Mask) -> str:
    """How many images, and which: the first ranges."""
    found = ranges(np.flatnonzero(images))
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more ranges" if len(found) > _SHOWN else ""
    n_images = int(images.sum())
    return f"{n_images} {'image' if n_images == 1 else 'images'} ({shown}{more})"


def check_manifest(path: Path, master: h5py.File | None, n_images: int | None, report: Report) -> None:
    """`<prefix>_manifest.json` (`docs/reference/manifest.md`) against the files that are there."""
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            report.problem(Check.MANIFEST, path.name, f"larger than {MAX_MANIFEST_BYTES} bytes: not read")
            return
        manifest = json.loads(path.read_bytes())
        files = [(str(file["name"]), int(file["size_bytes"])) for file in manifest["files"]]
        outcome, length = str(manifest["outcome"]), int(manifest["n_images"])
        by_status = {str(word): int(n) for word, n in manifest["images_by_status"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        report.problem(Check.MANIFEST, path.name, f"is no manifest: {type(error).__name__}: {error}"[:200])
        return
    for name, size_bytes in files:
        if name != Path(name).name:
            report.problem(Check.MANIFEST, path.name, f"names {name[:80]!r}, which is no plain file name")
            continue
        _listed_file(path, name, size_bytes, report)
    if n_images is not None and length != n_images:
        text = f"says that the run has {length} images; the master says {n_images}"
        report.problem(Check.MANIFEST, path.name, text)
    said = None if master is None else text_of(master, f"{DETECTOR_SPECIFIC}/outcome")
    if master is not None and outcome == said:
        _compare_statuses(path.name, master, by_status, report)
    if said is not None and outcome != said:
        # The manifest is written last: what went wrong after the master was closed stands only there.
        text = f"calls the run {outcome}; the master was written when it was still {said}"
        if outcome == "complete":
            report.problem(Check.MANIFEST, path.name, text)
        else:
            report.note(Check.MANIFEST, path.name, text)


def _compare_statuses(name: str, master: h5py.File, by_status: dict[str, int], report: Report) -> None:
    status = numbers_of(master, f"{DETECTOR_SPECIFIC}/image_status")
    if status is None or status.dtype != np.uint8:
        return
    counts = np.bincount(status.ravel(), minlength=256)
    found = {known.word: int(counts[known]) for known in ImageStatus if counts[known]}
    if found != by_status:
        text = f"counts {shown_counts(by_status)}; image_status of the master has {shown_counts(found)}"
        report.problem(Check.MANIFEST, name, text)


def shown_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {word}" for word, n in sorted(counts.items())[:20]) or "no images"


def _listed_file(path: Path, name: str, size_bytes: int, report: Report) -> None:
    try:
        found = (path.parent / name).stat().st_size
    except OSError as error:
        report.problem(Check.MANIFEST, path.name, f"{name} is not there: {error.strerror}")
        return
    if found != size_bytes:
        text = f"{name} has {found} bytes; {size_bytes} when the run was finished"
        report.problem(Check.MANIFEST, path.name, text)
