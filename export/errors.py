"""The error of this package."""


class ExportError(RuntimeError):
    """An export that failed its checks, or a folder that is not a sound export."""
