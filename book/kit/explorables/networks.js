// The trained networks, run in the page by ONNX Runtime: WebAssembly, one thread, no network.
//
// Both come from two files beside the book, as scripts: from a disk no page may fetch, but it may
// load a script. They are asked for when the reader asks for them.
import { scaleGrey } from "./fit.js";

const loadScript = (address) =>
  new Promise((done, failed) => {
    const script = document.createElement("script");
    script.onload = () => done(script.remove());
    script.onerror = () => failed(new Error(`${address.split("/").at(-1)} is not beside the book; build it with make book`));
    script.src = address;
    document.head.append(script);
  });

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const unpacked = async (bytes) =>
  new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();

// The runtime, and a session for each network of the file, by name.
const startSessions = async (folder) => {
  await Promise.all(["runtime.js", "networks.js"].map((file) => loadScript(`${folder}/${file}`)));
  const { runtime, networks } = globalThis.askParts;
  delete globalThis.askParts; // it is large
  const glue = new Blob([bytesOf(runtime.glue)], { type: "text/javascript" });
  const ort = await import(URL.createObjectURL(glue));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpacked(bytesOf(runtime.wasm));
  const sessions = {};
  for (const [name, file] of Object.entries(networks))
    sessions[name] = await ort.InferenceSession.create(bytesOf(file), { executionProviders: ["wasm"] });
  return { ort, sessions };
};

// `answer(name, grey)`: what one network says of a square picture of grey levels, as probabilities
// in torch's order: cls (2), seg2 (2 planes), seg3 (3 planes). One question after the other.
export const openNetworks = async (folder, size) => {
  const { ort, sessions } = await startSessions(folder);
  let before = Promise.resolve();
  const ask = async (name, grey) => {
    const image = new ort.Tensor("float32", scaleGrey(grey), [1, 1, size, size]);
    const told = await sessions[name].run({ image });
    return Object.fromEntries(Object.entries(told).map(([task, tensor]) => [task, tensor.data]));
  };
  const answer = (name, grey) => {
    const asked = before.then(() => ask(name, grey));
    before = asked.catch(() => {});
    return asked;
  };
  return { names: Object.keys(sessions), answer };
};
