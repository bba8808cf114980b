// From a picture of any shape to the square that a network takes, as lib/square.py and lib/blocks.py
// do it, bit for bit; tests/kit/test_explorables_ask.py holds the two against each other.

const BITS = 22; // Pillow's weights are whole numbers of 2^-22

// For each of `size` places along a line of `length`: where it begins to read, and its weights. A
// triangle, as wide as the reduction (Pillow's BILINEAR).
const trianglesOf = (length, size) => {
  const scale = length / size, reach = Math.max(scale, 1);
  return Array.from({ length: size }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(length, Math.trunc(centre + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, i) =>
      Math.max(0, 1 - Math.abs((first + i - centre + 0.5) / reach)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => Math.trunc(0.5 + (weight / total) * 2 ** BITS)) };
  });
};

// Reduces rows of `length` to `size`, each `step` apart; the values of a row lie `stride` apart.
const resizeLines = (grey, lines, step, stride, length, size) => {
  if (length === size) return grey;
  const triangles = trianglesOf(length, size), fitted = new Uint8Array(lines * size);
  const [ours, along] = stride === 1 ? [size, 1] : [1, lines];
  for (let line = 0; line < lines; line++)
    triangles.forEach(({ first, weights }, place) => {
      let sum = 2 ** (BITS - 1);
      for (let i = 0; i < weights.length; i++) sum += grey[line * step + (first + i) * stride] * weights[i];
      fitted[line * ours + place * along] = Math.min(255, Math.floor(sum / 2 ** BITS));
    });
  return fitted;
};

// Pads grey levels (Uint8Array, row by row) with black to a centred square, resized to size x size.
export const fitImage = (grey, width, height, size) => {
  const side = Math.max(width, height), square = new Uint8Array(side * side);
  const top = (side - height) >> 1, left = (side - width) >> 1;
  for (let row = 0; row < height; row++)
    square.set(grey.subarray(row * width, (row + 1) * width), (top + row) * side + left);
  const across = resizeLines(square, side, side, 1, side, size);
  return resizeLines(across, size, 1, size, side, size);
};

// Grey levels 0 to 255 as a network takes them, -1 to 1.
export const scaleGrey = (grey) => Float32Array.from(grey, (level) => (level / 255 - 0.5) / 0.5);
