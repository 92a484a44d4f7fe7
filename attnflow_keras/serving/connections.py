"""Connections of an HTTP server under uvicorn: time limits, a number a client, JSON errors.

    uvicorn.run(api, **settings(limits))
    uvicorn module:app --http attnflow_keras.serving.connections:Connection    # default limits

uvicorn alone waits without end for a request's headers and body, and answers in plain text what
it refuses before the application sees it.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from attnflow_keras.serving.limits import Limits, Refusal

# How long a refused client may go on sending before the connection is cut. To cut it at once
# could take the answer from a client that has not read it yet.
LINGER_SECONDS = 2.0


class Connection(H11Protocol):
    """One connection. A subclass sets other limits, see :func:`settings`."""

    limits: ClassVar[Limits] = Limits()

    def __init__(
        self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # Counted below: uvicorn's answers to too many, and to WebSockets, are plain text.
        self.limit_concurrency = None
        self.ws_protocol_class = None
        self.refused = False
        self._stage: tuple[str, Any] = ("new", None)
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        others: list[Any] = [c for c in self.connections if c is not self]
        others = [c for c in others if not getattr(c, "refused", False)]
        host = self.client and self.client[0]
        same = sum(c.client is not None and c.client[0] == host for c in others)
        for found, most, status, what in (
            (same, self.limits.connections_per_client, 429, "of this client"),
            (len(others), self.limits.connections, 503, "in all"),
        ):
            if found >= most:
                expected = f"at most {most} {what} at a time; try again"
                headers = {"Retry-After": "1"}
                self._refuse(
                    Refusal(status, "connection", f"one beside {found}", expected, **headers)
                )
                break
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the client was refused."""
        if not self.refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 can't parse; called where its error is caught."""
        error = sys.exception()
        status = getattr(error, "error_status_hint", 400)
        # h11 quotes the bytes after a colon.
        got = str(error or msg).partition(": bytearray(")[0]
        self._refuse(Refusal(status, "request", got, "a well-formed HTTP/1.1 request"))

    # --- time ----------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at the stage a few times within each limit, and end one that takes too long."""
        stage, now = self._find_stage(), self.loop.time()
        seconds = self._seconds(stage[0])
        if stage != self._stage:
            self._stage, self._since = stage, now
        elif seconds is not None and now - self._since >= seconds:
            self._end(stage[0], seconds)
        limits = self.limits
        shortest = min(limits.header_seconds, limits.body_seconds, limits.write_seconds)
        self._timer = self.loop.call_later(min(1.0, shortest / 4), self._watch)

    def _find_stage(self) -> tuple[str, Any]:
        """What is waited for, and the request it belongs to: no stage of it comes twice."""
        if self.refused:
            name = "refused"
        elif self.conn.their_state is h11.SEND_BODY:
            name = "body"
        elif self.transport.is_closing() or self.transport.get_write_buffer_size():
            name = "write"
        elif self.conn.their_state is h11.IDLE:
            # Between requests uvicorn's keep-alive timer runs until the first byte.
            name = "idle" if self.timeout_keep_alive_task is not None else "header"
        else:
            name = "work"
        return name, self.cycle

    def _seconds(self, stage: str) -> float | None:
        if stage == "refused":
            return LINGER_SECONDS
        return getattr(self.limits, f"{stage}_seconds", None)

    def _end(self, stage: str, seconds: float) -> None:
        if stage in ("refused", "write"):
            self.transport.abort()
            return
        what = "headers" if stage == "header" else "body"
        got = f"no complete {what} within {seconds:g} s"
        self._refuse(Refusal(408, "request", got, f"the whole {what} within that time"))

    # --- answers -------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with an error and read no more; an answer that has begun is all there is."""
        self.refused = True
        cycle = self.cycle
        head = False
        if cycle is not None and not cycle.response_complete:
            head = cycle.scope["method"] == "HEAD"
            # The application, which may wait for the body, learns that none comes.
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        response = refusal.response()
        status = response.status_code
        headers = [*self.server_state.default_headers, *response.raw_headers]
        event = h11.Response(
            status_code=status,
            headers=[*headers, (b"connection", b"close")],
            reason=HTTPStatus(status).phrase.encode(),
        )
        for part in (
            event,
            *([] if head else [h11.Data(bytes(response.body))]),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(part) or b"")
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


def settings(limits: Limits) -> dict[str, Any]:
    """Arguments of ``uvicorn.run`` and ``uvicorn.Config`` for these limits."""
    return {"http": type("Connection", (Connection,), {"limits": limits}), "ws": "none"}
