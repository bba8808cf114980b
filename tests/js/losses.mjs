// Reads random cases from standard input, writes what book/kit/explorables/consistency.js makes of them.
import { readFileSync } from "node:fs";
import { interTask, intraTask, threeTask, throughSoftmax } from "../../book/kit/explorables/consistency.js";

const plain = ({ loss, gradient, asCls }) => ({
  loss,
  gradient: Object.fromEntries(Object.entries(gradient).map(([name, values]) => [name, [...values]])),
  ...(asCls && { asCls: [...asCls] }),
});

const answer = ({ shape, options, ...given }) => {
  const maps = Object.fromEntries(
    ["cls", "seg2", "seg3"].map((name) => [name, Float64Array.from(given[name])]),
  );
  const three = threeTask(maps, shape, options);
  const layout = { images: shape.images, channels: shape.classes + 1, pixels: shape.pixels };
  return {
    intra: plain(intraTask(maps, shape, options)),
    inter: plain(interTask(maps, shape, options)),
    three: plain(three),
    scores: [...throughSoftmax(maps.seg3, three.gradient.seg3, layout)],
  };
};

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
