// Threshold and abstention: a committed run's answers, a threshold, and what a second look would cost.
import { CHART_COLOURS, CHART_DASHES, makeChart } from "./chart.js";
import { controls, endBar, make, percent, sentence, valueTable } from "./controls.js";
import { choiceField, makeStore, numberField } from "./state.js";

// From (0, 0) to (1, 1), one point for each score; equal scores move together.
export const rocCurve = (label, score) => {
  const order = [...score.keys()].sort((a, b) => score[b] - score[a]);
  const positives = label.reduce((sum, value) => sum + value, 0), negatives = label.length - positives;
  const points = [[0, 0]];
  let right = 0, wrong = 0, auc = 0;
  for (let i = 0; i < order.length; ) {
    const value = score[order[i]];
    for (; i < order.length && score[order[i]] === value; i++) label[order[i]] ? (right += 1) : (wrong += 1);
    const [x, y] = points.at(-1);
    points.push([wrong / negatives, right / positives]);
    auc += ((wrong / negatives - x) * (right / positives + y)) / 2;
  }
  return { points, auc };
};

// What is left when the images in `referred` (flags) go to a human.
export const tally = ({ label, p }, threshold, referred) => {
  const count = { answered: 0, tp: 0, fp: 0, tn: 0, fn: 0 };
  label.forEach((truth, i) => {
    if (referred[i]) return;
    count.answered += 1;
    count[p[i] > threshold ? (truth ? "tp" : "fp") : truth ? "fn" : "tn"] += 1;
  });
  const { answered, tp, fp, tn, fn } = count;
  return {
    ...count, coverage: answered / label.length, errors: fp + fn, error: (fp + fn) / answered,
    sensitivity: tp / (tp + fn), specificity: tn / (tn + fp),
  };
};

// T1's class at this threshold against the class of T3's map; no nodule on the map contradicts both.
export const contradicts = ({ p, seg }, threshold) => p.map((value, i) => Number(value > threshold) !== seg[i]);

// The `count` images whose score lies closest to the threshold.
export const leastSure = ({ p }, threshold, count) => {
  const order = [...p.keys()].sort((a, b) => Math.abs(p[a] - threshold) - Math.abs(p[b] - threshold));
  const flags = p.map(() => false);
  order.slice(0, count).forEach((i) => (flags[i] = true));
  return flags;
};

const RULES = { none: "nobody", contradiction: "contradictory images", unsure: "the least sure images" };

const render = ({ model, el }) => {
  const runs = model.get("data")?.runs ?? [];
  el.classList.add("explorable-view");
  if (!runs.length) {
    el.replaceChildren(make("p", {}, "No run with both a class and a map is here yet."));
    return () => {};
  }
  const byKey = Object.fromEntries(runs.map((run) => [run.key, run]));
  const fields = {
    run: choiceField("Run", runs[0].key, Object.fromEntries(runs.map((run) => [run.key, run.title]))),
    threshold: numberField("Malignant above", 0.5, 0.01, 0.99, 0.01),
    rule: choiceField("A human looks at", "contradiction", RULES),
    share: numberField("How many of the least sure, in %", 10, 0, 90, 1, 0),
  };
  const roc = makeChart("ROC curve of the run with the point of this threshold; the table has the values.", "1 \u2212 specificity", "sensitivity");
  const cover = makeChart("Share of errors among the images that the network answers, against the share that it answers.", "share answered", "errors among these");
  const table = valueTable("On the test images", ["", "all answered", "chosen rule", "as many, least sure"]);
  table.element.classList.add("wraps");
  const said = sentence();
  const curves = new Map();
  const draw = (state) => {
    const run = byKey[state.run], every = run.label.length;
    if (!curves.has(run)) curves.set(run, rocCurve(run.label, run.p));
    const { points, auc } = curves.get(run);
    const nobody = run.label.map(() => false);
    const contradictory = contradicts(run, state.threshold);
    const chosen = { none: nobody, contradiction: contradictory, unsure: leastSure(run, state.threshold, Math.round((state.share / 100) * every)) }[state.rule];
    const referred = chosen.filter(Boolean).length;
    const [all, left, other, clash] = [nobody, chosen, leastSure(run, state.threshold, referred), contradictory]
      .map((flags) => tally(run, state.threshold, flags));
    // The curve: from the surest images down to all of them.
    const order = [...run.p.keys()].sort((a, b) => Math.abs(run.p[b] - state.threshold) - Math.abs(run.p[a] - state.threshold));
    let errors = 0;
    const kept = order.map((i, n) => {
      errors += Number(run.p[i] > state.threshold) !== run.label[i];
      return [(n + 1) / every, errors / (n + 1)];
    }).slice(Math.ceil(every / 20));
    const high = Math.max(0.1, ...kept.map(([, error]) => error), clash.error || 0, left.error || 0) * 1.1;
    roc.write({
      lines: [{ points: [[0, 0], [1, 1]], colour: "#808080", dash: "2 4", name: "chance" }, { points, colour: CHART_COLOURS[0], name: `the run, AUC ${auc.toFixed(3)}` }],
      marks: [
        { at: [1 - all.specificity, all.sensitivity], colour: CHART_COLOURS[0], shape: "circle", name: "all answered" },
        ...(state.rule === "none" || !left.answered ? [] : [{ at: [1 - left.specificity || 0, left.sensitivity || 0], colour: CHART_COLOURS[1], shape: "diamond", name: "after referral" }]),
      ],
    });
    cover.write({
      y: [0, high],
      lines: [{ points: kept, colour: CHART_COLOURS[0], dash: CHART_DASHES[0], name: "the least sure are referred" }],
      marks: [
        ...(clash.answered ? [{ at: [clash.coverage, clash.error], colour: CHART_COLOURS[2], shape: "square", name: "the contradictory are referred" }] : []),
        ...(left.answered ? [{ at: [left.coverage, left.error], colour: CHART_COLOURS[1], shape: "diamond", name: "chosen rule" }] : []),
      ],
    });
    table.write([
      ["images answered", ...[all, left, other].map((t) => t.answered)],
      ["share answered", ...[all, left, other].map((t) => percent(t.coverage))],
      ["errors", ...[all, left, other].map((t) => t.errors)],
      ["errors among answered", ...[all, left, other].map((t) => percent(t.error))],
      ["malignant missed", ...[all, left, other].map((t) => t.fn)],
      ["benign called malignant", ...[all, left, other].map((t) => t.fp)],
      ["sensitivity", ...[all, left, other].map((t) => percent(t.sensitivity))],
      ["specificity", ...[all, left, other].map((t) => percent(t.specificity))],
    ]);
    const better = left.errors === other.errors ? "as many as" : left.errors < other.errors ? "fewer than" : "more than";
    said.say(state.rule === "none"
      ? `The network answers all ${every} images and errs in ${all.errors}.`
      : `A human looks at ${referred} of ${every} images; the network errs in ${left.errors} of the rest, ${better} the ${other.errors} if the ${referred} least sure were referred.`);
    return { auc, coverage: left.coverage, errors: left.errors, errors_least_sure: other.errors };
  };
  const store = makeStore({ model, name: "threshold", fields, draw });
  el.replaceChildren(
    make("div", { class: "columns" }, controls(store, "Run and threshold", "run", "threshold"), controls(store, "Referral", "rule", "share")),
    said.element,
    make("div", { class: "columns" }, roc.element, cover.element),
    table.element, endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
