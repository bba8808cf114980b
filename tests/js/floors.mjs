// Reads states of the loss laboratory from standard input, writes their losses and what agreeing costs.
import { readFileSync } from "node:fs";
import { labFloors, labValues, LAB_FIELDS } from "../../book/kit/explorables/loss-laboratory.js";
import { initialState } from "../../book/kit/explorables/state.js";

const answer = (given) => {
  const state = { ...initialState(LAB_FIELDS), ...given };
  return { floors: labFloors(state), losses: labValues(state).losses };
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
