"""What requests may ask for, and the one form of all errors."""

from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.noise import NotFiniteError


class Limits(NamedTuple):
    """What a request and a client may take.

    Args:
        images: images in a request.
        body_bytes: bytes of a request's body.
        pixels: pixels of an image.
        requests: requests that are at work or wait.
        batch: images that graphs run on at once; requests that wait together share a batch.
        connections: open connections.
        connections_per_client: those of one address, which may be a proxy's.
        header_seconds: time for a request's line and headers.
        body_seconds: time for its body.
        write_seconds: time to take the answer.
    """

    images: int = 64
    body_bytes: int = 8_000_000
    pixels: int = 1_000_000
    requests: int = 32
    batch: int = 64
    connections: int = 64
    connections_per_client: int = 16
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 60.0


def checked(limits: Limits) -> Limits:
    """Raise ValueError unless all limits can be met."""
    for name, value in limits._asdict().items():
        if isinstance(Limits._field_defaults[name], int):
            check_integer(name, value)
        else:
            check_number(name, value, "(0, inf)")
    return limits


class Refusal(Exception):  # noqa: N818
    """A request that is not served: which field, what came, what was expected."""

    def __init__(self, status: int, field: str, got: Any, expected: str, **headers: str) -> None:
        super().__init__(f"{field}: got {got}, expected {expected}")
        self.status, self.headers = status, headers
        self.detail = {"field": field, "got": str(got)[:200], "expected": expected}

    def response(self) -> JSONResponse:
        """The answer, ``{"error": {"field", "got", "expected"}}``."""
        return JSONResponse({"error": self.detail}, self.status, self.headers)


class BodyLimit:
    """Middleware that counts the bytes of a body while they come in.

    A Content-Length may lie or be absent, so it only serves to refuse sooner.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a ``receive`` that refuses what is too long."""
        taken = 0
        expected = f"at most {self.most} bytes"
        declared = dict(scope.get("headers", ())).get(b"content-length", b"0")

        async def counted() -> Message:
            nonlocal taken
            if declared.isdigit() and int(declared) > self.most:
                raise Refusal(413, "body", f"{int(declared)} bytes", expected)
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise Refusal(413, "body", f"more than {self.most} bytes", expected)
            return message

        await self.app(scope, counted, send)


class HeadAsGet:
    """Middleware that answers HEAD as GET: uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)


def guard(api: FastAPI, limits: Limits) -> None:
    """Bound the bodies of an application, and give all its errors their form."""
    api.add_middleware(BodyLimit, most=limits.body_bytes)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Refusal, _refused)
    api.add_exception_handler(HTTPException, _unknown)
    api.add_exception_handler(NotFiniteError, _not_finite)
    api.add_exception_handler(ClientDisconnect, _gone)
    api.add_exception_handler(Exception, _failed)


def refusal_of(error: Any, place: tuple[str, ...] = ()) -> Refusal:
    """What pydantic found, in the form of all errors."""
    malformed = error["type"] == "json_invalid"
    where = [str(part) for part in error["loc"] if part not in place]
    field = ".".join(where) or "body"
    got = error["msg"] if malformed else repr(error["input"])
    # Of a check of ours pydantic says so first.
    expected = "a JSON object" if malformed else error["msg"].removeprefix("Value error, ")
    return Refusal(400 if malformed else 422, field, got, expected)


async def _invalid(request: Request, error: Any) -> Response:
    return refusal_of(error.errors()[0], ("query",)).response()


async def _refused(request: Request, error: Any) -> Response:
    return error.response()


async def _unknown(request: Request, error: Any) -> Response:
    got = f"{request.method} {request.url.path}"
    expected = "a path and method that /docs lists"
    # Those of 405 name the methods that there are.
    headers = error.headers or {}
    return Refusal(error.status_code, "path", got, expected, **headers).response()


async def _not_finite(request: Request, error: Exception) -> Response:
    expected = "images, conditions and a temperature whose results are finite"
    return Refusal(422, "request", error, expected).response()


async def _gone(request: Request, error: Exception) -> Response:
    # Nobody is there to read it.
    return Response(status_code=400)


async def _failed(request: Request, error: Exception) -> Response:
    # The traceback is in the server's log; clients learn nothing of its inside.
    return Refusal(500, "request", "an error of the server", "a result").response()
