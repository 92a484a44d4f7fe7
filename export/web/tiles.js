// Low-resolution pictures of any size, in overlapping tiles: attnflow_keras.core.tiles.

import { sizeOf } from "./model.js";

const OVERLAP = 4;

/** How many times larger the model's images are than its conditions. */
export const scaleOf = (manifest) => manifest.image.shape[0] / manifest.condition.shape[0];

/**
 * Restorations of one low-resolution picture, as `Session.restore` gives them.
 *
 * @param {object} model
 * @param {{picture: Uint8Array, size: number[], n: number, temperature: number, seed: number}} given
 *     size: height and width of the picture
 * @param {(done: number, all: number) => void} progress
 * @returns {Promise<Uint8ClampedArray>} n images, one after another
 */
export async function restore(model, { picture, size, n, temperature, seed }, progress) {
  const own = model.manifest.condition.shape;
  if (size[0] === own[0] && size[1] === own[1]) {
    return model.sample({ n, temperature, seed, condition: picture }, progress);
  }
  if (sizeOf(model.floatShape) !== sizeOf(model.imageShape)) {
    throw new Error(`This model takes pictures of ${own[1]}x${own[0]} only.`);
  }
  const scale = scaleOf(model.manifest);
  const channels = own[2];
  const step = Math.max(1, Math.floor((model.manifest.image.side_multiple ?? 1) / scale));
  const most = Math.min(OVERLAP, Math.floor(Math.min(own[0], own[1]) / 2));
  const overlap = Math.floor(most / step) * step;
  const padded = size.map((side, i) => side + Math.max(own[i] - side, (step - (side % step)) % step));
  const whole = mirrored(picture, size, padded, channels);
  const rows = starts(padded[0], own[0], overlap);
  const columns = starts(padded[1], own[1], overlap);
  const all = n * rows.length * columns.length;
  const wanted = size.map((side) => side * scale);
  const result = new Uint8ClampedArray(n * sizeOf(wanted) * channels);
  let done = 0;
  for (let i = 0; i < n; i++) {
    const image = await inTiles(model, whole, padded, { rows, columns, overlap, temperature, seed: seed + i }, () =>
      progress(++done, all),
    );
    for (let row = 0; row < wanted[0]; row++) {
      const from = row * padded[1] * scale * channels;
      const line = image.subarray(from, from + wanted[1] * channels);
      result.set(line, (i * wanted[0] + row) * wanted[1] * channels);
    }
  }
  return result;
}

async function inTiles(model, picture, size, { rows, columns, overlap, temperature, seed }, progress) {
  const [tall, wide, channels] = model.manifest.condition.shape;
  const scale = scaleOf(model.manifest);
  const shapes = model.latentShapes.map(([h, w, c]) => [
    Math.floor((size[0] * h) / tall),
    Math.floor((size[1] * w) / wide),
    c,
  ]);
  const latents = model.drawLatents(1, shapes, temperature, seed);
  const width = size[1] * scale;
  const total = new Float64Array(size[0] * scale * width * channels);
  const weights = new Float64Array(size[0] * scale * width);
  const down = ramp(tall, overlap, scale);
  const across = ramp(wide, overlap, scale);
  for (const top of rows) {
    for (const left of columns) {
      const parts = latents.map((z, i) => {
        const [h, w, c] = model.latentShapes[i];
        const corner = [Math.floor((top * h) / tall), Math.floor((left * w) / wide)];
        return crop(z, shapes[i][1], corner, [h, w], c);
      });
      const condition = crop(picture, size[1], [top, left], [tall, wide], channels);
      const inputs = Object.fromEntries(parts.map((z, i) => [`latent_${i}`, z]));
      Object.assign(inputs, await model.features(condition, 1));
      const { image } = await model.run("decode", inputs, 1);
      for (let row = 0; row < tall * scale; row++) {
        for (let column = 0; column < wide * scale; column++) {
          const weight = down[row] * across[column];
          const place = (top * scale + row) * width + left * scale + column;
          weights[place] += weight;
          for (let c = 0; c < channels; c++) {
            total[place * channels + c] += weight * image[(row * wide * scale + column) * channels + c];
          }
        }
      }
      progress();
    }
  }
  return model.toLevels(total.map((value, i) => value / weights[Math.floor(i / channels)]));
}

/** First elements of the tiles of one axis; the last tile ends with the picture. */
export function starts(side, tile, overlap) {
  const places = [];
  for (let place = 0; place < side - tile; place += tile - overlap) {
    places.push(place);
  }
  return [...places, Math.max(0, side - tile)];
}

/** Weights of a tile's elements along one axis of the large image, rising at both ends. */
function ramp(size, overlap, scale) {
  const length = size * scale;
  const edge = (i) => Math.min(i + 0.5, length - i - 0.5);
  return Array.from({ length }, (_, i) => Math.min(1, edge(i) / Math.max(overlap * scale, 1)));
}

/** A part of a map of `width` columns. */
function crop(map, width, [top, left], [tall, wide], channels) {
  const cut = new map.constructor(tall * wide * channels);
  for (let row = 0; row < tall; row++) {
    const from = ((top + row) * width + left) * channels;
    cut.set(map.subarray(from, from + wide * channels), row * wide * channels);
  }
  return cut;
}

/** A picture that is continued by its mirror image below and to the right. */
function mirrored(picture, [height, width], [tall, wide], channels) {
  const mirror = (i, side) => (Math.floor(i / side) % 2 ? side - 1 - (i % side) : i % side);
  const whole = new Uint8Array(tall * wide * channels);
  for (let row = 0; row < tall; row++) {
    for (let column = 0; column < wide; column++) {
      const from = (mirror(row, height) * width + mirror(column, width)) * channels;
      for (let c = 0; c < channels; c++) {
        whole[(row * wide + column) * channels + c] = picture[from + c];
      }
    }
  }
  return whole;
}
