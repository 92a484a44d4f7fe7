// Starts the page: reads what the site holds, and shows what its model can do.

import { Client, showError, showStatus } from "./client.js";
import { checkManifest, sizeOf, taskOf } from "./model.js";

const PAGES = {
  none: "./unconditional.js",
  classes: "./unconditional.js",
  picture: "./restoration.js",
  labels: "./painting.js",
};

async function readJson(path) {
  const response = await fetch(path);
  if (!response.ok) {
    throw new Error(`The site is incomplete: ${path} is missing (${response.status}).`);
  }
  return response.json();
}

/** Arrays of the site's examples, by name; {} where it has none. */
async function readExamples(listed) {
  const examples = {};
  for (const [name, { file, shape }] of Object.entries(listed ?? {})) {
    const response = await fetch(file);
    const data = new Uint8Array(await response.arrayBuffer());
    if (response.ok && data.length === sizeOf(shape)) {
      examples[name] = { data, shape: shape.slice(1), count: shape[0] };
    }
  }
  return examples;
}

function describe({ name, image, condition }) {
  const [height, width, channels] = image.shape;
  const colours = channels === 1 ? "grey" : "colour";
  const kinds = {
    none: "",
    classes: `, for one of ${condition?.classes} classes`,
    picture: `, from pictures of ${condition?.shape[1]}x${condition?.shape[0]}`,
    labels: `, from label maps of ${condition?.classes} classes`,
  };
  return `${name}: a normalizing flow for ${colours} images of ${width}x${height}${kinds[taskOf({ condition })]}.`;
}

async function start() {
  if (document.documentElement.dataset.problem) {
    return; // check.js has said it
  }
  try {
    const [manifest, site] = await Promise.all([readJson("model/manifest.json"), readJson("site.json")]);
    checkManifest(manifest);
    document.getElementById("about").textContent = describe(manifest);
    const client = new Client();
    const examples = await readExamples(site.examples);
    await client.request("init", { manifest, webgpu: site.webgpu ?? [] });
    const { show } = await import(PAGES[taskOf(manifest)]);
    const main = document.getElementById("main");
    main.append(...show({ manifest, client, examples, classes: site.classes }));
    showStatus("Ready");
    document.body.dataset.ready = "true";
  } catch (error) {
    showStatus("");
    showError(error.message);
  }
}

start();
