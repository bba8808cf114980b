// The phantom: the features of ACR TI-RADS as switches, the picture that they make, and their worth.
import { button, control, controls, endBar, make, percent, sentence, valueTable } from "./controls.js";
import { drawNeck } from "./neck.js";
import { capital, describeNodule } from "./nodule.js";
import { chosenNodule, describeNodules, fromTheLeft, noduleControls, noduleFields, nodulesOf, RIGHT_ANSWERS, setChosen, settleNodules } from "./nodules.js";
import { BLUE, GREEN, greyPicture, outlineMask, RED } from "./paint.js";
import { seededSource } from "./random.js";
import { flagField, makeStore, numberField } from "./state.js";
import { drawPatient, foolingNodule, judge, shareOfLevel, typicalNodule } from "./tirads.js";

const PICTURE = 128; // pixels a side
const ZOOM = 3; // points of the canvas for one of them
const NECKS = 999;
const shortNumber = (value) => (value >= 1000 ? value.toFixed(0) : value.toPrecision(3));
const shortPercent = (share) => `${Number((100 * share).toPrecision(2))} %`;

// The picture with its text, and a switch's worth of outline over it.
const makePicture = () => {
  const canvas = make("canvas", { width: PICTURE * ZOOM, height: PICTURE * ZOOM, role: "img" });
  const context = canvas.getContext("2d");
  const small = make("canvas", { width: PICTURE, height: PICTURE });
  let shown = "", drawn = null;
  const draw = (every, seed, outlined) => {
    const wanted = JSON.stringify([every, seed]);
    if (shown !== wanted) {
      drawn = drawNeck(every, seededSource(seed), PICTURE);
      greyPicture(small, drawn.image);
      shown = wanted;
    }
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    const lines = every.length === 2 ? [[GREEN, [8, 5]], [RED, [3, 3]]] : every.length ? [[BLUE, [8, 5]]] : [];
    if (outlined) lines.forEach(([colour, dash], n) => outlineMask(context, ZOOM, drawn.mask.map((number) => number === n + 1), colour, dash));
    const round = ["", "; a dashed line runs round it", "; a dashed line runs round the benign one, a dotted one round the malignant one"][outlined ? every.length : 0];
    canvas.setAttribute("aria-label", `Simulated ultrasound of the neck with ${describeNodules(every, drawn.mask)}${round}.`);
    return drawn.mask;
  };
  return { element: make("div", { class: "stage picture" }, canvas), draw };
};

