// Who decides? Three experts with sliders, the one answer they come to, and what painting says.
import { labAnswers, PIXELS } from "./answers.js";
import { button, controls, endBar, make, sentence, sign, valueTable } from "./controls.js";
import { jointDecision } from "./decode.js";
import { areaOf, MASK_PATTERN, SIZE } from "./masks.js";
import { BLUE, fillMask, outlineMask } from "./paint.js";
import { makeStage } from "./stage.js";
import { makeStore, numberField, textField } from "./state.js";

const ONE_IMAGE = { images: 1, classes: 2, pixels: PIXELS };
const CALLED = ["benign", "malignant"];

export const WHO_FIELDS = {
  p: numberField("T1: probability of malignant", 0.6, 0, 1, 0.001, 3),
  q: numberField("T3: malignant share of the nodule", 0.3, 0, 1, 0.001, 3),
  s2: numberField("T2: how sure of its outline", 0.9, 0.5, 1, 0.001, 3),
  s3: numberField("T3: how sure of its outline", 0.8, 0.5, 1, 0.001, 3),
  t2: textField("e72_62_28_19", MASK_PATTERN),
  t3: textField("e60_66_28_19", MASK_PATTERN),
  cls: numberField("Weight of T1 on the class", 1, 0, 2, 0.01),
  maps: numberField("Weight of the maps on the class", 1, 0, 2, 0.01),
};

// What T1 must say of malignant for the answer to tip, at what the maps say now.
export const tippingPoint = ({ maps }, weight) => 1 / (1 + Math.exp(-(maps[0] - maps[1]) / weight));

// The three ways to answer: a class (-1 for no nodule) and the pixels of the nodule.
export const whoValues = (state) => {
  const answers = labAnswers(state);
  const joint = jointDecision(answers, ONE_IMAGE, state);
  const painted = jointDecision({ cls: answers.cls, seg2: answers.seg2 }, ONE_IMAGE);
  const alone = jointDecision({ seg3: answers.seg3 }, ONE_IMAGE);
  return { answers, joint, painted, alone };
};

const VIEWS = { painted: "Painted", alone: "T3 alone", joint: "One answer" };
const named = (label) => CALLED[label] ?? "no nodule";

const render = ({ model, el }) => {
  const maps = Object.fromEntries(Object.entries(VIEWS).map(([key, words]) => {
    const canvas = make("canvas", { width: SIZE, height: SIZE, role: "img" });
    return [key, { canvas, context: canvas.getContext("2d"), element: make("figure", {}, canvas, make("figcaption", {}, words)) }];
  }));
  const marks = valueTable("What each says of the classes, as logarithms; the maps in the mean over the nodule", ["", "benign", "malignant"]);
  const table = valueTable("The answers", ["", "class", "nodule pixels"]);
  const said = sentence();
  let shown = null;
  const draw = (state) => {
    shown = whoValues(state);
    const { joint } = shown;
    stage.draw(state);
    for (const key of Object.keys(VIEWS)) {
      const { label: [label], nodule } = shown[key];
      fillMask(maps[key].context, 1, nodule, Math.max(label, 0));
      maps[key].canvas.setAttribute("aria-label", `${VIEWS[key]}: ${named(label)}, ${areaOf(nodule)} pixels`);
    }
    const tips = tippingPoint(joint, state.cls);
    marks.write([
      ["T1", ...joint.cls], ["the maps", ...joint.maps], ["together", ...joint.scores],
    ].map(([words, ...values]) => [words, ...values.map((value) => sign(value))])
      .concat([["probability", ...[...joint.posterior].map((value) => value.toFixed(3))]]));
    table.write(Object.entries(VIEWS).map(([key, words]) =>
      [words, named(shown[key].label[0]), areaOf(shown[key].nodule)]));
    const [one, paint] = [joint.label[0], shown.painted.label[0]];
    said.say(one < 0
      ? `Together they draw no nodule, so they name no class; were there one, they would say malignant with probability ${joint.posterior[1].toFixed(2)}.`
      : `Together they answer ${named(one)}, with probability ${Math.max(...joint.posterior).toFixed(2)}. ` +
      (one === paint ? "Painting would have said the same class. " : `Painting would have said ${named(paint)}. `) +
      (Number.isFinite(tips) ? `T1 tips the answer to malignant above ${tips.toFixed(3)}.` : "T1 has no say."),
    );
    return { label: one, malignant: joint.posterior[1], painted: paint, alone: shown.alone.label[0], pixels: areaOf(joint.nodule) };
  };
  const store = makeStore({ model, name: "who-decides", fields: WHO_FIELDS, draw });
  const stage = makeStage({
    store,
    label: "The outlines of T2 and T3. Their handles move them.",
    masks: [
      { field: "t2", name: "the mask T2", mark: "T2", side: -1 },
      { field: "t3", name: "the mask T3", mark: "T3", side: 1 },
    ],
    editing: () => "t3",
    tool: () => "move",
    paint: (context, size) => {
      fillMask(context, size, shown.answers.mask3, store.state.q);
      outlineMask(context, size, shown.answers.mask2, BLUE, [8, 5]);
    },
  });
  el.classList.add("explorable-view");
  el.replaceChildren(
    make("div", { class: "presets", role: "group", "aria-label": "Begin from" },
      button("T1 is sure, T3 is not", () => store.set({ p: 0.95, q: 0.4, cls: 1, maps: 1 })),
      button("T3 is sure, T1 is not", () => store.set({ p: 0.55, q: 0.05, cls: 1, maps: 1 })),
      button("The maps shout, and are turned down", () => store.set({ p: 0.75, q: 0.05, cls: 1, maps: 0.2 })),
      button("Nobody sees a nodule", () => store.set({ t2: "e64_64_0_0", t3: "e64_64_0_0" }))),
    make("div", { class: "columns" },
      make("div", {}, stage.element,
        make("p", { class: "note" }, "Filled: T3, green and plain is benign, orange and striped malignant. Dashed: T2. Painted, below: T2's nodule in T1's class.")),
      make("div", {}, controls(store, "The three experts", "p", "q", "s3", "s2"), controls(store, "The weights", "cls", "maps"))),
    said.element,
    make("div", { class: "maps" }, ...Object.values(maps).map(({ element }) => element)),
    table.element, marks.element, endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
