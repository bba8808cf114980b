// What the other explorables compute, from cases on standard input.
import { readFileSync } from "node:fs";
import { overlaps } from "../../book/kit/explorables/dice-by-hand.js";
import { meanDice, splitGain } from "../../book/kit/explorables/gain.js";
import { bestOf, curveOf, roundSpan } from "../../book/kit/explorables/runs.js";
import { contradicts, leastSure, rocCurve, tally } from "../../book/kit/explorables/threshold.js";

const given = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify({
  dice: given.dice?.map(overlaps),
  gain: given.gain?.map(([a, b]) => ({ a: meanDice(a), b: meanDice(b), parts: splitGain(meanDice(a), meanDice(b)) })),
  courses: given.courses?.map((run) => Object.fromEntries(Object.keys(run.curves).map((name) => {
    const points = curveOf(run, name, "valid");
    return [name, { low: bestOf(points, false), high: bestOf(points, true), span: points.length ? roundSpan(points.map(([, value]) => value)) : null }];
  }))),
  runs: given.runs?.map((run) => ({
    auc: rocCurve(run.label, run.p).auc,
    all: tally(run, 0.5, run.label.map(() => false)),
    left: tally(run, 0.5, contradicts(run, 0.5)),
    unsure: leastSure(run, 0.5, 7).map(Number),
  })),
}));
