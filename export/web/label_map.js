// A canvas on which a label map is painted.

import { element } from "./dom.js";
import { paintLevels } from "./pictures.js";

const UNDO = 50; // strokes that are kept

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** A label map, the canvas that shows it, and the tools that change it. */
export class LabelMap {
  /** @param {number[][]} palette colour of each class */
  constructor(palette, height, width) {
    Object.assign(this, { palette, height, width });
    this.chosen = Math.min(1, palette.length - 1);
    this.brush = 8;
    this.filling = false;
    this.onChange = () => {};
    this.classes = new Uint8Array(height * width);
    this.history = [];
    this.cursor = [height >> 1, width >> 1];
    this.pointed = true; // whether the pointer was used last, and not the keyboard
    this.last = null;
    this.canvas = element("canvas", {
      id: "label-map",
      tabindex: 0,
      role: "application",
      "aria-label": "Label map",
      "aria-describedby": "help",
      pointerdown: (event) => this.#begin(event),
      pointermove: (event) => this.last && this.#stroke(this.#placeOf(event)),
      pointerup: () => this.#end(),
      pointercancel: () => this.#end(),
      keydown: (event) => this.#key(event),
      blur: () => this.#point(true),
    });
    this.#show();
  }

  /** Replace the whole map. */
  set(classes) {
    this.#remember();
    this.classes = Uint8Array.from(classes, (label) => Math.min(label, this.palette.length - 1));
    this.#changed();
  }

  /** Give all of it the chosen class. */
  clear() {
    this.set(new Uint8Array(this.classes.length).fill(this.chosen));
  }

  /** Take the last stroke back. */
  undo() {
    if (this.history.length) {
      this.classes = this.history.pop();
      this.#changed();
    }
  }

  #begin(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.pointed = true;
    this.#remember();
    const place = this.#placeOf(event);
    if (this.filling) {
      this.#fill(place);
      this.#changed();
      return;
    }
    this.canvas.setPointerCapture(event.pointerId);
    this.last = place;
    this.#stroke(place);
  }

  #end() {
    if (this.last) {
      this.last = null;
      this.#changed();
    }
  }

  #key(event) {
    const move = ARROWS[event.key];
    this.pointed = false;
    if (move) {
      const sides = [this.height, this.width];
      this.cursor = this.cursor.map((at, i) => Math.min(sides[i] - 1, Math.max(0, at + move[i])));
      this.#show();
    } else if (event.key === " " || event.key === "Enter") {
      this.#remember();
      if (this.filling) {
        this.#fill(this.cursor);
      } else {
        this.#dab(this.cursor);
      }
      this.#changed();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      this.undo();
    } else {
      return;
    }
    event.preventDefault();
  }

  #point(pointed) {
    this.pointed = pointed;
    this.#show();
  }

  /** Row and column under a pointer. */
  #placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.height);
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.width);
    return [row, column];
  }

  /** Dabs from the last place to this one, without gaps. */
  #stroke(place) {
    const [from, to] = [this.last, place];
    const steps = Math.max(1, Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]));
    for (let step = 0; step <= steps; step++) {
      this.#dab(from.map((at, i) => Math.round(at + ((to[i] - at) * step) / steps)));
    }
    this.last = to;
    this.#show();
  }

  #dab([row, column]) {
    const radius = this.brush / 2;
    const reach = Math.floor(radius);
    for (let down = -reach; down <= reach; down++) {
      for (let across = -reach; across <= reach; across++) {
        const inside = down * down + across * across <= radius * radius;
        this.#put(inside ? row + down : -1, column + across);
      }
    }
  }

  #put(row, column) {
    if (row >= 0 && row < this.height && column >= 0 && column < this.width) {
      this.classes[row * this.width + column] = this.chosen;
    }
  }

  /** Give the area of one class around a place the chosen class. */
  #fill([row, column]) {
    const old = this.classes[row * this.width + column];
    const open = old === this.chosen ? [] : [[row, column]];
    while (open.length) {
      const [down, across] = open.pop();
      const inside = down >= 0 && down < this.height && across >= 0 && across < this.width;
      if (inside && this.classes[down * this.width + across] === old) {
        this.#put(down, across);
        open.push([down - 1, across], [down + 1, across], [down, across - 1], [down, across + 1]);
      }
    }
  }

  #remember() {
    this.history.push(this.classes.slice());
    this.history.splice(0, this.history.length - UNDO);
  }

  #changed() {
    this.#show();
    this.onChange();
  }

  #show() {
    const levels = new Uint8Array(3 * this.classes.length);
    this.classes.forEach((label, i) => levels.set(this.palette[label], 3 * i));
    if (!this.pointed) {
      const at = 3 * (this.cursor[0] * this.width + this.cursor[1]);
      const light = levels[at] + levels[at + 1] + levels[at + 2] > 382;
      levels.fill(light ? 0 : 255, at, at + 3);
    }
    paintLevels(this.canvas, levels, [this.height, this.width, 3]);
  }
}
