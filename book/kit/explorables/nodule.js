// The words for the features of a nodule, and a control for each of them.
import { choiceField } from "./state.js";

export const TITLES = { composition: "Composition", echogenicity: "Echogenicity", shape: "Shape", margin: "Margin", foci: "Echogenic foci" };
// The values in words that a sentence can hold.
const SAID = {
  mixed: "mixed cystic and solid", "hyper/isoechoic": "hyper- or isoechoic", wider: "wider than tall", taller: "taller than wide",
  smooth: "a smooth margin", "ill-defined": "an ill-defined margin", "lobulated/irregular": "a lobulated or irregular margin",
  extrathyroidal: "extrathyroidal extension", none: "no echogenic foci", "comet-tail": "comet-tail artefacts",
  macrocalcification: "macrocalcification", "rim calcification": "rim calcification", punctate: "punctate echogenic foci",
};
const saidOf = (value) => SAID[value] ?? value;
export const describeNodule = ({ composition, echogenicity, shape, margin, foci }) =>
  `a ${saidOf(composition)}, ${saidOf(echogenicity)} nodule, ${saidOf(shape)}, with ${saidOf(margin)} and ${saidOf(foci)}`;

export const capital = (words) => words[0].toUpperCase() + words.slice(1);

// A choice for each feature of the table of book.kit.explorables.tirads, beginning with the usual.
export const featureFields = (table) =>
  Object.fromEntries(Object.entries(table.features).map(([name, values]) =>
    [name, choiceField(TITLES[name], table.usual[name], Object.fromEntries(Object.keys(values).map((value) => [value, value])))]));
