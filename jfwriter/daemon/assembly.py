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
from jfwriter.daemon.curve import Door, Gatekeeper, be_client
from jfwriter.daemon.fatal import Fatal
from jfwriter.daemon.notify import RunNotifier
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.pipeline import Pipeline
from jfwriter.daemon.pull import Puller, Source
from jfwriter.daemon.republish import Republisher
from jfwriter.daemon.root import Root
from jfwriter.daemon.run_in_work import RunFiles
from jfwriter.daemon.settings_of_runs import SettingsOfRuns
from jfwriter.daemon.sockets import Context, Socket, bound_socket, tcp_address
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
    gatekeeper = _gatekeeper(settings, context)
    republisher = _republisher(settings, context, fatal, gatekeeper)
    announcer = _announcer(settings, context, gatekeeper)
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
    settings_of_runs = SettingsOfRuns(settings)
    make_files = _files_maker(settings_of_runs, root, storage)
    writer = WriterThread(make_files, lambda: wake(deliver_events), budget, min_spots)
    analysis = _analysis_pool(settings, lambda text: wake(lambda: fatal.fail(text)), budget)

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
    sources = _sources(settings, context)
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
        gatekeeper=gatekeeper,
        settings_of_runs=settings_of_runs,
    )


def _sources(settings: Settings, context: Context) -> list[Source]:
    """Raises EndpointError, SettingsError."""
    addresses, keys = settings.input.addresses, settings.input.curve_server_keys
    keys_by_address = {a: keys[min(i, len(keys) - 1)] for i, a in enumerate(addresses)} if keys else {}

    def guard_of(address: str) -> Callable[[Socket], None] | None:
        key = keys_by_address.get(address)
        return None if key is None else lambda socket: be_client(socket, key, settings.curve)

    max_bytes = settings.limits.max_message_bytes
    return [Source(context, address, settings.input, max_bytes, guard_of(address)) for address in addresses]


def _gatekeeper(settings: Settings, context: Context) -> Gatekeeper | None:
    is_wanted = settings.republish.curve or settings.announce.curve
    return Gatekeeper(context, settings.curve) if is_wanted else None


def _analysis_pool(
    settings: Settings, on_death: Callable[[str], None], budget: ByteBudget
) -> AnalysisPool | None:
    """Its kernels are compiled when this returns."""
    analysis = settings.analysis
    if {analysis.image_statistics, analysis.roi, analysis.azint.mode, analysis.spots.mode} == {"never"}:
        return None
    load_kernels(settings)
    return AnalysisPool(settings, on_death, lambda: budget.used_bytes)


def _files_maker(
    settings_of_runs: SettingsOfRuns, root: Root, storage: Storage
) -> Callable[[RunPlan, Callable[[ClosedFile], None]], RunFiles]:
    def make(plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> RunFiles:
        settings = settings_of_runs.of(plan.serial)
        storage.use(settings.files)
        files = settings.files.model_copy(update={"root_dir": str(root.path)})
        settings = settings.model_copy(update={"files": files})
        return RunWriter(plan, plugins_for(plan), settings, on_closed, storage)

    return make


def _republisher(
    settings: Settings, context: Context, fatal: Fatal, gatekeeper: Gatekeeper | None
) -> Republisher | None:
    republish = settings.republish
    if republish.port is None:
        return None
    guard = gatekeeper.guard if gatekeeper is not None and republish.curve else None
    socket = bound_socket(
        context,
        zmq.PUSH,
        tcp_address(republish.host, republish.port),
        watermark_messages=republish.watermark_messages,
        use="republishing",
        guard=guard,
    )
    return Republisher(socket, fatal, None if guard is None else Door(socket, "republishing"))


def _announcer(settings: Settings, context: Context, gatekeeper: Gatekeeper | None) -> Announcer | None:
    announce = settings.announce
    if announce.port is None:
        return None
    guard = gatekeeper.guard if gatekeeper is not None and announce.curve else None
    socket = bound_socket(
        context,
        zmq.PUB,
        tcp_address(announce.host, announce.port),
        watermark_messages=WATERMARK_MESSAGES,
        use="announcements",
        guard=guard,
    )
    door = None if guard is None else Door(socket, "announcements")
    return Announcer(socket, announce_run_end=announce.announce_run_end, door=door)
