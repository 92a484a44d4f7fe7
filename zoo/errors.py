"""The zoo's one kind of error."""


class ZooError(ValueError):
    """An entry that can't be found, read or trusted; the message says what to do."""
