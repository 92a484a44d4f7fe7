"""Serve an export over HTTP: score, sample and restore images, without TensorFlow.

    pip install ".[runtime,serve]"
    attnflow export attnflow-imap-mnist -o out/onnx
    python examples/http_server.py out/onnx --port 8000
    ATTNFLOW_EXPORT=out/onnx uvicorn examples.http_server:app --factory \\
        --http export.http_connections:Connection    # the same

    curl localhost:8000/model
    curl -F images=@a.png -F images=@b.png localhost:8000/score
    curl -F images=@a.png "localhost:8000/score?check=true"
    curl -F images=@a.png "localhost:8000/score?background=white"    # behind transparent pixels
    curl -F images=@a.png "localhost:8000/round-trip?output=list"
    curl --json '{"n": 16, "temperature": 0.8, "seed": 0}' localhost:8000/sample -o samples.png

Conditional exports restore low-resolution images or translate label maps (grey images whose levels
are the classes), and take the conditions of scores and round trips besides:

    curl -F conditions=@low.png "localhost:8000/restore?n=4" -o restored.png
    curl -F images=@a.png -F conditions=@low.png localhost:8000/score

Bad requests get one JSON error: which field, what came, what was expected.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.exceptions import HTTPException

from attnflow_keras.core.exactness import EXACT, level_errors
from attnflow_keras.core.noise import NotFiniteError
from attnflow_keras.core.wording import counted
from attnflow_keras.data.pictures import as_colour
from attnflow_keras.runtime import Session
from attnflow_keras.runtime.errors import ExportError
from export.http_connections import settings
from export.http_pictures import picture_response, read_pngs
from export.http_requests import Limits, Refusal, Worker, guard, refusal_of


class Options(BaseModel):
    """What a request may state beside its files."""

    model_config = ConfigDict(extra="forbid")


class Pictures(Options):
    """The colour behind transparent pixels of the files; without it those are refused."""

    background: str | None = None

    @field_validator("background")
    @classmethod
    def _is_colour(cls, value: str | None) -> str | None:
        if value is not None:
            as_colour(value)
        return value


class Output(Options):
    """How images come back: one PNG with all of them, or JSON with a base64 PNG for each."""

    output: Literal["grid", "list"] = "grid"


class Draw(Output):
    """What to draw."""

    n: int = Field(1, ge=1)
    temperature: float = Field(1.0, ge=0.0, le=10.0, allow_inf_nan=False)
    seed: int | None = Field(None, ge=0, lt=2**63)


class RoundTrip(Output, Pictures):
    """How the images of a round trip come back."""


class Restore(Draw, Pictures):
    """What to draw for conditions."""


class Score(Pictures):
    """The seed of the dequantization noise, and whether to check the round trip too."""

    seed: int = Field(0, ge=0, lt=2**63)
    check: bool = False


def make_app(session: Session, limits: Limits = Limits()) -> FastAPI:  # noqa: B008
    """The application for one export; its graphs are loaded here, not by the first request."""
    if session.image_shape[-1] not in (1, 3):
        raise ValueError(
            f"session must have images of 1 or 3 channels, to be PNG; got {session.image_shape}"
        )
    for name in session.manifest["graphs"]:
        session.graph(name)
    api = FastAPI(title=session.manifest["name"])
    guard(api, limits)
    worker = Worker(limits.requests)
    condition = session.manifest["condition"]

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ready"}

    @api.get("/model")
    async def model() -> dict[str, Any]:
        keys = ("name", "metadata", "precision", "image", "latents", "condition", "versions")
        return {**{key: session.manifest[key] for key in keys}, "limits": limits._asdict()}

    @api.post("/score")
    async def score(request: Request, options: Annotated[Score, Query()]) -> dict[str, Any]:
        uploads = await _uploads(request, _fields(session), limits)

        def work() -> Any:
            images, given = _images(session, uploads, limits, options.background)
            features = session.features(given, len(images)) or None
            errors = _round_trip(session, images, features)[1] if options.check else None
            return session.log_prob(images, features, options.seed), errors

        nats, errors = await worker.run(work)
        if not np.isfinite(nats).all():
            raise NotFiniteError(f"images[{np.isfinite(nats).argmin()}] has no finite score")
        # As in Session.bits_per_dim, which would run the graph once more.
        bits = -nats / np.float32(session.num_dims * np.log(2.0))
        names = [name for name, _ in uploads["images"]]
        rows = [
            {"name": name, "log_prob": float(a), "bits_per_dim": float(b)}
            for name, a, b in zip(names, nats, bits, strict=True)
        ]
        if errors is not None:
            for row, error in zip(rows, errors, strict=True):
                # JSON has no infinity.
                row["round_trip_error"] = float(error) if np.isfinite(error) else None
                row["exact"] = bool(error < EXACT)
        return {"images": rows}

    @api.post("/round-trip")
    async def round_trip(request: Request, options: Annotated[RoundTrip, Query()]) -> Response:
        uploads = await _uploads(request, _fields(session), limits)

        def work() -> Response:
            images, given = _images(session, uploads, limits, options.background)
            features = session.features(given, len(images)) or None
            back = session.to_uint8(_round_trip(session, images, features)[0])
            wrong = (back != images).reshape(len(images), -1).sum(axis=1)
            return picture_response(
                back, options.output, wrong_levels=[int(count) for count in wrong]
            )

        return await worker.run(work)

    @api.post("/sample")
    async def sample(request: Request) -> Response:
        if condition:
            expected = "POST /restore or /translate, which take the conditions"
            raise Refusal(400, "conditions", "none, and this export is conditional", expected)
        options = await _json(request, Draw)
        _at_most(options.n, limits)

        def work() -> Response:
            images = session.sample(options.n, None, options.temperature, options.seed)
            return picture_response(images, options.output)

        return await worker.run(work)

    @api.post("/restore")
    @api.post("/translate")
    async def restore(request: Request, options: Annotated[Restore, Query()]) -> Response:
        if not condition:
            expected = "an unconditional export takes POST /sample or /round-trip"
            raise Refusal(400, "conditions", "a request that needs conditions", expected)
        uploads = await _uploads(request, ("conditions",), limits)
        total = options.n * len(uploads["conditions"])
        _at_most(total, limits)

        def work() -> Response:
            given = _conditions(session, uploads["conditions"], limits, options.background)
            # The features of a condition are made once for all of its images.
            features = {
                name: np.repeat(part, options.n, axis=0)
                for name, part in session.features(given, len(given)).items()
            }
            images = session.sample(total, features, options.temperature, options.seed)
            return picture_response(images, options.output)

        return await worker.run(work)

    return api


# --- requests ----------------------------------------------------------------------------


def _round_trip(session: Session, images: np.ndarray, features: Any) -> tuple[Any, np.ndarray]:
    """Images as decoded from their latents, floats, and their errors in grey levels."""
    x = session.dequantize(images, center=True)
    back = session.decode(session.encode(x, features)[0], features)
    return back, level_errors(x, back)


def _fields(session: Session) -> tuple[str, ...]:
    return ("images", "conditions") if session.conditional else ("images",)


def _at_most(n: int, limits: Limits) -> None:
    if n > limits.images:
        raise Refusal(
            422, "n", counted(n, "image"), f"at most {counted(limits.images, 'image')} a request"
        )


async def _json(request: Request, model: type[Draw]) -> Draw:
    kind = request.headers.get("content-type", "none")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "Content-Type", kind, "application/json")
    body = await request.body()
    try:
        # Strict, or "3" and true would be numbers.
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise refusal_of(error.errors()[0]) from error


async def _uploads(
    request: Request, fields: tuple[str, ...], limits: Limits
) -> dict[str, list[tuple[str, bytes]]]:
    """Names and contents of the files of each field, at least one and at most the limit."""
    kind = request.headers.get("content-type", "none")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, "Content-Type", kind, "multipart/form-data")
    found: dict[str, list[tuple[str, bytes]]] = {field: [] for field in fields}
    try:
        # Some more than are allowed, so that the error can tell the number.
        async with request.form(max_files=4 * limits.images, max_fields=4) as form:
            for field, value in form.multi_items():
                if field not in found:
                    expected = f"files in {' and '.join(fields)}"
                    raise Refusal(422, field, "an unknown field", expected)
                if isinstance(value, str):
                    raise Refusal(422, field, "text", "files, as curl -F sends them with @")
                found[field].append((value.filename or "", await value.read()))
    except HTTPException as error:
        status = 413 if str(error.detail).startswith("Too many") else 400
        expected = f"multipart/form-data with at most {counted(limits.images, 'file')} in a field"
        raise Refusal(status, "body", error.detail, expected) from error
    for field, files in found.items():
        if not files:
            raise Refusal(422, field, "no file", f"1 to {limits.images} PNG files")
        if len(files) > limits.images:
            raise Refusal(413, field, counted(len(files), "file"), f"at most {limits.images}")
    return found


def _images(
    session: Session,
    uploads: dict[str, list[tuple[str, bytes]]],
    limits: Limits,
    background: str | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images, and their conditions where the export takes some."""
    shape = session.image_shape
    images = read_pngs("images", uploads["images"], shape, limits, background=background)
    if not session.conditional:
        return images, None
    conditions = _conditions(session, uploads["conditions"], limits, background)
    if len(conditions) not in (1, len(images)):
        expected = f"1 file, or one for each of {counted(len(images), 'image')}"
        raise Refusal(422, "conditions", counted(len(conditions), "file"), expected)
    return images, conditions


