"""The daemon without its sockets and files: real session, pipeline and writer thread on a fake disk."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import zmq

from jfwriter.daemon.aftermath import Aftermath
from jfwriter.daemon.board import Board
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.pipeline import Pipeline
from jfwriter.daemon.root import Root
from jfwriter.daemon.run_in_work import MakeRunFiles
from jfwriter.daemon.status import Announcements, LastRun, Notifications, Republishing
from jfwriter.daemon.wire_log import WireLog
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.hdf5.storage import Storage
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan
from jfwriter.session.session import Session
from jfwriter.settings import Settings
from jfwriter.wire.messages import StartMessage
from tests.support.eventually import eventually
from tests.support.fake_files import Disk


@dataclass
class Told:
    """Stands for republisher, announcer and notifier; keeps what they were given."""

    republished: list[tuple[bytes, bool]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    announced: list[LastRun] = field(default_factory=list)
    notified: list[LastRun] = field(default_factory=list)

    def send(self, frame: zmq.Frame, n_bytes: int, *, is_control: bool) -> None:
        assert n_bytes == len(frame)
        self.republished.append((bytes(frame), is_control))

    def file_closed(self, plan: RunPlan, file: ClosedFile) -> None:
        self.files.append(file.filename)


class ToldAnnouncer:
    def __init__(self, told: Told) -> None:
        self._told = told
        self.file_closed = told.file_closed

    def run_finished(self, result: LastRun, start: StartMessage, *lists: object) -> None:
        self._told.announced.append(result)

    def status(self) -> Announcements:
        return Announcements("tcp://127.0.0.1:1", len(self._told.files), 0)


class ToldNotifier:
    def __init__(self, told: Told) -> None:
        self._told = told

    def run_finished(self, result: LastRun, start: StartMessage) -> None:
        self._told.notified.append(result)

    def status(self) -> Notifications:
        return Notifications(len(self._told.notified), 0)


class ToldRepublisher:
    def __init__(self, told: Told) -> None:
        self._told = told
        self.send = told.send

    def status(self) -> Republishing:
        return Republishing("tcp://127.0.0.1:2", len(self._told.republished), 0, 0, 0)


class Rig:
    """Feed it with `feed`, then look at `disk`, `told` and `board`. Event loop only."""

    def __init__(self, settings: Settings, make_files: MakeRunFiles | None = None, **board: Any) -> None:
        """`make_files`: the files of a run; without it those of `disk`, in memory."""
        loop = asyncio.get_running_loop()
        self.settings = settings
        self.fatal = Fatal()
        self.disk = Disk()
        self.told = Told()
        self.board = Board(**board)
        self.session = Session(settings)
        self.budget = ByteBudget(settings.memory.byte_budget_bytes, lambda: None)
        wire_log = WireLog(logging.getLogger("jfwriter.stream"))
        self.writer = WriterThread(
            make_files or self.disk.make_files,
            lambda: loop.call_soon_threadsafe(self.fatal.run, self.deliver_events),
            self.budget,
        )
        self.announcer: Any = ToldAnnouncer(self.told)
        self.notifier: Any = ToldNotifier(self.told)
        self.republisher: Any = ToldRepublisher(self.told)
        self.root = Root(settings.files.root_dir)
        self.storage = Storage(settings.files, self.root.files)
        self.aftermath = Aftermath(
            root=self.root,
            session=self.session,
            board=self.board,
            announcer=self.announcer,
            notifier=self.notifier,
            wire_log=wire_log,
            fatal=self.fatal,
        )
        self.pipeline = Pipeline(
            session=self.session,
            writer=self.writer,
            budget=self.budget,
            republisher=self.republisher,
            aftermath=self.aftermath,
            board=self.board,
            wire_log=wire_log,
            limits=settings.limits,
        )
        self.writer.start()

    def deliver_events(self) -> None:
        for event in self.writer.take_events():
            self.aftermath.handle(event)

    def feed(self, *messages: bytes) -> None:
        for message in messages:
            self.pipeline.on_frame(zmq.Frame(message))

    async def settled(self) -> None:
        """The writer thread has done all orders and its news have arrived."""
        await eventually(lambda: self.budget.used_bytes == 0)
        self.deliver_events()

    async def close(self) -> None:
        self.disk.may_write.set()
        self.writer.abort()
        await eventually(self.aftermath.writer_ended.is_set)
