// A mask on a square of 128 x 128 pixels, written as a short text: "e64_60_24_16" is an ellipse
// (centre and half axes in pixels), "r" and numbers in base 36 the lengths of runs off, on, off...

export const SIZE = 128;
export const MASK_PATTERN = /^(e-?\d{1,3}(\.\d)?(_-?\d{1,3}(\.\d)?){3}|r[0-9a-z]{1,3}(_[0-9a-z]{1,3})*)$/;

const tenth = (value) => Math.round(value * 10) / 10;
export const ellipseText = ({ x, y, a, b }) => `e${[x, y, a, b].map(tenth).join("_")}`;

export const readEllipse = (text) => {
  if (!text.startsWith("e")) return null;
  const [x, y, a, b] = text.slice(1).split("_").map(Number);
  return { x, y, a, b };
};

export const decodeMask = (text) => {
  const mask = new Uint8Array(SIZE * SIZE);
  const shape = readEllipse(text);
  if (shape) {
    const { x, y, a, b } = shape;
    if (a <= 0 || b <= 0) return mask;
    for (let row = 0; row < SIZE; row++)
      for (let column = 0; column < SIZE; column++) {
        const across = (column + 0.5 - x) / a, down = (row + 0.5 - y) / b;
        if (across * across + down * down <= 1) mask[row * SIZE + column] = 1;
      }
    return mask;
  }
  let at = 0;
  text.slice(1).split("_").forEach((run, index) => {
    const end = at + parseInt(run, 36);
    mask.fill(index % 2, at, end);
    at = end;
  });
  return mask;
};

export const encodeMask = (mask) => {
  const runs = [];
  for (let at = 0, on = 0; at < mask.length; on = 1 - on) {
    const start = at;
    while (at < mask.length && mask[at] === on) at += 1;
    runs.push((at - start).toString(36));
  }
  return `r${runs.join("_")}`;
};

export const areaOf = (mask) => {
  let area = 0;
  for (let i = 0; i < mask.length; i++) area += mask[i];
  return area;
};

// A round brush drawn from one point to another, in pixels; `value` 1 paints, 0 erases.
export const brush = (mask, from, to, radius, value) => {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
  for (let step = 0; step <= steps; step++) {
    const x = from.x + ((to.x - from.x) * step) / steps, y = from.y + ((to.y - from.y) * step) / steps;
    for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(SIZE - 1, y + radius); row++)
      for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(SIZE - 1, x + radius); column++)
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) mask[row * SIZE + column] = value;
  }
};
