"""What all sections of the settings share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Unknown names are errors; nothing changes after loading; docstrings of fields are their description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
