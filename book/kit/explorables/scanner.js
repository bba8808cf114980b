// From scatterers to a picture, as lib.sources.phantom does it: the maps that a scene is painted on,
// and the scanner that looks at them. Random numbers come from a `source` in the order of Python.

// Attenuation of tissue, in dB per picture height, there and back.
export const TISSUE = 40;
export const decibel = (level) => Math.exp((level * Math.LN10) / 20);
export const limit = (value, low, high) => Math.min(high, Math.max(low, value));
// From a signed distance (positive inside) to 0..1, soft over `width`.
export const edge = (inside, width = 0.008) => limit(0.5 + inside / width, 0, 1);
// 1 on a curve, falling off with the distance from it.
export const line = (distance, width = 0.006) => {
  const square = (distance / width) * (distance / width);
  return square > 40 ? 0 : Math.exp(-square);
};

// Cubic B-splines: four weights for each sample, of unit energy, and the first knot they belong to.
const splines = new Map();
const splinesOf = (knots, samples) => {
  const key = `${knots} ${samples}`;
  if (!splines.has(key)) {
    const first = new Int32Array(samples), weights = new Float32Array(4 * samples);
    for (let i = 0; i < samples; i++) {
      const at = i * (knots / samples);
      first[i] = Math.floor(at);
      const four = [0, 1, 2, 3].map((k) => {
        const t = Math.abs(at - (first[i] + k - 1));
        return t < 1 ? 2 / 3 - t ** 2 + t ** 3 / 2 : Math.max(0, 2 - t) ** 3 / 6;
      });
      const size = Math.hypot(...four);
      four.forEach((weight, k) => (weights[4 * i + k] = weight / size));
    }
    splines.set(key, { first, weights });
  }
  return splines.get(key);
};

// A smooth random function of unit variance with so many knots.
const smoothLine = (source, knots, samples) => {
  const values = source.normals(knots + 3), { first, weights } = splinesOf(knots, samples);
  return Float32Array.from({ length: samples }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < 4; k++) sum += weights[4 * i + k] * values[first[i] + k];
    return sum;
  });
};

// Depth z goes from 0 to 1 down the picture, x from 0 to 1 across it, with a margin on both sides.
// What is painted is given as functions of a pixel: (its index, its row, its column) to a number.
export const makeScene = (size, source) => {
  const margin = Math.ceil(size / 12), wide = size + 2 * margin;
  const z = Float32Array.from({ length: size }, (_, row) => (row + 0.5) / size);
  const x = Float32Array.from({ length: wide }, (_, column) => (column - margin + 0.5) / size);
  const filled = (value) => new Float32Array(size * wide).fill(value);
  const echo = filled(0), mirrors = filled(0), loss = filled(TISSUE);

  const each = (visit) => {
    for (let row = 0, i = 0; row < size; row++)
      for (let column = 0; column < wide; column++, i++) visit(i, row, column);
  };
  const map = (value) => {
    const values = filled(0);
    each((i, row, column) => (values[i] = value(i, row, column)));
    return values;
  };
  // Replaces tissue, and the reflectors in it, where `where` is 1 (0 to 1).
  const paint = (where, level, through = TISSUE) =>
    each((i, row, column) => {
      const share = where(i, row, column);
      if (!share) return;
      echo[i] += share * ((typeof level === "number" ? level : level(i, row, column)) - echo[i]);
      loss[i] += share * (through - loss[i]);
      mirrors[i] *= 1 - share;
    });
  // Adds a coherent reflector of `level` dB where `where` is 1.
  const shine = (where, level) => {
    const amplitude = decibel(level);
    each((i, row, column) => (mirrors[i] += amplitude * where(i, row, column)));
  };
  // A smooth random field of unit variance with so many knots down and across.
  const texture = (rows, columns) => {
    const knots = source.normals((rows + 3) * (columns + 3)), across = columns + 3;
    const down = splinesOf(rows, size), over = splinesOf(columns, wide);
    const values = filled(0), blend = new Float32Array(across);
    for (let row = 0; row < size; row++) {
      blend.fill(0);
      for (let k = 0; k < 4; k++)
        for (let j = 0; j < across; j++)
          blend[j] += down.weights[4 * row + k] * knots[(down.first[row] + k) * across + j];
      for (let column = 0; column < wide; column++) {
        let sum = 0;
        for (let k = 0; k < 4; k++) sum += over.weights[4 * column + k] * blend[over.first[column] + k];
        values[row * wide + column] = sum;
      }
    }
    return values;
  };

  // Organs are not ellipses: their coordinates are bent a little.
  const bend = [[x, 0.016], [z, 0.012]].map(([axis, by]) => {
    const bumps = texture(5, 5);
    return map((i, row, column) => axis[axis === x ? column : row] + by * bumps[i]);
  });
  // Signed distance, about, to an ellipse of half axes a (across) and b (down).
  const ellipse = (atX, atZ, a, b, tilt = 0) => {
    const cos = Math.cos(tilt), sin = Math.sin(tilt), small = Math.min(a, b);
    return map((i) => {
      const dx = bend[0][i] - atX, dz = bend[1][i] - atZ;
      const across = (cos * dx + sin * dz) / a, down = (cos * dz - sin * dx) / b;
      return (1 - Math.sqrt(across * across + down * down)) * small;
    });
  };
  const curve = (knots) => smoothLine(source, knots, wide);
  return { size, margin, wide, z, x, source, echo, mirrors, loss, each, map, paint, shine, texture, curve, ellipse };
};

