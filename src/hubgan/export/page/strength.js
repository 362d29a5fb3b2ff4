// How strongly a picture wants to be cleaned, from 0 to 1: as `hubgan.media.strength` and `Upscaler` in Python.

// The strength of a JPEG file by its quantisation tables; null for other files.
export function strengthOfFile(bytes, { standard, heaviest }) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return null;
  const tables = new Map();
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at++; // a filler
      continue;
    }
    if (marker === 0xda) break; // the pixels
    const end = at + 2 + bytes[at + 2] * 256 + bytes[at + 3];
    if (marker === 0xdb) readTables(bytes.subarray(at + 4, end), tables);
    at = end;
  }
  if (!tables.size) return null;
  return Math.min(Math.sqrt(tables.get(Math.min(...tables.keys())) / standard / heaviest), 1);
}

function readTables(part, tables) {
  for (let at = 0; at < part.length; ) {
    const wide = part[at] >> 4 ? 2 : 1;
    let sum = 0;
    for (let i = 0; i < 64; i++) {
      const place = at + 1 + i * wide;
      sum += wide === 2 ? part[place] * 256 + part[place + 1] : part[place];
    }
    tables.set(part[at] & 15, sum);
    at += 1 + 64 * wide;
  }
}

// What counts, of the strength by the file and the one that the picture looks like.
export function together(exact, estimated, { faint, clearly }) {
  if (exact === null && estimated < faint) return 0;
  return exact === null || estimated > exact + clearly ? estimated : exact;
}
