// What three answers say, whether they contradict each other, and where the next contradiction is.
import { segAsCls } from "./consistency.js";
import { jointDecision } from "./decode.js";
import { everyNodule } from "./tirads.js";

// The answers of one network to one picture, read as lib/metrics.py reads them. A class is 0 benign,
// 1 malignant, -1 no nodule; masks hold 1 for each pixel. `shared`: intersection over union of the
// nodules of T2 and T3, 1 where both are empty. `weights`: of the joint decision.
export const readAnswers = ({ cls, seg2, seg3 }, weights) => {
  const pixels = seg3.length / 3, shape = { images: 1, classes: 2, pixels };
  const [t2, benign, malignant] = [0, 1, 2].map(() => new Uint8Array(pixels));
  let both = 0, either = 0, drawn = 0;
  for (let i = 0; i < pixels; i++) {
    const [none, one, other] = [seg3[i], seg3[pixels + i], seg3[2 * pixels + i]];
    t2[i] = seg2[pixels + i] > seg2[i];
    malignant[i] = other > Math.max(none, one); // ties go to the first, as in torch
    benign[i] = !malignant[i] && one > none;
    const t3 = benign[i] || malignant[i];
    both += t2[i] && t3;
    either += t2[i] || t3;
    drawn += t3;
  }
  const map = segAsCls(seg3, shape).value;
  const joint = jointDecision({ cls, seg2, seg3 }, shape, weights);
  const says = Number(cls[1] > cls[0]), draws = drawn ? Number(map[1] > map[0]) : -1;
  return {
    p: cls[1], says, draws, contradicts: says !== draws, shared: either ? both / either : 1,
    t2, benign, malignant, together: joint.label[0], sure: joint.posterior[1], nodule: joint.nodule,
  };
};

// How many features of two nodules differ.
export const featuresApart = (one, other) => Object.keys(one).filter((name) => one[name] !== other[name]).length;

// Nodules and necks around a place, in rounds: in round r, those of which as many features differ as
// the neck's number is away from r. A round's order is the source's. The place itself is round 0.
export const roundsAround = (table, nodule, neck, necks, source, most) => {
  const apart = everyNodule(table).map((other) => ({ other, far: featuresApart(nodule, other) }));
  const rounds = [];
  for (let round = 0; round <= most; round++) {
    const found = [];
    for (let away = -round; away <= round; away++) {
      const there = ((neck - 1 + away + necks) % necks) + 1;
      for (const { other, far } of apart)
        if (far + Math.abs(away) === round) found.push({ nodule: other, neck: there, round });
    }
    source.begin(`round ${round}`);
    for (let i = found.length - 1; i > 0; i--) { // Fisher and Yates
      const j = source.integer(0, i + 1);
      [found[i], found[j]] = [found[j], found[i]];
    }
    rounds.push(...found);
  }
  return rounds;
};

// Wilson's interval of a share (1927), 95 %.
export const wilsonInterval = (hits, count) => {
  if (!count) return [0, 1];
  const z = 1.959963984540054, share = hits / count, spread = (z * z) / count;
  const middle = (share + spread / 2) / (1 + spread);
  const half = (z / (1 + spread)) * Math.sqrt((share * (1 - share)) / count + spread / (4 * count));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
};
