// How many nodules the neck has: none, one, or one of each class. What is right to answer then, and
// which controls there are.
import { control, controls, make } from "./controls.js";
import { describeNodule, featureFields } from "./nodule.js";
import { choiceField } from "./state.js";
import { agreeOnFluid, typicalNodule } from "./tirads.js";

// The second nodule's features are fields of their own: "shape2" beside "shape".
const secondOf = (name) => `${name}2`;
const toSecond = (nodule) => Object.fromEntries(Object.entries(nodule).map(([name, value]) => [secondOf(name), value]));
const fromSecond = (names, state) =>
  Object.fromEntries(names.filter((name) => secondOf(name) in state).map((name) => [name, state[secondOf(name)]]));
const setsSecond = (state) => state.nodules === "two" && state.which === "second";

export const RIGHT_ANSWERS = {
  none: "T1: neither class is present. T2: an empty outline. T3: no pixel of a class.",
  one: "T1: the class of the nodule. T2: its outline. T3: the same pixels, in that class.",
  two: "T1: both classes are present. T2: an outline round each. T3: each nodule in its own class.",
};

// `table` as in book.kit.explorables.tirads. The second nodule begins as a typical malignant one.
export const noduleFields = (table) => {
  const usual = { ...table, usual: typicalNodule(table, 1) };
  return {
    nodules: choiceField("In this neck", "one", { one: "one nodule", none: "no nodule", two: "two nodules, one of each class" }),
    which: choiceField("The features below are those of", "first", { first: "the benign nodule", second: "the malignant nodule" }),
    ...featureFields(table),
    ...toSecond(featureFields(usual)),
  };
};

// The nodules of a state, none to two: of two the benign one first.
export const nodulesOf = (table, state) => {
  const names = Object.keys(table.features);
  const first = Object.fromEntries(names.map((name) => [name, state[name]]));
  return { none: [], one: [first], two: [first, fromSecond(names, state)] }[state.nodules];
};

// Which of the nodules the controls set, as an index.
export const chosenNodule = (state) => Number(setsSecond(state));
export const setChosen = (state, nodule) => (setsSecond(state) ? toSecond(nodule) : nodule);

export const settleNodules = (table) => (state, changed) => {
  const names = Object.keys(table.features);
  return { ...agreeOnFluid(state, changed), ...toSecond(agreeOnFluid(fromSecond(names, state), fromSecond(names, changed))) };
};

// What is told of the benign and of the malignant nodule, from left to right in the `mask` of drawNeck.
export const fromTheLeft = (told, mask) => {
  const side = Math.sqrt(mask.length), sums = [0, 0, 0], counts = [0, 0, 0];
  mask.forEach((number, i) => {
    sums[number] += i % side;
    counts[number] += 1;
  });
  const [left, right] = sums[1] / counts[1] < sums[2] / counts[2] ? told : [...told].reverse();
  return `on the left ${left}; on the right ${right}`;
};

// In words that follow "the neck with".
export const describeNodules = (every, mask) => {
  if (!every.length) return "no nodule";
  if (every.length === 1) return describeNodule(every[0]);
  return `two nodules: ${fromTheLeft(every.map((nodule, n) => `the ${n ? "malignant" : "benign"} one, ${describeNodule(nodule)}`), mask)}`;
};

// The switch, and the controls of the features, which follow it: off without a nodule, and of two
// those of the chosen one.
export const noduleControls = (store, table) => {
  const names = Object.keys(table.features), which = control(store, "which");
  const sets = [names, names.map(secondOf)].map((set) => controls(store, "Features of the nodule", ...set));
  const fluid = make("p", { class: "note" }, "Cystic and anechoic go together: whichever you choose sets the other.");
  const off = make("p", { class: "note" }, "There is no nodule here that could have features, so these switches are off.");
  const features = make("fieldset", { class: "bare", "aria-label": "Features" }, which, ...sets, fluid);
  store.listen((state) => {
    features.disabled = state.nodules === "none";
    off.hidden = !features.disabled;
    which.hidden = state.nodules !== "two";
    sets.forEach((set, n) => {
      set.hidden = n !== chosenNodule(state);
      set.setAttribute("aria-label", `Features of the ${which.hidden ? "" : n ? "malignant " : "benign "}nodule`);
    });
  });
  return make("div", {}, controls(store, "Nodules", "nodules"), off, features);
};
