"""The HTTP side of the loopback Hub: a server in a thread, which does as told when a test orders trouble."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
import time
from dataclasses import dataclass

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)

FLIPPED = bytes(255 - byte for byte in range(256))


@dataclass
class Fault:
    """Trouble for the next `count` requests of this method ("" is any) whose path the regex is found in.

    A download is a HEAD and then a GET, so name the method. The path is percent-encoded, without the query.
    A cut commit has happened, and the client does not know it: to lose one before it happens, give it a status.
    """

    method: str = ""
    path: str = ""
    count: int = 1  # counts down to 0
    delay: float = 0.0  # seconds to wait before serving
    status: int | None = None  # answer this instead of serving
    cut: bool = False  # serve, then cut the connection inside the answer (before it, if it has no body)
    corrupt: bool = False  # serve, with every byte of the body flipped and the length kept

    def hits(self, method: str, path: str) -> bool:
        return self.count > 0 and self.method in ("", method) and bool(re.search(self.path, path))


def hub_error(status: int, message: str, code: str = "", **headers: str) -> HTTPException:
    """An answer that is not a success. The client tells the kinds of it apart by `X-Error-Code`."""
    code_header = {"X-Error-Code": code} if code else {}
    return HTTPException(status, message, {"X-Error-Message": message, **code_header, **headers})


class LoopbackServer:
    """The server. `requests` lists the (method, path) of every request, `errors` its own exceptions."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        # Shared by the test and the server's thread without a lock: each is changed in single, atomic steps.
        self.requests: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self._faults: list[Fault] = []
        self._running: tuple[_Server, threading.Thread] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve in a thread. A port of 0 becomes a free one, kept for the next start."""
        listener = socket.create_server(("127.0.0.1", self.port))  # sets SO_REUSEADDR where that is safe
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, http=_Protocol, interface="asgi3", lifespan="off", log_config=None)
        config.timeout_keep_alive = 600  # not to hang up just when the client reuses a pooled connection
        config.timeout_graceful_shutdown = 1
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="loopback-hub", daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the loopback hub did not start: see the log")
            time.sleep(0.005)
        self._running = server, thread

    def stop(self) -> None:
        if self._running is None:
            return
        server, thread = self._running
        server.end()
        thread.join(timeout=10)
        if thread.is_alive():
            raise RuntimeError("the loopback hub did not stop")
        self._running = None

    def inject(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        self._faults.clear()

    def answer(self, request: Request, path: str, body: bytes) -> Response:
        """What the server has to say; an HTTPException is an answer too."""
        raise NotImplementedError

    # One event loop serves all requests. Once the body is read, an answer is made without a pause: it is atomic.

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = scope["raw_path"].decode("ascii")
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        self.requests.append((request.method, path))
        fault = next((fault for fault in list(self._faults) if fault.hits(request.method, path)), None)
        if fault is not None:
            fault.count -= 1
            await asyncio.sleep(fault.delay)
            send = _faulty(fault, scope, receive, send)
        try:
            if fault is not None and fault.status is not None:
                raise hub_error(fault.status, "Injected fault")
            response = self.answer(request, path, body)
        except HTTPException as error:
            response = JSONResponse({"error": error.detail}, error.status_code, error.headers)
        except Exception as error:
            # Not a 500: the client would retry that for half a minute, and then hide what happened.
            logger.exception("the loopback hub failed on %s %s", request.method, path)
            self.errors.append(error)
            response = JSONResponse({"error": f"The loopback hub failed: {error!r}"}, 501)
        await response(scope, receive, send)


class _Server(uvicorn.Server):
    """Ends at once, where uvicorn looks every tenth of a second: a tenth of many tests is seconds."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._asked.wait()

    def end(self) -> None:
        """Be asked to end, by another thread."""
        self._loop.call_soon_threadsafe(self._asked.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in [*self.servers, *(sockets or [])]:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := list(self.server_state.tasks):  # answers that are not finished
            await asyncio.wait(tasks, timeout=self.config.timeout_graceful_shutdown)


class _Protocol(H11Protocol):
    """Shows the connection to the application, as ASGI has no way to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _faulty(fault: Fault, scope: Scope, receive: Receive, send: Send) -> Send:
    """`send`, as the fault has it."""
    start: Message = {}

    async def faulty(message: Message) -> None:
        nonlocal start
        if fault.corrupt and "body" in message:
            message = {**message, "body": message["body"].translate(FLIPPED)}
        if not fault.cut:
            await send(message)
        elif message["type"] == "http.response.start":
            start = message
        else:
            half = message["body"][: len(message["body"]) // 2]
            if half and scope["method"] != "HEAD":
                await send(start)
                await send({"type": "http.response.body", "body": half, "more_body": True})
            scope["state"]["transport"].close()
            while (await receive())["type"] != "http.disconnect":
                pass

    return faulty
