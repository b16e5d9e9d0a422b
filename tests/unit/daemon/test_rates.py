"""Rates over the last seconds."""

from __future__ import annotations

import pytest

from jfwriter.daemon.rates import WINDOW_S, RateWindow


def test_a_steady_rate() -> None:
    rates = RateWindow()
    for tick in range(100):
        rates.sample(100 + tick * 0.25, tick * 50, tick * 1000, 0.001)
    assert rates.images_per_s == pytest.approx(200)
    assert rates.bytes_per_s == pytest.approx(4000)
    assert rates.max_lag_s == 0.001


def test_what_is_long_ago_does_not_count() -> None:
    rates = RateWindow()
    rates.sample(0.0, 0, 0, 3.0)
    rates.sample(1.0, 1000, 1000, 0.0)
    for tick in range(1, 80):
        rates.sample(1.0 + tick * 0.25, 1000, 1000, 0.0)
    assert rates.images_per_s == 0
    assert rates.max_lag_s == 0
    assert WINDOW_S <= 20 * 0.25


def test_before_the_first_sample_nothing_has_happened() -> None:
    assert (RateWindow().images_per_s, RateWindow().bytes_per_s, RateWindow().max_lag_s) == (0, 0, 0)
