// Computes, apart from the page so that this stays responsive. Each message is a call: {id, call, ...}. Answers are
// {id, progress}, {id, result} or {id, error}.

import { hasGPU } from "./gpu.js";
import { BICUBIC, coloured, extended, flattened, isGrey, parts, paste, planes, resized, squares, toGrey } from "./pixels.js";
import { strengthOfFile, together } from "./strength.js";

const MOST_PIXELS = 4_000_000; // of a picture to enlarge; of a larger one the middle is taken
const MOST_LARGE = 64_000_000; // of a result
const BATCH = 4; // images at once

const stopped = new Set();
const sessions = new Map();
let page, starting, runtime;
let turn = Promise.resolve();

class Problem extends Error {} // whose message is meant for a person

self.onmessage = async ({ data: { id, call, ...given } }) => {
  if (call === "stop") return void stopped.add(id);
  try {
    const result = await CALLS[call](given, (progress) => self.postMessage({ id, progress }), () => stopped.has(id));
    self.postMessage({ id, result, computes: { kind: runtime.kind, threads: runtime.threads } });
  } catch (error) {
    console.error(error);
    self.postMessage({ id, error: error instanceof Problem ? error.message : `The browser reports: ${error.message ?? error}` });
  }
  stopped.delete(id);
};

const CALLS = { start, fetch: fetchAll, upscale, translate, generate };

// -- files

// A file of the page, with the bytes that it was written with. It is kept for visits without a network.
async function load({ url, integrity }) {
  const address = new URL(url, page.address).href;
  const cache = await self.caches?.open(page.cache).catch(() => null);
  const kept = await cache?.match(address);
  if (kept) return kept;
  let response;
  try {
    response = await fetch(address, { integrity, credentials: "same-origin" });
  } catch {
    throw new Problem(
      `${url.split("/").pop()} cannot be loaded. Check the connection, and reload the page: it may have been updated.`,
    );
  }
  if (!response.ok) throw new Problem(`${url.split("/").pop()} cannot be loaded (HTTP ${response.status}).`);
  await cache?.put(address, response.clone()).catch(() => {}); // the disk may be full
  return response;
}

// Keep all models for visits without a network; false if this browser keeps nothing.
async function fetchAll() {
  if (!self.caches) return false;
  for (const { file, strength } of page.models) await Promise.all([file, strength?.file].filter(Boolean).map(load));
  return true;
}

// -- the runtime

// Load the runtime, on the GPU if there is one, and a model.
async function start(given) {
  page ??= given.page;
  starting ??= hasGPU().then((gpu) => (gpu ? begin("webgpu").catch(() => begin("wasm")) : begin("wasm")));
  runtime = await starting;
  if (given.model) await session(given.model.file);
}

async function begin(kind) {
  const [module, binary] = await Promise.all(page.runtimes[kind].map(load));
  const address = URL.createObjectURL(new Blob([await module.arrayBuffer()], { type: "text/javascript" }));
  const ort = await import(address);
  const threads = self.crossOriginIsolated && kind === "wasm" ? Math.min(navigator.hardwareConcurrency, 8) : 1;
  Object.assign(ort.env.wasm, { wasmBinary: await binary.arrayBuffer(), numThreads: threads });
  ort.env.logLevel = "error";
  return { ort, kind, threads };
}

async function session(file) {
  if (!sessions.has(file.url)) {
    const bytes = new Uint8Array(await (await load(file)).arrayBuffer());
    const create = () => runtime.ort.InferenceSession.create(bytes, { executionProviders: [runtime.kind] });
    const made = create().catch((error) => toCPU(error).then(create));
    sessions.set(file.url, made);
    made.catch(() => sessions.delete(file.url));
  }
  return sessions.get(file.url);
}

// Leave the GPU after an error there; an error of the CPU is thrown again.
async function toCPU(error) {
  if (runtime.kind === "wasm") throw error;
  console.warn("WebGPU failed, so the models run on the processor:", error);
  sessions.clear();
  starting = begin("wasm");
  runtime = await starting;
}

// What a network makes of inputs: {name: [type, values, dimensions]}. Calls take turns.
function run(file, inputs) {
  const mine = turn.then(() => compute(file, inputs));
  turn = mine.catch(() => {});
  return mine;
}

async function compute(file, inputs) {
  const network = await session(file);
  const { Tensor } = runtime.ort;
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, given]) => [name, new Tensor(...given)]));
  let result;
  try {
    [result] = Object.values(await network.run(feeds));
  } catch (error) {
    await toCPU(error); // a GPU may lack memory, or be lost
    return compute(file, inputs);
  }
  const values = result.data;
  if (values.some(Number.isNaN)) throw new Problem("The model computed no numbers. Its file may be damaged.");
  return values;
}

const pause = () => new Promise((resume) => setTimeout(resume)); // a message may say stop

// -- pictures

async function decoded(picture) {
  try {
    return await createImageBitmap(picture, { premultiplyAlpha: "none" }); // by default upright, and in sRGB
  } catch {
    throw new Problem("This browser cannot read the file as a picture. Try a JPEG, PNG or WebP file.");
  }
}

function read(bitmap, left = 0, top = 0, width = bitmap.width, height = bitmap.height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, -left, -top);
  return context.getImageData(0, 0, width, height);
}

const isTransparent = (image) => image.data.some((value, i) => i % 4 === 3 && value < 255);

