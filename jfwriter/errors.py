"""The exception tree. Each leaf belongs to one class, and the class says how it is handled.

JfwriterError
  RefuseToStart            printed, the process ends with `exit_code`
    UsageError             2   wrong command line
    EndpointError          74  a socket or port cannot be had
    StorageUnavailable     74  the root directory cannot be used
    SettingsError          78  the configuration file is wrong
  SkipMessage              the message is dropped and counted under `reason`, the next one is read
    ProtocolError          not CBOR, over a limit, or an essential field is missing or wrong
    PayloadError           the image does not fit its run, or its framing is broken
  FailRun                  this run ends as failed under `reason`, the next start gets a fresh chance
    RunRefused             refused at its start, before anything was created
    StorageError           writing, syncing or publishing a file failed
  StopDaemon               a bug or a dead background task: the process ends with code 1
"""

from __future__ import annotations

from dataclasses import dataclass


class JfwriterError(Exception):
    """Base of all errors that jfwriter raises on purpose."""


class RefuseToStart(JfwriterError):
    """The process cannot start; `exit_code` is its exit status (sysexits.h)."""

    exit_code = 1


class UsageError(RefuseToStart):
    exit_code = 2


class EndpointError(RefuseToStart):
    exit_code = 74


class StorageUnavailable(RefuseToStart):
    exit_code = 74


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing that is wrong with a configuration. `line` is None where it cannot be told."""

    line: int | None
    setting: str
    message: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.setting}: {self.message}"


class SettingsError(RefuseToStart):
    """`str()` names the file in each line; `problems` is empty when the file cannot be read at all."""

    exit_code = 78

    def __init__(self, text: str, problems: tuple[SettingsProblem, ...] = ()) -> None:
        super().__init__(text)
        self.problems = problems


class SkipMessage(JfwriterError):
    """One message is dropped; `reason` is a short fixed word (a counter label), `str()` says the rest."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ProtocolError(SkipMessage):
    """A message that cannot be decoded, or whose essential field is absent or of another type."""


class PayloadError(SkipMessage):
    """Pixel bytes whose declared size, shape, type or framing is not what the run or the codec needs."""


class FailRun(JfwriterError):
    """The run cannot go on; `reason` is a short fixed word (a counter label), `str()` says the rest."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class RunRefused(FailRun):
    """The run is refused at its start; nothing was created."""


class StorageError(FailRun):
    """Creating, writing, syncing or publishing a file failed."""


class StopDaemon(JfwriterError):
    """The daemon must end: a background task died or an invariant broke."""
