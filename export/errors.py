"""The error of this package."""


class ExportError(RuntimeError):
    """An export that failed its checks, or a folder that is not a sound export.

    >>> export.verify(".")
    Traceback (most recent call last):
        ...
    export.errors.ExportError: . is not an export: it has no manifest.json; export.onnx writes one
    """
