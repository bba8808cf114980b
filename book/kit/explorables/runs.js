// Run explorer: two committed runs, epoch by epoch, and what they reached on the test images.
import { CHART_COLOURS, CHART_DASHES, makeChart } from "./chart.js";
import { controls, endBar, make, percent, sentence, valueTable } from "./controls.js";
import { choiceField, makeStore } from "./state.js";

// The points [epoch, value] of one curve of a run; epochs without a value are left out.
export const curveOf = ({ epochs, curves }, name, part) =>
  epochs.map((epoch, i) => [epoch, curves[name]?.[part]?.[i] ?? NaN]).filter(([, value]) => Number.isFinite(value));

// The point of the lowest value, or of the highest; the earlier one of equals.
export const bestOf = (points, higher) =>
  points.reduce((best, point) => (best && (higher ? point[1] <= best[1] : point[1] >= best[1]) ? best : point), null);

// A little room above and below what is drawn, on numbers that read well.
export const roundSpan = (values) => {
  const low = Math.min(...values), high = Math.max(...values);
  const step = 10 ** Math.floor(Math.log10(high - low || Math.abs(high) || 1)) / 2;
  const from = Math.floor(low / step) * step, to = Math.ceil(high / step) * step;
  return [Number(from.toPrecision(6)), Number((to > from ? to : from + step).toPrecision(6))];
};

// Why two runs must not be compared by this curve, or nothing.
const forbidden = (a, b, curve) => {
  if (a.place !== b.place) return "These runs saw other images, or were trained another way: a difference says nothing of the systems.";
  if (curve === "total" && a.system !== b.system) return "Each total adds other terms: compare it within one run, not between these two.";
  return "";
};

const isShare = (name, shares) => shares.includes(name);
const number = (value) => (Number.isFinite(value) ? value.toPrecision(3) : "\u2013");

const render = ({ model, el }) => {
  const { runs = [], curves = {}, measures = {}, higher = [], start = {} } = model.get("data") ?? {};
  el.classList.add("explorable-view");
  if (!runs.length) {
    el.replaceChildren(make("p", {}, "No run is here yet."));
    return () => {};
  }
  const byKey = Object.fromEntries(runs.map((run) => [run.key, run]));
  const titles = Object.fromEntries(runs.map((run) => [run.key, run.title]));
  const known = (key, other) => (Object.hasOwn(byKey, key) ? key : other);
  const fields = {
    a: choiceField("Run A", known(start.a, runs[0].key), titles),
    b: choiceField("Run B", known(start.b, runs[0].key), titles),
    curve: choiceField("Curve", Object.hasOwn(curves, start.curve) ? start.curve : Object.keys(curves)[0], curves),
  };
  const chart = makeChart("The chosen curve of both runs over the epochs; the table has the first, the best and the last value.", "epoch");
  const course = valueTable("Over the epochs", ["", "first", "best", "at epoch", "last"]);
  const reached = valueTable("On the test images, at the end", ["", "A", "B", "B\u00a0\u2212\u00a0A"]);
  for (const { element } of [course, reached]) element.classList.add("wraps");
  const said = sentence();
  const warning = make("p", { class: "note" });
  const draw = (state) => {
    const shares = Object.keys(measures), up = higher.includes(state.curve);
    const lines = ["a", "b"].flatMap((letter, r) => ["train", "valid"].map((part, p) => ({
      points: curveOf(byKey[state[letter]], state.curve, part), colour: CHART_COLOURS[r], dash: CHART_DASHES[p],
      name: `${letter.toUpperCase()}, ${p ? "validation" : "training"}`,
    }))).filter(({ points }) => points.length);
    const every = lines.flatMap(({ points }) => points);
    const share = isShare(state.curve, shares), show = share ? percent : number;
    const scaled = ([epoch, value]) => [epoch, share ? 100 * value : value]; // as the table has it
    chart.write({
      whole: true,
      x: [0, Math.max(1, ...every.map(([epoch]) => epoch))],
      y: every.length ? roundSpan(every.map((point) => scaled(point)[1])) : [0, 1],
      unit: share ? "%" : "value",
      lines: lines.map((line) => ({ ...line, points: line.points.map(scaled) })),
      marks: lines.filter(({ name }) => name.endsWith("validation")).map(({ points, colour, name }) => ({
        at: scaled(bestOf(points, up)), colour, shape: "diamond", name: `${name[0]}, best on validation`,
      })),
    });
    course.write(lines.map(({ points, name }) => {
      const [epoch, value] = bestOf(points, up);
      return [name, show(points[0][1]), show(value), epoch, show(points.at(-1)[1])];
    }));
    const [a, b] = [byKey[state.a], byKey[state.b]];
    warning.textContent = forbidden(a, b, state.curve);
    const minus = (x, y) => {
      const points = 100 * (y - x);
      return Number.isFinite(points) ? `${points < 0 ? "\u2212" : "+"}${Math.abs(points).toFixed(1)}` : "\u2013";
    };
    reached.write([
      ...Object.entries(measures).map(([name, words]) => {
        const [x, y] = [a, b].map(({ test }) => test[name] ?? NaN);
        return [words, percent(x), percent(y), minus(x, y)];
      }),
      ["seed", a.seed, b.seed, ""],
      ["minutes", a.minutes, b.minutes, ""],
    ]);
    const bests = ["A", "B"].map((letter) => lines.find(({ name }) => name === `${letter}, validation`))
      .map((line) => line && bestOf(line.points, up));
    said.say(lines.length === 0
      ? `Neither run has the curve "${curves[state.curve]}".`
      : ["A", "B"].map((letter, r) => bests[r]
        ? `${letter} is best on validation at epoch ${bests[r][0]} of ${byKey[state[letter.toLowerCase()]].epochs.at(-1)}: ${show(bests[r][1])}.`
        : `${letter} has no such curve.`).join(" "));
    return { a: state.a, b: state.b, best_a: bests[0]?.[1] ?? null, best_b: bests[1]?.[1] ?? null };
  };
  const store = makeStore({ model, name: "runs", fields, draw });
  el.replaceChildren(
    controls(store, "Runs and curve", "a", "b", "curve"),
    said.element, warning,
    make("div", { class: "columns" }, chart.element, make("div", {}, course.element, reached.element)),
    endBar(store, model),
  );
  store.first();
  return store.stop;
};

export default { render };
