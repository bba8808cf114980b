// A neck with no nodule, one or two, drawn step by step as in lib.sources.phantom: what each TI-RADS feature
// does to scatterers, reflectors and attenuation. Shadow and enhancement are not painted: they follow.
import { decibel, edge, limit, line, makeScene, scan, TISSUE } from "./scanner.js";

// Echo levels in dB against normal thyroid; attenuation in dB per picture height, there and back.
const FAT = -3, MUSCLE = -12.5, DEEP = -5, BLOOD = -30, FLUID = -34;
const LEVELS = {
  anechoic: [FLUID, FLUID], "hyper/isoechoic": [3, 7], hypoechoic: [-11, -7.5], "very hypoechoic": [-20, -15],
};
const THROUGH_FLUID = 8, CALCIUM = 750, AIR = 3000;

// The radius of an outline at every degree from -180 to 180, about 1; -90 is towards the skin.
const outlineOf = (margin, source) => {
  const angle = Float64Array.from({ length: 361 }, (_, degree) => ((degree - 180) * Math.PI) / 180);
  const radius = new Float64Array(361).fill(1);
  const waves = (from, to, amplitude) => {
    const total = new Float64Array(361);
    for (let order = from; order <= to; order++) {
      const height = source.normal() / order, phase = source.uniform(0, 2 * Math.PI);
      angle.forEach((turn, i) => (total[i] += height * Math.cos(order * turn + phase)));
    }
    const size = Math.sqrt(total.reduce((sum, value) => sum + value * value, 0) / total.length);
    radius.forEach((_, i) => (radius[i] += (amplitude * total[i]) / size));
  };
  waves(2, 4, 0.035);
  if (margin === "ill-defined") waves(3, 6, 0.03);
  if (margin === "lobulated/irregular") {
    if (source.random() < 0.5) { // lobulated: a few round lobes that meet in notches
      const lobes = source.integer(4, 7), phase = source.uniform(0, 2 * Math.PI), height = source.uniform(0.28, 0.38);
      angle.forEach((turn, i) => (radius[i] += height * Math.abs(Math.sin((lobes * turn) / 2 + phase))));
      waves(2, 4, 0.05);
    } else waves(4, 12, 0.13); // irregular: jagged, angular
  }
  if (margin === "extrathyroidal") {
    waves(3, 9, 0.06);
    const aside = source.uniform(-0.35, 0.35), height = source.uniform(0.4, 0.55);
    angle.forEach((turn, i) => {
      const round = (turn + Math.PI / 2 + aside + Math.PI) % (2 * Math.PI) - Math.PI;
      radius[i] += height * line(round, 0.42);
    });
  }
  radius[360] = radius[0]; // closes the curve: lobes of odd number would meet in a step
  return { angle, radius: radius.map((value) => limit(value, 0.55, 1.8)) };
};

// Where the nodule lies and how its outline runs; `ratio` is 1 on the outline, less inside.
const placeNodule = (scene, features, x, drawnWidth) => {
  const { source } = scene;
  const taller = features.shape === "taller";
  const tall = taller ? source.uniform(1.2, 1.6) : source.uniform(0.55, 0.85);
  const width = taller ? Math.min(drawnWidth, 0.36) : drawnWidth;
  const a = width / 2, b = (width * tall) / 2;
  // The lobe's front lies above the nodule; behind it there is room for a shadow to be seen.
  const front = source.uniform(0.27, 0.33), low = front + 0.03 + b;
  const free = source.uniform(low, Math.max(low, 0.72 - b));
  // The bulge at its top breaks through the capsule.
  const z = features.margin === "extrathyroidal" ? front + b * 0.82 : free;

  const { angle: turns, radius } = outlineOf(features.margin, source);
  // Scaled so that width and height are as drawn, whatever the margin did.
  const fitted = (axis, at, half, side) => {
    const low = Math.min(...side), high = Math.max(...side);
    return axis.map((value) => ((value - at) * (high - low)) / 2 / half + (high + low) / 2);
  };
  const u = fitted(scene.x, x, a, radius.map((r, i) => r * Math.cos(turns[i])));
  const v = fitted(scene.z, z, b, radius.map((r, i) => r * Math.sin(turns[i])));
  const angle = scene.map((_, row, column) => Math.atan2(v[row], u[column]));
  const ratio = scene.map((i, row, column) => {
    const degree = Math.floor(((angle[i] + Math.PI) * 180) / Math.PI + 0.5);
    return Math.sqrt(u[column] ** 2 + v[row] ** 2) / radius[degree];
  });
  const small = Math.min(a, b);
  return { features, x, z, a, b, front, u, v, angle, ratio, small, inside: ratio.map((value) => (1 - value) * small) };
};

