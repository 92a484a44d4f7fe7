"""Counts in sentences."""


def counted(count: int, noun: str) -> str:
    """``"1 image"``, ``"1200 images"``.

    Args:
        count: how many.
        noun: the singular, of a word whose plural ends in s.
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
