"""Status of each image from bits, ranges and marks, against a loop over the images."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.hdf5 import image_statuses
from jfwriter.hdf5.image_statuses import ImageStatuses, n_in_files
from jfwriter.nexus.image_status import image_status
from jfwriter.session.image_status import NUMBER_OF, ImageStatus
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import FinishRun, Outcome

N = 40
SETS = st.sets(st.integers(0, N - 1))


def ranges(ids: set[int]) -> tuple[tuple[int, int], ...]:
    """Each number for itself: also a valid list of ranges."""
    return tuple((i, i) for i in sorted(ids))


@given(
    written=SETS, missing=SETS, gone=SETS, duplicates=SETS, late=SETS,
    only_writer=st.booleans(), wanted=st.booleans(), block=st.sampled_from([8, 16, 1 << 20]),
)  # fmt: skip
def test_each_image_has_the_status_that_its_story_says(  # noqa: PLR0917 the stories
    written: set[int], missing: set[int], gone: set[int], duplicates: set[int], late: set[int],
    only_writer: bool, wanted: bool, block: int,
) -> None:  # fmt: skip
    order = FinishRun(N, ranges(missing), None, Outcome.COMPLETE, gaps_are_wanted=wanted)
    order.marks.set(duplicates, ImageStatus.DUPLICATE)
    order.marks.set(late - written, ImageStatus.LATE)
    bits = Bits()
    for i in written:
        bits.add(i)
    statuses = ImageStatuses(N, bits, order, ranges(gone & missing), only_writer=only_writer)

    def story(i: int) -> ImageStatus:
        if i in written and i not in missing:
            return ImageStatus.DUPLICATE if i in duplicates else ImageStatus.WRITTEN
        if i in written and i in gone:
            return ImageStatus.FILE_GONE
        if order.marks[i] not in {0, ImageStatus.DUPLICATE}:
            return ImageStatus(order.marks[i])
        if i in missing:
            return ImageStatus.REJECTED_BY_SENDER if wanted else ImageStatus.NEVER_CAME
        return ImageStatus.NEVER_CAME if only_writer else ImageStatus.OTHER_WRITER

    expected = [story(i) for i in range(N)]
    found = np.concatenate([statuses.block(a, min(a + block, N)) for a in range(0, N, block)])
    assert [ImageStatus(number) for number in found.tolist()] == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_statuses, "_BLOCK", block)
        counts = statuses.counts()
        unexplained = {i for first, last in statuses.unexplained() for i in range(first, last + 1)}
    assert counts == {word: n for word in NUMBER_OF if (n := sum(s.word == word for s in expected))}
    assert n_in_files(counts) == len(written - missing)
    assert unexplained == (set(range(N)) - written - missing if only_writer else set())


def test_a_million_images_take_kilobytes_in_the_file(tmp_path: Path) -> None:
    n_images = 1_000_000
    with h5py.File(tmp_path / "a.h5", "w", libver=("earliest", "v108")) as file:
        detector = file.create_group("detector")
        image_status(detector, n_images, lambda a, b: np.ones(b - a, np.uint8), NUMBER_OF)
        dataset = detector["detectorSpecific/image_status"]
        assert dataset.shape == (n_images,)
        assert dataset.attrs["flag_meanings"].decode().split() == list(NUMBER_OF)
        assert dataset.attrs["flag_values"].tolist() == list(NUMBER_OF.values())
        assert (dataset[()] == ImageStatus.WRITTEN).all()
    assert (tmp_path / "a.h5").stat().st_size < 50_000
