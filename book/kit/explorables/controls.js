// The parts that explorables are made of: elements, controls, tables. Every control is a native one,
// so that mouse, touch, keyboard and screen reader work as everywhere.

export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

let groups = 0;
const groupName = () => `explorable-${Math.random().toString(36).slice(2)}-${(groups += 1)}`;

const sliderOf = (store, name, field) => {
  const shown = make("output", { "aria-hidden": "true" });
  const input = make("input", {
    type: "range", min: field.min, max: field.max, step: field.step, "data-field": name,
    oninput: () => store.set({ [name]: input.value }),
  });
  store.listen((state) => {
    const words = state[name].toFixed(field.digits);
    if (Number(input.value) !== state[name]) input.value = state[name];
    if (shown.textContent !== words) {
      shown.textContent = words;
      input.setAttribute("aria-valuetext", words);
    }
  });
  return make("label", { class: "slider" }, make("span", {}, field.label), input, shown);
};

const radiosOf = (store, name, field) => {
  const group = groupName();
  const inputs = Object.entries(field.options).map(([value, words]) => {
    const input = make("input", {
      type: "radio", name: group, value, "data-field": name,
      onchange: () => store.set({ [name]: value }),
    });
    return [input, make("label", {}, input, words)];
  });
  store.listen((state) => inputs.forEach(([input]) => (input.checked = input.value === state[name])));
  return make("fieldset", { class: "radios" }, make("legend", {}, field.label),
    ...inputs.map(([, label]) => label));
};

const selectOf = (store, name, field) => {
  const input = make("select", {
    "data-field": name, onchange: () => store.set({ [name]: input.value }),
  }, ...Object.entries(field.options).map(([value, words]) => make("option", { value }, words)));
  store.listen((state) => (input.value = state[name]));
  return make("label", { class: "select" }, make("span", {}, field.label), input);
};

const checkboxOf = (store, name, field) => {
  const input = make("input", {
    type: "checkbox", "data-field": name, onchange: () => store.set({ [name]: input.checked }),
  });
  store.listen((state) => (input.checked = state[name]));
  return make("label", { class: "checkbox" }, input, field.label);
};

// The control that fits the field: a slider, up to four radio buttons, a menu, or a checkbox.
export const control = (store, name) => {
  const field = store.fields[name];
  if (field.kind === "number") return sliderOf(store, name, field);
  if (field.kind === "flag") return checkboxOf(store, name, field);
  const few = Object.keys(field.options).length <= 4;
  return (few ? radiosOf : selectOf)(store, name, field);
};

export const controls = (store, title, ...names) =>
  make("div", { class: "controls", role: "group", "aria-label": title },
    ...names.map((name) => control(store, name)));

export const button = (words, onclick) => make("button", { type: "button", onclick }, words);

// Writes texts into the cells of a table's row, and makes or removes cells; `tagOf` names a new one.
const writeRow = (row, cells, tagOf) => {
  while (row.cells.length > cells.length) row.deleteCell(-1);
  cells.forEach((words, c) => {
    if (!row.cells[c]) row.append(make(...tagOf(c)));
    if (row.cells[c].textContent !== String(words)) row.cells[c].textContent = words;
  });
};

// A table whose cells are written anew at each drawing: `write` takes rows of texts, the first of
// each its head, and the heads of the columns where they change.
export const valueTable = (caption, head) => {
  const body = make("tbody"), heads = make("tr");
  const element = make("div", { class: "values", tabindex: "0", role: "group", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, heads), body));
  const write = (rows, columns = head) => {
    // An empty head heads nothing.
    writeRow(heads, columns, (c) => (columns[c] ? ["th", { scope: "col" }] : ["td"]));
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((cells, r) =>
      writeRow(body.rows[r] ?? body.insertRow(), cells, (c) => (c ? ["td"] : ["th", { scope: "row" }])));
  };
  return { element, write };
};

// One sentence for those who listen, said when the reader pauses; also the sentence that all read.
export const sentence = () => {
  const element = make("p", { class: "said", role: "status" });
  let waiting = 0;
  const say = (words) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => (element.textContent = words), element.textContent ? 300 : 0);
  };
  return { element, say };
};

// Back to the beginning, and the address of what is on the page now.
export const endBar = (store, model) => {
  const bar = make("p", { class: "end" }, button("Start again", store.reset));
  if (model.get("linked")) {
    const link = make("a", { href: store.link() }, "Link to what you see");
    store.listen(() => link.setAttribute("href", store.link()));
    bar.append(" ", link);
  }
  return bar;
};

export const sign = (value, digits = 3) =>
  (value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(digits);
export const percent = (value, digits = 1) =>
  Number.isFinite(value) ? `${(100 * value).toFixed(digits)} %` : "\u2013";
