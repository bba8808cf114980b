// The three consistency losses of Kang et al. (2022) and their gradients, as lib/consistency.py has
// them; tests/kit/test_explorables_losses.py holds the two against each other.
//
// Probabilities lie in flat arrays in torch's order: cls (N, K), seg2 (N, 2, P), seg3 (N, K+1, P),
// with shape = { images: N, classes: K, pixels: P }. Gradients have the layout of what they are of.

export const EMPTY = 1e-3; // Alg. 1, step 3: keeps the mean over no pixels at 0
export const CLIP = 1e-7; // smallest probability whose plain log is taken

const CONSISTENCY_DEFAULTS = {
  locations: "max", order: "both", softmax: "double", detach: true, background: true, flatten: false,
};

export const softmaxOf = (scores) => {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
};

// Eq. 2: sums over images and pixels for each channel, 1 above and below, mean over the channels.
const diceLoss = (target, prediction, { images, channels, pixels }, options = {}) => {
  const { background = true, flatten = false, smooth = 1 } = options;
  const first = background ? 0 : 1;
  const groups = flatten ? 1 : channels - first;
  const overlap = new Float64Array(groups), total = new Float64Array(groups);
  for (let n = 0; n < images; n++)
    for (let c = first; c < channels; c++) {
      const g = flatten ? 0 : c - first, start = (n * channels + c) * pixels;
      let products = 0, sum = 0;
      for (let i = start; i < start + pixels; i++) {
        products += target[i] * prediction[i];
        sum += target[i] + prediction[i];
      }
      overlap[g] += products;
      total[g] += sum;
    }
  let loss = 0;
  const toTarget = new Float64Array(target.length), toPrediction = new Float64Array(target.length);
  for (let g = 0; g < groups; g++) loss += (1 - (2 * overlap[g] + smooth) / (total[g] + smooth)) / groups;
  for (let n = 0; n < images; n++)
    for (let c = first; c < channels; c++) {
      const g = flatten ? 0 : c - first, start = (n * channels + c) * pixels;
      const slope = 2 / (total[g] + smooth) / groups;
      const level = (2 * overlap[g] + smooth) / (total[g] + smooth) ** 2 / groups;
      for (let i = start; i < start + pixels; i++) {
        toTarget[i] = level - slope * prediction[i];
        toPrediction[i] = level - slope * target[i];
      }
    }
  return { loss, target: toTarget, prediction: toPrediction };
};

// L_T2T3, Eq. 4: the classes of Seg3 folded into one nodule, against Seg2.
export const intraTask = ({ seg2, seg3 }, { images, classes, pixels }, options = {}) => {
  const merged = new Float64Array(seg2.length);
  for (let n = 0; n < images; n++)
    for (let c = 0; c <= classes; c++) {
      const from = (n * (classes + 1) + c) * pixels, to = (n * 2 + (c > 0)) * pixels;
      for (let i = 0; i < pixels; i++) merged[to + i] += seg3[from + i];
    }
  const dice = diceLoss(merged, seg2, { images, channels: 2, pixels }, options);
  const toSeg3 = new Float64Array(seg3.length);
  for (let n = 0; n < images; n++)
    for (let c = 0; c <= classes; c++) {
      const to = (n * (classes + 1) + c) * pixels, from = (n * 2 + (c > 0)) * pixels;
      for (let i = 0; i < pixels; i++) toSeg3[to + i] = dice.target[from + i];
    }
  return { loss: dice.loss, gradient: { seg2: dice.prediction, seg3: toSeg3 } };
};

// Alg. 1: a class read off Seg3, (N, K), and the way back for a gradient.
export const segAsCls = (seg3, { images, classes, pixels }, locations = "max") => {
  const value = new Float64Array(images * classes);
  const counted = new Float64Array(images * classes); // what the sum over pixels is divided by
  const chosen = new Uint8Array(images * classes * pixels).fill(1);
  for (let n = 0; n < images; n++) {
    const start = n * (classes + 1) * pixels;
    const means = [];
    for (let k = 0; k < classes; k++) {
      const row = start + (k + 1) * pixels, flags = (n * classes + k) * pixels;
      let sum = 0, count = 0;
      for (let i = 0; i < pixels; i++) {
        if (locations === "max") {
          let highest = seg3[start + i];
          for (let c = 1; c <= classes; c++) highest = Math.max(highest, seg3[start + c * pixels + i]);
          chosen[flags + i] = highest <= seg3[row + i];
        }
        if (chosen[flags + i]) {
          sum += seg3[row + i];
          count += 1;
        }
      }
      counted[n * classes + k] = locations === "max" ? count + EMPTY : pixels;
      means.push(sum / counted[n * classes + k]);
    }
    value.set(softmaxOf(means), n * classes);
  }
  const back = (gradient) => {
    const toSeg3 = new Float64Array(seg3.length);
    for (let n = 0; n < images; n++) {
      let mean = 0;
      for (let k = 0; k < classes; k++) mean += gradient[n * classes + k] * value[n * classes + k];
      for (let k = 0; k < classes; k++) {
        const at = n * classes + k;
        const each = (value[at] * (gradient[at] - mean)) / counted[at];
        const row = (n * (classes + 1) + k + 1) * pixels;
        for (let i = 0; i < pixels; i++) if (chosen[at * pixels + i]) toSeg3[row + i] = each;
      }
    }
    return toSeg3;
  };
  return { value, back };
};

