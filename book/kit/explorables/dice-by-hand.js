// Dice by hand: a true and a predicted mask in each of three images, and what the averages make of it.
import { button, controls, endBar, make, sentence, valueTable } from "./controls.js";
import { decodeMask, MASK_PATTERN, SIZE } from "./masks.js";
import { BLUE, fillMask, outlineMask } from "./paint.js";
import { makeStage } from "./stage.js";
import { choiceField, flagField, makeStore, textField } from "./state.js";

const IMAGES = ["1", "2", "3"];
const DICE_FIELDS = {
  image: choiceField("Image", "1", { 1: "1", 2: "2", 3: "3" }),
  truth1: textField("e58_64_34_26", MASK_PATTERN), predicted1: textField("e68_68_32_24", MASK_PATTERN),
  truth2: textField("e64_50_10_8", MASK_PATTERN), predicted2: textField("e70_54_10_8", MASK_PATTERN),
  truth3: textField("e64_64_20_16", MASK_PATTERN), predicted3: textField("e40_90_7_6", MASK_PATTERN),
  there1: flagField("Image 1: there is a nodule", true), found1: flagField("Image 1: one is predicted", true),
  there2: flagField("Image 2: there is a nodule", true), found2: flagField("Image 2: one is predicted", true),
  there3: flagField("Image 3: there is a nodule", false), found3: flagField("Image 3: one is predicted", false),
};

const ratio = (part, whole) => (whole ? part / whole : NaN);
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// `pairs`: [truth, predicted] masks of each image. NaN where both are empty: 0/0 has no value, and
// each way to average says what takes its place.
export const overlaps = (pairs) => {
  const images = pairs.map(([truth, predicted]) => {
    let both = 0, there = 0, found = 0;
    for (let i = 0; i < truth.length; i++) {
      both += truth[i] && predicted[i];
      there += truth[i];
      found += predicted[i];
    }
    return { both, there, found, dice: ratio(2 * both, there + found), iou: ratio(both, there + found - both) };
  });
  const total = (name) => images.reduce((sum, image) => sum + image[name], 0);
  const ways = {};
  for (const name of ["dice", "iou"]) {
    const values = images.map((image) => image[name]);
    const filled = (other) => meanOf(values.map((value) => (Number.isNaN(value) ? other : value)));
    const known = values.filter((value) => !Number.isNaN(value));
    ways[name] = {
      one: filled(1), zero: filled(0), skipped: known.length ? meanOf(known) : NaN,
      pooled: name === "dice"
        ? ratio(2 * total("both"), total("there") + total("found"))
        : ratio(total("both"), total("there") + total("found") - total("both")),
    };
  }
  return { images, ...ways };
};

const WAYS = {
  one: "mean over images, both empty = 1", zero: "mean over images, both empty = 0",
  skipped: "mean over images, both empty left out", pooled: "pooled: all pixels together",
};
const shownNumber = (value) => (Number.isNaN(value) ? "0/0" : value.toFixed(3));
const EMPTY_MASK = new Uint8Array(SIZE * SIZE);

const render = ({ model, el }) => {
  const each = valueTable("Each image, in pixels", ["", "true", "predicted", "both", "Dice", "IoU"]);
  const means = valueTable("All three images", ["", "Dice", "IoU"]);
  const said = sentence();
  let pairs = [];
  const draw = (state) => {
    pairs = IMAGES.map((n) => [
      state[`there${n}`] ? decodeMask(state[`truth${n}`]) : EMPTY_MASK,
      state[`found${n}`] ? decodeMask(state[`predicted${n}`]) : EMPTY_MASK,
    ]);
    const values = overlaps(pairs);
    stage.draw(state);
    each.write(values.images.map(({ there, found, both, dice, iou }, n) =>
      [`image ${n + 1}`, there, found, both, shownNumber(dice), shownNumber(iou)]));
    means.write(Object.entries(WAYS).map(([way, words]) =>
      [words, shownNumber(values.dice[way]), shownNumber(values.iou[way])]));
    const now = values.images[state.image - 1];
    said.say(`Image ${state.image}: Dice ${shownNumber(now.dice)}, IoU ${shownNumber(now.iou)}. ` +
      `Mean Dice is ${shownNumber(values.dice.one)} if two empty masks count 1, and ${shownNumber(values.dice.pooled)} pooled.`);
    return Object.fromEntries(Object.keys(WAYS).map((way) => [way, Number.isNaN(values.dice[way]) ? null : values.dice[way]]));
  };
  const store = makeStore({ model, name: "dice-by-hand", fields: DICE_FIELDS, draw });
  const { state } = store;
  const stage = makeStage({
    store,
    label: "True and predicted mask of the image. Arrow keys move the predicted one.",
    masks: IMAGES.flatMap((n) => [
      { field: `truth${n}`, name: `the true mask of image ${n}`, mark: "T", side: -1 },
      { field: `predicted${n}`, name: `the predicted mask of image ${n}`, mark: "P", side: 1 },
    ]),
    editing: () => `predicted${state.image}`,
    tool: () => "move",
    visible: (field) => field.endsWith(state.image) && state[`${field.startsWith("truth") ? "there" : "found"}${state.image}`],
    paint: (context, scale) => {
      const [truth, predicted] = pairs[state.image - 1];
      fillMask(context, scale, truth, 0);
      outlineMask(context, scale, predicted, BLUE, [8, 5]);
    },
  });
  const now = (part) => `${part}${state.image}`;
  el.classList.add("explorable-view");
  el.replaceChildren(
    make("div", { class: "presets", role: "group", "aria-label": "For this image" },
      button("Predict the truth", () => store.set({ [now("predicted")]: state[now("truth")], [now("found")]: state[now("there")] })),
      button("Predict nothing anywhere", () => store.set({ found1: false, found2: false, found3: false }))),
    make("div", { class: "columns" },
      make("div", {}, controls(store, "Image", "image"), stage.element,
        make("p", { class: "note" }, "Filled: the truth (handles T, left). Dashed: the prediction (handles P, right).")),
      make("div", {}, controls(store, "Empty masks", "there1", "found1", "there2", "found2", "there3", "found3"))),
    said.element, each.element, means.element, endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