// Deep tissue, strap muscle, lobe, isthmus, carotid, trachea, fat and skin, back to front.
const paintNeck = (scene, nodules, front) => {
  const { source, z, x, size, wide, mirrors, loss } = scene;
  const some = nodules.length > 0;
  const left = some ? Math.min(...nodules.map((one) => one.x - one.a)) : 0.35;
  const right = some ? Math.max(...nodules.map((one) => one.x + one.a)) : 0.6;
  const bottom = some ? Math.max(...nodules.map((one) => one.z + one.b)) : 0.6;

  const coarse = scene.texture(9, 4), fine = scene.texture(34, 6);
  scene.each((i) => (scene.echo[i] = DEEP + 3.5 * coarse[i] + 4.5 * fine[i]));

  // Strap muscle: dark, with bright fibres along it, down to the front of the lobe.
  const thick = source.uniform(0.1, 0.17);
  const fat = scene.curve(3).map((bump) => thick + 0.012 * bump);
  const sag = source.uniform(0, 0.12);
  const under = scene.curve(3).map((bump, column) => front + 0.02 + sag * (x[column] - 0.5) ** 2 * 4 + 0.01 * bump);
  const fibres = scene.texture(40, 4);
  scene.paint((_, row, column) => edge(under[column] - z[row]), (i) => MUSCLE + 3.5 * fibres[i], TISSUE + 4);
  const part = source.uniform(0.4, 0.65); // between sternohyoid and sternothyroid
  const split = fat.map((depth, column) => depth + (under[column] - depth) * part);
  scene.shine((_, row, column) => line(z[row] - split[column], 0.005), source.uniform(-4, 4));
  scene.shine((_, row, column) => line(z[row] - under[column], 0.006), source.uniform(0, 6));

  // Longus colli: a dark muscle behind the lobe.
  const colli = scene.ellipse(source.uniform(0.4, 0.8), bottom + source.uniform(0.22, 0.3), 0.4, 0.1, 0.1);
  scene.paint((i) => edge(colli[i], 0.02), (_, row, column) => MUSCLE + 3.5 * fibres[(size - 1 - row) * wide + column]);

  // The lobe holds its nodules: it grows with them, but not where one breaks out.
  const lobeLeft = Math.min(source.uniform(0.12, 0.24), left - 0.03);
  const lobeRight = Math.max(source.uniform(0.74, 0.86), right + 0.03);
  const lobeBottom = Math.max(source.uniform(0.66, 0.8), bottom + 0.04);
  const a = (lobeRight - lobeLeft) / 2, b = (lobeBottom - front) / 2, middle = (lobeLeft + lobeRight) / 2;
  const body = scene.ellipse(middle, front + b, a, b, source.uniform(-0.08, 0.08));
  const bridge = source.uniform(0.02, 0.035);
  const held = nodules.filter(({ features }) => features.margin !== "extrathyroidal");
  const lobe = scene.map((i, row, column) => {
    const isthmus = bridge - Math.abs(z[row] - front - 0.05 - 0.03 * (x[column] - lobeRight));
    const gland = Math.max(body[i], Math.min(isthmus, x[column] - middle));
    return held.reduce((grown, { inside }) => Math.max(grown, inside[i] + 0.03), gland);
  });
  const soft = scene.texture(6, 6), grain = scene.texture(16, 14);
  scene.paint((i) => edge(lobe[i]), (i) => 0.9 * soft[i] + 0.7 * grain[i]);
  // An interface reflects where the beam meets it squarely.
  scene.shine((i, row) => line(lobe[i], 0.005) * limit(Math.abs(z[row] - front - b) / b, 0.1, 1), source.uniform(0, 6));

  // Carotid: blood in a bright wall, at the lateral side of the lobe.
  const r = source.uniform(0.06, 0.085);
  const carotidX = Math.min(source.uniform(0.05, 0.12), left - 0.02 - r), carotidZ = source.uniform(0.45, 0.68);
  const artery = scene.ellipse(carotidX, carotidZ, r * source.uniform(1, 1.25), r);
  scene.paint((i) => edge(artery[i]), BLOOD, THROUGH_FLUID + 10);
  scene.shine((i, row) => line(artery[i], 0.005) * limit(Math.abs(z[row] - carotidZ) / r, 0.25, 1), source.uniform(3, 9));
  if (source.random() < 0.5) { // jugular vein: flatter, nearer to the skin, thin wall
    const vein = scene.ellipse(carotidX - 0.01, carotidZ - r - 0.09, r * 1.3, 0.035, 0.2);
    scene.paint((i) => edge(vein[i]), BLOOD, THROUGH_FLUID + 10);
  }

  // Trachea: a bright arc, and behind it nothing but its echoes between wall and probe.
  const wind = source.uniform(0.17, 0.24);
  const centre = Math.max(source.uniform(0.92, 1.06), right + 0.02 + wind);
  const top = front + source.uniform(0.09, 0.16);
  const pipe = scene.ellipse(centre, top + wind, wind, wind);
  scene.paint((i) => edge(pipe[i]), -14);
  const facing = z.map((depth) => limit((1.3 * (top + wind - depth)) / wind, 0, 1));
  scene.shine((i, row) => line(pipe[i], 0.007) * facing[row], source.uniform(9, 15));
  const gap = source.uniform(0.055, 0.085);
  const air = pipe.map((inside) => edge(inside - 0.01) * limit(inside / 0.02, 0, 1));
  scene.shine((i, row) => {
    const depth = Math.max(0, pipe[i]) * facing[row];
    return depth > 0.3 * gap ? Math.cos((depth * Math.PI) / gap) ** 4 * Math.exp(-depth / 0.07) * air[i] : 0;
  }, source.uniform(2, 8));
  scene.each((i, row, column) => {
    const behind = Math.abs(x[column] - centre) < wind * 0.97 && z[row] > top + wind;
    loss[i] += (behind ? AIR / 20 : 0) + 60 * air[i];
  });

  // Fat with bright septa, then skin, on top of everything.
  const septa = scene.texture(26, 4);
  scene.paint((_, row, column) => edge(fat[column] - z[row]), (i) => FAT + 5 * septa[i], TISSUE - 4);
  scene.shine((_, row, column) => line(z[row] - fat[column], 0.006), source.uniform(4, 9));
  const skin = source.uniform(0.02, 0.04);
  scene.paint((_, row) => edge(skin - z[row]), 2);
  scene.shine((_, row) => line(z[row] - skin, 0.005), source.uniform(3, 8));
  const uneven = scene.texture(18, 14); // no interface is even
  scene.each((i) => (mirrors[i] *= Math.exp(0.45 * uneven[i])));
};

