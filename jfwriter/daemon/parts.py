"""The parts that one daemon is made of, held together by a plain object."""

from __future__ import annotations

from dataclasses import dataclass

from jfwriter.daemon.aftermath import Aftermath
from jfwriter.daemon.analysis_pool import AnalysisPool
from jfwriter.daemon.announce import Announcer
from jfwriter.daemon.board import Board
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.curve import Gatekeeper
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.notify import RunNotifier
from jfwriter.daemon.pipeline import Pipeline
from jfwriter.daemon.pull import Puller
from jfwriter.daemon.republish import Republisher
from jfwriter.daemon.root import Root
from jfwriter.daemon.settings_of_runs import SettingsOfRuns
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.hdf5.storage import Storage
from jfwriter.session.session import Session
from jfwriter.settings import Settings


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once by `run`; everything but the writer thread's inside belongs to the event loop."""

    settings: Settings
    """As at the start of the process."""
    settings_of_runs: SettingsOfRuns
    root: Root
    storage: Storage
    fatal: Fatal
    board: Board
    session: Session
    budget: ByteBudget
    writer: WriterThread
    puller: Puller
    pipeline: Pipeline
    aftermath: Aftermath
    republisher: Republisher | None
    announcer: Announcer | None
    notifier: RunNotifier
    analysis: AnalysisPool | None = None
    """None: the settings want nothing computed."""
    gatekeeper: Gatekeeper | None = None
    """None: everybody may connect to the bound sockets."""
