// The joint decision, as lib/decode.py has it; tests/kit/test_explorables_decide.py holds the two
// against each other.
//
// Probabilities lie in flat arrays in torch's order, as in consistency.js; a task may be missing.
import { CLIP, softmaxOf } from "./consistency.js";

export const TINY = 1.1754943508222875e-38; // T1's word is not cut off before this
export const EQUAL = { cls: 1, maps: 1, seg2: 1, seg3: 1, bias: [] };

// Each pixel's log-odds of each class against background in image `n`, and the area: how many pixels
// any class would take.
export const oddsOf = ({ seg2, seg3 }, n, { classes, pixels }, weights) => {
  const odds = new Float64Array(classes * pixels);
  const log = (value) => Math.log(Math.max(value, CLIP));
  if (seg2) {
    const start = n * 2 * pixels;
    for (let i = start; i < start + pixels; i++) {
      const two = weights.seg2 * (log(seg2[pixels + i]) - log(seg2[i]));
      for (let k = 0; k < classes; k++) odds[k * pixels + i - start] = two;
    }
  }
  if (seg3) {
    const start = n * (classes + 1) * pixels;
    for (let i = start; i < start + pixels; i++) {
      const background = log(seg3[i]);
      for (let k = 0; k < classes; k++)
        odds[k * pixels + i - start] += weights.seg3 * (log(seg3[i + (k + 1) * pixels]) - background);
    }
  }
  let area = 0;
  for (let i = 0; i < pixels; i++) {
    let taken = false;
    for (let k = 0; k < classes; k++) taken ||= odds[k * pixels + i] > 0;
    area += taken;
  }
  return { odds, area };
};

// The most probable consistent configuration of each image under the product of the experts: for
// each class what T1 says, what the maps say, both together, the posterior; the area, in pixels that
// any class would take; the label (-1 is "no nodule") and the nodule's pixels.
export const jointDecision = ({ cls, seg2, seg3 }, { images, classes, pixels }, given = {}) => {
  const weights = { ...EQUAL, ...given };
  const told = new Float64Array(images * classes), maps = new Float64Array(images * classes);
  const posterior = new Float64Array(images * classes), scores = new Float64Array(images * classes);
  const areas = [], label = [], nodule = new Uint8Array(images * pixels);
  for (let n = 0; n < images; n++) {
    const { odds, area } = oddsOf({ seg2, seg3 }, n, { classes, pixels }, weights);
    areas.push(area);
    for (let k = 0; k < classes; k++) {
      const at = n * classes + k;
      let sum = 0;
      for (let i = k * pixels; i < (k + 1) * pixels; i++) sum += Math.max(odds[i], 0);
      told[at] = cls ? weights.cls * Math.log(Math.max(cls[at], TINY)) : 0;
      maps[at] = (weights.maps * sum) / Math.max(area, 1);
      scores[at] = told[at] + maps[at] + (weights.bias[k] ?? 0);
    }
    const own = softmaxOf(Array.from(scores.subarray(n * classes, (n + 1) * classes)));
    posterior.set(own, n * classes);
    const best = own.indexOf(Math.max(...own));
    let found = 0;
    for (let i = 0; i < pixels; i++) {
      nodule[n * pixels + i] = odds[best * pixels + i] > 0;
      found += nodule[n * pixels + i];
    }
    label.push(found ? best : -1);
  }
  return { cls: told, maps, scores, posterior, areas, label, nodule };
};
