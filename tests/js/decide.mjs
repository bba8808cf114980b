// The joint decision of random cases, and of states of the explorable, from standard input.
import { readFileSync } from "node:fs";
import { jointDecision } from "../../book/kit/explorables/decode.js";
import { tippingPoint, WHO_FIELDS, whoValues } from "../../book/kit/explorables/who-decides.js";
import { initialState } from "../../book/kit/explorables/state.js";

const plain = (found) => Object.fromEntries(Object.entries(found).map(([name, values]) => [name, [...values]]));
const decided = ({ shape, weights, ...given }) => plain(jointDecision(
  Object.fromEntries(Object.entries(given).map(([name, values]) => [name, Float64Array.from(values)])), shape, weights,
));
const shown = (changed) => {
  const state = { ...initialState(WHO_FIELDS), ...changed };
  const { joint, painted, alone } = whoValues(state);
  return { state, joint: plain(joint), painted: plain(painted), alone: plain(alone), tips: tippingPoint(joint, state.cls) };
};
const { cases = [], states = [] } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify({ cases: cases.map(decided), states: states.map(shown) }));
