// Pictures as ImageData, and planes of floats as the networks want them: channels first, from 0 to 1.

// How to cut a picture into parts of at most `most` pixels, margins included, so that the margins cost the least:
// {columns, rows} of windows. A margin has `halo` pixels, which a pixel of the result depends on. What lies from `start`
// to `stop` of a window is kept. Windows begin at a multiple, for networks that work on a coarser grid.
export function parts(width, height, { most, halo, multiple }) {
  let best;
  for (let across = 1; across <= width; across++) {
    const columns = windows(width, across, halo, multiple);
    const wide = largest(columns);
    if (best && total(columns) > best.cost / height) break; // further cuts only cost more
    for (let down = Math.ceil((wide * height) / most); down <= height; down++) {
      const rows = windows(height, down, halo, multiple);
      if (wide * largest(rows) > most) continue;
      const cost = total(columns) * total(rows);
      if (!best || cost < best.cost) best = { columns, rows, cost };
      break;
    }
  }
  return best ?? { columns: windows(width, 1, halo, multiple), rows: windows(height, 1, halo, multiple) };
}

const largest = (cuts) => Math.max(...cuts.map(({ from, to }) => to - from));
const total = (cuts) => cuts.reduce((sum, { from, to }) => sum + to - from, 0);

// `count` windows that cover a side, all of the same size, which spares GPUs a program for each; the last may be larger.
function windows(length, count, halo, multiple) {
  const up = (value) => Math.ceil(value / multiple) * multiple;
  const margin = 2 * up(halo);
  const size = Math.min(up(Math.ceil((length + (count - 1) * margin) / count)), length);
  const last = Math.floor((length - size) / multiple) * multiple;
  const found = Array.from({ length: count }, (_, i) => {
    const from = Math.min(i * (size - margin), last);
    return { from, to: from === last ? length : from + size, start: 0, stop: length };
  });
  for (let i = 1; i < count; i++) {
    found[i].start = found[i - 1].stop = Math.floor((found[i].from + found[i - 1].to) / 2);
  }
  return found;
}

// A part of a picture as planes, 3 of colour or 1 of grey.
export function planes(image, channels, left, top, width, height) {
  const result = new Float32Array(channels * width * height);
  const { data } = image;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = ((top + y) * image.width + left) * 4; x < width; x++, from += 4, to++) {
      if (channels === 1) {
        result[to] = luma(data[from], data[from + 1], data[from + 2]) / 255;
      } else {
        for (let c = 0; c < 3; c++) result[c * width * height + to] = data[from + c] / 255;
      }
    }
  }
  return result;
}

