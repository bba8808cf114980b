// Answers of an ONNX network by the runtime of the page: node ci/answers.mjs, from and to JSON.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web/wasm";
import { scaleGrey } from "../book/kit/explorables/fit.js";

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const { model, size, grey } = JSON.parse(readFileSync(0, "utf8"));
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(new URL("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm", import.meta.url));
const session = await ort.InferenceSession.create(bytes(model));
const pixels = bytes(grey), told = {};
for (let at = 0; at < pixels.length; at += size * size) {
  const image = new ort.Tensor("float32", scaleGrey(pixels.subarray(at, at + size * size)), [1, 1, size, size]);
  for (const [task, { data }] of Object.entries(await session.run({ image }))) (told[task] ??= []).push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
}
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(told).map(([task, parts]) => [task, Buffer.concat(parts).toString("base64")]))));
