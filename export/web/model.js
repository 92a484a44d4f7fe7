// An exported flow in the browser: the methods of attnflow_keras.runtime.Session that the page needs.

import { DEQUANTIZATION, LATENTS, Philox, standardNormal, uniformNoise } from "./noise.js";

const FORMAT = 1; // of the manifest, as in attnflow_keras/runtime/manifest.py
const ARRAYS = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  uint32: Uint32Array,
};

/** Number of values of a shape. */
export const sizeOf = (shape) => shape.reduce((product, side) => product * side, 1);

/** Raise an Error, of one line for the user, unless this is a manifest that the page can use. */
export function checkManifest(manifest) {
  if (!Number.isInteger(manifest?.format)) {
    throw new Error("model/manifest.json is not the manifest of an export");
  }
  if (manifest.format > FORMAT) {
    throw new Error(
      `This export has format ${manifest.format}, and this page reads up to ${FORMAT}: ` +
        "build the site with a newer version of attnflow-keras.",
    );
  }
}

/** What the flow is conditioned on: "none", "classes", "picture" or "labels". */
export function taskOf(manifest) {
  const condition = manifest.condition;
  if (condition === null) {
    return "none";
  }
  if (condition.palette) {
    return "labels";
  }
  return condition.classes && condition.shape.length === 0 ? "classes" : "picture";
}

/** Images or latents of several batches as one typed array. */
function joined(parts) {
  const whole = new parts[0].constructor(parts.reduce((sum, part) => sum + part.length, 0));
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}

/**
 * A flow whose graphs a runtime computes.
 *
 * Arrays are typed and flat, images one after the other, channels last.
 */
export class Model {
  /**
   * @param {object} manifest content of manifest.json
   * @param {object} runtime the module onnxruntime-web
   * @param {(graph: string) => Promise<object>} open gives the session of a graph
   */
  constructor(manifest, runtime, open) {
    checkManifest(manifest);
    this.manifest = manifest;
    this.runtime = runtime;
    this.open = open;
    this.sessions = {};
    this.imageShape = manifest.image.shape;
    this.floatShape = manifest.image.float_shape;
    const given = manifest.image.preprocess ?? {};
    this.pad = given.pad ?? 0;
    this.replicate = given.replicate ?? 1;
    this.latentShapes = manifest.latents.map((latent) => latent.shape);
    this.conditional = manifest.condition !== null;
  }

  /** Run one graph on one batch: typed arrays by name, in and out. */
  async run(name, inputs, n) {
    this.sessions[name] ??= this.open(name);
    const session = await this.sessions[name];
    const feeds = {};
    for (const { name: key, dtype, shape } of this.manifest.graphs[name].inputs) {
      const Kind = ARRAYS[dtype];
      if (Kind === undefined) {
        throw new Error(`This page has no arrays of ${dtype}, which ${name} takes.`);
      }
      const data = inputs[key] instanceof Kind ? inputs[key] : Kind.from(inputs[key]);
      feeds[key] = new this.runtime.Tensor(dtype, data, [n, ...shape.slice(1)]);
    }
    const results = await session.run(feeds);
    const outputs = Object.entries(results).map(([key, tensor]) => [key, tensor.data]);
    return Object.fromEntries(outputs);
  }

  // --- noise and grey levels -----------------------------------------------------------------

  /** Latents of n images by a seed, one array for each shape, times the temperature. */
  drawLatents(n, shapes, temperature, seed) {
    const sizes = shapes.map(sizeOf);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const flat = standardNormal(new Philox(seed, LATENTS), n * total);
    const scale = Math.fround(temperature);
    let start = 0;
    return sizes.map((size) => {
      const part = new Float32Array(n * size);
      for (let i = 0; i < n; i++) {
        part.set(flat.subarray(i * total + start, i * total + start + size), i * size);
      }
      start += size;
      return part.map((value) => value * scale);
    });
  }

  /** Floats (k + u) / 256 - 0.5 of grey levels, with the seed's noise; null for u = 1/2. */
  dequantize(images, seed) {
    const expanded = this.#expand(images);
    const noise =
      seed === null ? null : uniformNoise(new Philox(seed, DEQUANTIZATION), expanded.length);
    const floats = new Float32Array(expanded.length);
    for (let i = 0; i < floats.length; i++) {
      floats[i] = (expanded[i] + (noise === null ? 0.5 : noise[i])) / 256 - 0.5;
    }
    return floats;
  }

  /** Grey levels of decoded floats. */
  toLevels(floats) {
    const reduced = this.#reduce(floats);
    const levels = new Uint8ClampedArray(reduced.length);
    for (let i = 0; i < levels.length; i++) {
      if (!Number.isFinite(reduced[i])) {
        throw new Error(
          "The images are not finite: the temperature is too high, or the input is unlike the " +
            "training data.",
        );
      }
      levels[i] = Math.floor((reduced[i] + 0.5) * 256);
    }
    return levels;
  }

