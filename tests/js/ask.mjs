// What the page "Ask the network" makes of pictures and of answers, from standard input.
import { readFileSync } from "node:fs";
import { readAnswers, readPresent, roundsAround, wilsonInterval } from "../../book/kit/explorables/contradiction.js";
import { fitImage, scaleGrey } from "../../book/kit/explorables/fit.js";
import { decidePresent } from "../../book/kit/explorables/presence.js";
import { seededSource } from "../../book/kit/explorables/random.js";

const given = JSON.parse(readFileSync(0, "utf8"));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text) => new Float32Array(bytes(text).buffer);
const unpacked = ({ cls, seg2, seg3 }) => ({ cls: floats(cls), seg2: floats(seg2), seg3: floats(seg3) });
const plain = (found) => Object.fromEntries(Object.entries(found).map(([name, value]) => [name, ArrayBuffer.isView(value) ? [...value] : value]));
process.stdout.write(JSON.stringify({
  fitted: given.pictures?.map(({ grey, width, height, size }) => [...fitImage(bytes(grey), width, height, size)]),
  scaled: given.scaled && [...scaleGrey(given.scaled)],
  read: given.answers?.map(({ weights, byPiece, ...told }) => plain(readAnswers(unpacked(told), weights, byPiece))),
  present: given.present?.map(({ rule, ...told }) => {
    const { posterior, probability } = decidePresent(unpacked(told), rule);
    return { ...plain(readPresent(unpacked(told), rule)), posterior, probability };
  }),
  rounds: given.around && roundsAround(given.table, given.around, given.neck, given.necks, seededSource(given.seed), given.most),
  intervals: given.shares?.map(([hits, count]) => wilsonInterval(hits, count)),
}));
