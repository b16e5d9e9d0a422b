"""Azimuthal profiles: flat in the message, [n, n_phi, n_q] in the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from jfwriter.plugins.azint import BINS, AzintPlugin
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_image import PlainImage
from tests.support.messages import image
from tests.support.plain_images import LIMITS, counts, learned, plain_message, singles, view
from tests.unit.plugins.conftest import OneFile

MakePlan = Callable[..., RunPlan]

SIX_BINS = {
    "az_int_bin_number": 6,
    "az_int_q_bin_count": 3,
    "az_int_phi_bin_count": 2,
    "az_int_bin_to_q": np.arange(6.0),
    "az_int_bin_to_phi": np.arange(6.0) * 60,
}


def test_profiles_and_bins(one_file: OneFile, plan: MakePlan) -> None:
    profile = np.arange(6.0)
    message = image(0, az_int_profile=profile, az_int_profile_std=profile / 2,
                    az_int_profile_count=np.arange(6, dtype="u8"))  # fmt: skip
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {1: message}, 3)["/entry/azint"]
    assert azint["image"].shape == (3, 2, 3)
    assert azint["image"].chunks == (3, 2, 3)
    np.testing.assert_array_equal(azint["image"][1], profile.reshape(2, 3))
    np.testing.assert_array_equal(azint["image_std"][1], profile.reshape(2, 3) / 2)
    np.testing.assert_array_equal(azint["image_count"][1], profile.reshape(2, 3))
    assert np.isnan(azint["image"][()][[0, 2]]).all()
    assert not azint["image_count"][()][[0, 2]].any()
    assert azint["image_count"].dtype == np.dtype("u4")
    np.testing.assert_array_equal(azint["bin_to_q"][()], profile.reshape(2, 3))
    assert azint["bin_to_q"].attrs["units"] == b"Angstrom^-1"
    assert azint["bin_to_phi"].attrs["units"] == b"deg"
    assert azint.attrs["NX_class"] == b"NXcollection"


@pytest.mark.parametrize(("n_bins", "chunk_rows"), [(200, 20), (1000, 4), (4096, 1), (20_000, 1)])
def test_chunks_hold_as_many_profiles_as_fit_in_16_kib(
    one_file: OneFile, plan: MakePlan, n_bins: int, chunk_rows: int
) -> None:
    profile = np.arange(n_bins, dtype="f4")
    plugin = AzintPlugin(plan(az_int_bin_number=n_bins))
    azint = one_file.write(plugin, {2: image(2, az_int_profile=profile)}, 50)["/entry/azint"]
    assert azint["image"].chunks == (chunk_rows, 1, n_bins)
    np.testing.assert_array_equal(azint["image"][2, 0], profile)


def test_a_profile_of_another_length_is_left_out_alone(one_file: OneFile, plan: MakePlan) -> None:
    message = image(0, az_int_profile=np.arange(7.0), az_int_profile_std=np.arange(6.0))
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {0: message}, 1)["/entry/azint"]
    assert np.isnan(azint["image"][()]).all()
    np.testing.assert_array_equal(azint["image_std"][0].ravel(), np.arange(6))
    assert one_file.problems == {"/entry/azint/image": 1}


def test_values_beyond_the_type_become_sentinels(one_file: OneFile, plan: MakePlan) -> None:
    message = image(
        0,
        az_int_profile=np.array([1, 1e300, np.nan, -1e300, 5, 6.0]),
        az_int_profile_count=np.array([1, 2**40, 3, 4, 5, 2**64 - 1], "u8"),
    )
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {0: message}, 1)["/entry/azint"]
    expected = np.array([1, np.nan, np.nan, np.nan, 5, 6], "f4")
    np.testing.assert_array_equal(azint["image"][0].ravel(), expected)
    assert azint["image_count"][0].ravel().tolist() == [1, 0, 3, 4, 5, 0]
    assert one_file.problems == {"/entry/azint/image": 2, "/entry/azint/image_count": 2}


def test_infinite_single_precision_becomes_a_sentinel(one_file: OneFile, plan: MakePlan) -> None:
    sent = np.array([1, np.inf, np.nan, -np.inf, 5, 6], "f4")
    message = image(0, az_int_profile=sent, az_int_profile_std=np.arange(6, dtype="f4"))
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {0: message}, 1)["/entry/azint"]
    expected = np.array([1, np.nan, np.nan, np.nan, 5, 6], "f4")
    np.testing.assert_array_equal(azint["image"][0].ravel(), expected)
    np.testing.assert_array_equal(azint["image_std"][0].ravel(), np.arange(6))
    assert one_file.problems == {"/entry/azint/image": 2}
    assert np.isinf(sent).sum() == 2, "what was sent belongs to the message"


def test_bins_are_promised_without_images(one_file: OneFile, plan: MakePlan) -> None:
    plugin = AzintPlugin(plan(**SIX_BINS))
    one_file.write(plugin, {}, 2)
    assert one_file.paths() == {
        "/entry/azint/image",
        "/entry/azint/bin_to_q",
        "/entry/azint/bin_to_phi",
    }
    assert [stored.path for stored in plugin.configured()] == ["/entry/azint/image"]


def test_without_a_configuration_the_first_profile_says_the_length(one_file: OneFile, plan: MakePlan) -> None:
    images = {0: image(0, az_int_profile=np.arange(5.0)), 1: image(1, az_int_profile=np.arange(4.0))}
    file = one_file.write(AzintPlugin(plan()), images, 2)
    assert file["/entry/azint/image"].shape == (2, 1, 5)
    assert one_file.problems == {"/entry/azint/image": 1}


def test_an_empty_profile_fixes_nothing(one_file: OneFile, plan: MakePlan) -> None:
    images = {0: image(0, az_int_profile=np.zeros(0)), 1: image(1, az_int_profile=np.arange(4.0))}
    file = one_file.write(AzintPlugin(plan()), images, 2)
    assert file["/entry/azint/image"].shape == (2, 1, 4)


def test_tables_of_bins_that_do_not_fit_are_counted(one_file: OneFile, plan: MakePlan) -> None:
    plugin = AzintPlugin(plan(**(SIX_BINS | {"az_int_bin_to_phi": np.arange(5.0)})))
    one_file.write(plugin, {}, 1)
    assert "/entry/azint/bin_to_phi" not in one_file.paths()
    assert one_file.problems == {BINS: 1}


def test_the_single_file_gets_its_bins_from_the_master(one_file: OneFile, plan: MakePlan) -> None:
    one_file.write(AzintPlugin(plan(file_format=3, **SIX_BINS)), {0: image(0)}, 1)
    assert one_file.paths() == {"/entry/azint/image"}


def plain(image_id: int = 5, **profiles: object) -> ImageMessage:
    """Of a message with these profiles alone; odd: at an offset that no float would have."""
    absent = dict.fromkeys(("az_int_profile", "az_int_profile_std", "az_int_profile_count"))
    changes = absent | profiles
    message = learned(**changes).decoder.decode(view(plain_message(image_id, **changes)), LIMITS)
    assert isinstance(message, PlainImage)
    return message


@pytest.mark.parametrize("names", ["1234567"[:n] for n in range(1, 5)])
def test_profiles_as_they_were_sent(one_file: OneFile, plan: MakePlan, names: str) -> None:
    """At each offset to the multiples of four."""
    sent = {
        "series_unique_id": names,
        "az_int_profile": singles(1.5, np.nan, -3, 4, 5, 6),
        "az_int_profile_std": singles(*range(6)),
        "az_int_profile_count": counts(0, 2**32 - 1, 3, 4, 5, 6),
    }
    images = {0: plain(0, **sent), 2: plain(2, **sent), 3: plain(3, az_int_profile_std=singles(*range(6)))}
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), images, 4)["/entry/azint"]
    for row in (0, 2):
        np.testing.assert_array_equal(azint["image"][row].ravel(), np.array([1.5, np.nan, -3, 4, 5, 6]))
        assert azint["image_count"][row].tolist() == [[0, 2**32 - 1, 3], [4, 5, 6]]
    np.testing.assert_array_equal(azint["image_std"][()][[0, 2, 3]], np.broadcast_to(SIX, (3, 2, 3)))
    assert np.isnan(azint["image"][()][[1, 3]]).all()
    assert np.isnan(azint["image_std"][1]).all()
    assert not azint["image_count"][()][[1, 3]].any()
    assert not one_file.problems


SIX = np.arange(6.0).reshape(2, 3)


def test_counts_alone(one_file: OneFile, plan: MakePlan) -> None:
    message = plain(0, az_int_profile_count=counts(*range(6)))
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {0: message, 1: message}, 2)["/entry/azint"]
    np.testing.assert_array_equal(azint["image_count"][()], np.broadcast_to(SIX, (2, 2, 3)))
    assert np.isnan(azint["image"][()]).all()


def test_infinite_numbers_as_they_were_sent_are_counted(one_file: OneFile, plan: MakePlan) -> None:
    sent = {
        "az_int_profile": singles(1, np.inf, 3, -np.inf, 5, 6),
        "az_int_profile_std": singles(*[np.inf] * 6),
    }
    one = plain(**sent)
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), {0: one, 1: one, 2: one}, 3)["/entry/azint"]
    expected = np.array([1, np.nan, 3, np.nan, 5, 6], "f4")
    np.testing.assert_array_equal(azint["image"][()].reshape(3, 6), np.tile(expected, (3, 1)))
    assert np.isnan(azint["image_std"][()]).all()
    assert one_file.problems == {"/entry/azint/image": 6, "/entry/azint/image_std": 18}


def test_a_profile_as_it_was_sent_of_another_length(one_file: OneFile, plan: MakePlan) -> None:
    whole = plain(0, az_int_profile=singles(*range(6)), az_int_profile_std=singles(*range(6)))
    for_one = plain(1, az_int_profile=singles(*range(7)), az_int_profile_std=singles(*range(6)))
    none = plain(2, az_int_profile=singles(), az_int_profile_std=singles(*range(6)))
    images = {0: whole, 1: for_one, 2: none}
    azint = one_file.write(AzintPlugin(plan(**SIX_BINS)), images, 3)["/entry/azint"]
    np.testing.assert_array_equal(azint["image"][0], SIX)
    assert np.isnan(azint["image"][()][1:]).all()
    np.testing.assert_array_equal(azint["image_std"][()], np.broadcast_to(SIX, (3, 2, 3)))
    assert one_file.problems == {"/entry/azint/image": 2}
