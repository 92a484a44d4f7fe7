"""The zoo's one kind of error."""


class ZooError(ValueError):
    """An entry that can't be found, read or trusted; the message says what to do.

    >>> zoo.load("no-such-entry")
    Traceback (most recent call last):
        ...
    zoo.errors.ZooError: no entry 'no-such-entry': ...
    """
