// Requests to the worker, with what the page shows of them.

const byId = (id) => document.getElementById(id);

/** Show a line about what happens, and how much of it is done; without `all`, no bar. */
export function showStatus(text, done = 0, all = 0) {
  const bar = byId("progress");
  if (byId("status").textContent !== text) {
    byId("status").textContent = text;
  }
  bar.hidden = all === 0;
  if (all) {
    bar.max = all;
    bar.value = done;
  }
}

/** Show one line about what went wrong; an empty one removes it. */
export function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = text === "";
}

/** Say, at the foot of the page, where a graph is computed from now on, and why. */
function showDevice(graph, reason) {
  const line = document.createElement("p");
  line.dataset.gpu = reason === null ? "used" : "refused";
  line.textContent =
    reason === null ? `${graph} runs on the GPU (WebGPU).` : `${graph} runs on the CPU, not on the GPU: ${reason}.`;
  document.querySelector("footer").append(line);
}

/** The worker, as a function that gives promises. */
export class Client {
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.next = 0;
    this.running = 0;
    this.worker.addEventListener("message", ({ data }) => this.#answer(data));
    this.ready = new Promise((resolve, reject) => {
      this.waiting.set("ready", { resolve, reject });
    });
    this.worker.addEventListener("error", (event) => {
      event.preventDefault();
      const reason = event.message || "a file of the site is missing, or the browser is too old";
      const error = new Error(`The model can't be started: ${reason}.`);
      this.waiting.forEach(({ reject }) => reject(error));
      this.waiting.clear();
    });
  }

  /** The result of a verb of worker.js; rejected with an Error of one line. */
  async request(verb, given) {
    await this.ready;
    const id = this.next++;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.worker.postMessage({ id, verb, given });
    return answer;
  }

  /**
   * As `request`, for what the user asked for: with the state shown, and errors too.
   *
   * @returns the result, or null after an error
   */
  async ask(verb, given, ready = "Ready") {
    showError("");
    showStatus("Computing");
    document.body.dataset.busy = String(++this.running);
    try {
      const result = await this.request(verb, given);
      showStatus(ready);
      return result;
    } catch (error) {
      showStatus("");
      showError(error.message);
      return null;
    } finally {
      this.running -= 1;
      if (this.running === 0) {
        delete document.body.dataset.busy;
      }
    }
  }

  #answer({ id, ready, graph, reason, text, done, all, result, error }) {
    if (graph) {
      showDevice(graph, reason);
    } else if (ready) {
      this.waiting.get("ready")?.resolve();
      this.waiting.delete("ready");
    } else if (text) {
      showStatus(text, done, all);
    } else if (error !== undefined) {
      this.waiting.get(id)?.reject(new Error(error));
      this.waiting.delete(id);
    } else {
      this.waiting.get(id)?.resolve(result);
      this.waiting.delete(id);
    }
  }
}
