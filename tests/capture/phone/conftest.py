"""A rig that photographs when it is let, a Director, and its page on a live server."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.capture.rig import TRAVEL, Box, Ring, Time

from anyzoom.capture.check import Rules
from anyzoom.capture.phone import Director, Status
from anyzoom.capture.phone.server import PhoneServer, listen
from anyzoom.capture.plan import Plan, plan_run
from anyzoom.capture.record import Rig
from anyzoom.capture.rig import Ends

FRAMES = 4
SHOTS = FRAMES + 1
RULES = Rules(settle_s=1.5, backlash=0.4)
PATIENCE_S = 30.0
TOKEN = "a-token_of_this_test"


def plan(frames: int = FRAMES) -> Plan:
    return plan_run(Ends(0.5, TRAVEL), frames)


class Gate(Box):
    """A camera that takes as many photographs as it is let."""

    def __init__(self, ring: Ring) -> None:
        super().__init__(ring)
        self._let = threading.Semaphore(0)

    def let(self, shots: int = 1000) -> None:
        self._let.release(shots)

    def shoot(self, folder: Path, stem: str) -> tuple[Path, ...]:
        assert self._let.acquire(timeout=PATIENCE_S)
        return super().shoot(folder, stem)


class StoppingRing(Ring):
    """Remembers who has stopped it."""

    def __init__(self, backlash: float = 0.0) -> None:
        super().__init__(backlash)
        self.stops = 0

    def stop(self) -> None:
        self.stops += 1


class Bench:
    """A rig, its parts, and a Director."""

    def __init__(self, folder: Path, planned: Plan | None = None, rules: Rules = RULES) -> None:
        self.folder = folder
        self.ring, self.clock = StoppingRing(0.4), Time()
        self.box = Gate(self.ring)
        self.rig = Rig(self.ring, self.box, self.clock, {"iso": "100"})
        self.director = Director(folder, planned or plan(), self.rig, rules)

    def until(self, fulfilled: Callable[[Status], bool]) -> Status:
        """The first state that does."""
        changed = threading.Event()
        end = time.monotonic() + PATIENCE_S
        with self.director.telling(changed.set):
            while not fulfilled(state := self.director.state()):
                assert changed.wait(end - time.monotonic()), state
                changed.clear()
        return state

    def close(self) -> None:
        """Whatever a test has left running."""
        self.director.stop()
        self.box.let()
        assert self.director.wait(PATIENCE_S)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "museum")
    yield bench
    bench.close()


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)


class Served:
    """A server, as a browser on its page sees it."""

    def __init__(self, host: str, server: PhoneServer, thread: threading.Thread) -> None:
        self.host, self.server, self.thread = host, server, thread
        self.url = f"http://{host}/{TOKEN}/"

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Reply:
        """One request of a whole path; the headers' names are written with underscores."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, address: str) -> Reply:
        return self.ask("GET", f"/{TOKEN}/{address}")

    def post(self, address: str, body: object = None, **headers: str) -> Reply:
        told = "" if body is None else json.dumps(body)
        sent = {"origin": f"http://{self.host}", "content_type": "application/json"} | headers
        return self.ask("POST", f"/{TOKEN}/{address}", told, **sent)


@contextmanager
def serving(bench: Bench) -> Iterator[Served]:
    """The page of a bench's director, on a free port, in a thread of its own; it ends as by its Stop."""
    with listen("127.0.0.1", 0) as listener:
        server = PhoneServer(bench.director, TOKEN)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Served(f"127.0.0.1:{listener.getsockname()[1]}", server, thread)
        finally:
            bench.close()
            thread.join()
