// Elements of the page, and the controls that several tasks have.

let count = 0;

/** An element: `element("p", { class: "note" }, "text", child)`; functions are listeners. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      made.addEventListener(key, value);
    } else if (value !== null && value !== false) {
      made.setAttribute(key, value === true ? "" : value);
    }
  }
  made.append(...children);
  return made;
}

/** A control with its label. */
export function labelled(text, control, ...more) {
  control.id ||= `control-${count++}`;
  const kind = control.type === "checkbox" ? "field check" : "field";
  return element("div", { class: kind }, element("label", { for: control.id }, text), control, ...more);
}

/** A slider that shows its value. */
export function slider(text, attributes) {
  const control = element("input", { type: "range", ...attributes });
  const shown = element("output", {}, control.value);
  control.addEventListener("input", () => {
    shown.textContent = control.value;
  });
  return { control, field: labelled(text, control, shown) };
}

/** A field for an integer. */
export function integer(text, attributes) {
  const control = element("input", { type: "number", step: 1, required: true, inputmode: "numeric", ...attributes });
  return { control, field: labelled(text, control) };
}

/** Temperature, seed and number of draws, with the button that draws. */
export function drawing(what, { count: n, most, temperature, label }, draw) {
  const number = integer(what, { min: 1, max: most, value: n });
  const heat = slider("Temperature", { min: 0, max: 1.2, step: 0.05, value: temperature });
  const seed = integer("Seed", { min: 0, max: Number.MAX_SAFE_INTEGER - most, value: 0 });
  const form = element(
    "form",
    {
      class: "controls",
      submit: (event) => {
        event.preventDefault();
        draw();
      },
    },
    number.field,
    heat.field,
    seed.field,
    element("button", { type: "submit" }, label),
    element(
      "button",
      {
        type: "button",
        class: "second",
        click: () => {
          seed.control.value = Number(seed.control.value) + 1;
          form.requestSubmit();
        },
      },
      "Next seed",
    ),
  );
  const given = () => ({
    n: number.control.valueAsNumber,
    temperature: heat.control.valueAsNumber,
    seed: seed.control.valueAsNumber,
  });
  return { form, given, valid: () => form.checkValidity() };
}

/** A part of the page under a heading. */
export function panel(title, ...children) {
  const heading = element("h2", { id: `heading-${count++}` }, title);
  return element("section", { "aria-labelledby": heading.id }, heading, ...children);
}
