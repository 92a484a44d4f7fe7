"""The paths of the server."""

from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse

from attnflow_keras import __version__
from attnflow_keras.core import noise
from attnflow_keras.core.conditions import ClassKind
from attnflow_keras.core.exactness import EXACT, level_errors
from attnflow_keras.core.noise import NotFiniteError
from attnflow_keras.runtime import Session
from attnflow_keras.serving.batching import Arrays, Batcher
from attnflow_keras.serving.limits import HeadAsGet, Limits, Refusal, guard
from attnflow_keras.serving.metrics import Measured, Metrics
from attnflow_keras.serving.options import Restore, RoundTrip, Sample, Score
from attnflow_keras.serving.pictures import picture_response
from attnflow_keras.serving.reference import FILES, IMAGES, JSON, SCORES
from attnflow_keras.serving.reference_page import page
from attnflow_keras.serving.uploads import (
    at_most,
    fields,
    read_conditions,
    read_images,
    read_json,
    read_uploads,
)


def make_app(session: Session, limits: Limits = Limits()) -> FastAPI:  # noqa: B008
    """The application for one export; its graphs are loaded here, not by the first request.

    Args:
        session: the export.
        limits: what requests may take.

    Raises:
        ValueError: images that are no PNGs, neither grey nor RGB.
    """
    if session.image_shape[-1] not in (1, 3):
        raise ValueError(
            f"session must have images of 1 or 3 channels, to be PNG; got {session.image_shape}"
        )
    for name in session.manifest["graphs"]:
        session.graph(name)
    # FastAPI's own pages load their scripts from servers of others.
    api = FastAPI(
        title=session.manifest["name"],
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
    )
    metrics = Metrics()
    guard(api, limits)
    _add_status(api, session, limits, metrics)
    _add_work(api, session, limits, Batcher(session, limits, metrics))
    paths = frozenset(route.path for route in api.routes)  # type: ignore[attr-defined]
    api.add_middleware(Measured, metrics=metrics, paths=paths)
    api.add_middleware(HeadAsGet)
    return api


ABOUT = "A normalizing flow: scores, samples and round trips of images."


def _add_status(api: FastAPI, session: Session, limits: Limits, metrics: Metrics) -> None:
    @api.get("/health")
    @api.get("/healthz", include_in_schema=False)
    async def health() -> dict[str, str]:
        """Whether requests are served; answered while others are at work too."""
        return {"status": "ready"}

    @api.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def reference() -> str:
        return page(api.openapi())

    @api.get("/metrics", response_class=PlainTextResponse)
    async def figures() -> Response:
        """Requests, seconds and batches in Prometheus' text format."""
        return metrics.response()

    @api.get("/model")
    async def model() -> dict[str, Any]:
        """What clients need of the export's manifest, and the limits."""
        keys = ("name", "metadata", "precision", "image", "latents", "condition", "versions")
        return {**{key: session.manifest[key] for key in keys}, "limits": limits._asdict()}


