// Reads the rows of Fig. 3 from standard input, writes what the laboratory's presets give for them.
import { readFileSync } from "node:fs";
import { figure3State, figure3Words, LAB_FIELDS, labValues } from "../../book/kit/explorables/loss-laboratory.js";
import { cleanState, fromHash, initialState, toHash } from "../../book/kit/explorables/state.js";

const usual = initialState(LAB_FIELDS);
const answer = (row) => {
  const state = { ...usual, ...cleanState(LAB_FIELDS, figure3State(row)) };
  const link = toHash("loss-laboratory", usual, state);
  const { losses, segAsCls } = labValues(state);
  return { words: figure3Words(row), state, losses, segAsCls: [...segAsCls], restored: { ...usual, ...fromHash("loss-laboratory", LAB_FIELDS, link) } };
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
