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
  const images = await inTiles(model, whole, padded, { n, overlap, temperature, seed }, progress);
  const wanted = size.map((side) => side * scale);
  return crop(images, padded.map((side) => side * scale), [0, 0], wanted, channels, n);
}

/** As `draw_in_tiles` in Python, but all images of a tile at once. */
async function inTiles(model, picture, size, { n, overlap, temperature, seed }, progress) {
  const [tall, wide, channels] = model.manifest.condition.shape;
  const scale = scaleOf(model.manifest);
  const shapes = model.latentShapes.map(([h, w, c]) => [
    Math.floor((size[0] * h) / tall),
    Math.floor((size[1] * w) / wide),
    c,
  ]);
  const drawn = Array.from({ length: n }, (_, i) => model.drawLatents(1, shapes, temperature, seed + i));
  const latents = shapes.map((shape, i) => {
    const whole = new Float32Array(n * sizeOf(shape));
    drawn.forEach((each, k) => whole.set(each[i], k * sizeOf(shape)));
    return whole;
  });
  const [height, width] = size.map((side) => side * scale);
  const total = new Float64Array(n * height * width * channels);
  const weights = new Float64Array(height * width);
  const down = ramp(tall, overlap, scale);
  const across = ramp(wide, overlap, scale);
  const rows = starts(size[0], tall, overlap);
  const columns = starts(size[1], wide, overlap);
  let done = 0;
  for (const [top, left] of rows.flatMap((row) => columns.map((column) => [row, column]))) {
    const condition = crop(picture, size, [top, left], [tall, wide], channels, 1);
    const inputs = await model.features(condition, n);
    latents.forEach((z, i) => {
      const [h, w, c] = model.latentShapes[i];
      const corner = [Math.floor((top * h) / tall), Math.floor((left * w) / wide)];
      inputs[`latent_${i}`] = crop(z, shapes[i], corner, [h, w], c, n);
    });
    const { image } = await model.run("decode", inputs, n);
    let from = 0;
    for (let k = 0; k < n; k++) {
      for (let row = 0; row < tall * scale; row++) {
        for (let column = 0; column < wide * scale; column++) {
          const weight = down[row] * across[column];
          const place = (top * scale + row) * width + left * scale + column;
          weights[place] += k === 0 ? weight : 0;
          for (let c = 0; c < channels; c++, from++) {
            total[(k * height * width + place) * channels + c] += weight * image[from];
          }
        }
      }
    }
    progress(++done, rows.length * columns.length);
  }
  const area = height * width;
  return model.toLevels(total.map((value, i) => value / weights[Math.floor(i / channels) % area]));
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

/** A part of each of n maps. */
function crop(maps, [height, width], [top, left], [tall, wide], channels, n) {
  const cut = new maps.constructor(n * tall * wide * channels);
  for (let k = 0; k < n; k++) {
    for (let row = 0; row < tall; row++) {
      const from = ((k * height + top + row) * width + left) * channels;
      cut.set(maps.subarray(from, from + wide * channels), (k * tall + row) * wide * channels);
    }
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