// Grey as Pillow computes it.
export const luma = (red, green, blue) => (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;

export function isGrey({ data }) {
  for (let i = 0; i < data.length; i += 4) if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return false;
  return true;
}

// Take the colours out of a picture.
export function toGrey({ data }) {
  for (let i = 0; i < data.length; i += 4) data.fill(luma(data[i], data[i + 1], data[i + 2]), i, i + 3);
}

// Copy a rectangle of planes into a picture, whose arrays round to the nearest level.
export function paste(image, left, top, planes, channels, from, width, height) {
  const plane = planes.length / channels;
  for (let y = 0; y < height; y++) {
    let source = (from.top + y) * from.width + from.left;
    let target = ((top + y) * image.width + left) * 4;
    for (let x = 0; x < width; x++, source++, target += 4) {
      for (let c = 0; c < 3; c++) image.data[target + c] = 255 * planes[(channels === 1 ? 0 : c * plane) + source];
      image.data[target + 3] = 255;
    }
  }
}

// Planes with their last columns and rows repeated.
export function extended(planes, channels, width, height, wide, tall) {
  if (wide === width && tall === height) return planes;
  const result = new Float32Array(channels * wide * tall);
  for (let c = 0, to = 0; c < channels; c++) {
    for (let y = 0; y < tall; y++) {
      const row = (c * height + Math.min(y, height - 1)) * width;
      for (let x = 0; x < wide; x++, to++) result[to] = planes[row + Math.min(x, width - 1)];
    }
  }
  return result;
}

// What represents a picture: squares, evenly spread; of a small one all. As `Picture.squares` in Python.
export function squares(image, channels, number, side) {
  const { width, height } = image;
  if (width * height <= number * side ** 2 || Math.min(width, height) < side) {
    return { count: 1, width, height, data: planes(image, channels, 0, 0, width, height) };
  }
  const rows = Math.round(Math.sqrt(number));
  const starts = (length) => Array.from({ length: rows }, (_, i) => Math.floor(((length - side) * i) / (rows - 1)));
  const data = new Float32Array(rows * rows * channels * side * side);
  let at = 0;
  for (const top of starts(height)) {
    for (const left of starts(width)) {
      data.set(planes(image, channels, left, top, side, side), at);
      at += channels * side * side;
    }
  }
  return { count: rows * rows, width: side, height: side, data };
}

// A picture of another size by a filter that widens with the step, rounded between the two passes as Pillow does it.
export function resized(image, width, height, filter = LANCZOS) {
  if (width === image.width && height === image.height) return image;
  const across = pass(image.data, image.width, image.height, 4, image.width * 4, width, filter);
  const both = pass(across, image.height, width, width * 4, 4, height, filter);
  return new ImageData(both, width, height);
}

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const LANCZOS = { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) };
export const BICUBIC = {
  support: 2,
  weight: (x, a = -0.5) => {
    const d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  },
};

// Lines of `length` pixels, `step` bytes apart, to lines of `wanted`; there are `lines` of them, `stride` bytes apart.
// The result has the same order of steps: rows stay rows.
function pass(data, length, lines, step, stride, wanted, filter) {
  const scale = length / wanted;
  const widened = Math.max(scale, 1);
  const result = new Uint8ClampedArray(lines * wanted * 4);
  const [toStep, toStride] = step === 4 ? [4, wanted * 4] : [lines * 4, 4];
  for (let i = 0; i < wanted; i++) {
    const centre = (i + 0.5) * scale;
    const from = Math.max(Math.floor(centre - filter.support * widened + 0.5), 0);
    const to = Math.min(Math.floor(centre + filter.support * widened + 0.5), length);
    const weights = [];
    for (let j = from; j < to; j++) weights.push(filter.weight((j - centre + 0.5) / widened));
    const sum = weights.reduce((a, b) => a + b, 0);
    for (let line = 0; line < lines; line++) {
      for (let c = 0; c < 4; c++) {
        let value = 0;
        for (let j = from, at = line * stride + from * step + c; j < to; j++, at += step) value += weights[j - from] * data[at];
        result[line * toStride + i * toStep + c] = value / sum;
      }
    }
  }
  return result;
}

// Transparency on white.
export function flattened(image) {
  const data = new Uint8ClampedArray(image.data);
  for (let i = 0; i < data.length; i += 4) {
    for (let c = 0; c < 3; c++) data[i + c] = 255 + ((data[i + c] - 255) * data[i + 3]) / 255;
    data[i + 3] = 255;
  }
  return new ImageData(data, image.width, image.height);
}

// The brightness and transparency of one picture with the colours of another: YCbCr of JPEG.
export function coloured(picture, colours) {
  const data = new Uint8ClampedArray(picture.data);
  const grey = flattened(picture).data;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = colours.data.subarray(i, i + 3);
    const y = luma(grey[i], grey[i + 1], grey[i + 2]);
    const cb = -0.168736 * r - 0.331264 * g + 0.5 * b;
    const cr = 0.5 * r - 0.418688 * g - 0.081312 * b;
    data[i] = y + 1.402 * cr;
    data[i + 1] = y - 0.344136 * cb - 0.714136 * cr;
    data[i + 2] = y + 1.772 * cb;
  }
  return new ImageData(data, picture.width, picture.height);
}