// Eq. 5, mean over the images: the log of the clipped probability, or of a second softmax.
const softCrossEntropy = (target, prediction, { images, classes }, softmax = "double") => {
  let loss = 0;
  const toTarget = new Float64Array(target.length), toPrediction = new Float64Array(target.length);
  for (let n = 0; n < images; n++) {
    const row = Array.from(prediction.subarray(n * classes, (n + 1) * classes));
    const second = softmaxOf(row);
    let mass = 0;
    for (let k = 0; k < classes; k++) mass += target[n * classes + k];
    for (let k = 0; k < classes; k++) {
      const at = n * classes + k;
      const log = Math.log(softmax === "double" ? second[k] : Math.max(row[k], CLIP));
      loss -= (target[at] * log) / images;
      toTarget[at] = -log / images;
      if (softmax === "double") toPrediction[at] = (second[k] * mass - target[at]) / images;
      else toPrediction[at] = row[k] >= CLIP ? -target[at] / row[k] / images : 0;
    }
  }
  return { loss, target: toTarget, prediction: toPrediction };
};

// The least of L_T1T3 over all that T1 and a map of two classes can answer. A Seg-as-Cls is a softmax
// of two means, so it never leaves softmax(0, 1); for each, the loss is convex in T1's probability.
// Kept, since it is asked for at each drawing.
const floors = new Map();
export const interTaskFloor = ({ order, softmax }) => {
  const name = `${order} ${softmax}`;
  if (!floors.has(name)) floors.set(name, searchFloor(order, softmax));
  return floors.get(name);
};
const searchFloor = (order, softmax) => {
  const shape = { images: 1, classes: 2 };
  const loss = (p, y) => {
    const [cls, seg] = [p, y].map((value) => Float64Array.of(1 - value, value));
    return (order === "cs" ? 0 : softCrossEntropy(seg, cls, shape, softmax).loss)
      + (order === "sc" ? 0 : softCrossEntropy(cls, seg, shape, softmax).loss);
  };
  const leastOver = (y) => {
    let low = 0, high = 1;
    while (high - low > 1e-9) {
      const third = (high - low) / 3;
      if (loss(low + third, y) <= loss(high - third, y)) high -= third;
      else low += third;
    }
    return Math.min(loss(low, y), loss(high, y), loss(0, y), loss(1, y));
  };
  const [sure] = softmaxOf([1, 0]);
  const steps = Array.from({ length: 21 }, (_, i) => 0.5 + ((sure - 0.5) * i) / 20); // both sides are alike
  return Math.min(...steps.map(leastOver));
};

// L_T1T3, Eq. 6: the class and Seg-as-Cls, one or each the other's target.
export const interTask = ({ cls, seg3 }, shape, options = {}) => {
  const { locations, order, softmax, detach } = { ...CONSISTENCY_DEFAULTS, ...options };
  const seg = segAsCls(seg3, shape, locations);
  const toCls = new Float64Array(cls.length), toSeg = new Float64Array(cls.length);
  const add = (to, gradient) => gradient.forEach((value, at) => (to[at] += value));
  let loss = 0;
  for (const [name, target, prediction, toTarget, toPrediction] of [
    ["sc", seg.value, cls, toSeg, toCls],
    ["cs", cls, seg.value, toCls, toSeg],
  ]) {
    if (order !== name && order !== "both") continue;
    const entropy = softCrossEntropy(target, prediction, shape, softmax);
    loss += entropy.loss;
    add(toPrediction, entropy.prediction);
    if (!detach) add(toTarget, entropy.target);
  }
  return { loss, asCls: seg.value, gradient: { cls: toCls, seg3: seg.back(toSeg) } };
};

// L_T1T2T3, Eq. 7 and Alg. 2: Seg2's nodule in the class that Cls finds most probable, against Seg3.
export const threeTask = ({ cls, seg2, seg3 }, { images, classes, pixels }, options = {}) => {
  const painted = new Float64Array(seg3.length);
  const label = [];
  for (let n = 0; n < images; n++) {
    const row = cls.subarray(n * classes, (n + 1) * classes);
    label.push(row.indexOf(Math.max(...row)));
    for (const [from, to] of [[0, 0], [1, label[n] + 1]])
      painted.set(
        seg2.subarray((n * 2 + from) * pixels, (n * 2 + from + 1) * pixels),
        (n * (classes + 1) + to) * pixels,
      );
  }
  const dice = diceLoss(painted, seg3, { images, channels: classes + 1, pixels }, options);
  const toSeg2 = new Float64Array(seg2.length);
  for (let n = 0; n < images; n++)
    for (const [to, from] of [[0, 0], [1, label[n] + 1]]) {
      const start = (n * (classes + 1) + from) * pixels;
      toSeg2.set(dice.target.subarray(start, start + pixels), (n * 2 + to) * pixels);
    }
  return { loss: dice.loss, gradient: { seg2: toSeg2, seg3: dice.prediction } };
};

// A gradient of probabilities (N, C, P) carried through the softmax that made them: of the scores.
export const throughSoftmax = (values, gradient, { images, channels, pixels }) => {
  const result = new Float64Array(values.length);
  for (let n = 0; n < images; n++)
    for (let i = 0; i < pixels; i++) {
      let mean = 0;
      for (let c = 0; c < channels; c++) {
        const at = (n * channels + c) * pixels + i;
        mean += values[at] * gradient[at];
      }
      for (let c = 0; c < channels; c++) {
        const at = (n * channels + c) * pixels + i;
        result[at] = values[at] * (gradient[at] - mean);
      }
    }
  return result;
};
