// Ask the network: the phantom by hand, or a picture of the reader's, put to a few trained networks.
import { button, control, controls, endBar, make, percent, sentence, valueTable } from "./controls.js";
import { readAnswers, readPresent, roundsAround, wilsonInterval } from "./contradiction.js";
import { EQUAL } from "./decode.js";
import { fitImage } from "./fit.js";
import { areaOf, SIZE } from "./masks.js";
import { drawNeck } from "./neck.js";
import { openNetworks } from "./networks.js";
import { capital, TITLES } from "./nodule.js";
import { describeNodules, noduleControls, noduleFields, nodulesOf, RIGHT_ANSWERS, setChosen, settleNodules } from "./nodules.js";
import { BLUE, fillMask, greyPicture, outlineMask } from "./paint.js";
import { seededSource } from "./random.js";
import { choiceField, makeStore, numberField } from "./state.js";
import { drawPatient, judge, typicalNodule } from "./tirads.js";

const NECKS = 999; // by hand; random patients have the numbers above
const ZOOM = 2; // points of a canvas for a pixel of the picture
const ROUNDS = 4, MOST = 400; // of the search: how far, how many pictures
const PATIENTS = 50; // that one press asks about
const LARGEST = 40e6; // pixels of a picture of the reader's
const DASH = "\u2013";
const numberOf = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const calledOf = (label) => ["no nodule", "benign", "malignant", "both"][label + 1];
const COUNTS = ["no", "one", "two", "three", "four"];

