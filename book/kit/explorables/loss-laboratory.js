// Loss laboratory: three answers about one nodule, set by hand, and what each consistency loss says.
import { labAnswers, PIXELS } from "./answers.js";
import { interTask, interTaskFloor, intraTask, threeTask, throughSoftmax } from "./consistency.js";
import { button, controls, endBar, make, sentence, sign, valueTable } from "./controls.js";
import { areaOf, ellipseText, MASK_PATTERN, SIZE } from "./masks.js";
import { BLUE, fillMask, outlineMask, paintGradient } from "./paint.js";
import { makeStage } from "./stage.js";
import { choiceField, flagField, makeStore, numberField, textField } from "./state.js";

const SHAPE = { images: 1, classes: 2, pixels: PIXELS };
const LAB_TERMS = { intra: "L_T2T3", inter: "L_T1T3", three: "L_T1T2T3" };

export const LAB_FIELDS = {
  p: numberField("T1: probability of malignant", 0.9, 0, 1, 0.001, 3),
  q: numberField("T3: malignant share of the nodule", 0.1, 0, 1, 0.001, 3),
  s3: numberField("T3: how sure of its outline", 0.95, 0.5, 1, 0.001, 3),
  s2: numberField("T2: how sure of its outline", 0.95, 0.5, 1, 0.001, 3),
  t2: textField("e72_62_28_19", MASK_PATTERN),
  t3: textField("e60_66_28_19", MASK_PATTERN),
  edit: choiceField("Mask to edit", "t3", { t2: "T2", t3: "T3" }),
  tool: choiceField("With the pointer", "move", { move: "move", paint: "paint", erase: "erase" }),
  locations: choiceField("Seg-as-Cls averages over", "max", { max: "maxima", all: "all pixels" }),
  order: choiceField("Order", "both", { both: "both", sc: "SC: map teaches", cs: "CS: class teaches" }),
  softmax: choiceField("Logarithm of", "double", { double: "a second softmax", single: "the probability" }),
  detach: flagField("The side that teaches is held fixed (detach)", true),
  background: flagField("Dice counts the background", true),
  flatten: flagField("Dice sums all channels together (flatten)", false),
  floor: flagField("Losses minus what agreeing costs", false),
  term: choiceField("Gradient of", "all", { all: "all three", ...LAB_TERMS }),
  to: choiceField("Gradient with respect to", "probabilities", {
    probabilities: "probabilities", scores: "scores before the softmax",
  }),
};

const FLOOR_WORDS = "Subtracted from L_T1T3: its floor, the least that it can be with these options, "
  + "whatever T1 and T3 say. Subtracted from the two Dice terms: what they cost if T2 had T3's outline and "
  + "T1 its class, each task as sure as now. Below 0: a task that is unsure would gain by another outline.";

const CHANNELS = { cls: 2, seg2: 2, seg3: 3 };
// By index: iterators and callbacks over so many numbers take longer than the losses themselves.
const length1 = (values = []) => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]);
  return sum;
};
const sumOf = (values, start) => {
  let sum = 0;
  for (let i = start; i < start + PIXELS; i++) sum += values[i];
  return sum;
};

// Losses, Seg-as-Cls, and the gradients of each term that the state asks for.
export const labValues = (state) => {
  const answers = labAnswers(state);
  const found = {
    intra: intraTask(answers, SHAPE, state),
    inter: interTask(answers, SHAPE, state),
    three: threeTask(answers, SHAPE, state),
  };
  const gradients = {};
  for (const [term, { gradient }] of Object.entries(found))
    gradients[term] = Object.fromEntries(Object.entries(gradient).map(([name, values]) => [
      name,
      state.to === "probabilities" ? values : throughSoftmax(answers[name], values, {
        images: 1, channels: CHANNELS[name], pixels: name === "cls" ? 1 : PIXELS,
      }),
    ]));
  gradients.all = {};
  for (const name of Object.keys(CHANNELS)) {
    const parts = Object.keys(LAB_TERMS).map((term) => gradients[term][name]).filter(Boolean);
    const sum = new Float64Array(parts[0].length);
    for (const part of parts) for (let i = 0; i < sum.length; i++) sum[i] += part[i];
    gradients.all[name] = sum;
  }
  const losses = Object.fromEntries(Object.entries(found).map(([term, { loss }]) => [term, loss]));
  return { answers, losses, segAsCls: found.inter.asCls, gradients };
};

