"""Super-resolution: images given low-resolution ones."""

from collections.abc import Callable
from typing import Any

from zoo.tasks.base import Evaluation, Pair, Reading, Task, read_images

DIVERSITY_ITEMS = 64


class SuperResolution(Task):
    """Images given their reductions by the configuration's ``scale``, from any images."""

    name = "super-resolution"
    rank = 1
    command = "restore"
    pipeline = "image-to-image"
    result = "restoration"
    title = "Restoration"
    lpips = True

    def check(self, config: dict[str, Any]) -> None:
        if "scale" not in config:
            raise ValueError(f"is for {self.name}; its config.json has no scale")

    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        images = read_images(config, data, reading)
        return images, self._reduced(config, images)

    def conditions(
        self, config: dict[str, Any], data_set: Any, images: Any, split: str | None
    ) -> Any:
        return self._reduced(config, images)

    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        """Of a low-resolution image's file, uint8 ``(h, w, 3)``."""
        from attnflow_keras.data import load_picture

        return load_picture(given, reading.background)

    def training(self, config: dict[str, Any], data_set: Any) -> Any:
        return self._source(config, data_set.crops())

    def own(
        self,
        config: dict[str, Any],
        data: str,
        reading: Reading,
        held_out: Callable[[int], Any],
        say: Callable[[str], None],
    ) -> tuple[Any, Pair | None]:
        """Crops of images of any size; none is held out."""
        from attnflow_keras.data import load_pictures
        from attnflow_keras.data.sources import PictureCrops

        sides = tuple(config["image_shape"][:2])
        crops = PictureCrops(load_pictures(data, sides, reading.background), *sides)
        say("training on crops of all images: none is held out, so nothing is scored")
        return self._source(config, crops), None

    def evaluate(self, flow: Any, images: Any, conditions: Any, how: Evaluation) -> dict[str, Any]:
        """Beside bicubic interpolation and the entry's encoder."""
        from attnflow_keras.data import upscale
        from attnflow_keras.metrics import evaluate_restoration, quality
        from attnflow_keras.metrics.restoration import TEMPERATURES

        temperatures = (0.0, *TEMPERATURES)
        total = len(images) * (len(temperatures) + 1)
        if how.samples > 1:
            total += how.samples * min(DIVERSITY_ITEMS, len(images))
        with how.working("restoring", total) as report:
            result = evaluate_restoration(
                flow,
                images,
                conditions,
                how.split,
                temperatures,
                how.seed,
                how.samples,
                how.lpips,
                progress=report,
                diversity_items=DIVERSITY_ITEMS,
            )
        result["baselines"] = {
            "bicubic": quality(upscale(conditions, flow.scale), images, conditions, how.lpips),
        }
        if hasattr(flow, "regress"):
            encoded = flow.regress(conditions)
            result["baselines"]["encoder (L1)"] = quality(encoded, images, conditions, how.lpips)
        return result

    def _reduced(self, config: dict[str, Any], images: Any) -> Any:
        from attnflow_keras.data.dataset import reduced

        return reduced(images, config["scale"])

    def _source(self, config: dict[str, Any], crops: Any) -> Any:
        from attnflow_keras.data.sources import SmallAndLarge

        return SmallAndLarge(crops, config["scale"])
