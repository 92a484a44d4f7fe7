// The random numbers of attnflow_keras.core.noise: NumPy's Philox, and its normal and integer draws.
//
// One seed means the same noise here as in Python, to the last bit of nearly every float.

// Streams of one seed.
export const DEQUANTIZATION = 0;
export const LATENTS = 1;

const MASK = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const ROUNDS = 10;

/** Philox4x64-10 with NumPy's order of output: a 64-bit word gives its low half first. */
export class Philox {
  /**
   * @param {number|bigint} seed first word of the key, an integer of at least 0
   * @param {number|bigint} stream second word of the key
   */
  constructor(seed, stream) {
    this.key = [BigInt(seed) & MASK, BigInt(stream) & MASK];
    this.counter = 0n;
    this.words = new Uint32Array(8);
    this.next = 8;
  }

  /** The next 32 random bits. */
  uint32() {
    if (this.next === 8) {
      this.#fill();
    }
    return this.words[this.next++];
  }

  /** Uniform in [0, 1), of 24 bits. */
  float() {
    return (this.uint32() >>> 8) / 2 ** 24;
  }

  #fill() {
    this.counter += 1n; // before its first use, as in NumPy
    let a = this.counter & MASK;
    let b = (this.counter >> 64n) & MASK;
    let c = 0n;
    let d = 0n;
    let [first, second] = this.key;
    for (let round = 0; round < ROUNDS; round++) {
      const left = MULTIPLIERS[0] * a;
      const right = MULTIPLIERS[1] * c;
      [a, b, c, d] = [(right >> 64n) ^ b ^ first, right & MASK, (left >> 64n) ^ d ^ second, left & MASK];
      first = (first + WEYL[0]) & MASK;
      second = (second + WEYL[1]) & MASK;
    }
    [a, b, c, d].forEach((word, i) => {
      this.words[2 * i] = Number(word & 0xffffffffn);
      this.words[2 * i + 1] = Number(word >> 32n);
    });
    this.next = 0;
  }
}

// The ziggurat of the normal density (Marsaglia and Tsang, 2000), 256 layers of equal area.
const LAYERS = 256;
const EDGE = 3.6541528853610088; // where the tail begins
const AREA = 0.00492867323399; // of a layer
const BITS = 2 ** 23;

const { accept, width, density } = tables();

function tables() {
  const accept = new Uint32Array(LAYERS);
  const width = new Float32Array(LAYERS);
  const density = new Float32Array(LAYERS);
  const height = (x) => Math.exp(-0.5 * x * x);
  const base = AREA / height(EDGE);
  accept[0] = (EDGE / base) * BITS;
  accept[1] = 0;
  width[0] = base / BITS;
  width[LAYERS - 1] = EDGE / BITS;
  density[0] = 1;
  density[LAYERS - 1] = height(EDGE);
  let outer = EDGE;
  for (let i = LAYERS - 2; i > 0; i--) {
    const inner = Math.sqrt(-2 * Math.log(AREA / outer + height(outer)));
    accept[i + 1] = (inner / outer) * BITS;
    width[i] = inner / BITS;
    density[i] = height(inner);
    outer = inner;
  }
  return { accept, width, density };
}

/**
 * Standard normal draws, as `Generator.standard_normal(count, dtype=float32)`.
 *
 * @param {Philox} generator
 * @param {number} count
 * @returns {Float32Array}
 */
export function standardNormal(generator, count) {
  const drawn = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    drawn[i] = normal(generator);
  }
  return drawn;
}

function normal(generator) {
  for (;;) {
    const bits = generator.uint32();
    const layer = bits & 0xff;
    const place = bits >>> 9;
    const size = Math.fround(place * width[layer]);
    const x = (bits >>> 8) & 1 ? -size : size;
    if (place < accept[layer]) {
      return x;
    }
    if (layer === 0) {
      return tail(generator, (place >>> 8) & 1);
    }
    const step = Math.fround(density[layer - 1] - density[layer]);
    const height = Math.fround(Math.fround(step * generator.float()) + density[layer]);
    if (height < Math.exp(-0.5 * x * x)) {
      return x;
    }
  }
}

function tail(generator, negative) {
  const edge = Math.fround(EDGE);
  const inverse = Math.fround(1 / EDGE);
  for (;;) {
    const x = Math.fround(-inverse * Math.fround(Math.log1p(-generator.float())));
    const y = -Math.fround(Math.log1p(-generator.float()));
    if (Math.fround(y + y) > Math.fround(x * x)) {
      const far = Math.fround(edge + x);
      return negative ? -far : far;
    }
  }
}

/**
 * Uniform noise for dequantization: of 14 bits, in (0, 1), as `uniform_noise` in Python.
 *
 * @param {Philox} generator
 * @param {number} count
 * @returns {Float32Array}
 */
export function uniformNoise(generator, count) {
  const drawn = new Float32Array(count);
  let bits = 0;
  for (let i = 0; i < count; i++) {
    bits = i % 2 === 0 ? generator.uint32() : bits >>> 16;
    // NumPy takes 16 bits for each integer, the low ones first, and of these the upper 14.
    drawn[i] = (((bits & 0xffff) >>> 2) + 0.5) / 2 ** 14;
  }
  return drawn;
}