// What each loss would be if all agreed: of L_T1T3 its floor under these options, whatever is
// answered; of the Dice terms their value with T3's outline for T2 and T3's class for T1, where every
// task is as sure of each pixel as it is now.
export const labFloors = (state) => {
  const agreed = labAnswers({ ...state, t2: state.t3, p: state.q > 0.5 ? 1 : 0 });
  return {
    intra: intraTask(agreed, SHAPE, state).loss,
    inter: interTaskFloor(state),
    three: threeTask(agreed, SHAPE, state).loss,
  };
};

// The state that gives the probabilities printed in one row of the paper's Fig. 3: a nodule whose
// area and class follow from Seg-as-Cls over all pixels and over the maxima.
export const figure3State = (row) => {
  const apart = Math.log(row.seg_malignant / row.seg_benign);
  const overall = Math.log(row.all_malignant / row.all_benign);
  const sure = Math.min(1, Math.abs(apart)); // in its own pixels the winner's mean
  const q = apart > 0 ? sure : 1 - sure;
  const area = Math.max(30, PIXELS * Math.abs(overall / (2 * q - 1)));
  const radius = Math.sqrt(area / Math.PI);
  const circle = ellipseText({ x: SIZE / 2, y: SIZE / 2, a: radius, b: radius });
  return {
    p: row.cls_malignant, q, s2: 1, s3: 1, t2: circle, t3: circle,
    locations: "max", order: "both", softmax: "double", detach: true,
  };
};

// What is wrong in such a row, or what class and map both say.
export const figure3Words = (row) => {
  const cls = row.cls_malignant > row.cls_benign ? "malignant" : "benign";
  const map = row.seg_malignant > row.seg_benign ? "malignant" : "benign";
  if (cls === map) return `both ${cls}`;
  return `${cls === row.truth ? "map" : "class"} wrong`;
};

const reach = (gradient, name) => {
  const size = length1(gradient[name]);
  return size === 0 ? "not reached" : size.toPrecision(3);
};
const pull = (gradient) => {
  const size = length1(gradient.cls);
  if (size === 0) return "not reached";
  return `${size.toPrecision(3)}, to ${gradient.cls[1] < gradient.cls[0] ? "malignant" : "benign"}`;
};

