// What the features of a nodule are worth: points and level of ACR TI-RADS, and the odds of malignancy.
// The `table` is that of book.kit.explorables.tirads: points and P(value | benign), P(value | malignant).

// Fluid gives no echo: a cystic nodule is anechoic, and no other is. What was changed stays.
export const agreeOnFluid = ({ composition, echogenicity }, changed) => {
  const cystic = composition === "cystic", anechoic = echogenicity === "anechoic";
  if (cystic === anechoic) return {};
  const keepsComposition = cystic ? !("echogenicity" in changed) || "composition" in changed : "composition" in changed;
  if (keepsComposition) return { echogenicity: cystic ? "anechoic" : "hypoechoic" };
  return { composition: cystic ? "solid" : "cystic" };
};

// `before`: the malignant share among the patients. A row for each feature, and all five together.
export const judge = (table, nodule, before) => {
  const spongiform = nodule.composition === "spongiform"; // gets no points, whatever else it shows
  const rows = Object.entries(table.features).map(([name, values]) => {
    const { points, chances } = values[nodule[name]];
    return { name, value: nodule[name], points: spongiform ? 0 : points, chances };
  });
  const points = rows.reduce((sum, row) => sum + row.points, 0);
  const [benign, malignant] = [0, 1].map((k) => rows.reduce((product, row) => product * row.chances[k], 1));
  const odds = [benign * (1 - before), malignant * before];
  return {
    rows, spongiform, points, level: table.levels[points],
    benign, malignant, ratio: malignant / benign, after: odds[1] / (odds[0] + odds[1]),
  };
};

// Every nodule that there can be.
export const everyNodule = (table) =>
  Object.entries(table.features)
    .reduce((begun, [name, values]) =>
      begun.flatMap((nodule) => Object.keys(values).map((value) => ({ ...nodule, [name]: value }))), [{}])
    .filter((nodule) => (nodule.composition === "cystic") === (nodule.echogenicity === "anechoic"));

// The malignant share of all patients whose nodule has this level.
export const shareOfLevel = (table, level, before) => {
  const odds = [0, 0];
  for (const nodule of everyNodule(table)) {
    const found = judge(table, nodule, before);
    if (found.level !== level) continue;
    odds[0] += found.benign * (1 - before);
    odds[1] += found.malignant * before;
  }
  return odds[1] / (odds[0] + odds[1]);
};

// The nodule of the most points that is rather benign (`high`), or of the fewest that is rather
// malignant; of several the one that is met most often.
export const foolingNodule = (table, high) => {
  const before = table.malignant;
  const rank = (nodule) => {
    const { points, benign, malignant, after } = judge(table, nodule, before);
    return { nodule, points: high ? points : -points, fools: after > 0.5 !== high, met: benign * (1 - before) + malignant * before };
  };
  return everyNodule(table).map(rank).filter(({ fools }) => fools)
    .reduce((best, one) => (one.points > best.points || (one.points === best.points && one.met > best.met) ? one : best)).nodule;
};

// The nodule of the most frequent value of each feature in class `k`: 0 benign, 1 malignant.
export const typicalNodule = (table, k) =>
  everyNodule(table).reduce((best, one) => {
    const of = (nodule) => judge(table, nodule, 0.5)[k ? "malignant" : "benign"];
    return of(one) > of(best) ? one : best;
  });

// A patient: a class, drawn with its share, and features that the class draws. `part`: of the source.
export const drawPatient = (table, source, before, part = "patient") => {
  source.begin(part);
  const malignant = source.random() < before, nodule = {};
  for (const [name, values] of Object.entries(table.features)) {
    if (name === "echogenicity" && nodule.composition === "cystic") {
      nodule.echogenicity = "anechoic";
      continue;
    }
    const known = Object.entries(values).filter(([value]) => value !== "anechoic");
    let left = source.random();
    nodule[name] = (known.find(([, { chances }]) => (left -= chances[Number(malignant)]) < 0) ?? known.at(-1))[0];
  }
  return { malignant, nodule };
};
