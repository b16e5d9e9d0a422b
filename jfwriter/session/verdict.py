"""The verdict on a run that ends: how many images it has, which are missing, and whether it is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from jfwriter.session.bounds import image_id_limit
from jfwriter.session.ledger import Ids, Ledger
from jfwriter.session.orders import DropReason, FinishRun, Outcome, Range
from jfwriter.session.plan import RunPlan
from jfwriter.session.share import Share, judged_images, share_of
from jfwriter.settings import Settings
from jfwriter.wire.messages import EndMessage

_SHOWN_RANGES = 10
_REJECTIONS = (
    DropReason.WRONG_SHAPE,
    DropReason.WRONG_DTYPE,
    DropReason.WRONG_CHANNEL,
    DropReason.BAD_PAYLOAD,
    DropReason.WRITE_FAILED,
)
_NOT_ACCEPTED = (*_REJECTIONS, DropReason.DUPLICATE, DropReason.TOO_FAR, DropReason.RUN_FAILED)
"""Images of the run that came without being accepted; what is missing because of that is said elsewhere."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Why the run ends. `outcome` None: its end message came, and what it says is judged."""

    outcome: Outcome | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted. Ranges [r, 2]: `gaps` inside the run, `tail` planned images behind its end."""

    n_images: int
    n_accepted: int
    gaps: Ids
    tail: Ids
    share: Share

    @property
    def n_gaps(self) -> int:
        return _n_in(self.gaps)

    @property
    def n_tail(self) -> int:
        return _n_in(self.tail)


def finish(
    plan: RunPlan,
    ledger: Ledger,
    dropped: Mapping[str, int],
    settings: Settings,
    *,
    end: EndMessage | None,
    closing: Closing,
    n_calibrations_dropped: int = 0,
) -> FinishRun:
    """Judge the run. Outcome COMPLETE only if its end came and nothing that is known of speaks against it."""
    claimed, lie = _claimed_images(plan, ledger, settings, end)
    count = _count(plan, ledger, settings, max(claimed, ledger.n_seen))
    doubts = _doubts(plan, count, dropped, end, lie)
    if n_calibrations_dropped:
        doubts.append(f"{n_calibrations_dropped} calibration {_noun(n_calibrations_dropped)} rejected")
    notes = _notes(plan, count, dropped, end)
    if closing.outcome is not None:
        outcome = closing.outcome
        doubts = [closing.reason, *doubts]
    elif end is not None and end.cancelled:
        outcome = Outcome.CANCELLED
        doubts = ["the sender says that the run was cancelled", *doubts]
    else:
        outcome = Outcome.INCOMPLETE if doubts else Outcome.COMPLETE
    return FinishRun(
        n_images=count.n_images,
        missing=ranges(count.gaps),
        end=end,
        outcome=outcome,
        reasons=tuple(reason for reason in (*doubts, *notes) if reason),
        dropped=dict(dropped),
        n_never_came=count.n_tail,
        n_calibrations_dropped=n_calibrations_dropped,
        marks=ledger.marks,
        gaps_are_wanted=_gaps_are_wanted(plan, count, end),
    )


def missing_text(missing: Sequence[Range]) -> str:
    """The reason that names missing images: the first ranges of `missing`, and how many images there are."""
    n_images = sum(last - first + 1 for first, last in missing)
    return f"{_images(n_images)} missing: {_shown(missing)}"


def ranges(found: Ids) -> tuple[Range, ...]:
    """Ranges [r, 2] as plain tuples."""
    return tuple(zip(found[:, 0].tolist(), found[:, 1].tolist(), strict=True))


def _claimed_images(
    plan: RunPlan, ledger: Ledger, settings: Settings, end: EndMessage | None
) -> tuple[int, str | None]:
    """(images of the run as the end message says, what is wrong with that)."""
    if end is None or end.max_image_number is None:
        return 0, None
    limit = image_id_limit(plan, ledger.n_seen, settings.limits)
    if 0 <= end.max_image_number <= limit:
        return end.max_image_number, None
    return 0, (
        f"max_image_number {end.max_image_number} of the end message is beyond the {limit} images "
        "that this run may have; it is ignored"
    )


def _count(plan: RunPlan, ledger: Ledger, settings: Settings, n_images: int) -> _Count:
    planned = n_images if rejects_on_purpose(plan) else max(n_images, plan.n_images_planned or 0)
    share = share_of(plan, settings.files.n_writers, ledger, planned)
    judged = None if share.is_whole_run else partial(judged_images, plan, share, ledger)
    return _Count(
        n_images=n_images,
        n_accepted=ledger.n_accepted,
        gaps=ledger.missing(0, n_images, judged),
        tail=ledger.missing(n_images, planned, judged),
        share=share,
    )


def rejects_on_purpose(plan: RunPlan) -> bool:
    """Whether the sender keeps only a share of its images: then `number_of_images` is no promise."""
    factor = plan.start.data_reduction_factor_serialmx
    return factor is not None and factor < 1


def _doubts(
    plan: RunPlan, count: _Count, dropped: Mapping[str, int], end: EndMessage | None, lie: str | None
) -> list[str]:
    """Each reason that keeps the run from being complete."""
    found = [] if end is not None else ["no end message"]
    if count.n_gaps and not _gaps_are_wanted(plan, count, end):
        found.append(missing_text(ranges(count.gaps)))
    if count.n_tail:
        found.append(
            f"the run ends after {_images(count.n_images)} of {plan.n_images_planned}: "
            f"{_images(count.n_tail)} never came"
        )
    if _looks_shared_out(count):
        found.append("every second image is missing: are two receivers connected to one PUSH socket?")
    if not count.share.is_whole_run and not count.share.is_known:
        found.append(
            "no image came of some data files, and whether other writers have them is not known: "
            "set files.n_writers to the number of writers"
        )
    if dropped.get(DropReason.TOO_FAR):
        found.append(f"{_images(dropped[DropReason.TOO_FAR])} far beyond the plan refused")
    if lie:
        found.append(lie)
    elif end is not None:
        found += _length_doubts(plan, count, dropped, end)
    return found


def _length_doubts(plan: RunPlan, count: _Count, dropped: Mapping[str, int], end: EndMessage) -> list[str]:
    """What speaks against the end of the run being its end, where no gap says it already."""
    n_sent = end.images_sent_to_write if plan.only_writer else None
    n_came = count.n_accepted + sum(dropped.get(reason, 0) for reason in _NOT_ACCEPTED)
    if n_sent is not None and n_sent > n_came and not count.n_gaps and not count.n_tail:
        return [f"the sender sent {_images(n_sent)}, {n_came} came"]
    if plan.n_images_planned is not None and not rejects_on_purpose(plan):
        return []
    if n_sent is None and end.max_image_number is None:
        return ["the sender never said how many images there are: the last ones may be missing"]
    return []


def _notes(plan: RunPlan, count: _Count, dropped: Mapping[str, int], end: EndMessage | None) -> list[str]:
    """What a person should know although it makes no run incomplete by itself."""
    notes = [
        f"{_images(dropped[reason])} rejected ({reason})" for reason in _REJECTIONS if dropped.get(reason)
    ]
    planned = plan.n_images_planned
    if planned is not None and count.n_images > planned:
        notes.append(f"the run has {_images(count.n_images)}, {planned} were planned")
    if count.n_gaps and _gaps_are_wanted(plan, count, end):
        notes.append(f"the sender left out {_images(count.n_gaps)} on purpose (data reduction)")
    if end is not None and end.images_sent_to_write is not None and (count.n_gaps or count.n_tail):
        notes.append(f"the sender says that it sent {_images(end.images_sent_to_write)}")
    if not count.share.is_whole_run and count.share.is_known:
        notes.append("the data files of other writers were not judged")
    return notes


def _gaps_are_wanted(plan: RunPlan, count: _Count, end: EndMessage | None) -> bool:
    """Whether the gaps are images that the sender rejected: it sent exactly as many as were accepted."""
    return (
        end is not None
        and plan.only_writer
        and rejects_on_purpose(plan)
        and end.images_sent_to_write == count.n_accepted
    )


def _looks_shared_out(count: _Count) -> bool:
    n_judged = count.n_gaps + count.n_accepted
    return n_judged >= 8 and 0.4 < count.n_gaps / n_judged < 0.6 and count.gaps.shape[0] > 0.5 * count.n_gaps


def _n_in(found: Ids) -> int:
    return int(np.sum(found[:, 1] - found[:, 0] + 1))


def _images(n_images: int) -> str:
    return f"{n_images} {_noun(n_images)}"


def _noun(n_images: int) -> str:
    return "image" if n_images == 1 else "images"


def _shown(found: Sequence[Range]) -> str:
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in found[:_SHOWN_RANGES]]
    n_more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {n_more} more ranges" if n_more > 0 else "")
