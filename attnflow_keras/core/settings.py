"""Settings as fields of a dataclass, each declared once: default, check and help."""

import dataclasses
import re
from functools import partial
from textwrap import fill, indent
from typing import Any

from attnflow_keras.core.checks import check_choice, check_flag, check_integer, check_number


def setting(check: Any, default: Any, text: str, **options: Any) -> Any:
    """A field with its check, and its help for docstrings, the command line and cards."""
    metadata = {"check": partial(check, **options), "help": text}
    return dataclasses.field(default=default, metadata=metadata)


def count(default: int | None, text: str, least: int = 1, **options: Any) -> Any:
    """An integer; where the default is None, None too."""
    none = default is None
    return setting(check_integer, default, text, least=least, none=none, **options)


number = partial(setting, check_number, interval="(0, inf)")
flag, choice = partial(setting, check_flag), partial(setting, check_choice)


class Settings:
    """Base of a frozen dataclass whose fields are settings: it checks them."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = field.metadata["check"](field.name, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def shared(cls, name: str, default: Any = None, **options: Any) -> Any:
        """A setting as another dataclass has it, where its default or check may differ."""
        field = cls.__dataclass_fields__[name]  # type: ignore[attr-defined]
        check, text = field.metadata["check"], field.metadata["help"]
        return setting(check, field.default if default is None else default, text, **options)

    @classmethod
    def describe_in(cls, documented: Any) -> None:
        """Write the settings in place of ``<settings>`` in a docstring."""
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        lines = (f"{field.name}: {field.metadata['help']}" for field in fields)
        text = "\n".join(fill(line, 88, subsequent_indent="    ") for line in lines)
        doc = documented.__doc__ or ""  # none under python -OO
        documented.__doc__ = re.sub("( *)<settings>", lambda found: indent(text, found[1]), doc)
