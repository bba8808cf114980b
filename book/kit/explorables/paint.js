// Masks and gradients as pictures. Colour is never alone: stripes and dashes say the same.
import { SIZE } from "./masks.js";

export const GREEN = [0, 158, 115], RED = [213, 94, 0], BLUE = [0, 114, 178];

// Fills a mask: `share` 0 is benign (green, plain), 1 malignant (orange, striped).
export const fillMask = (context, scale, mask, share) => {
  const wide = SIZE * scale;
  const image = context.createImageData(wide, wide);
  const points = new Uint32Array(image.data.buffer); // alpha, blue, green, red
  const [r, g, b] = GREEN.map((low, i) => Math.round(low + share * (RED[i] - low)));
  const colour = (b << 16) | (g << 8) | r;
  const plain = colour | (190 << 24), stripe = colour | (Math.round(190 - 150 * share) << 24);
  for (let i = 0; i < SIZE * SIZE; i++) {
    if (!mask[i]) continue;
    const x = (i % SIZE) * scale, y = ((i / SIZE) | 0) * scale;
    for (let down = y; down < y + scale; down++)
      for (let across = x; across < x + scale; across++)
        points[down * wide + across] = (across + down) % 16 < 6 ? stripe : plain;
  }
  context.putImageData(image, 0, 0);
};

// Grey levels, row by row, onto a canvas of their size.
export const greyPicture = (canvas, grey) => {
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  grey.forEach((level, i) => image.data.set([level, level, level, 255], 4 * i));
  context.putImageData(image, 0, 0);
};

// The outline of a mask, dashed in white over a colour, so that it is seen on anything.
export const outlineMask = (context, scale, mask, colour, dash) => {
  const path = new Path2D();
  const on = (row, column) => row >= 0 && column >= 0 && row < SIZE && column < SIZE && mask[row * SIZE + column];
  // Joined along rows and columns: a dash then runs along an edge, not along each pixel.
  for (let row = 0; row <= SIZE; row++)
    for (let column = 0; column < SIZE; column++)
      if (!on(row - 1, column) !== !on(row, column)) {
        const start = column;
        while (column < SIZE && !on(row - 1, column) !== !on(row, column)) column += 1;
        path.moveTo(start * scale, row * scale);
        path.lineTo(column * scale, row * scale);
      }
  for (let column = 0; column <= SIZE; column++)
    for (let row = 0; row < SIZE; row++)
      if (!on(row, column - 1) !== !on(row, column)) {
        const start = row;
        while (row < SIZE && !on(row, column - 1) !== !on(row, column)) row += 1;
        path.moveTo(column * scale, start * scale);
        path.lineTo(column * scale, row * scale);
      }
  context.setLineDash([]);
  context.strokeStyle = "#fff";
  context.lineWidth = 5;
  context.stroke(path);
  context.setLineDash(dash);
  context.strokeStyle = `rgb(${colour})`;
  context.lineWidth = 3;
  context.stroke(path);
  context.setLineDash([]);
};

// A gradient: blue and plain where training raises the value, orange and striped where it lowers it.
export const paintGradient = (context, values, start, most) => {
  const image = context.createImageData(SIZE, SIZE);
  const data = image.data;
  for (let i = 0; i < SIZE * SIZE; i++) {
    const value = values ? values[start + i] / most : 0;
    const colour = value > 0 ? RED : BLUE;
    const striped = value > 0 && (i + ((i / SIZE) | 0)) % 8 < 3;
    data[4 * i] = colour[0];
    data[4 * i + 1] = colour[1];
    data[4 * i + 2] = colour[2];
    data[4 * i + 3] = Math.abs(value) * (striped ? 70 : 255);
  }
  context.putImageData(image, 0, 0);
};
