"""Settings: every error names the setting, what was expected and what stands there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pydantic
import pytest

from jfwriter import settings
from jfwriter.errors import RefuseToStart, SettingsError

CONFIGS = Path(__file__).parents[2] / "configs"

BOX = (
    "[[analysis.roi_definitions]]\ntype = 'box'\nname = 'a'\nmin_x_pxl = 1\nmax_x_pxl = 5\n"
    "min_y_pxl = 0\nmax_y_pxl = 0\n"
)
RING = "[[analysis.roi_definitions]]\ntype = 'azim'\nname = 'r'\nq_min_recipA = 0.5\nq_max_recipA = 0.6\n"


def write(directory: Path, text: str) -> Path:
    path = directory / "jfwriter.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert settings.load(write(tmp_path, "")) == settings.Settings()


def test_settings_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    loaded = settings.load(write(tmp_path, "[http]\nport = 5234\n"))
    assert loaded.http.port == 5234
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        loaded.http.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[files]\nroot = '/data'\n", "files.root: unknown setting"),
        ("[file]\n", "file: unknown setting"),
        ("http_port = 5234\n", "http_port: unknown setting"),
        ("[http]\nport = 65536\n", "http.port: Input should be less than or equal to 65535, got 65536"),
        ("[http]\nport = 'x'\n", "http.port: Input should be a valid integer"),
        ("[http]\nhost = 5\n", "http.host: Input should be a valid string, got 5"),
        ("[input]\nwatermark_messages = 0\n", "greater than or equal to 1, got 0"),
        ("[input]\naddresses = 'tcp://a:1'\n", "input.addresses: Input should be a valid tuple"),
        ("[input]\naddresses = [1]\n", "input.addresses.0: Input should be a valid string, got 1"),
        ("[files]\ndefault_format = 'hdf5'\n", "files.default_format: Input should be 'NXmxOnlyData'"),
        ("[memory]\nbyte_budget_bytes = 1000\n", "memory.byte_budget_bytes: Input should be greater"),
        (
            "[service]\nshutdown_deadline_s = 0\n",
            "service.shutdown_deadline_s: Input should be greater than 0",
        ),
        ("[files]\numask = 0o1000\n", "files.umask: Input should be less than or equal to 511, got 512"),
        ("[limits]\nmax_rois = 17\n", "limits.max_rois: Input should be less than or equal to 16, got 17"),
        ("[files]\ndefault_prefix = '{run}'\n", "files.default_prefix: expected text with {series_id}"),
        ("[files]\ndefault_prefix = '{'\n", "files.default_prefix: expected text with {series_id}"),
        ("[files]\ndefault_prefix = '{series_unique_id:d}'\n", "got '{series_unique_id:d}'"),
        ("[files]\ndefault_prefix = '{}'\n", "files.default_prefix: expected text"),
        ("[files]\ndefault_prefix = '../x'\n", "files.default_prefix: expected a path below the root"),
        ("[files]\ndefault_prefix = '/x'\n", "files.default_prefix: expected a path below the root"),
        ("[files]\ndefault_prefix = 'x/'\n", "files.default_prefix: expected a path below the root"),
        (
            "[input]\naddresses = ['tcp://a:1', 'nonsense']\n",
            "input.addresses: 'nonsense' is no ZeroMQ address",
        ),
        ("[http]\nport = 5\n[announce]\nport = 5\n", "announce.port and http.port are both 5"),
        ("http = 5\n", "http: Input should be a valid dictionary"),
        ("[http\n", "not TOML"),
        ("[analysis]\nroi = 'sometimes'\n", "analysis.roi: Input should be 'auto', 'always' or 'never'"),
        ("[analysis]\nspots = 'on'\n", "analysis.spots.mode: Input should be 'auto'"),
        ("[analysis.azint]\nlow_q_recipA = 0\n", "analysis.azint.low_q_recipA: Input should be greater than"),
        ("[analysis.azint]\nhigh_q_recipA = 0.05\n", "azint: expected high_q_recipA above low_q_recipA"),
        ("[analysis.azint]\nazimuthal_bins = 513\n", "less than or equal to 512, got 513"),
        ("[analysis.spots]\nmax_pix_per_spot = 1\n", "of at least min_pix_per_spot (2)"),
        ("[analysis.spots]\nhigh_resolution_limit = inf\n", "should be a finite number"),
        (
            "[analysis.spots]\nhigh_resolution_limit = 2\nlow_resolution_limit = 1.5\n",
            "expected low_resolution_limit above high_resolution_limit (2)",
        ),
        ("[[analysis.roi_definitions]]\ntype = 'disc'\n", "expected tags: 'box', 'circle', 'azim'"),
        (f"{BOX}{BOX}", "analysis.roi_definitions: expected names of their own"),
        (BOX.replace("min_x_pxl = 1", "min_x_pxl = -1"), "roi_definitions.0.min_x_pxl: Input should be g"),
        (BOX.replace("min_x_pxl = 1", "min_x_pxl = 9"), "roi_definitions.0: expected max_x_pxl and"),
        ("".join(BOX.replace("'a'", f"'{i}'") for i in range(13)), "expected at most 12 regions of one type"),
        (f"{RING}phi_min_deg = 5\n", "expected both of phi_min_deg and phi_max_deg, or none"),
        (RING.replace("0.5", "0.7"), "expected q_max_recipA above q_min_recipA (0.7)"),
    ],
)
def test_errors_name_setting_expectation_and_value(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        settings.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[http]\nport = -1\n[files]\nsinc = true\n[input]\nio_threads = 17\n")
    with pytest.raises(SettingsError) as caught:
        settings.load(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        settings.load(missing)
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        settings.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"[http]\nhost = '\xb5'\n")
    with pytest.raises(SettingsError, match=r"latin\.toml: not UTF-8"):
        settings.load(tmp_path / "latin.toml")


def test_settings_errors_end_the_start_with_78() -> None:
    assert issubclass(SettingsError, RefuseToStart)
    assert SettingsError.exit_code == 78


@pytest.mark.parametrize("name", ["jungfrau.toml", "eiger2.toml"])
def test_samples_are_right(name: str) -> None:
    loaded = settings.load(CONFIGS / name)
    assert loaded.input.addresses
    assert loaded.http.port is not None


def test_the_dectris_sample_writes_files_for_a_sender_without_a_prefix() -> None:
    assert settings.load(CONFIGS / "eiger2.toml").files.default_prefix


@pytest.mark.parametrize("name", ["jungfrau.toml", "eiger2.toml"])
def test_samples_hold_no_setting_that_the_models_lack_in_their_comments(name: str) -> None:
    """Commented-out lines are settings too: uncommenting any of them must load."""
    lines = (CONFIGS / name).read_text(encoding="utf-8").splitlines()
    live = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in lines]
    assert settings.parse(tomllib.loads("\n".join(live)), name)


def test_a_mode_may_stand_alone_or_with_its_parameters(tmp_path: Path) -> None:
    short = settings.load(write(tmp_path, "[analysis]\nazint = 'auto'\nspots = 'always'\n")).analysis
    assert (short.azint.mode, short.spots.mode) == ("auto", "always")
    table = "[analysis.azint]\nmode = 'auto'\nq_spacing = 0.02\n[analysis.spots]\nmin_pix_per_spot = 3\n"
    long = settings.load(write(tmp_path, table)).analysis
    assert (long.azint.mode, long.azint.q_spacing) == ("auto", 0.02)
    assert (long.spots.mode, long.spots.min_pix_per_spot) == ("never", 3)


def test_the_line_of_a_region_is_named(tmp_path: Path) -> None:
    bad = BOX.replace("'a'", "'b'").replace("max_y_pxl = 0", "max_y_pxl = -1")
    with pytest.raises(SettingsError, match=r"line 14: analysis\.roi_definitions\.1\.max_y_pxl"):
        settings.load(write(tmp_path, BOX + bad))
