// ONNX Runtime as one script that the page "Ask the network" can load from a disk: node ci/runtime.mjs.
//
// From a file a page may not fetch WebAssembly, but it may load a script that carries it: zipped, in
// base64. book/kit/explorables/networks.js takes it apart again.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const read = (file) => readFileSync(new URL(`node_modules/onnxruntime-web/${file}`, import.meta.url));
const { version, license } = JSON.parse(read("package.json"));
const glue = read("dist/ort.wasm.bundle.min.mjs").toString().replace(/^\/\/# sourceMappingURL=.*$/m, "");
const parts = {
  glue: Buffer.from(glue).toString("base64"),
  wasm: gzipSync(read("dist/ort-wasm-simd-threaded.wasm"), { level: 9 }).toString("base64"),
};
process.stdout.write(`// ONNX Runtime ${version} by Microsoft, licence ${license}: github.com/microsoft/onnxruntime
(globalThis.askParts ??= {}).runtime = ${JSON.stringify(parts)};
`);
