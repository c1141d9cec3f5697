"""The page's server. Whoever has its address may turn the ring; everything else is nowhere.

    GET  /TOKEN/                  the page
    GET  /TOKEN/state?version=N   how the run stands; waits for a version other than N, 25 s at most
    GET  /TOKEN/picture           the last photograph that was kept, small
    POST /TOKEN/start, pause, stop
    POST /TOKEN/answer            {"question": its number, "agrees": true or false}

A POST replies with how the run stands, and is taken from this page alone. Refusals are {"error": a sentence}.
"""

from __future__ import annotations

import asyncio
import io
import logging
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from anyzoom.capture.phone.director import Director, Status
from anyzoom.errors import AnyzoomError, CaptureError, MissingExtra
from anyzoom.image import read_image

try:
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, Response
    from starlette.exceptions import HTTPException as AnyHTTPException
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:
    raise MissingExtra("the page of a run", "capture") from error

WAIT_S = 25.0  # for a change, at most: networks forget quiet connections
MOST_BYTES = 1 << 10  # of an answer
SIDE = 1200  # pixels of a thumbnail, at most
NOWHERE = "There is nothing at this address."
STATIC = {  # by address
    "/": ("index.html", "text/html; charset=utf-8"),
    "/phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "/curve.js": ("curve.js", "text/javascript; charset=utf-8"),
    "/phone.css": ("phone.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the address is the key
}
log = logging.getLogger(__name__)


class Answer(BaseModel):
    """To a question."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    question: int
    agrees: bool


class Thumbnail:
    """The last photograph as a small JPEG, made once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._jpeg = b""

    def of(self, path: Path) -> bytes:
        """Raises CannotRead."""
        with self._lock:
            if self._path != path:
                self._jpeg, self._path = small(path), path
            return self._jpeg


def small(path: Path) -> bytes:
    """A photograph as a JPEG of `SIDE` pixels at most. Raises CannotRead."""
    photo = read_image(path)
    pixels = photo.pixels[..., :3] if photo.pixels.shape[2] > 2 else photo.pixels[..., 0]
    most = {np.uint8: 255, np.uint16: 65535}.get(pixels.dtype.type, 1)
    levels = pixels if most == 255 else np.rint((pixels / np.float32(most)).clip(0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    to = io.BytesIO()
    grey = picture.mode == "L"
    picture.save(to, "JPEG", quality=85, icc_profile=None if grey else photo.metadata.icc)
    return to.getvalue()


def phone_app(director: Director, token: str) -> FastAPI:
    """The application; token: the first part of every address, by `new_token`."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_middleware(_Guard, token=token)
    page = files("anyzoom.capture.phone") / "static"
    thumbnail = Thumbnail()

    @app.get("/state")
    async def state(version: int = -1) -> Status:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        with director.telling(lambda: loop.call_soon_threadsafe(changed.set)):
            if director.state().version == version:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), WAIT_S)
        return director.state()

    @app.get("/picture")
    def picture() -> Response:
        name = director.state().picture
        if name is None:
            raise HTTPException(404, "No photograph has been kept yet.")
        return Response(thumbnail.of(director.folder / name), media_type="image/jpeg")

    def doing(act: Callable[[], None]) -> Callable[[], Status]:
        def done() -> Status:
            act()
            return director.state()

        return done

    for name, act in {"start": director.start, "pause": director.pause, "stop": director.stop}.items():
        app.add_api_route(f"/{name}", doing(act), methods=["POST"])

    @app.post("/answer")
    def answer(body: Answer) -> Status:
        director.answer(body.question, body.agrees)
        return director.state()

    def static(request: Request) -> Response:
        name, kind = STATIC[request.url.path]
        return Response((page / name).read_bytes(), media_type=kind)

    for address in STATIC:
        app.add_api_route(address, static, methods=["GET"])
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(CaptureError, _impossible)
    app.add_exception_handler(AnyzoomError, _failed)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    sentences = {"Not Found": NOWHERE, "Method Not Allowed": "This is not done here."}
    return JSONResponse({"error": sentences.get(error.detail, error.detail)}, error.status_code)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}."}, 422)


async def _impossible(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


async def _failed(_request: Request, error: Exception) -> Response:
    log.error("%s", error)
    return JSONResponse({"error": str(error)}, 503)


class _Guard:
    """Lets in whoever has the token, but nothing that acts from foreign pages; and the headers of all replies."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._start = app, f"/{token}/".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        path = scope["path"].encode("utf-8", "surrogateescape")
        refusal: Response | None
        if not secrets.compare_digest(path[: len(self._start)], self._start):
            refusal = JSONResponse({"error": NOWHERE}, 404)
        else:
            scope = {**scope, "path": scope["path"][len(self._start) - 1 :]}
            refusal = _post_refused(dict(scope["headers"])) if scope["method"] == "POST" else None
        await (refusal or self._app)(scope, receive, send_guarded)


def _post_refused(headers: dict[bytes, bytes]) -> Response | None:
    origin = urlsplit(headers.get(b"origin", b"").decode("latin-1"))
    if origin.scheme not in ("http", "https") or origin.netloc != headers.get(b"host", b"").decode("latin-1"):
        return JSONResponse({"error": "Only the page at this address may ask for that."}, 403)
    length = headers.get(b"content-length", b"")
    if not length.isdigit():
        return JSONResponse({"error": "Say how long the body is (Content-Length)."}, 411)
    if int(length) > MOST_BYTES:
        return JSONResponse({"error": f"A body of {int(length)} bytes is no answer; {MOST_BYTES} are enough."}, 413)
    return None


def new_token() -> str:
    """The secret part of an address."""
    return secrets.token_urlsafe(16)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises CaptureError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CaptureError(f"{host!r} is no address of this machine ({error.strerror}).") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(16)
    except OSError as error:
        listener.close()
        raise CaptureError(f"cannot listen on {host}, port {port}: {error.strerror}. Try another --port.") from error
    return listener


def serve(director: Director, token: str, listener: socket.socket) -> Status:
    """Serve the page until somebody stops the run there, or by Ctrl-C; then how the run stands, at rest."""
    server = PhoneServer(director, token)
    try:
        server.run(sockets=[listener])
    finally:
        director.stop()
        director.wait()
    return director.state()


class PhoneServer(uvicorn.Server):
    """Ends when nothing runs any more after a stop; a signal is one. A second signal ends it at once."""

    def __init__(self, director: Director, token: str) -> None:
        super().__init__(
            uvicorn.Config(
                phone_app(director, token),
                access_log=False,  # of addresses, which are keys
                log_config=None,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._director, self._signalled = director, False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        def end() -> None:
            self._director.wait()
            self.should_exit = True

        threading.Thread(target=end, name="end of the run", daemon=True).start()
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._signalled:
            super().handle_exit(sig, frame)
        else:  # in a thread: what the signal has interrupted may hold a lock
            self._signalled = True
            threading.Thread(target=self._director.stop, name="stop by a signal").start()
