"""Bodies and answers of requests as the OpenAPI page shows them."""

from typing import Any

_PNGS = {"type": "array", "items": {"type": "string", "format": "binary"}}

# Read by hand, so that limits hold while they come in; FastAPI knows nothing of them.
FILES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "images": {**_PNGS, "description": "PNG files, to score or to map."},
                        "conditions": {
                            **_PNGS,
                            "description": "PNG files of a conditional export: one for each "
                            "image, or one for all.",
                        },
                    },
                }
            }
        },
    }
}
JSON: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "n": {"type": "integer", "minimum": 1, "default": 1},
                        "temperature": {"type": "number", "minimum": 0, "default": 1.0},
                        "seed": {"type": "integer", "minimum": 0},
                        "label": {"type": "integer", "minimum": 0},
                        "output": {"enum": ["grid", "list"], "default": "grid"},
                    },
                },
                "example": {"n": 16, "temperature": 0.8, "seed": 0},
            }
        },
    }
}

_ERROR = {
    "description": "What is wrong: the field, what came, what was expected.",
    "content": {
        "application/json": {
            "example": {
                "error": {
                    "field": "images[1]",
                    "got": "9x8 pixels, mode L",
                    "expected": "a PNG of 28x28 pixels, grey, 8 bits",
                }
            }
        }
    },
}
_ERRORS: dict[int | str, dict[str, Any]] = {status: _ERROR for status in (400, 413, 415, 422, 503)}
IMAGES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One PNG with all images, row by row; or with output=list JSON with each.",
        "content": {
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"example": {"images": ["iVBORw0KGgo..."]}},
        },
    },
    **_ERRORS,
}
SCORES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Scores in the order of the files.",
        "content": {
            "application/json": {
                "example": {
                    "images": [{"name": "a.png", "log_prob": -623.1, "bits_per_dim": 1.147}]
                }
            }
        },
    },
    **_ERRORS,
}
