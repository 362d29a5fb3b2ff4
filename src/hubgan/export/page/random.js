// Numbers by a seed. They are not those of PyTorch, so the seed of an image here is not its seed in Python.

// sfc32 by Chris Doty-Humphrey (https://pracrand.sourceforge.net), uniform in [0, 1).
export function uniform(seed) {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, seed >>> 0, Math.floor(seed / 2 ** 32) + 1];
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

// `count` numbers from a standard normal, by Box and Muller (1958).
export function normals(seed, count) {
  const next = uniform(seed);
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()));
}

export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
