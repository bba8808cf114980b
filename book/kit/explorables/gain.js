// What a gain is made of: two systems from a few numbers each, and their mean Dice both ways.
import { button, controls, endBar, make, sentence, sign, valueTable } from "./controls.js";
import { makeStore, numberField } from "./state.js";

const systemFields = (letter, right, d) => ({
  [`${letter}b`]: numberField(`${letter.toUpperCase()}: benign nodules called benign`, right, 0, 1, 0.001, 3),
  [`${letter}m`]: numberField(`${letter.toUpperCase()}: malignant nodules called malignant`, right, 0, 1, 0.001, 3),
  [`${letter}e`]: numberField(`${letter.toUpperCase()}: nodules not found at all`, 0, 0, 1, 0.001, 3),
  [`${letter}d`]: numberField(`${letter.toUpperCase()}: contour, Dice of a mask of the right class`, d, 0, 1, 0.001, 3),
});
const GAIN_FIELDS = {
  share: numberField("Malignant share of the images", 0.43, 0.01, 0.99, 0.01),
  ...systemFields("a", 0.85, 0.8),
  ...systemFields("b", 0.9, 0.8),
};

// One nodule an image, one class a mask: right with Dice d, of the other class, or empty.
export const meanDice = ({ share, benign, malignant, missed, d }) => {
  const right = [benign * (1 - missed), malignant * (1 - missed)];
  const wrong = [(1 - benign) * (1 - missed), (1 - malignant) * (1 - missed)];
  const weights = [1 - share, share];
  const agreement = weights[0] * right[0] + weights[1] * right[1];
  const remainder = missed / 2; // an empty mask: 0 for the nodule's class, 1 for the other
  return {
    matrix: [0, 1].map((k) => [right[k], wrong[k], missed].map((part) => part * weights[k])),
    agreement, remainder, d,
    all: (agreement * (1 + d)) / 2 + remainder,
    own: ((right[0] + right[1]) / 2) * d,
  };
};

// As book.kit.figures.split_gain: the mean of changing either factor first.
export const splitGain = (before, after) => ({
  agreement: (after.agreement - before.agreement) * (1 + (before.d + after.d) / 2) / 2,
  contours: (((after.agreement + before.agreement) / 2) * (after.d - before.d)) / 2,
  empty: after.remainder - before.remainder,
});

const system = (state, letter) => meanDice({
  share: state.share, benign: state[`${letter}b`], malignant: state[`${letter}m`],
  missed: state[`${letter}e`], d: state[`${letter}d`],
});
const points = (value) => (100 * value).toFixed(1);

const render = ({ model, el }) => {
  const presets = model.get("data")?.presets ?? [];
  const means = valueTable("Mean Dice, in %", ["", "A", "B", "gain"]);
  const matrix = valueTable("Confusion of the masks, in % of all images", ["", "called benign", "called malignant", "nothing found"]);
  const bars = make("div", { class: "bars", "aria-hidden": "true" });
  const note = make("p", { class: "note" });
  const said = sentence();
  const draw = (state) => {
    const [a, b] = ["a", "b"].map((letter) => system(state, letter));
    const parts = splitGain(a, b);
    const row = (words, one, two) => [words, points(one), points(two), sign(100 * (two - one), 1)];
    means.write([
      row("all images (the paper's)", a.all, b.all),
      row("images of the class", a.own, b.own),
      ["of the gain: agreement on the class", "", "", sign(100 * parts.agreement, 1)],
      ["of the gain: contours", "", "", sign(100 * parts.contours, 1)],
      ["of the gain: empty masks", "", "", sign(100 * parts.empty, 1)],
    ]);
    matrix.write(["A", "B"].flatMap((name, s) => ["benign", "malignant"].map((truth, k) => {
      const [right, wrong, missed] = [a, b][s].matrix[k];
      return [`${name}, truly ${truth}`, ...(k ? [wrong, right] : [right, wrong]).map(points), points(missed)];
    })));
    const most = Math.max(0.01, ...Object.values(parts).map(Math.abs));
    bars.replaceChildren(...Object.entries({ "agreement on the class": parts.agreement, contours: parts.contours, "empty masks": parts.empty })
      .map(([name, value], i) => make("div", { class: `bar bar${i}` },
        make("i", { style: `left:${value < 0 ? 50 + (50 * value) / most : 50}%;width:${(50 * Math.abs(value)) / most}%` }),
        make("span", {}, `${name} ${sign(100 * value, 1)}`))));
    said.say(`The mean Dice over all images changes by ${sign(100 * (b.all - a.all), 1)} points: ${sign(100 * parts.agreement, 1)} through the class, ${sign(100 * parts.contours, 1)} through the contours.`);
    return { a_all: a.all, b_all: b.all, a_own: a.own, b_own: b.own, ...parts };
  };
  const store = makeStore({ model, name: "gain", fields: GAIN_FIELDS, draw });
  const begin = ({ state, words }) => {
    store.set(state);
    note.textContent = words;
  };
  el.classList.add("explorable-view");
  el.replaceChildren(
    make("div", { class: "presets", role: "group", "aria-label": "Begin from" },
      button("B names the class better", () => begin({ state: { ab: 0.85, am: 0.85, ae: 0, ad: 0.8, bb: 0.9, bm: 0.9, be: 0, bd: 0.8 }, words: "" })),
      button("B draws better", () => begin({ state: { ab: 0.85, am: 0.85, ae: 0, ad: 0.8, bb: 0.85, bm: 0.85, be: 0, bd: 0.85 }, words: "" })),
      button("B finds nothing", () => begin({ state: { be: 1 }, words: "" })),
      ...presets.map((preset) => button(preset.title, () => begin(preset)))),
    note,
    make("div", { class: "columns" }, controls(store, "System A", "ab", "am", "ae", "ad"), controls(store, "System B", "bb", "bm", "be", "bd")),
    controls(store, "Images", "share"),
    said.element, bars, means.element, matrix.element, endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