// The colours of a picture, with those under transparency continued from around.
function opaque(image) {
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "destination-over";
  for (let step = 2; step < 2 * Math.max(width, height); step *= 2) {
    const small = new OffscreenCanvas(Math.max(width / step, 1), Math.max(height / step, 1));
    small.getContext("2d").drawImage(canvas, 0, 0, small.width, small.height);
    for (let i = 0; i < 4; i++) context.drawImage(small, 0, 0, width, height); // faint colours add up
  }
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

function toCanvas(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const toPNG = (image) => toCanvas(image).convertToBlob({ type: "image/png" });

// -- what the page asks for

async function upscale({ model, picture, strength }, tell, isStopped) {
  const bitmap = await decoded(picture);
  const most = Math.min(MOST_PIXELS, MOST_LARGE / model.scale ** 2);
  const shrink = Math.min(Math.sqrt(most / (bitmap.width * bitmap.height)), 1);
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(Math.floor(side * shrink), 1));
  const cut = shrink < 1;
  const image = read(bitmap, ...[bitmap.width - width, bitmap.height - height].map((rest) => Math.floor(rest / 2)), width, height);
  const transparent = isTransparent(image);
  const colours = transparent ? opaque(image) : image;

  let chosen = strength;
  if (model.strength && strength === "auto") chosen = await autoStrength(model, picture, colours);
  const { scale, channels } = model;
  const large = new ImageData(width * scale, height * scale);
  const { columns, rows } = parts(width, height, model);
  let done = 0;
  tell({ done, total: rows.length * columns.length });
  for (const y of rows) {
    for (const x of columns) {
      const [wide, tall] = [x.to - x.from, y.to - y.from];
      const inputs = { images: ["float32", planes(colours, channels, x.from, y.from, wide, tall), [1, channels, tall, wide]] };
      if (model.strength) inputs.strength = ["float32", [chosen], [1]];
      const made = await run(model.file, inputs);
      const from = { left: (x.start - x.from) * scale, top: (y.start - y.from) * scale, width: wide * scale };
      paste(large, x.start * scale, y.start * scale, made, channels, from, (x.stop - x.start) * scale, (y.stop - y.start) * scale);
      tell({ done: ++done, total: rows.length * columns.length });
      await pause();
      if (isStopped()) return null;
    }
  }
  if (isGrey(image)) toGrey(large);
  if (transparent) addAlpha(large, image);
  return {
    png: await toPNG(large),
    before: cut ? await toPNG(image) : null,
    cut: cut ? { width: bitmap.width, height: bitmap.height } : null,
    small: { width, height },
    large: { width: large.width, height: large.height },
    strength: model.strength ? chosen : null,
  };
}

async function autoStrength(model, picture, image) {
  const about = model.strength;
  const { count, data, width, height } = squares(image, model.channels, about.parts, about.side);
  const [wide, tall] = [width, height].map((side) => Math.max(side, about.least));
  const values = extended(data, count * model.channels, width, height, wide, tall);
  const seen = await run(about.file, { images: ["float32", values, [count, model.channels, tall, wide]] });
  const exact = picture instanceof Blob ? strengthOfFile(new Uint8Array(await picture.arrayBuffer()), about) : null;
  return together(exact, seen.reduce((a, b) => a + b, 0) / seen.length, about);
}

// The transparency of a small picture, interpolated, for a large one.
function addAlpha(large, small) {
  const plane = new ImageData(small.width, small.height);
  for (let i = 0; i < plane.data.length; i += 4) plane.data.set([small.data[i + 3], 0, 0, 255], i);
  const alpha = resized(plane, large.width, large.height, BICUBIC).data;
  for (let i = 0; i < large.data.length; i += 4) large.data[i + 3] = alpha[i];
}

async function translate({ model, picture, latents }) {
  const image = read(await decoded(picture));
  const scale = model.size / Math.max(image.width, image.height);
  const [width, height] = [image.width, image.height].map((side) => Math.max(Math.round(side * scale), 1));
  const small = flattened(resized(image, width, height));
  const { inputChannels, channels, multiple } = model;
  const given = planes(small, inputChannels, 0, 0, width, height);
  if (model.input === "edges" && given.every((value) => value === given[0])) return null; // nothing is drawn
  const [wide, tall] = [width, height].map((side) => Math.ceil(side / multiple) * multiple);
  const values = extended(given, inputChannels, width, height, wide, tall);
  const inputs = { images: ["float32", values, [1, inputChannels, tall, wide]] };
  if (model.latents) inputs.latents = ["float32", latents ?? new Float32Array(model.latents), [1, model.latents]];
  const made = await run(model.file, inputs);
  const result = new ImageData(width, height);
  paste(result, 0, 0, made, channels, { left: 0, top: 0, width: wide }, width, height);
  if (model.input === "grey") return coloured(image, resized(result, image.width, image.height, BICUBIC));
  return result;
}

async function generate({ model, latents, labels }, tell) {
  const [count, side] = [latents.length / model.latents, model.size];
  const images = [];
  for (let from = 0; from < count; from += BATCH) {
    const number = Math.min(BATCH, count - from);
    const drawn = latents.subarray(from * model.latents, (from + number) * model.latents);
    const inputs = { latents: ["float32", drawn, [number, model.latents]] };
    if (labels) inputs.labels = ["int64", BigInt64Array.from(labels.slice(from, from + number), BigInt), [number]];
    const made = await run(model.file, inputs);
    const size = made.length / number;
    for (let i = 0; i < number; i++) {
      const image = new ImageData(side, side);
      const values = made.subarray(i * size, (i + 1) * size);
      paste(image, 0, 0, values, model.channels, { left: 0, top: 0, width: side }, side, side);
      images.push(image);
    }
    tell({ done: from + number, total: count });
    await pause();
  }
  return images;
}
