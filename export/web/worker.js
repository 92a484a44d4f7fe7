// Loads the runtime and the model, and computes, beside the page. A request is answered by one
// message with its id, and by messages about its progress before.

import { checkedSession } from "./gpu.js";
import { Model } from "./model.js";
import { restore } from "./tiles.js";

const ERRORS = 3; // and nothing less goes to the console

const at = (path) => new URL(path, import.meta.url).href;

let ort = null;
let model = null;
let onGpu = []; // names of graphs
let loading = () => {};

/** Load the runtime; the build with WebGPU computes on the CPU where there is no GPU. */
async function startRuntime(graphsForGpu) {
  const [module, binary] = graphsForGpu.length
    ? ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"]
    : ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"];
  ort = await import(at(`runtime/${module}`));
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  ort.env.wasm.wasmPaths = { mjs: at(`runtime/${binary}.mjs`), wasm: at(`runtime/${binary}.wasm`) };
  ort.env.logLevel = "error";
  const adapter = graphsForGpu.length ? await navigator.gpu?.requestAdapter().catch(() => null) : null;
  onGpu = adapter ? graphsForGpu : [];
}

async function fetched(path, report) {
  const response = await fetch(at(path));
  if (!response.ok) {
    throw new Error(`The site is incomplete: ${path} is missing (${response.status}).`);
  }
  if (!response.body || !report) {
    return response.arrayBuffer();
  }
  const parts = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    parts.push(read.value);
    received += read.value.length;
    report(received);
  }
  return new Blob(parts).arrayBuffer();
}

async function open(name) {
  const { file } = model.manifest.graphs[name];
  const bytes = model.manifest.files[file].bytes;
  const path = `model/${encodeURIComponent(file)}`;
  const data = await fetched(path, (received) => loading(`Loading the model: ${name}`, received, bytes));
  if (data.byteLength !== bytes) {
    throw new Error(`The site is damaged: ${path} has ${data.byteLength} bytes, not ${bytes}.`);
  }
  loading(`Preparing the model: ${name}`, 0, 0);
  const session = (...executionProviders) =>
    ort.InferenceSession.create(data, { executionProviders, logSeverityLevel: ERRORS });
  const cpu = await session("wasm").catch(async (error) => {
    // The runtime loads its own files with the first graph.
    for (const part of Object.values(ort.env.wasm.wasmPaths)) {
      const response = await fetch(part, { method: "HEAD" });
      if (!response.ok) {
        throw new Error(`The site is incomplete: ${part.split("/").slice(-2).join("/")} is missing (${response.status}).`);
      }
    }
    throw error;
  });
  if (!onGpu.includes(name)) {
    return cpu;
  }
  return checkedSession(
    cpu,
    () => session("webgpu", "wasm"),
    (reason) => self.postMessage({ graph: name, reason }),
  );
}

const verbs = {
  init: async (given) => {
    await startRuntime(given.webgpu);
    model = new Model(given.manifest, ort, open);
    return true;
  },
  sample: (given, progress) => model.sample(given, progress),
  score: (given) => model.bitsPerDim(given),
  morph: (given, progress) => model.interpolate(given, progress),
  restore: (given, progress) => restore(model, given, progress),
};

// One request after another: the runtime computes one graph at a time.
let last = Promise.resolve();

self.addEventListener("message", ({ data: { id, verb, given } }) => {
  last = last.then(async () => {
    const tell = (text) => (done, all) => self.postMessage({ id, text, done, all });
    loading = (text, done, all) => tell(text)(done, all);
    try {
      const result = await verbs[verb](given, tell("Computing"));
      self.postMessage({ id, result });
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error).split("\n")[0] });
    }
  });
});

self.postMessage({ ready: true });
