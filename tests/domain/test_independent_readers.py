"""Programs that are not ours read the files: fabio, silx, nxmx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.domain.runs import SCENARIOS, Finished, run

fabio = pytest.importorskip("fabio")
silx_io = pytest.importorskip("silx.io")
nxmx = pytest.importorskip("nxmx")

CASES = [scenario for scenario in SCENARIOS if scenario.length > 1]


def runs(*layouts: str) -> pytest.MarkDecorator:
    cases = [
        pytest.param((scenario, layout), id=f"{layout}-{scenario.name}")
        for layout in layouts
        for scenario in CASES
    ]
    return pytest.mark.parametrize("case", cases, indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Finished:
    scenario, layout = request.param
    return run(scenario, layout, tmp_path)


@runs("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
def test_fabio(case: Finished) -> None:
    expected = case.pixels(range(case.scenario.length))
    with fabio.open(str(case.master)) as image:
        assert image.nframes == len(expected)
        for i, pixels in enumerate(expected):
            np.testing.assert_array_equal(image.get_frame(i).data, pixels)


@runs("NXmxVDS", "NXmxIntegrated")
def test_silx_default_plot(case: Finished) -> None:
    from silx.io import nxdata

    with silx_io.open(str(case.master)) as file:
        shown = nxdata.get_default(file)
        np.testing.assert_array_equal(shown.signal[()], case.pixels(range(case.scenario.length)))


@runs("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
def test_nxmx(case: Finished) -> None:
    with case.opened_master() as master:
        (entry,) = nxmx.NXmx(master).entries
        assert entry.definition == "NXmx"
        (detector,) = entry.instruments[0].detectors
        assert detector.modules[0].data_size.tolist() == [24, 40]
        omega = entry.samples[0].depends_on
        assert len(omega) == case.scenario.length
        angles = np.asarray(omega[()].magnitude, float)
        np.testing.assert_allclose(angles, 10.0 + 0.1 * (100 + np.arange(case.scenario.length)))
