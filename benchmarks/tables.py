"""Tables in Markdown that are measured a few rows at a time."""


def with_other_rows(text: str, before: str) -> str:
    """A page of tables, with the rows of an older page whose first cell it has not.

    Args:
        text: the new page.
        before: the old one; tables correspond by their first line.

    Returns:
        The new page, in which the older rows come first.
    """
    old = _tables(before)
    lines: list[str] = []
    for block in _blocks(text):
        if block[0].startswith("|"):
            known = {_first(row) for row in block[2:]}
            kept = [row for row in old.get(block[0], []) if _first(row) not in known]
            block = [*block[:2], *kept, *block[2:]]
        lines += block
    return "\n".join(lines)


def _tables(text: str) -> dict[str, list[str]]:
    return {b[0]: b[2:] for b in _blocks(text) if b[0].startswith("|")}


def _blocks(text: str) -> list[list[str]]:
    """Lines of a page, those of a table together."""
    blocks: list[list[str]] = []
    for line in text.split("\n"):
        if blocks and line.startswith("|") and blocks[-1][0].startswith("|"):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def _first(row: str) -> str:
    return row.split("|")[1].strip()
