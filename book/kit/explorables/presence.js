// Beyond one nodule, as lib/presence has it: what answers hold, by which name they contradict each
// other, and the decision that may be "no nodule" or both. tests/kit/test_explorables_ask.py holds the
// two against each other.
//
// One picture: probabilities in torch's order, cls (2), seg2 (2 planes), seg3 (3 planes), square.
import { EMPTY, softmaxOf } from "./consistency.js";
import { oddsOf, TINY } from "./decode.js";

const PRESENT_KINDS = ["normal", "benign", "malignant", "both"];
const HELD = [[0, 0], [1, 0], [0, 1], [1, 1]]; // of each kind: whether benign, whether malignant
const NORMAL = 0, SURE = 0.5;

// A label as elsewhere in the page: -1 no nodule, 0 benign, 1 malignant; and 2, one of each.
export const labelOf = ([benign, malignant]) => Number(benign) + 2 * Number(malignant) - 1;

// The pieces of a square mask, numbered from 1, and the pixels of each; those that touch, at a corner
// too, are one.
const piecesOf = (mask) => {
  const side = Math.sqrt(mask.length), named = new Int32Array(mask.length), counts = [0];
  mask.forEach((on, start) => {
    if (!on || named[start]) return;
    const number = counts.push(0) - 1, open = [start];
    named[start] = number;
    while (open.length) {
      const at = open.pop(), row = Math.floor(at / side), column = at % side;
      counts[number] += 1;
      for (let r = Math.max(0, row - 1); r <= Math.min(side - 1, row + 1); r++)
        for (let c = Math.max(0, column - 1); c <= Math.min(side - 1, column + 1); c++) {
          const near = r * side + c;
          if (!mask[near] || named[near]) continue;
          named[near] = number;
          open.push(near);
        }
    }
  });
  return { named, counts };
};

// Which classes T3 draws, piece by piece: each is of the class that Algorithm 1 reads off it. `painted`
// holds 0, or 1 + the class, for each pixel.
export const pieceClasses = (seg3, painted) => {
  const { named, counts } = piecesOf(painted), pixels = painted.length;
  const [sums, areas] = [0, 1].map(() => counts.map(() => [0, 0]));
  painted.forEach((value, i) => {
    if (!value) return;
    sums[named[i]][value - 1] += seg3[value * pixels + i];
    areas[named[i]][value - 1] += 1;
  });
  const drawn = [false, false];
  for (let piece = 1; piece < counts.length; piece++) {
    const [benign, malignant] = [0, 1].map((k) => sums[piece][k] / (areas[piece][k] + EMPTY));
    drawn[Number(malignant > benign)] = true;
  }
  return drawn;
};

// The names of the contradictions between what T1 and T3 hold of either class, and whether T2 does.
export const contradictionsIn = ({ t1, t2, t3 }) => {
  const said = t1.filter(Boolean).length, drawn = t3.filter(Boolean).length;
  const some = t2 || drawn > 0, every = t2 && drawn > 0;
  return Object.entries({
    "a mask without a class": !said && some,
    "a class without a mask": said > 0 && !every,
    "one class in T1, the other in T3": said === 1 && drawn === 1 && labelOf(t1) !== labelOf(t3),
    "two classes in T1, one in T3": said === 2 && drawn === 1,
    "one class in T1, two in T3": said === 1 && drawn === 2,
    "of T2 and T3, one is empty": some && !every,
  }).filter(([, there]) => there).map(([name]) => name);
};

export const saysPresent = (cls) => Array.from(cls, (probability) => probability > SURE);

// One answer of a network of which T1 says of each class whether it is present. `rule` as
// lib.presence.Rule records it. `painted`: 0, or 1 + the class, for each pixel; `present`: what it holds.
export const decidePresent = ({ cls, seg2, seg3 }, { weights, kinds, threshold, size }) => {
  const pixels = seg3.length / 3, { odds, area } = oddsOf({ seg2, seg3 }, 0, { classes: 2, pixels }, weights);
  const log = (value) => Math.log(Math.max(value, TINY));
  const scores = HELD.map((held, kind) => {
    const place = kinds.indexOf(PRESENT_KINDS[kind]);
    if (place < 0) return -Infinity;
    const word = held.reduce((sum, there, k) => sum + log(there ? cls[k] : 1 - cls[k]) / 2, 0);
    let maps = 0;
    for (let i = 0; i < pixels; i++) maps += Math.max(0, ...[0, 1].filter((k) => held[k]).map((k) => odds[k * pixels + i]));
    return weights.cls * word + (weights.maps * maps) / Math.max(area, 1) + (weights.bias[place] ?? 0);
  });
  const posterior = softmaxOf(scores);
  const best = scores.slice(1).reduce((most, score, k) => (score > scores[most] ? k + 1 : most), 1);
  const painted = new Uint8Array(pixels);
  if (posterior[NORMAL] <= 1 - threshold)
    for (let i = 0; i < pixels; i++) {
      const [benign, malignant] = [0, 1].map((k) => (HELD[best][k] ? odds[k * pixels + i] : -Infinity));
      if (Math.max(benign, malignant) > 0) painted[i] = malignant > benign ? 2 : 1;
    }
  const { named, counts } = piecesOf(painted);
  named.forEach((piece, i) => counts[piece] < size && (painted[i] = 0));
  const probability = [0, 1].map((k) => posterior.reduce((sum, share, kind) => sum + share * HELD[kind][k], 0));
  return { posterior, painted, probability, present: [1, 2].map((value) => painted.includes(value)) };
};
