"""What requests may state beside their files."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from attnflow_keras.data.pictures import as_colour


class Options(BaseModel):
    """What a request may state beside its files."""

    model_config = ConfigDict(extra="forbid")


class Pictures(Options):
    """The colour behind transparent pixels of the files; without it those are refused."""

    background: str | None = None

    @field_validator("background")
    @classmethod
    def _is_colour(cls, value: str | None) -> str | None:
        if value is not None:
            as_colour(value)
        return value


class Output(Options):
    """How images come back: one PNG with all of them, or JSON with a base64 PNG for each."""

    output: Literal["grid", "list"] = "grid"


class Draw(Output):
    """What to draw."""

    n: int = Field(1, ge=1)
    temperature: float = Field(1.0, ge=0.0, le=10.0, allow_inf_nan=False)
    seed: int | None = Field(None, ge=0, lt=2**63)


class Labelled(Options):
    """The class of all images, for a class-conditional export."""

    label: int | None = Field(None, ge=0)


class RoundTrip(Output, Pictures, Labelled):
    """How the images of a round trip come back."""


class Sample(Draw, Labelled):
    """What to draw without conditions that are images."""


class Restore(Draw, Pictures):
    """What to draw for conditions."""


class Score(Pictures, Labelled):
    """The seed of the dequantization noise, and whether to check the round trip too."""

    seed: int = Field(0, ge=0, lt=2**63)
    check: bool = False
