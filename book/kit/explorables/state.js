// What the reader has set: each explorable declares its fields once, and from them come the checks,
// the controls, the address of the page and what the kernel sees.

export const numberField = (label, value, min, max, step, digits = 2) =>
  ({ kind: "number", label, value, min, max, step, digits });
export const choiceField = (label, value, options) => ({ kind: "choice", label, value, options });
export const flagField = (label, value) => ({ kind: "flag", label, value });
export const textField = (value, pattern) => ({ kind: "text", value, pattern });

const cleanValue = (field, given) => {
  if (field.kind === "number") {
    const value = given === "" || given === null ? NaN : Number(given);
    return Number.isFinite(value) ? Math.min(field.max, Math.max(field.min, value)) : undefined;
  }
  if (field.kind === "flag")
    return { true: true, 1: true, false: false, 0: false }[String(given)];
  if (field.kind === "choice") return Object.hasOwn(field.options, given) ? String(given) : undefined;
  return field.pattern.test(given) ? String(given) : undefined;
};

// Only what is declared and fits; the rest is left as it was. An address may hold anything.
export const cleanState = (fields, given) => {
  const fits = {};
  for (const [name, field] of Object.entries(fields))
    if (given && Object.hasOwn(given, name)) {
      const value = cleanValue(field, given[name]);
      if (value !== undefined) fits[name] = value;
    }
  return fits;
};

export const initialState = (fields) =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));

// "#loss-laboratory?p=0.9&order=sc": what differs from `usual`, so that a short link stays short.
export const toHash = (explorable, usual, state) => {
  const changed = Object.entries(state)
    .filter(([name, value]) => value !== usual[name])
    .map(([name, value]) => [name, typeof value === "boolean" ? Number(value) : value]);
  return `#${explorable}?${new URLSearchParams(changed)}`;
};

export const fromHash = (explorable, fields, hash) => {
  const start = `#${explorable}?`;
  if (!hash.startsWith(start)) return null;
  return cleanState(fields, Object.fromEntries(new URLSearchParams(hash.slice(start.length))));
};

// The state of one explorable on one page. `draw(state)` shows it and returns the values that the
// kernel sees; it runs at most once a frame. Listeners are told of every change, before the drawing.
// `settle(state, changed)` gives what else must change, where not every state makes sense.
export const makeStore = ({ model, name, fields, draw, settle = () => ({}) }) => {
  const linked = Boolean(model.get("linked")); // on a page of its own: the state is in the address
  const usual = { ...initialState(fields), ...cleanState(fields, model.get("state")) };
  const state = { ...usual, ...(linked && fromHash(name, fields, location.hash)) };
  Object.assign(state, settle(state, {}));
  const listeners = [];
  let asked = 0, telling = 0, told = "";

  const tell = () => {
    telling = 0;
    told = JSON.stringify(state);
    if (linked) history.replaceState(null, "", toHash(name, usual, state));
    model.set("state", { ...state });
    model.save_changes();
  };
  const show = () => {
    asked = 0;
    listeners.forEach((listen) => listen(state));
    model.set("values", draw(state));
    if (!telling) telling = setTimeout(tell, 150); // browsers allow few changes of the address
  };
  const redraw = () => (asked ||= requestAnimationFrame(show));
  const set = (changes) => {
    const clean = Object.entries(cleanState(fields, changes));
    const changed = Object.fromEntries(clean.filter(([field, value]) => value !== state[field]));
    Object.assign(state, changed);
    Object.assign(state, settle(state, changed));
    redraw();
  };
  const restore = () => {
    const given = fromHash(name, fields, location.hash);
    if (given) set({ ...usual, ...given });
  };
  model.on("change:state", () => {
    if (JSON.stringify(model.get("state")) !== told) set(model.get("state"));
  });
  if (linked) addEventListener("hashchange", restore);
  const first = () => {
    listeners.forEach((listen) => listen(state));
    model.set("values", draw(state));
    model.save_changes();
  };
  const stop = () => {
    cancelAnimationFrame(asked);
    clearTimeout(telling);
    removeEventListener("hashchange", restore);
  };
  return {
    state, fields, set, redraw, first, stop,
    listen: (listener) => listeners.push(listener),
    reset: () => set(usual),
    link: () => toHash(name, usual, state),
  };
};
