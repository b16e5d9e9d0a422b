"""Those who listen to the daemon of the soak: consumers that behave badly, and one that asks HTTP."""

from __future__ import annotations

import json
import random
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import zmq

PAGES = ("status", "health", "metrics", "", "openapi.json", "nothing", "runs/..%2f..%2fetc")


class Readers:
    """Runs until `stop`; may be stopped twice. The ends of runs are kept until they are asked for."""

    def __init__(self, ports: Mapping[str, int], seed: int) -> None:
        self._ports = ports
        self._context = zmq.Context()
        self._done = threading.Event()
        self._counts: Counter[str] = Counter()
        self._ends: dict[int, dict[str, Any]] = {}
        self._threads = [
            threading.Thread(target=target, args=(random.Random(seed + i),), daemon=True)
            for i, target in enumerate((self._consume, self._listen, self._ask))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(15)

    def pop(self, number: int) -> dict[str, Any] | None:
        """How run `number` ended, once."""
        return self._ends.pop(number, None)

    def told(self) -> dict[str, int]:
        return dict(self._counts)

    def _consume(self, chance: random.Random) -> None:
        """Connects, reads for a while or not at all, goes; and again."""
        while not self._done.is_set():
            with self._context.socket(zmq.PULL) as socket:
                socket.linger, socket.rcvhwm, socket.rcvtimeo = 0, 10, 200
                socket.connect(f"tcp://127.0.0.1:{self._ports['republish']}")
                self._counts["consumers"] += 1
                self._for_a_while(chance, lambda socket=socket: self._receive(socket, chance))  # type: ignore[misc]
            self._done.wait(chance.uniform(0, 3))

    def _receive(self, socket: zmq.Socket[bytes], chance: random.Random) -> None:
        if chance.random() < 0.05:
            self._done.wait(chance.uniform(0, 4))
        try:
            socket.recv()
            self._counts["messages republished to them"] += 1
        except zmq.Again:
            pass

    def _for_a_while(self, chance: random.Random, action: Callable[[], None]) -> None:
        for _ in range(chance.randrange(1, 2000)):
            if self._done.is_set():
                return
            action()

    def _listen(self, _chance: random.Random) -> None:
        with self._context.socket(zmq.SUB) as socket:
            socket.linger, socket.rcvtimeo = 0, 200
            socket.subscribe(b"")
            socket.connect(f"tcp://127.0.0.1:{self._ports['announce']}")
            while not self._done.is_set():
                try:
                    message = json.loads(socket.recv())
                except zmq.Again:
                    continue
                self._counts["announcements"] += 1
                if "event" in message:
                    self._ends[message["run_number"]] = message

    def _ask(self, chance: random.Random) -> None:
        while not self._done.wait(chance.uniform(0, 0.3)):
            url = f"http://127.0.0.1:{self._ports['http']}/{chance.choice(PAGES)}"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    answer.read()
                    self._counts[f"HTTP {answer.status}"] += 1
            except urllib.error.HTTPError as error:
                with error:
                    self._counts[f"HTTP {error.code}"] += 1
            except OSError:
                self._counts["HTTP unanswered"] += 1
