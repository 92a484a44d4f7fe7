// Super-resolution: restorations of a picture, before and after, and where they differ.

import { drawing, element, labelled, panel } from "./dom.js";
import { canvasOf, exampleButtons, levelsOf, paintLevels, picker } from "./pictures.js";
import { scaleOf } from "./tiles.js";

const SIDES = [16, 32, 64]; // of larger pictures, which are restored in tiles

/** The parts of the page for this task. */
export function show({ manifest, client, examples }) {
  const [height, width, channels] = manifest.condition.shape;
  const scale = scaleOf(manifest);
  const chosen = { levels: null, size: null };
  const before = element("div", { class: "result", id: "before" });
  const result = element("div", { id: "restored" });

  const controls = drawing("Restorations", { count: 4, most: 16, temperature: 0.8, label: "Restore" }, restore);

  async function restore() {
    if (chosen.levels === null) {
      return;
    }
    const { n, temperature, seed } = controls.given();
    const { levels: picture, size } = chosen;
    const images = await client.ask("restore", { picture, size, n, temperature, seed });
    if (images) {
      const shape = [size[0] * scale, size[1] * scale, channels];
      result.replaceChildren(...results({ picture, size, images, shape, n }));
    }
  }

  function use(levels, size, note) {
    Object.assign(chosen, { levels, size });
    const canvas = canvasOf(levels, [...size, channels], "The image at the model's size");
    before.replaceChildren(canvas, element("p", { class: "note" }, note));
    if (controls.valid()) {
      return restore();
    }
  }

  const sides = element(
    "select",
    {},
    element("option", { value: 0 }, `${width}x${height}, the model's own`),
    ...SIDES.filter((side) => side > Math.max(height, width)).map((side) =>
      element("option", { value: side }, `at most ${side}x${side}, in tiles`),
    ),
  );

  /** Height and width for a picture, larger than the model's own where the user wants that. */
  function sizeFor(bitmap) {
    const most = Number(sides.value);
    if (!most) {
      return [height, width];
    }
    const zoom = Math.min(1, most / Math.max(bitmap.height, bitmap.width));
    return [bitmap.height, bitmap.width].map((side) => Math.max(1, Math.round(side * zoom)));
  }

  return [
    panel(
      "Picture",
      element("p", {}, `Enlarges a small image ${scale} times; many results are consistent with it.`),
      labelled("Resize larger images to", sides),
      picker("Drop an image here, or choose one", (bitmap, name) => {
        const size = sizeFor(bitmap);
        const { levels, note } = levelsOf(bitmap, [...size, channels]);
        return use(levels, size, `${name}: ${note}.`);
      }),
      exampleButtons(
        examples.condition,
        "Example",
        (levels, label) => canvasOf(levels, [height, width, channels], label),
        (levels, i) => use(levels, [height, width], `Example ${i + 1}, ${width}x${height} pixels.`),
      ),
      before,
    ),
    panel("Restorations", controls.form, result),
  ];
}

/** What is shown of restorations: one beside the picture, all to choose from, their spread. */
function results({ picture, size, images, shape, n }) {
  const channels = shape[2];
  const after = canvasOf(images, shape, "Restoration 1");
  const cover = canvasOf(picture, [...size, channels], "The picture before");
  const under = element("div", { class: "before" }, cover);
  const compare = element("div", { class: "compare" }, after, under);
  const divider = element("input", { type: "range", min: 0, max: 100, value: 50 });
  const place = () => under.style.setProperty("clip-path", `inset(0 ${100 - divider.value}% 0 0)`);
  divider.addEventListener("input", place);
  place();

  const choice = (i) => {
    const button = element(
      "button",
      {
        type: "button",
        class: "example",
        "aria-pressed": String(i === 0),
        click: () => {
          paintLevels(after, images, shape, i);
          after.setAttribute("aria-label", `Restoration ${i + 1}`);
          buttons.forEach((other, k) => other.setAttribute("aria-pressed", String(k === i)));
        },
      },
      canvasOf(images, shape, `Restoration ${i + 1}`, i),
    );
    return button;
  };
  const buttons = Array.from({ length: n }, (_, i) => choice(i));
  const views = [element("div", {}, compare, labelled("Before and after", divider))];
  if (n > 1) {
    const { levels, most, mean } = spread(images, shape, n);
    const text =
      `Spread: the standard deviation over ${n} restorations, black for 0, white for ` +
      `${most.toFixed(1)} grey levels; ${mean.toFixed(1)} on average.`;
    const map = canvasOf(levels, [shape[0], shape[1], 1], "Map of the spread");
    map.id = "spread";
    views.push(element("figure", {}, map, element("figcaption", { class: "note" }, text)));
  }
  return [
    element("div", { class: "examples large", role: "group", "aria-label": "Restorations" }, ...buttons),
    element("div", { class: "views" }, ...views),
  ];
}

/** Standard deviation of every pixel over n images, mean of the channels, as grey levels. */
export function spread(images, [height, width, channels], n) {
  const area = height * width;
  const deviations = new Float64Array(area);
  for (let i = 0; i < area * channels; i++) {
    let [sum, squares] = [0, 0];
    for (let k = 0; k < n; k++) {
      const value = images[k * area * channels + i];
      sum += value;
      squares += value * value;
    }
    const variance = Math.max(0, (squares - (sum * sum) / n) / (n - 1));
    deviations[Math.floor(i / channels)] += Math.sqrt(variance) / channels;
  }
  const most = deviations.reduce((a, b) => Math.max(a, b), 1e-6);
  const mean = deviations.reduce((a, b) => a + b, 0) / area;
  return { levels: Uint8Array.from(deviations, (value) => Math.round((255 * value) / most)), most, mean };
}