def _add_work(api: FastAPI, session: Session, limits: Limits, batcher: Batcher) -> None:
    kind = session.condition_kind

    async def images_of(request: Request, options: Any) -> Any:
        """Names and images of a request, and the features of their conditions."""
        uploads = await read_uploads(request, fields(session), limits)
        images, given = await run_in_threadpool(
            read_images, session, uploads, limits, options.background
        )
        if kind is None or isinstance(kind, ClassKind):
            given = _label(kind, options.label)
        features = await batcher.features(given)
        return [name for name, _ in uploads["images"]], images, _each(features, len(images))

    async def round_trip_of(images: np.ndarray, features: Arrays) -> Any:
        """Images as decoded from their latents, and their errors in grey levels."""
        x = session.dequantize(images, center=True)
        outputs = await batcher.run("encode", {"image": x, **features})
        latents = tuple(outputs[z["name"]] for z in session.manifest["latents"])
        back = await batcher.decode(latents, features)
        return back, level_errors(x, back)

    async def drawn(count: int, features: Arrays, options: Any) -> Response:
        shapes = list(session.latent_shapes)
        latents = noise.draw_latents(count, shapes, options.temperature, options.seed)
        x = await batcher.decode(latents, features)
        noise.check_sampled(x, options.temperature)
        return await run_in_threadpool(picture_response, session.to_uint8(x), options.output)

    @api.post("/score", openapi_extra=FILES, responses=SCORES)
    async def score(request: Request, options: Annotated[Score, Query()]) -> dict[str, Any]:
        """Log-likelihood in nats and bits per dimension of each image."""
        async with batcher.place():
            names, images, features = await images_of(request, options)
            x = session.dequantize(images, options.seed)
            nats = (await batcher.run("log_prob", {"image": x, **features}))["log_prob"]
            errors = (await round_trip_of(images, features))[1] if options.check else None
        nats = nats - np.float32(session.float_dims * np.log(256.0))
        if not np.isfinite(nats).all():
            raise NotFiniteError(f"images[{np.isfinite(nats).argmin()}] has no finite score")
        bits = -nats / np.float32(session.num_dims * np.log(2.0))
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

    @api.post("/round-trip", openapi_extra=FILES, responses=IMAGES)
    async def round_trip(request: Request, options: Annotated[RoundTrip, Query()]) -> Response:
        """The images as ``decode(encode(x))`` gives them back."""
        async with batcher.place():
            _, images, features = await images_of(request, options)
            back = session.to_uint8((await round_trip_of(images, features))[0])
            wrong = (back != images).reshape(len(images), -1).sum(axis=1)
            counts = [int(count) for count in wrong]
            return picture_response(back, options.output, wrong_levels=counts)

    @api.post("/sample", openapi_extra=JSON, responses=IMAGES)
    async def sample(request: Request) -> Response:
        """Images of an unconditional export, or of a class with ``label``."""
        if kind is not None and not isinstance(kind, ClassKind):
            expected = "POST /restore or /translate, which take the conditions"
            raise Refusal(400, "conditions", "none, and this export is conditional", expected)
        options = await read_json(request, Sample)
        at_most(options.n, limits)
        label = _label(kind, options.label)
        async with batcher.place():
            features = _each(await batcher.features(label), options.n)
            return await drawn(options.n, features, options)

    @api.post("/restore", openapi_extra=FILES, responses=IMAGES)
    @api.post("/translate", openapi_extra=FILES, responses=IMAGES)
    async def restore(request: Request, options: Annotated[Restore, Query()]) -> Response:
        """Images given low-resolution images or label maps, ``n`` for each."""
        if kind is None or isinstance(kind, ClassKind):
            expected = "an export for such conditions; this one takes POST /sample or /round-trip"
            raise Refusal(400, "conditions", "a request that needs conditions", expected)
        uploads = await read_uploads(request, ("conditions",), limits)
        total = options.n * len(uploads["conditions"])
        at_most(total, limits)
        async with batcher.place():
            given = await run_in_threadpool(
                read_conditions, session, uploads["conditions"], limits, options.background
            )
            # The features of a condition are made once for all of its images.
            made = await batcher.features(given)
            features = {name: np.repeat(part, options.n, axis=0) for name, part in made.items()}
            return await drawn(total, features, options)


def _each(features: Arrays, n: int) -> Arrays:
    """Features for each of n images; those of a single condition are repeated."""
    return {
        name: np.repeat(part, n, axis=0) if len(part) == 1 else part
        for name, part in features.items()
    }


def _label(kind: Any, label: int | None) -> np.ndarray | None:
    if kind is None:
        if label is not None:
            raise Refusal(422, "label", label, "none, this export is unconditional")
        return None
    if label is None or label >= kind.classes:
        got = "none" if label is None else label
        raise Refusal(422, "label", got, f"a class, 0 to {kind.classes - 1}")
    return np.array([label])
