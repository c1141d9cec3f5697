"""The page's server: nowhere without the token, deaf to foreign pages, and quick to tell."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.capture.phone.conftest import PATIENCE_S, SHOTS, TOKEN, Bench, Served, serving

from anyzoom.capture.phone.server import NOWHERE, STATIC, Thumbnail, listen, new_token, serve, small
from anyzoom.errors import CaptureError


def difference(a: bytes, b: bytes) -> float:
    """Between two pictures of one size, in levels."""
    with Image.open(io.BytesIO(a)) as first, Image.open(io.BytesIO(b)) as second:
        return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.fixture
def page(bench: Bench) -> Iterator[Served]:
    with serving(bench) as served:
        yield served


def test_a_run_by_its_page(bench: Bench, page: Served) -> None:
    state = page.get("state").told
    assert (state["state"], state["kept"], state["wanted"]) == ("ready", 0, SHOTS)
    nothing = page.get("picture")
    assert (nothing.status, nothing.told) == (404, {"error": "No photograph has been kept yet."})
    assert page.post("start").told["state"] == "running"
    bench.box.let(2)
    bench.until(lambda status: status.kept == 2 and "Photographing" in status.doing)
    assert page.post("pause").told["state"] == "pausing"
    early = page.post("start")
    assert (early.status, list(early.told)) == (409, ["error"])
    bench.box.let()
    bench.until(lambda status: status.state == "paused")
    page.post("start")
    bench.until(lambda status: status.state == "done")
    state = page.get("state").told
    assert (state["state"], state["kept"], len(state["curve"])) == ("done", SHOTS, SHOTS - 1)
    picture = page.get("picture")
    assert picture.headers["content-type"] == "image/jpeg"
    differs = {name.name: difference(picture.body, name.read_bytes()) for name in bench.folder.glob("frame_*.jpg")}
    assert min(differs, key=lambda name: differs[name]) == state["picture"]
    assert differs[state["picture"]] < 6, "coarser colours, no more"


def test_everything_else_is_nowhere(bench: Bench, page: Served) -> None:
    words = {"error": NOWHERE}
    foreign = [
        "/",
        "/state",
        f"/{TOKEN}",
        f"/{TOKEN[:-1]}/",
        f"/{TOKEN}x/state",
        f"/x/{TOKEN}/",
        "/%ff/",
        "/%C3%A9/",
        f"//{TOKEN}/",
        "/docs",
        "/openapi.json",
    ]
    own = ["docs", "openapi.json", "redoc", "state/", "static/index.html", "../state", "picture/frame_000.jpg", "phone"]
    for path in [*foreign, *(f"/{TOKEN}/{address}" for address in own)]:
        reply = page.ask("GET", path)
        assert (reply.status, reply.told) == (404, words), path
        assert reply.headers["cache-control"] == "no-store"
    for path in ["/", "/start", f"/{TOKEN}x/start"]:
        assert page.ask("POST", path, "").status == 404
    assert page.get("start").status == 405
    assert bench.director.state().state == "ready"


def test_foreign_pages_may_not_act(bench: Bench, page: Served) -> None:
    for headers in (
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": f"file://{page.host}"},
        {"origin": f"http://{page.host}.elsewhere.example"},
        {"origin": ""},
        {"origin": f"http://{page.host}", "host": "elsewhere.example"},
    ):
        for address in ("start", "pause", "stop", "answer"):
            reply = page.post(address, **headers)
            assert (reply.status, reply.told) == (403, {"error": "Only the page at this address may ask for that."})
    without = page.ask("POST", f"/{TOKEN}/start", "")
    assert without.status == 403
    state = bench.director.state()
    assert (state.state, state.ending) == ("ready", False)


def test_malformed_answers(bench: Bench, page: Served) -> None:
    bodies: list[object] = [
        {},
        {"question": "1", "agrees": True},
        {"question": 1, "agrees": "yes"},
        [],
        {"question": 1},
    ]
    for body in bodies:
        reply = page.post("answer", body)
        assert (reply.status, list(reply.told)) == (422, ["error"])
    large = page.post("answer", {"question": 1, "agrees": True, "more": "x" * 2000})
    assert large.status == 413
    chunked = page.ask("POST", f"/{TOKEN}/start", None, origin=f"http://{page.host}", content_length="many")
    assert chunked.status in (400, 411)
    stale = page.post("answer", {"question": 1, "agrees": True})
    assert (stale.status, stale.told["error"]) == (409, "this question has been answered, or is not asked any more.")
    assert page.get("state?version=latest").status == 422


def test_a_question_at_the_page(bench: Bench, page: Served) -> None:
    bench.ring.lost = True
    bench.box.let()
    page.post("start")
    bench.until(lambda status: status.question is not None)
    question = page.get("state").told["question"]
    assert question["words"].endswith("Does it stand there?")
    assert page.post("answer", {"question": question["number"], "agrees": True}).told["question"] is None
    bench.until(lambda status: status.state == "done")


def test_whoever_waits_hears_of_the_next_change(bench: Bench, page: Served) -> None:
    version = page.get("state").told["version"]
    assert page.get(f"state?version={version - 1}").told["version"] == version
    with ThreadPoolExecutor(60) as pool:  # more than the server has threads
        waiting = [pool.submit(page.get, f"state?version={version}") for _ in range(60)]
        assert page.get("state").told["version"] == version
        assert not any(one.done() for one in waiting)
        page.post("start")
        for one in waiting:
            assert one.result(PATIENCE_S).told["version"] > version


def test_a_wait_ends_by_itself(page: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyzoom.capture.phone.server.WAIT_S", 0.05)
    version = page.get("state").told["version"]
    assert page.get(f"state?version={version}").told["version"] == version


def test_nothing_comes_from_elsewhere_or_stays(page: Served) -> None:
    for address in STATIC:
        reply = page.get(address[1:])
        assert reply.status == 200
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "server" not in reply.headers
        outside = [one for one in re.findall(rb"https?://[^\s\"']+", reply.body) if b"www.w3.org" not in one]
        assert outside == []
        assert not re.search(rb"\s(style|on\w+)=\"", reply.body), "the policy would refuse it"


def test_stop_ends_the_server_when_the_rig_is_at_rest(bench: Bench) -> None:
    token = new_token()
    with listen("127.0.0.1", 0) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        ended: list[str] = []
        thread = threading.Thread(target=lambda: ended.append(serve(bench.director, token, listener).state))
        thread.start()
        served = Served(host, None, thread)  # type: ignore[arg-type]
        own = f"http://{host}"
        assert served.ask("POST", f"/{token}/start", "", origin=own).status == 200
        bench.box.let(1)
        bench.until(lambda status: status.kept == 1 and "Photographing" in status.doing)
        stopping = served.ask("POST", f"/{token}/stop", "", origin=own).told
        assert (stopping["state"], stopping["ending"]) == ("pausing", True)
        told = served.ask("GET", f"/{token}/state").told
        assert (told["ending"], told["ended"]) == (True, False), "it serves until the rig is at rest"
        bench.box.let()
        thread.join(PATIENCE_S)
        assert ended == ["paused"]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(host.split(":")[1])), timeout=5)


def test_a_signal_is_a_stop(bench: Bench, page: Served) -> None:
    page.post("start")
    bench.until(lambda status: "Photographing" in status.doing)
    page.server.handle_exit(signal.SIGINT, None)
    state = bench.until(lambda status: status.ending)
    assert not state.ended
    assert not page.server.should_exit, "one who looks is told the end"
    bench.box.let()
    page.thread.join(PATIENCE_S)
    assert not page.thread.is_alive()
    page.server.handle_exit(signal.SIGINT, None)
    assert page.server.should_exit


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.full((30, 40, 3), 200, np.uint8), "RGB"),
        (np.full((30, 40), 200, np.uint8), "L"),
        (np.full((30, 40, 4), 200, np.uint8), "RGB"),
        (np.full((30, 40), 200 * 257, np.uint16), "L"),
    ],
)
def test_any_picture_becomes_a_thumbnail(tmp_path: Path, pixels: NDArray[np.uint8], mode: str) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    with Image.open(io.BytesIO(small(path))) as shown:
        assert (shown.format, shown.mode, shown.size) == ("JPEG", mode, (40, 30))
        assert np.asarray(shown).mean() == pytest.approx(200, abs=2)


def test_thumbnails_are_small_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (1300, 2600), "grey").save(path)
    made = Thumbnail()
    first = made.of(path)
    with Image.open(io.BytesIO(first)) as shown:
        assert shown.size == (600, 1200)
    monkeypatch.setattr("anyzoom.capture.phone.server.small", lambda _: b"another")
    assert made.of(path) is first
    assert made.of(tmp_path / "next.jpg") == b"another"


def test_a_picture_that_is_gone(bench: Bench, page: Served) -> None:
    page.post("start")
    bench.box.let(1)
    bench.until(lambda status: status.kept == 1 and "Photographing" in status.doing)
    (bench.folder / "again.jpg").unlink()
    reply = page.get("picture")
    assert reply.status == 503
    assert "again.jpg" in json.loads(reply.body)["error"]


def test_addresses_that_cannot_be_listened_at() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CaptureError, match=rf"cannot listen on 127.0.0.1, port {port}: .* Try another --port"):
            listen("127.0.0.1", port)
    with pytest.raises(CaptureError, match="is no address of this machine"):
        listen("no.such.machine.invalid", 0)
    assert len({new_token() for _ in range(9)}) == 9
    assert re.fullmatch(r"[\w-]{22}", new_token())