const render = ({ model, el }) => {
  const table = model.get("data");
  el.classList.add("explorable-view");
  if (!table?.features) {
    el.replaceChildren(make("p", {}, "No table of features is here: give it as data, book.kit.explorables.tirads()."));
    return () => {};
  }
  const names = Object.keys(table.features);
  const fields = {
    ...noduleFields(table),
    neck: numberField("Neck, by its number", 9, 0, NECKS, 1, 0),
    outline: flagField("Show the outline of the mask", false),
    before: numberField("Malignant among the patients, in %", 100 * table.malignant, 1, 99, 1, 0),
  };
  const picture = makePicture(), said = sentence();
  const right = make("p", { class: "note" }), lines = make("p", { class: "note" }, "Dashed and green: the benign nodule. Dotted and orange: the malignant one.");
  const worth = valueTable("Points of each value, its share in each class, and their ratio", ["", "points", "benign", "malignant", "ratio"]);
  const result = valueTable("What follows", ["", ""]);
  for (const { element } of [worth, result]) element.classList.add("wraps");
  // The game: a patient whose class is asked for, until the answer; then what came out.
  let patient = null, outcome = "";
  const score = { asked: 0, reader: 0, ideal: 0 };

  const draw = (state) => {
    const every = nodulesOf(table, state), mask = picture.draw(every, Math.round(state.neck), state.outline);
    if (patient && (every.length !== 1 || names.some((name) => state[name] !== patient.nodule[name]))) patient = null; // a link was followed
    const asks = patient !== null;
    for (const part of [switches, next, right]) part.hidden = asks;
    answers.hidden = !asks;
    right.textContent = `Right answers here. ${RIGHT_ANSWERS[state.nodules]}`;
    lines.hidden = every.length < 2 || !state.outline;
    outline.disabled = !every.length;
    begin.disabled = !every.length;
    numbers.hidden = asks || !every.length;
    shares.hidden = every.length !== 1;
    if (!every.length) {
      said.say("No nodule: there is nothing to describe, no points are given, and no class is right.");
      return {};
    }
    const chosen = chosenNodule(state), both = every.map((nodule) => judge(table, nodule, state.before / 100));
    return every.length === 1 ? writeOne(state, every[0], both[0], asks) : writeTwo(mask, chosen, both);
  };
  const writeWorth = (found, head) => {
    worth.write([
      ...found.rows.map(({ name, value, points, chances: [benign, malignant] }) => [
        `${name}: ${value}`, found.spongiform && name !== "composition" ? "\u2013" : points,
        shortPercent(benign), shortPercent(malignant), shortNumber(malignant / benign),
      ]),
      ["all five", found.points, shortPercent(found.benign), shortPercent(found.malignant), shortNumber(found.ratio)],
    ], [head, "points", "benign", "malignant", "ratio"]);
  };
  const writeOne = (state, nodule, found, asks) => {
    const share = state.before / 100;
    writeWorth(found, "");
    result.write([
      ["level of ACR TI-RADS", `TR${found.level}`],
      ["malignant, before the picture", percent(share, 0)],
      [`malignant, among all of TR${found.level}`, percent(shareOfLevel(table, found.level, share))],
      ["malignant, with these features", percent(found.after)],
    ]);
    said.say(asks
      ? `Patient ${Math.round(state.neck)}: is this nodule benign or malignant?`
      : `${outcome}${capital(describeNodule(nodule))}: ${found.points} ${found.points === 1 ? "point" : "points"}, TR${found.level}. ` +
        `With ${Math.round(state.before)} malignant nodules among 100, this one is malignant with a probability of ${percent(found.after)}.`);
    const { points, level, benign, malignant, ratio, after } = found;
    return { points, level, benign, malignant, ratio, after };
  };
  // Of one of each class: which is which. Either may be the malignant one, so the shares of patients drop out.
  const writeTwo = (mask, chosen, both) => {
    const { points, level, benign, malignant, ratio } = both[chosen];
    const after = ratio / (both[0].ratio + both[1].ratio), known = both[1].ratio / (both[0].ratio + both[1].ratio);
    writeWorth(both[chosen], chosen ? "the malignant nodule" : "the benign nodule");
    result.write([
      ["level of ACR TI-RADS", `TR${level}`],
      ["the malignant one, before the picture", percent(0.5, 0)],
      ["the malignant one, with the features of both", percent(after)],
    ]);
    const told = both.map(({ level }, n) => `the ${n ? "malignant" : "benign"} nodule, TR${level}`);
    said.say(`${capital(fromTheLeft(told, mask))}. A reader who knows the features of both, and that there is one of each, ` +
      `finds the malignant one with a probability of ${percent(known)}.`);
    return { points, level, benign, malignant, ratio, after };
  };
  const store = makeStore({ model, name: "phantom", fields, draw, settle: settleNodules(table) });
  const { state } = store;
  const another = () => ({ neck: (Math.round(state.neck) % NECKS) + 1 });
  // Whoever sets something by hand has left the last patient.
  const leave = () => {
    patient = null;
    outcome = "";
  };
  const setByHand = (changes) => {
    leave();
    store.set(changes);
  };
  const byHand = { ...store, set: setByHand };
  const startAgain = () => {
    leave();
    store.reset();
  };

  const ask = () => {
    leave();
    const { neck } = another();
    patient = drawPatient(table, seededSource(neck), state.before / 100);
    store.set({ neck, nodules: "one", ...patient.nodule });
    draw(state); // at once, so that the buttons are there to be focused
    answers.querySelector("button").focus();
  };
  const answer = (malignant) => {
    const ideal = judge(table, patient.nodule, state.before / 100).after > 0.5;
    score.asked += 1;
    score.reader += malignant === patient.malignant;
    score.ideal += ideal === patient.malignant;
    outcome = `${malignant === patient.malignant ? "Right" : "Wrong"}: it is ${patient.malignant ? "malignant" : "benign"}. ` +
      `You: ${score.reader} of ${score.asked} right; a reader who knows this table: ${score.ideal}. `;
    patient = null;
    draw(state);
    store.redraw();
    next.focus();
  };
  const next = button("Guess the class of the next patient", ask);
  const answers = make("div", { class: "presets", role: "group", "aria-label": "Your guess" },
    button("Benign", () => answer(false)), button("Malignant", () => answer(true)));
  const switches = make("div", {},
    noduleControls(byHand, table),
    controls(byHand, "Neck", "neck"),
    make("p", { class: "presets" }, button("Another neck", () => setByHand(another()))));
  const shares = controls(store, "Patients", "before");
  const numbers = make("div", { class: "columns" }, worth.element, make("div", {}, shares, result.element));
  const preset = (words, nodule) => button(words, () => setByHand(setChosen(state, nodule)));
  const outline = make("fieldset", { class: "bare", "aria-label": "Outline" }, control(store, "outline"));
  const begin = make("fieldset", { class: "bare", "aria-label": "Begin with" },
    make("div", { class: "presets" },
      preset("A typical benign nodule", typicalNodule(table, 0)), preset("A typical malignant nodule", typicalNodule(table, 1)),
      preset("Many points, yet benign", foolingNodule(table, true)), preset("No points, yet malignant", foolingNodule(table, false))));
  el.replaceChildren(
    begin,
    make("div", { class: "columns" },
      make("div", {}, picture.element, outline, lines, right, next, answers, said.element), switches),
    numbers,
    endBar({ ...store, reset: startAgain }, model),
  );
  store.first();
  return store.stop;
};

export default { render };
