// Images without a condition, or of a class: samples, scores, morphs.

import { drawing, element, labelled, panel, slider } from "./dom.js";
import { canvasOf, exampleButtons, levelsOf, paintLevels, picker } from "./pictures.js";

const STEPS = 17; // of a morph

/** The parts of the page for this task. */
export function show({ manifest, client, examples, classes }) {
  const shape = manifest.image.shape;
  const chosen = element(
    "select",
    {},
    ...classes.map((name, i) => element("option", { value: i }, name)),
  );
  const condition = () => (classes.length ? Uint8Array.of(Number(chosen.value)) : null);
  const given = { shape, client, examples, condition };
  const parts = [samplePanel(given), scorePanel(given), morphPanel(given)];
  if (classes.length) {
    parts.unshift(panel("Class", labelled("Of samples, scores and morphs", chosen)));
  }
  return parts;
}

function samplePanel({ shape, client, condition }) {
  const grid = element("div", { class: "grid", id: "samples" });
  const controls = drawing(
    "Samples",
    { count: 16, most: 64, temperature: 0.8, label: "Sample" },
    async () => {
      const asked = controls.given();
      const images = await client.ask("sample", { ...asked, condition: condition() });
      if (images) {
        const label = (i) => `Sample ${i + 1} of ${asked.n}, seed ${asked.seed}`;
        const canvases = Array.from({ length: asked.n }, (_, i) => canvasOf(images, shape, label(i), i));
        grid.replaceChildren(...canvases);
      }
    },
  );
  return panel("Samples", controls.form, grid);
}

/** How examples of this shape are shown. */
const shown = (shape) => (levels, label) => canvasOf(levels, shape, label);

function scorePanel({ shape, client, examples, condition }) {
  const result = element("div", { class: "result", id: "score", "aria-live": "polite" });
  const score = async (levels, note) => {
    const bits = await client.ask("score", { image: levels, condition: condition() });
    if (bits !== null) {
      const figure = element("p", { class: "figure" }, `${bits.toFixed(4)} bits/dim`);
      figure.dataset.bits = bits;
      result.replaceChildren(
        canvasOf(levels, shape, "The image at the model's size"),
        element("div", {}, figure, element("p", { class: "note" }, note)),
      );
    }
  };
  return panel(
    "Score",
    element("p", {}, "How probable an image is under the model: fewer bits mean more probable."),
    picker("Drop an image here, or choose one", (bitmap, name) => {
      const { levels, note } = levelsOf(bitmap, shape);
      return score(levels, `${name}: ${note}.`);
    }),
    exampleButtons(examples.images, "Example", shown(shape), (levels, i) => score(levels, `Example ${i + 1}.`)),
    result,
  );
}

function morphPanel({ shape, client, examples, condition }) {
  const ends = [null, null];
  let frames = null;
  const canvas = element("canvas", { id: "morph", role: "img", "aria-label": "The morph", hidden: true });
  const place = slider("From first to second", { min: 0, max: STEPS - 1, step: 1, value: 0, disabled: true });
  const paint = () => frames && paintLevels(canvas, frames, shape, place.control.valueAsNumber);
  place.control.addEventListener("input", paint);
  const compute = async () => {
    if (!ends[0] || !ends[1]) {
      return;
    }
    const images = new Uint8Array([...ends[0], ...ends[1]]);
    frames = (await client.ask("morph", { images, steps: STEPS, condition: condition() })) ?? frames;
    canvas.hidden = frames === null;
    place.control.disabled = frames === null;
    paint();
  };
  const side = (i, word) => {
    const preview = element("div", { class: "result" });
    const use = (levels) => {
      ends[i] = levels;
      preview.replaceChildren(canvasOf(levels, shape, `The ${word} image`));
      return compute();
    };
    return element(
      "div",
      { class: "end" },
      picker(`The ${word} image`, (bitmap) => use(levelsOf(bitmap, shape).levels)),
      exampleButtons(examples.images, `${word} example`, shown(shape), use),
      preview,
    );
  };
  return panel(
    "Morph",
    element("p", {}, "Spherical interpolation between two images in latent space."),
    element(
      "div",
      { class: "ends" },
      side(0, "first"),
      side(1, "second"),
      element("div", { class: "end" }, place.field, canvas),
    ),
  );
}
