"""The line of a setting, as a person would find it."""

from __future__ import annotations

import pytest

from jfwriter.errors import SettingsError
from jfwriter.settings import parse
from jfwriter.toml_lines import line_of

TEXT = """\
# a comment
service.log_level = "info"
[http]        # status
port = 5234
"host" = "127.0.0.1"

[ files ]
root_dir = "/data"
limits = { max_rois = 3 }
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("http", "port"), 4),
        (("http", "host"), 5),
        (("http",), 3),
        (("http", "absent"), 3),
        (("files", "root_dir"), 8),
        (("files", "limits", "max_rois"), 9),
        (("service", "log_level"), 2),
        (("input", "addresses", "0"), None),
        ((), None),
    ],
)
def test_line_of_a_setting(path: tuple[str, ...], line: int | None) -> None:
    assert line_of(TEXT, path) == line


def test_an_error_names_the_line_and_comes_as_data() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({"http": {"port": -1}}, "w.toml", "[http]\nport = -1\n")
    (problem,) = caught.value.problems
    assert (problem.line, problem.setting) == (2, "http.port")
    assert str(caught.value).startswith(
        "w.toml: line 2: http.port: Input should be greater than or equal to 0"
    )
