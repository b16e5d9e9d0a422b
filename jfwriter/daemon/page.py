"""The page for a person: one HTML file without outside resources, which asks `/status` again and again."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files


class Page:
    """The page and the headers that keep anything else from running in it."""

    def __init__(self) -> None:
        text = files(__package__).joinpath("page.html").read_text("utf-8")
        self.html = text.encode()
        script, style = _hash_of(text, "script"), _hash_of(text, "style")
        self.headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }


def _hash_of(html: str, element: str) -> str:
    match = re.search(f"<{element}>(.*?)</{element}>", html, re.DOTALL)
    if match is None:
        raise AssertionError(f"page.html has no <{element}>")
    digest = hashlib.sha256(match[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
