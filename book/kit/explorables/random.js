// Random numbers from a seed, for pictures that a link can bring back. NumPy's generator is another:
// the same seed gives another neck in Python.

// Stirs 32 bits, so that neighbouring seeds have nothing in common.
const stir = (value) => {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
};

// Marsaglia's xorshift of 128 bits (2003). `begin` starts a part of the drawing afresh: how many
// numbers one part takes then changes nothing in the next, and a switch changes what it should only.
export const seededSource = (seed) => {
  let a = 0, b = 0, c = 0, d = 0;
  const begin = (part) => {
    let mixed = stir(seed + 1);
    for (const letter of part) mixed = stir(mixed ^ letter.codePointAt(0));
    [a, b, c, d] = [1, 2, 3, 4].map((n) => stir(mixed + Math.imul(n, 0x9e3779b9)) || n);
  };
  const bits = () => {
    let next = a ^ (a << 11);
    next ^= next >>> 8;
    [a, b, c] = [b, c, d];
    d = d ^ (d >>> 19) ^ next;
    return d >>> 0;
  };
  const random = () => bits() / 2 ** 32; // 0 to 1, without 1
  // Box and Muller (1958): two normal numbers from two uniform ones.
  const normals = (count) => {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i += 2) {
      const away = Math.sqrt(-2 * Math.log(1 - random())), turn = 2 * Math.PI * random();
      values[i] = away * Math.cos(turn);
      if (i + 1 < count) values[i + 1] = away * Math.sin(turn);
    }
    return values;
  };
  begin("");
  return {
    begin, random, normals,
    uniform: (low, high) => low + (high - low) * random(),
    integer: (low, high) => low + Math.floor((high - low) * random()),
    normal: () => normals(1)[0],
    exponentials: (count) => Float32Array.from({ length: count }, () => -Math.log(1 - random())),
  };
};