// Each row blurred by a Gaussian of `sigma` pixels, out to a 32nd of the picture; the sides are mirrored.
const blurRows = (values, size, wide, sigma) => {
  const reach = size >> 5;
  const taps = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const total = taps.reduce((sum, tap) => sum + tap, 0);
  const blurred = new Float32Array(values.length);
  for (let row = 0; row < size; row++)
    for (let column = 0; column < wide; column++) {
      let sum = 0;
      for (let k = -reach; k <= reach; k++) {
        let at = column + k;
        if (at < 0) at = -1 - at;
        else if (at >= wide) at = 2 * wide - 1 - at;
        sum += taps[k + reach] * values[row * wide + at];
      }
      blurred[row * wide + column] = sum / total;
    }
  return blurred;
};

// A Gaussian of unit energy at distances 0, 1, ... `reach`, of standard deviation `width`.
const pulseOf = (width, reach) => {
  const weights = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp(-0.5 * (k / width) ** 2));
  const size = Math.sqrt(weights.reduce((sum, weight, k) => sum + (k ? 2 : 1) * weight ** 2, 0));
  return weights.map((weight) => weight / size);
};

// The power of the echo of a medium with many scatterers in every resolution cell (fully developed
// speckle), and of coherent reflectors. The sides wrap around.
const speckle = ({ size, wide, source }, scatterers, reflectors, focus) => {
  const scale = size / 128; // widths below are in pixels of a picture of 128
  const normals = source.normals(2 * size * wide); // first all real parts, then all imaginary ones
  const fields = [0, 1].map((part) =>
    scatterers.map((amplitude, i) =>
      normals[part * scatterers.length + i] * Math.SQRT1_2 * amplitude + (part ? 0 : reflectors[i] / scale)));

  const axialOf = (row) => scale * (0.42 + (0.16 * row) / size);
  const lateralOf = (row) => scale * 0.95 * Math.sqrt(1 + ((row / size - focus) / 0.32) ** 2);
  const deep = Math.ceil(3 * axialOf(size - 1));
  const aside = Math.ceil(3 * Math.max(lateralOf(0), lateralOf(size - 1))); // the focus lies between
  const power = new Float32Array(size * wide);
  const [real, imaginary] = fields.map(() => new Float64Array(3 * wide)); // thrice a row: its sides wrap around
  for (let row = 0; row < size; row++) {
    const pulse = pulseOf(axialOf(row), deep), beam = pulseOf(lateralOf(row), aside);
    [real, imaginary].forEach((sums, part) => {
      sums.fill(0);
      for (let k = -deep; k <= deep; k++) {
        let from = Math.abs(row + k); // mirrored about the first row and about the last
        if (from >= size) from = 2 * size - 2 - from;
        const weight = pulse[Math.abs(k)];
        for (let column = 0; column < wide; column++)
          sums[wide + column] += weight * fields[part][from * wide + column];
      }
      sums.copyWithin(0, wide, 2 * wide);
      sums.copyWithin(2 * wide, wide, 2 * wide);
    });
    for (let column = 0; column < wide; column++) {
      const here = wide + column;
      let re = beam[0] * real[here], im = beam[0] * imaginary[here];
      for (let k = 1; k <= aside; k++) {
        re += beam[k] * (real[here - k] + real[here + k]);
        im += beam[k] * (imaginary[here - k] + imaginary[here + k]);
      }
      power[row * wide + column] = re * re + im * im;
    }
  }
  return power;
};

// Insonation, gain over depth, detection, log compression: grey levels 0 to 255, margins included.
export const scan = (scene) => {
  const { size, wide, z, source, echo, mirrors, loss } = scene;
  const focus = source.uniform(0.35, 0.65), noise = source.uniform(-25, -19);
  const span = source.uniform(55, 60), level = source.uniform(24, 29);
  const summed = loss.map((value) => value / size);
  for (let i = wide; i < summed.length; i++) summed[i] += summed[i - wide];
  const lost = blurRows(summed, size, wide, (1.3 * size) / 128); // as wide as the beam
  const uneven = smoothLine(source, 5, size);
  const knob = z.map((depth, row) => TISSUE * depth + 1.2 * uneven[row]);
  const gain = scene.map((i, row) => decibel(knob[row] - lost[i]));
  const power = speckle(scene, gain.map((factor, i) => factor * decibel(echo[i])), gain.map((factor, i) => factor * mirrors[i]), focus);
  // Noise of the receiver: the gain over depth raises it, so that shadows are not quite black.
  const hiss = knob.map((gained) => 2 * decibel(gained - TISSUE + noise) ** 2);
  const hissing = source.exponentials(power.length);
  return scene.map((i, row) => {
    const detected = 10 * Math.log10(Math.max(power[i] + hiss[row] * hissing[i], 1e-12)) + level;
    return limit(Math.round(detected * (255 / span)), 0, 255);
  });
};
