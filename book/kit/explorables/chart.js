// A small chart in SVG: lines that differ in colour and dash, marks that differ in shape.
import { make } from "./controls.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 360, HIGH = 280, LEFT = 52, RIGHT = 12, TOP = 12, LOW = 44;
export const CHART_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
export const CHART_DASHES = ["", "8 4", "2 4", "8 3 2 3", "14 4", "14 3 2 3"];
const SHAPES = { circle: "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0", diamond: "M0 -7L7 0L0 7L-7 0Z",
  square: "M-5 -5H5V5H-5Z", cross: "M-6 -6L6 6M-6 6L6 -6" };

const draw = (tag, attributes, text = "") => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
};

// Round numbers from `low` to `high`, about five steps of 1, 2 or 5 apart, as texts and values; with
// `whole` no step is below 1.
export const ticksOf = (low, high, whole = false) => {
  const wanted = (high - low || 1) / 5, power = 10 ** Math.floor(Math.log10(wanted));
  const round = [1, 2, 5, 10].map((times) => times * power).find((step) => step > wanted * 0.999);
  const step = whole ? Math.max(1, round) : round;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++)
    ticks.push({ at: n * step, words: (n * step).toFixed(digits) });
  return ticks;
};

// `label` says what the chart shows; the table beside it has the values. `whole`: x counts something;
// `unit`: what stands at the y axis of this drawing, where that changes.
export const makeChart = (label, xTitle, yTitle) => {
  const svg = draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "chart", role: "img", "aria-label": label });
  const key = make("p", { class: "note" });
  const element = make("figure", {}, svg, key);
  const write = ({ x = [0, 1], y = [0, 1], whole = false, unit = yTitle, lines = [], marks = [] }) => {
    const across = (value) => LEFT + ((value - x[0]) / (x[1] - x[0] || 1)) * (WIDE - LEFT - RIGHT);
    const up = (value) => HIGH - LOW - ((value - y[0]) / (y[1] - y[0] || 1)) * (HIGH - LOW - TOP);
    const parts = [];
    for (const { at, words } of ticksOf(...x, whole)) {
      parts.push(draw("line", { class: "grid", x1: across(at), x2: across(at), y1: TOP, y2: HIGH - LOW }));
      parts.push(draw("text", { x: across(at), y: HIGH - LOW + 20, "text-anchor": "middle" }, words));
    }
    for (const { at, words } of ticksOf(...y)) {
      parts.push(draw("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: up(at), y2: up(at) }));
      parts.push(draw("text", { x: LEFT - 6, y: up(at) + 4, "text-anchor": "end" }, words));
    }
    parts.push(draw("line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: HIGH - LOW, y2: HIGH - LOW }));
    parts.push(draw("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: HIGH - LOW }));
    parts.push(draw("text", { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 5, "text-anchor": "middle" }, xTitle));
    parts.push(draw("text", { transform: `translate(12 ${(TOP + HIGH - LOW) / 2}) rotate(-90)`, "text-anchor": "middle" }, unit));
    for (const { points, colour, dash = "" } of lines)
      parts.push(draw("polyline", { points: points.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join(" "), stroke: colour, "stroke-dasharray": dash }));
    for (const { at, colour, shape } of marks)
      parts.push(draw("path", { d: SHAPES[shape], transform: `translate(${across(at[0])} ${up(at[1])})`, fill: shape === "cross" ? "none" : colour, stroke: shape === "cross" ? colour : "#fff", "stroke-width": shape === "cross" ? 3 : 1 }));
    svg.replaceChildren(...parts);
    const samples = [
      ...lines.map(({ name, colour, dash = "" }) => [name, draw("line", { x1: 0, x2: 28, y1: 7, y2: 7, stroke: colour, "stroke-width": 3, "stroke-dasharray": dash })]),
      ...marks.map(({ name, colour, shape }) => [name, draw("path", { d: SHAPES[shape], transform: "translate(14 7)", fill: shape === "cross" ? "none" : colour, stroke: colour, "stroke-width": 2 })]),
    ].filter(([name]) => name).map(([name, sample]) => {
      const small = draw("svg", { width: 28, height: 14, "aria-hidden": "true" });
      small.append(sample);
      return make("span", { class: "key" }, small, ` ${name}`);
    });
    key.replaceChildren(...samples);
  };
  return { element, write };
};
