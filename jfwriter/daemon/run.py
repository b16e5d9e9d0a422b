"""The daemon from its first to its last moment: the one place that knows the order of things."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from jfwriter import __version__
from jfwriter.daemon import http, logs
from jfwriter.daemon.assembly import assemble
from jfwriter.daemon.control import Control
from jfwriter.daemon.heartbeat import beat
from jfwriter.daemon.http_access import Access
from jfwriter.daemon.leftovers import Leftovers
from jfwriter.daemon.memory import Allocator, spare_what_stays
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.reload import Reloader
from jfwriter.daemon.root import Root
from jfwriter.daemon.shutdown import Signals, abort, close, drain
from jfwriter.daemon.systemd import ServiceManager
from jfwriter.errors import StopDaemon
from jfwriter.settings import Settings

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter while another one waits for it."""

_log = logging.getLogger(__name__)


def serve(settings: Settings, load: Callable[[], Settings] | None = None) -> int:
    """Run until a signal; the exit status: 0 stopped in good order, 1 forced or a bug.

    `load` reads the settings again: then SIGHUP does not end the daemon but has it take what has changed. The
    kernels were compiled when this module was imported. Raises RefuseToStart.
    """
    handler = logs.start(settings.service.log_level)
    if settings.files.umask is not None:
        os.umask(settings.files.umask)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    allocator = Allocator()
    allocator.keep_freed_memory()
    try:
        root = Root(settings.files.root_dir, settings.files.root_guard)
        code, writer_is_stuck = asyncio.run(_main(settings, root, allocator, load))
    finally:
        handler.finish()
    if writer_is_stuck:
        # A thread in a system call that does not return would keep the process from ending.
        os._exit(code)
    return code


async def _main(
    settings: Settings, root: Root, allocator: Allocator, load: Callable[[], Settings] | None
) -> tuple[int, bool]:
    """(exit status, whether the writer thread could not be ended)."""
    hangup = asyncio.Event()
    signals = Signals(None if load is None else hangup.set)
    manager = ServiceManager(os.environ)
    context = zmq.Context(settings.input.io_threads)
    try:
        parts = assemble(settings, root, context)
        access = None if settings.http.port is None else Access(settings.http)
        server = None if access is None else await _http_server(parts, access)
    except BaseException:
        context.destroy(linger=0)
        raise
    _start(parts, manager, allocator)
    if load is not None:
        parts.fatal.task(Reloader(load, parts, access).serve(hangup), "reload")
    recover = settings.journal.recover_at_start
    parts.fatal.task(Leftovers(_all_roots(settings, root), parts.board, recover=recover).serve(), "leftovers")
    try:
        code = await _until_the_end(parts, signals, manager)
        await close(parts)
    finally:
        if server is not None:
            await server.close()
        context.term()
        manager.close()
    signals.ignore()
    _log.info("ended with exit status %d", code)
    return code, not parts.aftermath.writer_ended.is_set()


def _all_roots(settings: Settings, root: Root) -> tuple[Path, ...]:
    second = Path(settings.files.second_root_dir or root.path).absolute()
    return tuple(dict.fromkeys((root.path, second)))


async def _http_server(parts: Parts, access: Access) -> http.HttpServer:
    listener = http.bind(parts.settings.http)
    server = http.HttpServer(listener, Control(parts), access)
    await server.start()
    _log.info("HTTP: %s", http.endpoint(listener))
    return server


def _start(parts: Parts, manager: ServiceManager, allocator: Allocator) -> None:
    _log.info("jfwriter %s writes below %s", __version__, parts.root.path)
    if parts.republisher is not None:
        _log.info("republishing: %s", parts.republisher.endpoint)
    if parts.announcer is not None:
        _log.info("announcements: %s", parts.announcer.endpoint)
    for source in parts.puller.sources:
        _log.info("receiving from %s", source.address)
    if parts.analysis is not None:
        parts.analysis.start()
    parts.writer.start()
    parts.fatal.task(beat(parts, manager, allocator), "heartbeat")
    parts.puller.start()
    spare_what_stays()
    manager.ready()
    _log.info("ready")


async def _until_the_end(parts: Parts, signals: Signals, manager: ServiceManager) -> int:
    """Wait for a reason to end, and end; the exit status."""
    first = asyncio.create_task(signals.first.wait(), name="first signal")
    await asyncio.wait(_futures(first, parts.fatal.failed), return_when=asyncio.FIRST_COMPLETED)
    first.cancel()
    parts.board.stopping = True
    manager.stopping()
    try:
        await _end_in_good_order(parts, signals)
    except StopDaemon as error:
        _log.error("%s", error)
        await abort(parts)
        return 1
    return 0


async def _end_in_good_order(parts: Parts, signals: Signals) -> None:
    """Raises StopDaemon when a part has died, at a second signal, or at the deadline."""
    deadline_s = parts.settings.service.shutdown_deadline_s
    failed = parts.fatal.failed
    draining = asyncio.create_task(drain(parts), name="drain")
    second = asyncio.create_task(signals.second.wait(), name="second signal")
    try:
        await asyncio.wait(
            _futures(draining, second, failed), timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
        )
        if failed.done():
            failed.result()
        elif draining.done():
            draining.result()
        elif second.done():
            raise StopDaemon("ended by a second signal: what was not yet on disk is lost")
        else:
            raise StopDaemon(f"not everything was on disk after {deadline_s:g} s")
    finally:
        for task in (draining, second):
            task.cancel()
        await asyncio.gather(draining, second, return_exceptions=True)


def _futures(*futures: asyncio.Future[Any]) -> set[asyncio.Future[Any]]:
    return set(futures)
