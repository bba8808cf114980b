// What three answers say, whether they contradict each other, and where the next contradiction is.
import { segAsCls } from "./consistency.js";
import { jointDecision } from "./decode.js";
import { contradictionsIn, decidePresent, labelOf, pieceClasses, saysPresent } from "./presence.js";
import { everyNodule } from "./tirads.js";

// The masks of T2 and T3, 1 for each pixel, and the classes of T3's pieces. `shared`: intersection over
// union of the nodules of T2 and T3, 1 where both are empty.
const readMaps = ({ seg2, seg3 }) => {
  const pixels = seg3.length / 3;
  const [t2, benign, malignant, painted] = [0, 1, 2, 3].map(() => new Uint8Array(pixels));
  let both = 0, either = 0;
  for (let i = 0; i < pixels; i++) {
    const [none, one, other] = [seg3[i], seg3[pixels + i], seg3[2 * pixels + i]];
    t2[i] = seg2[pixels + i] > seg2[i];
    malignant[i] = other > Math.max(none, one); // ties go to the first, as in torch
    benign[i] = !malignant[i] && one > none;
    const t3 = benign[i] || malignant[i];
    both += t2[i] && t3;
    either += t2[i] || t3;
    painted[i] = benign[i] + 2 * malignant[i];
  }
  return { t2, benign, malignant, shared: either ? both / either : 1, drawn: pieceClasses(seg3, painted) };
};

// The names of the contradictions of one picture's answers; T3 is read piece by piece.
const namesOf = (t1, { t2, drawn }) => contradictionsIn({ t1, t2: t2.includes(1), t3: drawn });

// The answers of one network to one picture, read as lib/metrics.py reads them. A class is 0 benign,
// 1 malignant, -1 no nodule, 2 one of each. `p`: T1's probabilities of benign and malignant. `weights`:
// of the joint decision, whose mask `decided` holds 0, or 1 + the class. `byPiece`: T3 is read as in
// lib/presence, where there may be two nodules, not as a whole.
export const readAnswers = ({ cls, seg2, seg3 }, weights, byPiece = false) => {
  const shape = { images: 1, classes: 2, pixels: seg3.length / 3 }, maps = readMaps({ seg2, seg3 });
  const { drawn, ...masks } = maps, map = segAsCls(seg3, shape).value;
  const { label: [together], posterior, nodule } = jointDecision({ cls, seg2, seg3 }, shape, weights);
  const says = Number(cls[1] > cls[0]), some = drawn.includes(true);
  const draws = byPiece ? labelOf(drawn) : some ? Number(map[1] > map[0]) : -1;
  return {
    ...masks, p: [...cls], says, draws, contradicts: says !== draws, names: namesOf([says === 0, says === 1], maps),
    together, sure: posterior[1], decided: nodule.map((on) => on * (together + 1)),
  };
};

// The same of a network of which T1 says of each class whether it is present, with the decision's rule.
export const readPresent = ({ cls, seg2, seg3 }, rule) => {
  const maps = readMaps({ seg2, seg3 }), { drawn, ...masks } = maps, t1 = saysPresent(cls);
  const { present, probability, painted } = decidePresent({ cls, seg2, seg3 }, rule);
  const says = labelOf(t1), draws = labelOf(drawn);
  return {
    ...masks, p: [...cls], says, draws, contradicts: says !== draws, names: namesOf(t1, maps),
    together: labelOf(present), sure: probability[1], decided: painted,
  };
};

// How many features of two nodules differ.
const featuresApart = (one, other) => Object.keys(one).filter((name) => one[name] !== other[name]).length;

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
