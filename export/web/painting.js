// Label to photo: a label map to paint, and photos that follow it.

import { drawing, element, labelled, panel, slider } from "./dom.js";
import { canvasOf, exampleButtons, levelsOf, picker } from "./pictures.js";
import { LabelMap } from "./label_map.js";

const DELAY = 250; // milliseconds after the last stroke

/** The parts of the page for this task. */
export function show({ manifest, client, examples, classes }) {
  const { palette } = manifest.condition;
  const [height, width] = manifest.condition.shape;
  const map = new LabelMap(palette, height, width);
  if (examples.condition) {
    map.set(examples.condition.data.slice(0, height * width));
    map.history = [];
  }
  const photos = element("div", { class: "photos", id: "photos" });
  const controls = drawing("Photos", { count: 4, most: 16, temperature: 0.7, label: "Draw photos" }, follow);
  const live = element("input", { type: "checkbox", checked: true });

  // One request at a time: a map that changes meanwhile is asked for when the last one is done.
  let [running, changed, timer] = [false, false, 0];

  async function follow() {
    if (running) {
      changed = true;
      return;
    }
    running = true;
    do {
      changed = false;
      const asked = controls.given();
      const images = await client.ask("sample", { ...asked, condition: map.classes.slice() });
      if (images) {
        const label = (i) => `Photo ${i + 1} of ${asked.n}, seed ${asked.seed}`;
        const shape = manifest.image.shape;
        photos.replaceChildren(...Array.from({ length: asked.n }, (_, i) => canvasOf(images, shape, label(i), i)));
      }
    } while (changed);
    running = false;
  }

  map.onChange = () => {
    clearTimeout(timer);
    if (live.checked && controls.valid()) {
      timer = setTimeout(follow, DELAY);
    }
  };

  const told = element("p", { class: "note", id: "map-note", "aria-live": "polite" });
  const use = (classes, note = "") => {
    map.set(classes);
    told.replaceChildren(note);
  };
  const read = (bitmap, name) => {
    const { levels, note } = levelsOf(bitmap, [height, width, 3], { smooth: false });
    const { classes, how } = classesOf(levels, palette);
    use(classes, `${name}: ${note}; ${how}.`);
  };
  const canvas = element("div", { class: "canvas" }, map.canvas);
  return [
    panel(
      "Label map",
      element("p", { id: "help" }, "Paint with a pointer, or with the arrow keys and space."),
      tools(map, palette, classes),
      element("div", { class: "ends" }, canvas, element("div", { class: "canvas" }, photos)),
      labelled("Photos follow the map", live),
      controls.form,
    ),
    panel(
      "Other maps",
      exampleButtons(
        examples.condition,
        "Example",
        (levels, label) => canvasOf(coloured(levels, palette), [height, width, 3], label),
        (levels) => use(levels),
      ),
      picker("Drop a label map here, in these colours or with classes as grey levels, or choose one", read),
      told,
    ),
  ];
}

/** Class, brush or fill, size of the brush, undo. */
function tools(map, palette, names) {
  const swatches = palette.map((colour, i) => {
    const input = element("input", { type: "radio", name: "class", value: i, checked: i === map.chosen });
    input.addEventListener("change", () => {
      map.chosen = i;
    });
    const patch = canvasOf(colour, [1, 1, 3], "");
    patch.setAttribute("aria-hidden", "true");
    return element("label", { class: "swatch" }, input, patch, names[i]);
  });
  const size = slider("Brush size", { min: 1, max: Math.ceil(map.width / 3), value: Math.ceil(map.width / 8) });
  const setSize = () => {
    map.brush = size.control.valueAsNumber;
  };
  size.control.addEventListener("input", setSize);
  setSize();
  const fill = element("input", {
    type: "checkbox",
    change: () => {
      map.filling = fill.checked;
    },
  });
  return element(
    "div",
    { class: "tools" },
    element("fieldset", { class: "swatches" }, element("legend", {}, "Class"), ...swatches),
    size.field,
    labelled("Fill areas", fill),
    element("button", { type: "button", class: "second", click: () => map.undo() }, "Undo"),
    element("button", { type: "button", class: "second", click: () => map.clear() }, "Fill all"),
  );
}

/** Colours of classes, as levels. */
export function coloured(classes, palette) {
  const levels = new Uint8Array(3 * classes.length);
  classes.forEach((label, i) => levels.set(palette[Math.min(label, palette.length - 1)], 3 * i));
  return levels;
}

/**
 * The classes that a picture shows.
 *
 * @param {Uint8Array} levels red, green and blue of each pixel
 * @param {number[][]} palette colour of each class
 * @returns {{classes: Uint8Array, how: string}} how says what was taken for what
 */
export function classesOf(levels, palette) {
  const { classes, other } = nearest(levels, palette);
  if (other === 0) {
    return { classes, how: "classes by their colours" };
  }
  // Label maps are often kept so, and other commands take them.
  const grey = Uint8Array.from(classes, (_, i) => levels[3 * i]);
  const fits = (label, i) => label < palette.length && label === levels[3 * i + 1] && label === levels[3 * i + 2];
  if (grey.every(fits)) {
    return { classes: grey, how: "grey levels taken as classes" };
  }
  const share = Math.ceil((100 * other) / classes.length);
  return { classes, how: `${share} % of it has colours of no class, which became the nearest` };
}

/** The classes of the nearest colours of the palette, and how many pixels have another colour. */
function nearest(levels, palette) {
  const classes = new Uint8Array(levels.length / 3);
  let other = 0;
  for (let i = 0; i < classes.length; i++) {
    let least = Infinity;
    palette.forEach((colour, label) => {
      const distance = colour.reduce((sum, level, c) => sum + (level - levels[3 * i + c]) ** 2, 0);
      if (distance < least) {
        least = distance;
        classes[i] = label;
      }
    });
    other += least > 0;
  }
  return { classes, other };
}