// Grey levels of a picture file, as Pillow weighs colours.
const readPicture = async (file) => {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no picture that this browser reads; take a PNG or JPEG file`);
  });
  const { width, height } = bitmap;
  if (width * height > LARGEST) throw new Error(`${file.name} has ${width} x ${height} pixels; take one of at most ${LARGEST / 1e6} million`);
  const context = make("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height), grey = new Uint8Array(width * height);
  for (let i = 0; i < grey.length; i++)
    grey[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16;
  return { grey, width, height };
};

// A mask of a network's size on the square of the page.
const enlarged = (mask) => {
  const side = Math.sqrt(mask.length), large = new Uint8Array(SIZE * SIZE);
  for (let i = 0; i < large.length; i++)
    large[i] = mask[Math.floor((Math.floor(i / SIZE) * side) / SIZE) * side + Math.floor(((i % SIZE) * side) / SIZE)];
  return large;
};

// A picture with masks over it: `fills` by share of malignant, `outline` dashed.
const makeView = (caption) => {
  const canvas = make("canvas", { width: SIZE * ZOOM, height: SIZE * ZOOM, role: "img", "aria-label": `${caption}: not asked yet.` });
  const [grey, layer] = [1, ZOOM].map((scale) => make("canvas", { width: SIZE * scale, height: SIZE * scale }));
  const context = canvas.getContext("2d");
  const draw = (image, words, { fills = [], outline } = {}) => {
    greyPicture(grey, image);
    context.imageSmoothingEnabled = false;
    context.drawImage(grey, 0, 0, canvas.width, canvas.height);
    fills.forEach((mask, share) => {
      fillMask(layer.getContext("2d"), ZOOM, enlarged(mask), share);
      context.globalAlpha = 0.75;
      context.drawImage(layer, 0, 0);
      context.globalAlpha = 1;
    });
    if (outline) outlineMask(context, ZOOM, enlarged(outline), BLUE, [8, 5]);
    canvas.setAttribute("aria-label", words);
  };
  return { element: make("figure", {}, canvas, make("figcaption", {}, caption)), draw };
};

// `truth`: the right label, where the features do not have to tell it.
const spoken = ({ says, draws, contradicts, together }, truth = says) =>
  contradicts
    ? `T1 says ${calledOf(says)}, T3's map ${draws < 0 ? "shows no nodule" : calledOf(draws)}: a contradiction, decided together as ${calledOf(together)}`
    : `T1 and T3 agree, ${calledOf(says)}${truth === says ? "" : ", and both are wrong"}${together === says ? "" : `; weighed together, they say ${calledOf(together)}`}`;

const ROWS = {
  "T1, probability of malignant": ({ p }) => p[1].toFixed(3),
  "T1, probability of benign": ({ p }) => p[0].toFixed(3),
  "T1 says": ({ says }) => calledOf(says),
  "T3's map says": ({ draws }) => calledOf(draws),
  "T1 and T3": ({ contradicts }) => (contradicts ? "contradict" : "agree"),
  "contradictions by name": ({ names }) => names.join("; ") || "none",
  "T2 and T3 share of their nodules": ({ shared }) => percent(shared, 0),
  "decided together": ({ together }) => calledOf(together),
  "together, probability of malignant": ({ sure }) => sure.toFixed(3),
};

const render = ({ model, el }) => {
  const table = model.get("data");
  el.classList.add("explorable-view");
  if (!table?.networks) {
    el.replaceChildren(make("p", {}, "No networks are here: give them as data, book.kit.explorables.asked(\u2026)."));
    return () => {};
  }
  const names = Object.keys(table.features);
  const sides = Object.entries(table.networks).map(([name, { title, weights, rule }]) => ({
    name, title, rule, weights: weights ?? rule.weights, asked: makeView("T1, T2 and T3"), joint: makeView("Decided together"),
  }));
  const fields = {
    ...noduleFields(table),
    neck: numberField("Neck, by its number", 9, 1, NECKS, 1, 0),
    whose: choiceField("Which network's contradiction", sides[0].name, Object.fromEntries(sides.map(({ name, title }) => [name, title]))),
    by: choiceField("Decided together with", "fitted", { fitted: "the weights that fit validation phantoms", equal: "equal weights" }),
  };
  const picture = makeView("What the networks are asked about");
  const ideal = make("p", { class: "note" }), taught = make("p", { class: "note" });
  const answers = valueTable("What each network says of this picture", ["", ...sides.map(({ title }) => title)]);
  const counted = valueTable("Random patients of the phantom, T1 against T3", []);
  answers.element.classList.add("wraps", "words");
  const said = sentence(), progress = make("p", { class: "note" }), weighed = make("p", { class: "note" });

  let networks = null; // once the reader has started them
  let own = null; // the reader's picture
  let outcome = ""; // of the last search
  let running = null; // the search or count under way
  let shown = null; // the picture on the page: 128 x 128 pixels, and as the networks take it
  let values = {};

  const neckOf = (every, neck) => {
    const { image, mask } = drawNeck(every, seededSource(neck), SIZE);
    return { image, grey: fitImage(image, SIZE, SIZE, table.size), several: every.length !== 1, truth: [-1, undefined, 2][every.length], words: describeNodules(every, mask) };
  };
  const weightsOf = ({ weights }) => (state.by === "equal" ? EQUAL : weights);
  // With one nodule a network of two classes is read as in the paper.
  const ask = async (side, { grey, several }) => {
    const told = await networks.answer(side.name, grey);
    return side.rule ? readPresent(told, { ...side.rule, weights: weightsOf(side) }) : readAnswers(told, weightsOf(side), several);
  };

  const write = (found) => {
    const truth = shown?.truth;
    answers.write(Object.entries(ROWS).map(([words, read]) => [words, ...sides.map(({ name }) => (found ? read(found[name]) : DASH))]));
    for (const { name, title, asked, joint } of sides) {
      if (!found) continue;
      const { t2, benign, malignant, decided, together } = found[name], fills = [benign, malignant];
      asked.draw(shown.image, `${title}: ${spoken(found[name], truth)}. T2's outline holds ${areaOf(t2)} pixels, T3's map ${areaOf(benign)} benign and ${areaOf(malignant)} malignant.`, { fills, outline: t2 });
      const one = [1, 2].map((value) => decided.map((number) => number === value));
      joint.draw(shown.image, `${title}, decided together: ${calledOf(together)}, ${areaOf(one[0])} pixels benign and ${areaOf(one[1])} malignant.`, { fills: one });
    }
    if (found) weighed.textContent = `Weights of T1 and of the maps on the class: ${sides.map((side) => {
      const { cls, maps } = weightsOf(side);
      return `${side.title.toLowerCase()} ${cls.toFixed(2)} and ${maps.toFixed(2)}`;
    }).join("; ")}.${sides.filter(({ rule }) => rule).map(({ title, rule }) =>
      ` ${title}: "no nodule" where one is less probable than ${percent(rule.threshold, 0)}${rule.size ? `, or smaller than ${rule.size} pixels of the network's picture` : ""}.`).join("")}`;
    if (found) said.say(outcome + sides.map(({ name, title }) => `${title}: ${spoken(found[name], truth)}.`).join(" "));
  };

  // Asks about what is on the page; while an answer is made the reader may go on, the last picture counts.
  let asking = false, answered = 0;
  const askBoth = async () => {
    if (!networks || asking) return;
    asking = true;
    for (let about = null; about !== shown; ) {
      about = shown;
      const found = {};
      for (const side of sides) found[side.name] = await ask(side, about);
      if (about !== shown) continue;
      write(found);
      values = Object.fromEntries(sides.map(({ name }) => {
        const { p, says, draws, contradicts, names: called, shared, together, sure } = found[name];
        return [name, { p, says, draws, contradicts, names: called, shared, together, sure }];
      }));
      model.set("values", values);
      model.save_changes();
      el.dataset.answered = answered += 1;
    }
    asking = false;
  };

  // What the features alone tell.
  const describeOf = (every) => {
    const worth = every.map((nodule) => judge(table, nodule, table.malignant)), words = `${capital(shown.words)}.`;
    if (!every.length) return words;
    if (every.length === 1) return `${words} A reader who knows these words, and nothing else, finds it malignant with a probability of ${percent(worth[0].after, 0)}.`;
    const known = worth[1].ratio / (worth[0].ratio + worth[1].ratio);
    return `${words} A reader who knows these words, and that there is one of each, finds the malignant one with a probability of ${percent(known)}.`;
  };
  const taughtOf = (nodules) => {
    const quoted = (some) => some.map(({ title }) => `\u201c${title}\u201d`).join(" and ");
    const [free, bound] = [sides.filter(({ rule }) => rule), sides.filter(({ rule }) => !rule)];
    const must = bound.length ? `${quoted(bound)} never saw a picture with ${nodules ? "two nodules" : "no nodule"}. Their T1 has no word for it: it names one of the two classes, whatever it sees. ` : "";
    return must + (free.length ? `${quoted(free)} may say none, one or both.` : "");
  };

  let wanted = "";
  const draw = (state) => {
    const every = nodulesOf(table, state), now = own ? "own" : JSON.stringify([every, state.neck, state.by]);
    ownNote.hidden = !own;
    for (const part of [ideal, taught]) part.hidden = Boolean(own);
    begin.disabled = !every.length;
    search.hidden = !networks || every.length !== 1;
    if (now !== wanted || own) {
      shown = own ? { ...own } : neckOf(every, Math.round(state.neck));
      wanted = now;
      picture.draw(shown.image, own ? "Your own picture, reduced to the square that the networks take." : `Simulated ultrasound of the neck with ${shown.words}.`);
      writeCount();
    }
    if (!own) ideal.textContent = `${describeOf(every)} Right answers here. ${RIGHT_ANSWERS[state.nodules]}`;
    taught.textContent = every.length === 1 ? "" : taughtOf(every.length);
    if (!networks) said.say(`The networks are not started yet. The picture shows ${shown.words}.`);
    askBoth();
    return values;
  };
  const store = makeStore({ model, name: "ask", fields, draw, settle: settleNodules(table) });
  const { state } = store;
  const leave = () => {
    outcome = "";
    own = null;
    file.value = "";
    if (running) running.stopped = true;
  };
  const byHand = { ...store, set: (changes) => { leave(); store.set(changes); store.redraw(); } };

  // ---- Starting

  const start = async () => {
    starter.disabled = true;
    progress.textContent = "The networks are being started.";
    try {
      networks = await openNetworks(table.folder, table.size);
      el.networks = networks; // for the console of the browser, and for tests
      starter.remove();
      for (const part of later) part.hidden = false;
      progress.textContent = "";
      draw(state);
    } catch (error) {
      starter.disabled = false;
      progress.textContent = "";
      said.say(`The networks cannot be started: ${error.message}.`);
    }
  };
  const starter = button(`Start the ${COUNTS[sides.length]} networks (${table.megabytes.toFixed(1)} MB)`, start);

  // ---- Searching and counting: one at a time, and the page stays in use

  const pause = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));
  const work = async (task) => {
    if (running) return;
    const mine = (running = { stopped: false });
    for (const one of [finder, counter]) one.disabled = true;
    stopper.hidden = false;
    try {
      await task(mine);
    } finally {
      running = null;
      for (const one of [finder, counter]) one.disabled = false;
      stopper.hidden = true;
      progress.textContent = "";
    }
  };
  // One feature after the other, so that the reader sees where the answers part.
  const walk = async (place, mine) => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const steps = names.filter((name) => place.nodule[name] !== state[name]); // of one nodule
    const words = steps.map((name) => `${TITLES[name].toLowerCase()} ${place.nodule[name]}`);
    if (place.neck !== state.neck) words.push(`neck ${place.neck}`);
    if (!still)
      for (const name of steps.slice(0, -1)) {
        store.set({ [name]: place.nodule[name] });
        await pause(700);
        if (mine.stopped) return;
      }
    outcome = `Found ${numberOf(place.round, "step")} away: ${words.join(", ")}. `;
    store.set({ ...place.nodule, neck: place.neck });
  };
  const find = () => work(async (mine) => {
    own = null;
    outcome = "";
    const side = sides.find(({ name }) => name === state.whose);
    const places = roundsAround(table, nodulesOf(table, state)[0], Math.round(state.neck), NECKS, seededSource(Math.round(state.neck)), ROUNDS);
    const near = places.filter(({ round }) => round > 0).slice(0, MOST);
    for (const [at, place] of near.entries()) {
      progress.textContent = `${numberOf(at + 1, "picture")} asked, ${numberOf(place.round, "step")} away.`;
      const { contradicts } = await ask(side, neckOf([place.nodule], place.neck));
      await pause();
      if (mine.stopped) return;
      if (contradicts) return walk(place, mine);
    }
    said.say(`No contradiction among the ${near.length} nearest pictures. Try another neck.`);
  });
  const finder = button("Find a contradiction for me", find);

  // The pictures with no nodule, one and two are counted each for themselves.
  const counts = Object.fromEntries(Object.keys(fields.nodules.options).map((nodules) =>
    [nodules, { patients: 0, all: 0, of: Object.fromEntries(sides.map(({ name }) => [name, { contradictions: 0, right: 0, joint: 0 }])) }]));
  const writeCount = () => {
    const count = counts[state.nodules], share = (hits) => (count.patients ? percent(hits / count.patients) : DASH);
    const row = (words, hits, ...right) => {
      const [low, high] = wilsonInterval(hits, count.patients);
      return [words, count.patients, hits, share(hits), count.patients ? `${percent(low)} to ${percent(high)}` : DASH, ...right];
    };
    const { length } = nodulesOf(table, state);
    counted.write([
      ...sides.map(({ name, title }) => row(title, count.of[name].contradictions, share(count.of[name].right), share(count.of[name].joint))),
      row(`${sides.length === 2 ? "both" : `all ${COUNTS[sides.length]}`} at once`, count.all, DASH, DASH),
    ], [["no nodule", "one nodule", "two nodules"][length], "patients", "contradictions", "share", "95 % interval", "T1 is right", "together right"]);
  };
  // A patient with so many nodules, and the label that is right.
  const patientOf = (nodules, number) => {
    const drawn = (share, ...part) => drawPatient(table, seededSource(number), share, ...part);
    if (nodules === "none") return { every: [], label: -1 };
    if (nodules === "two") return { every: [drawn(0).nodule, drawn(1, "patient 2").nodule], label: 2 };
    const { malignant, nodule } = drawn(table.malignant);
    return { every: [nodule], label: Number(malignant) };
  };
  const countMore = () => work(async (mine) => {
    const { nodules } = state, count = counts[nodules];
    for (let left = PATIENTS; left && !mine.stopped; left--) {
      const number = NECKS + 1 + count.patients, { every, label } = patientOf(nodules, number);
      const about = neckOf(every, number);
      const found = [];
      for (const side of sides) found.push(await ask(side, about));
      count.patients += 1;
      count.all += found.every(({ contradicts }) => contradicts);
      sides.forEach(({ name }, at) => {
        count.of[name].contradictions += found[at].contradicts;
        count.of[name].right += found[at].says === label;
        count.of[name].joint += found[at].together === label;
      });
      writeCount();
      progress.textContent = `${numberOf(left - 1, "patient")} to go.`;
      await pause();
    }
    said.say(`${count.patients} random patients: ${sides.map(({ name, title }) => `${title.toLowerCase()}, ${numberOf(count.of[name].contradictions, "contradiction")}`).join("; ")}.`);
  });
  const counter = button(`Ask about ${PATIENTS} more random patients`, countMore);
  const stopper = button("Stop", () => running && (running.stopped = true));
  stopper.hidden = true;

  // ---- The reader's picture

  const take = async () => {
    const [given] = file.files;
    if (!given) return;
    if (running) running.stopped = true;
    try {
      const { grey, width, height } = await readPicture(given);
      outcome = "";
      own = { image: fitImage(grey, width, height, SIZE), grey: fitImage(grey, width, height, table.size) };
      store.redraw();
    } catch (error) {
      file.value = "";
      said.say(`${error.message}.`);
    }
  };
  const file = make("input", { type: "file", accept: "image/*", onchange: take });
  const ownNote = make("div", {},
    make("p", { class: "note" }, make("b", {}, "These networks know simulated pictures only. What they say of yours says nothing about a patient.")),
    make("p", { class: "presets" }, button("Back to the phantom", () => byHand.set({}))));

  const preset = (words, nodule) => button(words, () => byHand.set(setChosen(state, nodule)));
  const results = make("div", {},
    ...sides.map(({ title, asked, joint }) => make("div", { role: "group", "aria-label": title },
      make("p", { class: "name" }, make("b", {}, title)),
      make("div", { class: "maps two" }, asked.element, joint.element))));
  const key = make("p", { class: "note" }, "Filled: T3, green and plain is benign, orange and striped malignant. Dashed: T2. On the right the one answer, in its class.");
  const search = make("div", {}, control(store, "whose"), make("p", { class: "presets" }, finder));
  const taking = make("div", {},
    make("label", { class: "select" }, make("span", {}, "Ask about a picture of your own; it does not leave this page"), file));
  const counting = make("div", {}, make("p", { class: "presets" }, counter), counted.element);
  const deciding = make("div", {}, control(store, "by"), weighed);
  const later = [results, key, deciding, counting, taking]; // when there are answers
  for (const part of [...later, search]) part.hidden = true;
  results.classList.add("columns");
  const begin = make("fieldset", { class: "bare", "aria-label": "Begin with" }, make("div", { class: "presets" },
    preset("A typical benign nodule", typicalNodule(table, 0)), preset("A typical malignant nodule", typicalNodule(table, 1))));
  el.replaceChildren(
    make("div", { class: "presets" }, begin,
      button("Another neck", () => byHand.set({ neck: (Math.round(state.neck) % NECKS) + 1 }))),
    make("div", { class: "columns" },
      make("div", {}, picture.element, ideal, ownNote),
      make("div", {}, noduleControls(byHand, table), controls(byHand, "Neck", "neck"))),
    make("div", { class: "presets" }, starter, stopper), progress,
    said.element, taught, results,
    key,
    answers.element, deciding, search, counting, taking,
    endBar({ ...store, reset: () => { leave(); store.reset(); store.redraw(); } }, model),
  );
  write(null);
  store.first();
  return () => {
    if (running) running.stopped = true;
    store.stop();
  };
};

export default { render };
