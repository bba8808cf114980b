// Draws the phantom from recorded random numbers and from seeds, and tells what its features are worth.
import { readFileSync } from "node:fs";
import { drawNeck } from "../../book/kit/explorables/neck.js";
import { seededSource } from "../../book/kit/explorables/random.js";
import { agreeOnFluid, drawPatient, everyNodule, foolingNodule, judge, shareOfLevel, typicalNodule } from "../../book/kit/explorables/tirads.js";

const given = JSON.parse(readFileSync(0, "utf8"));
const doubles = (text) => new Float64Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);
const text = (bytes) => Buffer.from(bytes).toString("base64");

// Gives back what NumPy drew, and stops where another number is asked for than was drawn then.
const recordedSource = ({ calls, values: written }) => {
  const values = doubles(written);
  let call = 0, at = 0;
  const take = (kind, count, ...bounds) => {
    const [drawn, many, ...between] = calls[call] ?? ["nothing", 0];
    const near = bounds.every((bound, i) => Math.abs(bound - between[i]) < 1e-6);
    if (drawn !== kind || many !== count || !near)
      throw new Error(`call ${call}: ${kind} ${count} (${bounds}) after ${drawn} ${many} (${between}) was drawn`);
    call += 1;
    at += count;
    return values.slice(at - count, at);
  };
  return {
    begin: () => {},
    random: () => take("random", 1)[0],
    uniform: (low, high) => take("uniform", 1, low, high)[0],
    integer: (low, high) => take("integers", 1, low, high)[0],
    normal: () => take("normal", 1)[0],
    normals: (count) => take("standard_normal", count),
    exponentials: (count) => take("standard_exponential", count),
    left: () => calls.length - call,
  };
};

const picture = ({ image, mask }, more) => ({ image: text(image), mask: text(mask), ...more });
process.stdout.write(JSON.stringify({
  replayed: given.recorded?.map(({ nodules, size, ...numbers }) => {
    const source = recordedSource(numbers);
    return picture(drawNeck(nodules, source, size), { left: source.left() });
  }),
  seeded: given.seeded?.map(({ nodules, size, seed }) => picture(drawNeck(nodules, seededSource(seed), size))),
  worth: given.table && {
    every: everyNodule(given.table).map((nodule) => ({ nodule, ...judge(given.table, nodule, given.before) })),
    levels: [1, 2, 3, 4, 5].map((level) => shareOfLevel(given.table, level, given.before)),
    typical: [0, 1].map((k) => typicalNodule(given.table, k)),
    fooling: [true, false].map((high) => foolingNodule(given.table, high)),
    patients: Array.from({ length: given.patients }, (_, k) => drawPatient(given.table, seededSource(k), given.before)),
  },
  agreed: given.agreed?.map(([state, changed]) => ({ ...state, ...agreeOnFluid(state, changed) })),
  numbers: given.numbers?.map(({ seed, part, count }) => {
    const source = seededSource(seed);
    source.begin(part);
    return {
      uniform: Array.from({ length: count }, () => source.uniform(2, 4)),
      integer: Array.from({ length: count }, () => source.integer(4, 7)),
      normal: [...source.normals(count)], exponential: [...source.exponentials(count)],
    };
  }),
}));
