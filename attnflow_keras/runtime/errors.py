"""The error of this package."""


class ExportError(RuntimeError):
    """An export that failed its checks, or a folder that is not a valid export.

    >>> try:
    ...     export.verify(".")
    ... except export.ExportError as error:
    ...     print(error)
    . is not an export: it has no manifest.json; export.onnx writes one
    """