// The value that this share of the others lies below.
const quantile = (values, share) => values.sort()[Math.floor(share * (values.length - 1))];

const paintNodule = (scene, nodule) => {
  const { source } = scene, { features, ratio, inside, small, u, v } = nodule;
  const level = source.uniform(...LEVELS[features.echogenicity]);
  const blurred = features.margin === "ill-defined", blur = blurred ? 0.35 * small : 0.01;
  const body = (i) => edge(inside[i] + 0.15 * (blur - 0.01), blur);
  if (features.composition === "cystic") {
    scene.paint(body, FLUID, THROUGH_FLUID);
    scene.shine((i, row) => line(inside[i], 0.005) * Math.min(1, Math.abs(v[row])) ** 2, 3);
  } else {
    const coarse = scene.texture(12, 12), fine = scene.texture(26, 26);
    const extra = features.echogenicity === "very hypoechoic" ? 10 : 0;
    scene.paint(body, (i) => level + 1.2 * coarse[i] + 1.2 * fine[i], TISSUE + extra);
    if (!blurred && (level > 0 || source.random() < 0.3)) {
      const halo = features.margin === "smooth" ? source.uniform(8, 13) : source.uniform(3, 7);
      scene.each((i) => (scene.echo[i] -= halo * line(inside[i] - 0.005, 0.013)));
    }
  }
  if (features.composition === "mixed") {
    const knots = Math.max(3, Math.round((1.1 / small) * 0.55));
    const cavity = scene.texture(knots, knots).map((value, i) => value - 0.5 * ratio[i]); // away from the outline
    const least = quantile(cavity.filter((_, i) => ratio[i] < 1), 1 - source.uniform(0.25, 0.5));
    scene.paint((i) => edge((cavity[i] - least) * small * 0.35) * edge(inside[i] - 0.1 * small), FLUID, THROUGH_FLUID);
  }
  if (features.composition === "spongiform") {
    const knots = Math.round(Math.min(4.5 / small, 34)); // pores: about eight across, if the scanner shows them
    const pores = scene.texture(knots, knots);
    scene.paint((i) => edge(pores[i] + 0.15, 0.5) * edge(inside[i] - 0.012), Math.min(level, 0) - 19, THROUGH_FLUID + 16);
  }
  if (features.margin === "smooth") // the beam is bent at the sides of a smooth body
    scene.each((i, _, column) => (scene.loss[i] += 55 * Math.min(1, line(ratio[i] - 1, 0.07) * u[column] ** 4)));
};

// A reflector smaller than the resolution, in the middle of a pixel.
const sparkle = ({ size, margin, wide, mirrors }, z, x, level) => {
  const [row, column] = [z, x].map((at) => limit(Math.floor(at * size), 8, size - 8));
  const reach = Math.ceil(0.016 * size);
  const profile = (away) => line(away, 0.0045 * size);
  for (let down = -reach; down <= reach; down++)
    for (let across = -reach; across <= reach; across++)
      mirrors[(row + down) * wide + column + margin + across] += profile(down) * profile(across) * decibel(level);
};

