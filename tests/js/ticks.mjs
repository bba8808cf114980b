// Reads axes [low, high, whole] from standard input, writes the texts of their ticks.
import { readFileSync } from "node:fs";
import { ticksOf } from "../../book/kit/explorables/chart.js";

const words = (axis) => ticksOf(...axis).map((tick) => tick.words);
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(words)));
