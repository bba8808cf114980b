// Reads mask texts from standard input, writes their pixels, and their texts written anew.
import { readFileSync } from "node:fs";
import { decodeMask, encodeMask } from "../../book/kit/explorables/masks.js";

const answer = (text) => {
  const mask = decodeMask(text);
  return { pixels: [...mask], text: encodeMask(mask) };
};
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