  #expand(images) {
    if (this.pad === 0 && this.replicate === 1) {
      return images;
    }
    const [height, width, channels] = this.imageShape;
    const [tall, wide, deep] = this.floatShape;
    const n = images.length / sizeOf(this.imageShape);
    const expanded = new Uint8Array(n * sizeOf(this.floatShape));
    this.#eachValue(n, (image, row, column, channel, copy) => {
      const from = ((image * height + row) * width + column) * channels + channel;
      const place = (image * tall + row + this.pad) * wide + column + this.pad;
      expanded[place * deep + copy * channels + channel] = images[from];
    });
    return expanded;
  }

  #reduce(floats) {
    if (this.pad === 0 && this.replicate === 1) {
      return floats;
    }
    const [height, width, channels] = this.imageShape;
    const [tall, wide, deep] = this.floatShape;
    const n = floats.length / sizeOf(this.floatShape);
    const reduced = new Float64Array(n * sizeOf(this.imageShape));
    this.#eachValue(n, (image, row, column, channel, copy) => {
      const place = (image * tall + row + this.pad) * wide + column + this.pad;
      const to = ((image * height + row) * width + column) * channels + channel;
      reduced[to] += floats[place * deep + copy * channels + channel] / this.replicate;
    });
    return reduced;
  }

  #eachValue(n, visit) {
    const [height, width, channels] = this.imageShape;
    for (let image = 0; image < n; image++) {
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          for (let channel = 0; channel < channels; channel++) {
            for (let copy = 0; copy < this.replicate; copy++) {
              visit(image, row, column, channel, copy);
            }
          }
        }
      }
    }
  }

  // --- the map -------------------------------------------------------------------------------

  /** Features of one condition for n images, computed once; {} for an unconditional flow. */
  async features(condition, n) {
    if (!this.conditional) {
      return {};
    }
    const computed = await this.run("condition", { condition }, 1);
    const repeated = Object.entries(computed).map(([key, value]) => {
      const whole = new value.constructor(value.length * n);
      for (let i = 0; i < n; i++) {
        whole.set(value, i * value.length);
      }
      return [key, whole];
    });
    return Object.fromEntries(repeated);
  }

  /** Grey levels of images (n) from latents; `progress(done, n)` after every batch. */
  async decode(latents, n, condition, { batch = 4, progress } = {}) {
    const sizes = this.latentShapes.map(sizeOf);
    const parts = [];
    const features = await this.features(condition, Math.min(batch, n));
    for (let start = 0; start < n; start += batch) {
      const count = Math.min(batch, n - start);
      const inputs = { ...part(features, count, Math.min(batch, n)) };
      sizes.forEach((size, i) => {
        inputs[`latent_${i}`] = latents[i].slice(start * size, (start + count) * size);
      });
      parts.push((await this.run("decode", inputs, count)).image);
      progress?.(start + count, n);
    }
    return this.toLevels(joined(parts));
  }

  /** Latents of grey levels, dequantized at the middle of each. */
  async encode(images, condition) {
    const n = images.length / sizeOf(this.imageShape);
    const inputs = { image: this.dequantize(images, null), ...(await this.features(condition, n)) };
    const outputs = await this.run("encode", inputs, n);
    return this.latentShapes.map((_, i) => outputs[`latent_${i}`]);
  }

  // --- what the page offers ------------------------------------------------------------------

  /** Sample n images, as `Session.sample` does for the same seed. */
  async sample({ n, temperature, seed, condition }, progress) {
    const latents = this.drawLatents(n, this.latentShapes, temperature, seed);
    return this.decode(latents, n, condition, { progress });
  }

  /** Bits per dimension of one image, with the dequantization noise of seed 0. */
  async bitsPerDim({ image, condition }) {
    const inputs = { image: this.dequantize(image, 0), ...(await this.features(condition, 1)) };
    const [logProb] = (await this.run("log_prob", inputs, 1)).log_prob;
    const dims = sizeOf(this.imageShape);
    const constant = sizeOf(this.floatShape) * Math.log(256);
    const bits = -(logProb - constant) / (dims * Math.LN2);
    if (!Number.isFinite(bits)) {
      throw new Error("The score is not finite: the image is unlike the training data.");
    }
    return bits;
  }

  /** Images on the way from one to another through latent space, as `Session.interpolate`. */
  async interpolate({ images, steps, condition }, progress) {
    const latents = await this.encode(images, condition);
    const rows = slerp(latents, steps);
    return this.decode(rows, steps, condition, { progress });
  }
}

function part(features, count, full) {
  const cut = ([key, value]) => [key, value.slice(0, (value.length / full) * count)];
  return Object.fromEntries(Object.entries(features).map(cut));
}

/**
 * Spherical interpolation of the latents of two images: directions on a circle, lengths linearly.
 *
 * @param {Float32Array[]} latents each holds those of both images
 * @param {number} steps at least 2, both ends included
 */
export function slerp(latents, steps) {
  const ends = [0, 1].map((end) =>
    joined(latents.map((z) => z.slice((end * z.length) / 2, ((end + 1) * z.length) / 2))),
  );
  const [a, b] = ends;
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const lengths = ends.map((z) => Math.sqrt(dot(z, z)));
  const cosine = dot(a, b) / (lengths[0] * lengths[1]);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const sine = Math.max(Math.sin(angle), 1e-6);
  const rows = latents.map((z) => new Float32Array((z.length / 2) * steps));
  for (let step = 0; step < steps; step++) {
    const t = step / (steps - 1);
    const straight = angle < 1e-4;
    const share = straight ? [1 - t, t] : [1 - t, t].map((s) => Math.sin(s * angle) / sine);
    const length = (1 - t) * lengths[0] + t * lengths[1];
    const factors = share.map((value, end) => (value * length) / lengths[end]);
    let place = 0;
    for (const row of rows) {
      const size = row.length / steps;
      for (let i = 0; i < size; i++, place++) {
        row[step * size + i] = factors[0] * a[place] + factors[1] * b[place];
      }
    }
  }
  return rows;
}
