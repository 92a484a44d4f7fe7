"""The bodies of requests: JSON, or files of images and of conditions."""

from typing import Any

import numpy as np
from fastapi import Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from attnflow_keras.core.conditions import ClassKind
from attnflow_keras.core.wording import counted
from attnflow_keras.runtime import Session
from attnflow_keras.serving.limits import Limits, Refusal, refusal_of
from attnflow_keras.serving.options import Options
from attnflow_keras.serving.pictures import read_pngs


def fields(session: Session) -> tuple[str, ...]:
    """Fields of files that scores and round trips take."""
    return ("images", "conditions") if _takes_files(session) else ("images",)


def _takes_files(session: Session) -> bool:
    """Whether conditions are files; classes are an option of a request."""
    return session.conditional and not isinstance(session.condition_kind, ClassKind)


def at_most(n: int, limits: Limits) -> None:
    """Raise Refusal for more images than a request may ask for."""
    if n > limits.images:
        raise Refusal(
            422, "n", counted(n, "image"), f"at most {counted(limits.images, 'image')} a request"
        )


async def read_json(request: Request, model: type[Options]) -> Any:
    """The options in a body of JSON."""
    kind = request.headers.get("content-type", "none")
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "Content-Type", kind, "application/json")
    body = await request.body()
    try:
        # Strict, or "3" and true would be numbers.
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise refusal_of(error.errors()[0]) from error


async def read_uploads(
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


def read_images(
    session: Session,
    uploads: dict[str, list[tuple[str, bytes]]],
    limits: Limits,
    background: str | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images, and their conditions where the export takes some."""
    shape = session.image_shape
    images = read_pngs("images", uploads["images"], shape, limits, background=background)
    if not _takes_files(session):
        return images, None
    conditions = read_conditions(session, uploads["conditions"], limits, background)
    if len(conditions) not in (1, len(images)):
        expected = f"1 file, or one for each of {counted(len(images), 'image')}"
        raise Refusal(422, "conditions", counted(len(conditions), "file"), expected)
    return images, conditions


def read_conditions(
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
