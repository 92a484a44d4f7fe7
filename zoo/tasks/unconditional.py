"""Images alone."""

from typing import Any

from zoo.tasks.base import Pair, Reading, Task, read_images


class Unconditional(Task):
    """Images given nothing; of data sets that have conditions these are left out."""

    name = "unconditional"
    conditional = False
    rank = 0
    pipeline = "unconditional-image-generation"

    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        return read_images(config, data, reading), None

    def conditions(
        self, config: dict[str, Any], data_set: Any, images: Any, split: str | None
    ) -> None:
        return None

    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        raise ValueError(f"condition must be None: the task is {self.name}; got {given!r}")

    def training(self, config: dict[str, Any], data_set: Any) -> Any:
        return data_set.training(conditional=False)
