// Pictures in and out: files, examples and canvases.

import { showError } from "./client.js";
import { element } from "./dom.js";

/** A canvas that shows grey levels (height, width, channels); image `index` of several. */
export function canvasOf(levels, [height, width, channels], label, index = 0) {
  const canvas = element("canvas", { role: "img", "aria-label": label });
  paintLevels(canvas, levels, [height, width, channels], index);
  return canvas;
}

/** Show grey levels on a canvas, which takes their size. */
export function paintLevels(canvas, levels, [height, width, channels], index = 0) {
  canvas.width = width;
  canvas.height = height;
  const data = new ImageData(width, height);
  const start = index * height * width * channels;
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) {
      data.data[4 * i + c] = levels[start + i * channels + (channels === 3 ? c : 0)];
    }
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
}

/** The picture of a file, turned as its camera says. */
export async function readFile(file) {
  try {
    return await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name} is not a picture that this browser can read.`);
  }
}

/**
 * Grey levels of a picture at a size.
 *
 * @param {ImageBitmap} bitmap
 * @param {number[]} shape height, width and 1 or 3 channels
 * @param {{smooth?: boolean}} options smooth: whether colours are mixed where it is resized
 * @returns {{levels: Uint8Array, note: string}} the note says what was done to it
 */
export function levelsOf(bitmap, [height, width, channels], { smooth = true } = {}) {
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  const zoom = Math.max(width / bitmap.width, height / bitmap.height);
  const [across, down] = [width / zoom, height / zoom]; // the middle part of the picture's shape
  const corner = [(bitmap.width - across) / 2, (bitmap.height - down) / 2];
  context.drawImage(bitmap, ...corner, across, down, 0, 0, width, height);
  const transparent = context.getImageData(0, 0, width, height).data.some((level, i) => i % 4 === 3 && level < 255);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  let coloured = false;
  const levels = new Uint8Array(height * width * channels);
  for (let i = 0; i < height * width; i++) {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    if (channels === 3) {
      levels.set([red, green, blue], 3 * i);
    } else {
      coloured ||= red !== green || green !== blue;
      levels[i] = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16; // luma, as Pillow has it
    }
  }
  const cut = bitmap.width - across > 1 || bitmap.height - down > 1;
  const from = `${bitmap.width}x${bitmap.height}`;
  const done = [];
  let part = `${from} pixels`;
  if (zoom !== 1) {
    part = `${cut ? "the middle of " : ""}${from} pixels`;
    done.push(`resized to ${width}x${height}`);
  } else if (cut) {
    part = `the middle ${width}x${height} of ${from} pixels`;
  }
  if (coloured) {
    done.push("colours turned to grey");
  }
  if (transparent) {
    done.push("white behind transparent pixels");
  }
  if (!cut && !done.length) {
    done.push("as they are");
  }
  const note = [part, ...done].join(", ");
  return { levels, note };
}

/**
 * A place to drop or choose a picture.
 *
 * @param {string} text what it is for
 * @param {(bitmap: ImageBitmap, name: string) => any} use
 */
export function picker(text, use) {
  const take = async (file) => {
    if (!file) {
      return;
    }
    showError("");
    try {
      await use(await readFile(file), file.name);
    } catch (error) {
      showError(error.message);
    }
  };
  const input = element("input", {
    type: "file",
    accept: "image/*",
    change: async () => {
      await take(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    },
  });
  const over = (inside) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", inside);
  };
  const zone = element(
    "label",
    {
      class: "drop",
      dragover: over(true),
      dragleave: over(false),
      drop: (event) => {
        over(false)(event);
        take(event.dataTransfer.files[0]);
      },
    },
    element("span", {}, text),
    input,
  );
  return zone;
}

/** Buttons with the site's example pictures; null where it has none. */
export function exampleButtons(examples, what, show, use) {
  if (!examples) {
    return "";
  }
  const size = examples.data.length / examples.count;
  const buttons = Array.from({ length: examples.count }, (_, i) => {
    const levels = examples.data.slice(i * size, (i + 1) * size);
    const canvas = show(levels, `${what} ${i + 1}`);
    return element("button", { type: "button", class: "example", click: () => use(levels, i) }, canvas);
  });
  return element("div", { class: "examples", role: "group", "aria-label": `${what}s` }, ...buttons);
}
