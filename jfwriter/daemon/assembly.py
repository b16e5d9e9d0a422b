"""Puts the parts of the daemon together. No part knows more of the others than it is given here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import zmq

from jfwriter.analysis.preparation import load_kernels
from jfwriter.daemon.aftermath import Aftermath
from jfwriter.daemon.analysis_pool import AnalysisPool
from jfwriter.daemon.announce import WATERMARK_MESSAGES, Announcer
from jfwriter.daemon.board import Board
from jfwriter.daemon.budget import ByteBudget
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.notify import RunNotifier
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.pipeline import Pipeline
from jfwriter.daemon.pull import Puller, Source
from jfwriter.daemon.republish import Republisher
from jfwriter.daemon.root import Root
from jfwriter.daemon.run_in_work import RunFiles
from jfwriter.daemon.sockets import Context, bound_socket, tcp_address
from jfwriter.daemon.wire_log import WireLog
from jfwriter.daemon.writer_thread import WriterThread
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.hdf5.storage import Storage
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan
from jfwriter.session.session import Session
from jfwriter.settings import Settings


def assemble(settings: Settings, root: Root, context: Context) -> Parts:
    """Make every part; the sockets are bound and connected, nothing is read and no thread runs yet.

    Raises EndpointError. Sockets that are open then are the caller's to close, with the context.
    """
    loop = asyncio.get_running_loop()
    fatal = Fatal()
    board = Board()
    session = Session(settings)
    wire_log = WireLog(logging.getLogger("jfwriter.stream"))
    republisher = _republisher(settings, context, fatal)
    announcer = _announcer(settings, context)
    notifier = RunNotifier()
    aftermath = Aftermath(
        root=root,
        session=session,
        board=board,
        announcer=announcer,
        notifier=notifier,
        wire_log=wire_log,
        fatal=fatal,
    )

    def wake(function: Callable[[], None]) -> None:
        """Have the event loop call `function`; from any thread."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(fatal.run, function)

    # The writer thread's two reasons to wake the loop; `puller` and `writer` are made below.
    budget = ByteBudget(settings.memory.byte_budget_bytes, lambda: wake(puller.resume))
    min_spots = settings.analysis.min_spots_for_hit
    storage = Storage(settings.files, root.files)
    writer = WriterThread(
        _files_maker(settings, root, storage), lambda: wake(deliver_events), budget, min_spots
    )
    analysis = _analysis_pool(settings, lambda text: wake(lambda: fatal.fail(text)))

    def deliver_events() -> None:
        for event in writer.take_events():
            aftermath.handle(event)

    pipeline = Pipeline(
        session=session,
        writer=writer,
        budget=budget,
        republisher=republisher,
        aftermath=aftermath,
        board=board,
        wire_log=wire_log,
        limits=settings.limits,
        analysis=analysis,
    )
    sources = [
        Source(context, address, settings.input, settings.limits.max_message_bytes)
        for address in settings.input.addresses
    ]
    puller = Puller(sources, pipeline.on_frame, budget, fatal)
    return Parts(
        settings=settings,
        root=root,
        storage=storage,
        fatal=fatal,
        board=board,
        session=session,
        budget=budget,
        writer=writer,
        puller=puller,
        pipeline=pipeline,
        aftermath=aftermath,
        republisher=republisher,
        announcer=announcer,
        notifier=notifier,
        analysis=analysis,
    )


def _analysis_pool(settings: Settings, on_death: Callable[[str], None]) -> AnalysisPool | None:
    """Its kernels are compiled when this returns."""
    analysis = settings.analysis
    if {analysis.image_statistics, analysis.roi, analysis.azint.mode, analysis.spots.mode} == {"never"}:
        return None
    load_kernels(settings)
    return AnalysisPool(settings, on_death)


def _files_maker(
    settings: Settings, root: Root, storage: Storage
) -> Callable[[RunPlan, Callable[[ClosedFile], None]], RunFiles]:
    files = settings.files.model_copy(update={"root_dir": str(root.path)})
    settings = settings.model_copy(update={"files": files})

    def make(plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> RunFiles:
        return RunWriter(plan, plugins_for(plan), settings, on_closed, storage)

    return make


def _republisher(settings: Settings, context: Context, fatal: Fatal) -> Republisher | None:
    republish = settings.republish
    if republish.port is None:
        return None
    socket = bound_socket(
        context,
        zmq.PUSH,
        tcp_address(republish.host, republish.port),
        watermark_messages=republish.watermark_messages,
        use="republishing",
    )
    return Republisher(socket, fatal)


def _announcer(settings: Settings, context: Context) -> Announcer | None:
    announce = settings.announce
    if announce.port is None:
        return None
    socket = bound_socket(
        context,
        zmq.PUB,
        tcp_address(announce.host, announce.port),
        watermark_messages=WATERMARK_MESSAGES,
        use="announcements",
    )
    return Announcer(socket, announce_run_end=announce.announce_run_end)
