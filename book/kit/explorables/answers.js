// Three answers about one nodule, from the few numbers and the two masks that the reader sets.
import { decodeMask, SIZE } from "./masks.js";

export const PIXELS = SIZE * SIZE;

// The three answers that a state stands for: probabilities in torch's order, one image, two classes.
export const labAnswers = ({ p, q, s2, s3, t2, t3 }) => {
  const mask2 = decodeMask(t2), mask3 = decodeMask(t3);
  const seg2 = new Float64Array(2 * PIXELS), seg3 = new Float64Array(3 * PIXELS);
  for (let i = 0; i < PIXELS; i++) {
    const nodule2 = mask2[i] ? s2 : 1 - s2, nodule3 = mask3[i] ? s3 : 1 - s3;
    seg2[i] = 1 - nodule2;
    seg2[PIXELS + i] = nodule2;
    seg3[i] = 1 - nodule3;
    seg3[PIXELS + i] = nodule3 * (1 - q);
    seg3[2 * PIXELS + i] = nodule3 * q;
  }
  return { cls: Float64Array.of(1 - p, p), seg2, seg3, mask2, mask3 };
};