def _conditions(
    session: Session, files: list[tuple[str, bytes]], limits: Limits, background: str | None
) -> np.ndarray:
    """Conditions as the manifest describes them: images, or grey images of classes."""
    given = session.manifest["condition"]
    shape = tuple(given["shape"])
    if "classes" in given:
        maps = read_pngs("conditions", files, (*shape, 1), limits, classes=True)[..., 0]
        for i, found in enumerate(maps):
            if found.max() >= given["classes"]:
                expected = f"classes 0 to {given['classes'] - 1} as grey levels"
                raise Refusal(422, f"conditions[{i}]", f"class {found.max()}", expected)
        return maps
    if given["dtype"] != "uint8" or len(shape) != 3 or shape[-1] not in (1, 3):
        got = f"an export with conditions of shape {shape} and dtype {given['dtype']}"
        raise Refusal(501, "conditions", got, "conditions that are uint8 images, grey or RGB")
    return read_pngs("conditions", files, shape, limits, background=background)


# --- start -------------------------------------------------------------------------------


def app() -> FastAPI:
    """For uvicorn and others like it: the export in the variable ATTNFLOW_EXPORT."""
    folder = os.environ.get("ATTNFLOW_EXPORT")
    if not folder:
        raise SystemExit("ATTNFLOW_EXPORT must name a folder that export.onnx wrote; it is not set")
    return make_app(Session(folder, os.environ.get("ATTNFLOW_PROVIDER")))


def main() -> None:
    """Run the server."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Serve an export over HTTP.")
    parser.add_argument("folder", type=Path, help="a folder that export.onnx wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--provider", help="cpu, cuda, ...; default: CUDA where it is there")
    for name in ("connections", "connections_per_client"):
        default = Limits._field_defaults[name]
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, default=default, help=f"default: {default}"
        )
    given = parser.parse_args()
    limits = Limits()._replace(
        connections=given.connections, connections_per_client=given.connections_per_client
    )
    if min(limits.connections, limits.connections_per_client) < 1:
        sys.exit("error: the numbers of connections must be at least 1")
    try:
        session = Session(given.folder, given.provider)
    except (ExportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    api = make_app(session, limits)
    uvicorn.run(api, host=given.host, port=given.port, **settings(limits))


if __name__ == "__main__":
    main()
