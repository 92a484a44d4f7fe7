"""What the server counts, for Prometheus."""

import time
from typing import Any

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as text_of
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Paths that are none of the server's count as one: a client could make up any number.
OTHER = "other"


class Metrics:
    """Requests, their seconds, batches and images."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "attnflow_requests_total", "Requests by path and status.", ["path", "status"], **common
        )
        self.seconds = Histogram(
            "attnflow_request_seconds", "Seconds from a request to its answer.", ["path"], **common
        )
        self.inside = Gauge("attnflow_requests_in_flight", "Requests that are served.", **common)
        self.batches = Histogram(
            "attnflow_batch_images",
            "Images in a batch that a graph ran on.",
            ["graph"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            **common,
        )

    def batch(self, graph: str, images: int) -> None:
        """Count a batch."""
        self.batches.labels(graph).observe(images)

    def response(self) -> Response:
        """All figures in Prometheus' text format."""
        return Response(text_of(self.registry), media_type=CONTENT_TYPE_LATEST)


class Measured:
    """Middleware that counts requests, and how long they take."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self.app, self.metrics, self.paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self.paths else OTHER
        status = "none"
        start = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        with self.metrics.inside.track_inprogress():
            try:
                await self.app(scope, receive, noting)
            finally:
                self.metrics.requests.labels(path, status).inc()
                self.metrics.seconds.labels(path).observe(time.perf_counter() - start)