const paintFoci = (scene, nodule) => {
  const { source, z, x } = scene, { features: { foci }, ratio, angle, small, v } = nodule;
  // Positions in the nodule, out to `reach` of its radius.
  const spots = (count, reach) => {
    const some = (most) => Array.from({ length: count }, () => source.uniform(0, most));
    const turns = some(2 * Math.PI), areas = some(1);
    return turns.map((turn, n) => {
      const away = reach * Math.sqrt(areas[n]);
      return [nodule.z + nodule.b * away * Math.sin(turn), nodule.x + nodule.a * away * Math.cos(turn)];
    });
  };
  if (foci === "punctate")
    for (const [atZ, atX] of spots(source.integer(6, 12), 0.75)) sparkle(scene, atZ, atX, source.uniform(23, 26));
  if (foci === "comet-tail")
    for (const [atZ, atX] of spots(source.integer(2, 5), 0.6)) {
      sparkle(scene, atZ, atX, 25);
      const length = source.uniform(0.04, 0.07);
      scene.shine((_, row, column) => {
        const below = z[row] - atZ;
        if (below <= 0 || below >= 2 * length) return 0;
        const thin = Math.max(0.002, 0.012 * (1 - below / (2.2 * length)));
        const beat = 0.6 + 0.4 * Math.cos((below * 2 * Math.PI) / 0.022);
        return line(x[column] - atX, thin) * Math.exp(-below / length) * beat;
      }, 10);
    }
  if (foci === "macrocalcification")
    for (const [atZ, atX] of spots(source.integer(1, 3), 0.35)) {
      const a = Math.max(0.03, small * source.uniform(0.35, 0.6));
      const flat = scene.ellipse(atX, atZ, a, Math.max(0.014, 0.3 * a), source.uniform(-0.4, 0.4));
      const rough = scene.texture(20, 20);
      const flake = (i) => edge(flat[i] + 0.004 * rough[i]);
      scene.paint(flake, 11, CALCIUM);
      scene.shine((i, row) => flake(i) * line(z[row] - (atZ - 0.2 * a), 0.015), 22);
    }
  if (foci === "rim calcification") {
    const turned = source.uniform(-Math.PI, Math.PI), most = source.uniform(0.75, 0.95);
    const rim = (i) => (Math.cos(angle[i] - turned) < most ? line(ratio[i] - 0.95, 0.012 / small) : 0);
    scene.paint((i) => Math.min(1, 1.4 * rim(i)), 10, CALCIUM / 4);
    scene.shine((i, row) => rim(i) * limit(Math.abs(v[row]), 0.3, 1), 14);
  }
};

// Where nodules lie across the picture and how wide they are drawn: one in the middle, or on two sides.
const placesFor = (count, source) => {
  if (count === 1) return [[source.uniform(0.42, 0.58), source.uniform(0.17, 0.54)]];
  const places = [0.31, 0.66].map((x) => [x, source.uniform(0.17, 0.27)]);
  return source.random() < 0.5 ? places.reverse() : places;
};

// `every`: the features of none to two nodules, by their names in lib.sources.phantom. Returns grey
// levels and the mask (n on the n-th nodule), both size x size, row by row. Each part begins anew, so
// that one feature leaves the others in place, and a second nodule the first.
export const drawNeck = (every, source, size = 128) => {
  const begin = (part, n) => source.begin(n ? `${part} ${n + 1}` : part);
  begin("neck");
  const scene = makeScene(size, source), places = placesFor(every.length, source);
  const nodules = every.map((features, n) => {
    begin("nodule", n);
    return placeNodule(scene, features, ...places[n]);
  });
  if (!every.length) begin("front");
  const front = nodules.length ? nodules[0].front : source.uniform(0.27, 0.33);
  begin("organs");
  paintNeck(scene, nodules, front);
  nodules.forEach((nodule, n) => {
    begin("tissue", n);
    paintNodule(scene, nodule);
    begin("foci", n);
    paintFoci(scene, nodule);
  });
  begin("scan");
  const mirrored = source.random() < 0.5; // the other side of the neck
  const grey = scan(scene), image = new Uint8Array(size * size), mask = new Uint8Array(size * size);
  scene.each((i, row, column) => {
    const across = column - scene.margin;
    if (across < 0 || across >= size) return;
    const at = row * size + (mirrored ? size - 1 - across : across);
    image[at] = grey[i];
    mask[at] = nodules.findLastIndex(({ ratio }) => ratio[i] < 1) + 1;
  });
  return { image, mask };
};