const render = ({ model, el }) => {
  const figure3 = model.get("data")?.figure3 ?? [];
  const maps = ["T2: nodule", "T3: benign", "T3: malignant"].map((name) => {
    const canvas = make("canvas", { width: SIZE, height: SIZE, role: "img" });
    return { name, canvas, context: canvas.getContext("2d"), element: make("figure", {}, canvas, make("figcaption", {}, name)) };
  });
  const scale = make("p", { class: "note" });
  const table = valueTable("Losses", ["", "loss"]);
  const subtracted = make("p", { class: "note" });
  const pulls = valueTable("How hard each loss pulls: the gradient's size", ["", "on T1", "on T2", "on T3"]);
  const facts = valueTable("What the tasks say", ["", "benign", "malignant", "nodule pixels"]);
  facts.element.classList.add("wraps");
  pulls.element.classList.add("wraps", "words");
  const said = sentence();

  let shown = null;
  const draw = (state) => {
    shown = labValues(state);
    const { answers, losses, segAsCls, gradients } = shown;
    stage.draw(state);
    const gradient = gradients[state.term];
    const parts = [[gradient.seg2, PIXELS], [gradient.seg3, PIXELS], [gradient.seg3, 2 * PIXELS]];
    let most = 0;
    for (const [values, start] of parts)
      if (values) for (let i = start; i < start + PIXELS; i++) most = Math.max(most, Math.abs(values[i]));
    maps.forEach(({ name, canvas, context }, index) => {
      const [values, start] = parts[index];
      paintGradient(context, values, start, most || 1);
      const words = `Gradient on ${name}: ${values ? `sum ${sumOf(values, start).toPrecision(3)}` : "not reached"}`;
      canvas.setAttribute("aria-label", words);
    });
    scale.textContent = most
      ? `Blue, plain: training raises the value here. Orange, striped: it lowers it. Full colour is ${most.toExponential(1)} a pixel.`
      : "No gradient reaches the maps.";
    const every = [...Object.entries(LAB_TERMS), ["all", "sum"]];
    const withSum = (values) => ({ ...values, all: values.intra + values.inter + values.three });
    const totals = withSum(losses);
    if (state.floor) {
      const agreed = withSum(labFloors(state));
      table.write(every.map(([term, words]) =>
        [words, totals[term].toFixed(4), agreed[term].toFixed(4), sign(totals[term] - agreed[term], 4)]),
      ["", "loss", "if all agree", "difference"]);
      subtracted.textContent = FLOOR_WORDS;
    } else {
      table.write(every.map(([term, words]) => [words, totals[term].toFixed(4)]));
      subtracted.textContent = "";
    }
    pulls.write(every.map(([term, words]) => [
      words, pull(gradients[term]), reach(gradients[term], "seg2"), reach(gradients[term], "seg3"),
    ]));
    const area3 = areaOf(answers.mask3);
    facts.write([
      ["T1", (1 - state.p).toFixed(3), state.p.toFixed(3), "\u2013"],
      ["Seg-as-Cls", segAsCls[0].toFixed(3), segAsCls[1].toFixed(3), "\u2013"],
      ["T2", "\u2013", "\u2013", areaOf(answers.mask2)],
      ["T3", (1 - state.q).toFixed(3), state.q.toFixed(3), area3],
    ]);
    said.say(
      `T1 says ${state.p > 0.5 ? "malignant" : "benign"}, T3's map ${segAsCls[1] > segAsCls[0] ? "malignant" : "benign"}. ` +
      Object.entries(LAB_TERMS).map(([term, words]) => `${words} is ${losses[term].toFixed(2)}`).join(", ") + ".",
    );
    return {
      ...Object.fromEntries(Object.entries(LAB_TERMS).map(([term, words]) => [words, losses[term]])),
      seg_as_cls: [...segAsCls],
    };
  };

  const store = makeStore({ model, name: "loss-laboratory", fields: LAB_FIELDS, draw });
  const stage = makeStage({
    store,
    label: "The two masks. Arrow keys move the mask under edit, or the brush; the space bar paints.",
    masks: [
      { field: "t2", name: "the mask T2", mark: "T2", side: -1 },
      { field: "t3", name: "the mask T3", mark: "T3", side: 1 },
    ],
    editing: () => store.state.edit,
    tool: () => store.state.tool,
    paint: (context, size) => {
      fillMask(context, size, shown.answers.mask3, store.state.q);
      outlineMask(context, size, shown.answers.mask2, BLUE, [8, 5]);
    },
  });
  const presets = make("div", { class: "presets", role: "group", "aria-label": "Begin from" },
    button("T2 and T3 agree", () => store.set({ t2: store.state.t3, s2: store.state.s3 })),
    button("T1 and T3 agree", () => store.set({ p: store.state.q > 0.5 ? 0.98 : 0.02, q: store.state.q > 0.5 ? 0.98 : 0.02 })),
    ...(figure3.length ? [make("div", { class: "presets" }, "The paper's Fig. 3:",
      ...figure3.map((row) => button(figure3Words(row), () => store.set(figure3State(row)))))] : []),
  );
  const printed = figure3.length
    ? make("p", { class: "note" }, `The paper's Fig. 3 prints for these four, in this order, the losses L_T1T3 ${figure3.map((row) => row.loss.toFixed(4)).join(", ")}.`)
    : "";
  el.classList.add("explorable-view");
  el.replaceChildren(
    presets,
    said.element,
    make("div", { class: "columns" },
      make("div", {}, stage.element,
        make("p", { class: "note" }, "Filled: T3, green and plain is benign, orange and striped malignant. Dashed: T2."),
        controls(store, "Tools", "edit", "tool")),
      make("div", {}, table.element, controls(store, "What is shown", "floor"), subtracted,
        controls(store, "The answers", "p", "q", "s3", "s2"))),
    facts.element,
    pulls.element,
    printed,
    make("details", { open: true }, make("summary", {}, "The gradient, pixel by pixel"),
      controls(store, "The gradient", "term", "to"),
      make("div", { class: "maps" }, ...maps.map(({ element }) => element)), scale),
    make("details", { open: true }, make("summary", {}, "Options of the losses"),
      controls(store, "Options", "locations", "order", "softmax", "detach", "background", "flatten")),
    endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
