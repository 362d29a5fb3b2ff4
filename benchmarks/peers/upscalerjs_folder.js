// Enlarges a folder of PNGs by an ESRGAN of UpscalerJS and tells the seconds: the counterpart of ncnn_folder.py.
//
// node upscalerjs_folder.js NODE_MODULES MODEL SCALE INPUT OUTPUT THREADS REPETITIONS
//
// Each picture is enlarged once, which is written, and then REPETITIONS times, which are timed: from 8-bit pixels to
// 8-bit pixels, without PNG. TensorFlow's native library (tfjs-node) computes where it is installed, else WebAssembly.
// The networks, their ranges of values and own layers are the packages'; the whole picture goes through at once.
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const [modules, name, scale, input, output, threads, repetitions] = process.argv.slice(2);
const load = createRequire(path.join(path.resolve(modules), "any.js"));
const { PNG } = load("pngjs");
const version = (of) => JSON.parse(fs.readFileSync(path.join(modules, of, "package.json"))).version;

async function backend() {
  process.env.TF_NUM_INTRAOP_THREADS = process.env.TF_NUM_INTEROP_THREADS = threads;
  try {
    const tf = load("@tensorflow/tfjs-node");
    await tf.ready();
    return [tf, `TensorFlow.js ${tf.version_core}, tfjs-node`];
  } catch {
    // Not installed: its native library comes from another server than npm's.
    const [tf, wasm] = [load("@tensorflow/tfjs"), load("@tensorflow/tfjs-backend-wasm")];
    wasm.setWasmPaths(path.join(path.resolve(modules), "@tensorflow/tfjs-backend-wasm/dist") + path.sep);
    if (+threads > 1) wasm.setThreadsCount(+threads);
    else tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    await tf.setBackend("wasm");
    return [tf, `TensorFlow.js ${tf.version_core}, WebAssembly${(await simd(tf)) ? " with SIMD" : ""}`];
  }
}

const simd = (tf) => tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");

// What tf.loadLayersModel wants: the description, and the weights of all files in one piece.
function artifacts(file) {
  const { modelTopology, weightsManifest } = JSON.parse(fs.readFileSync(file));
  const parts = weightsManifest.flatMap((group) => group.paths);
  const bytes = Buffer.concat(parts.map((part) => fs.readFileSync(path.join(path.dirname(file), part))));
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return { modelTopology, weightSpecs: weightsManifest.flatMap((group) => group.weights), weightData };
}

async function main() {
  const [tf, computes] = await backend();
  const description = load(`@upscalerjs/${name}/${scale}x`).default ?? load(`@upscalerjs/${name}/${scale}x`);
  if (description.setup) description.setup(tf);
  const file = path.join(modules, "@upscalerjs", name, description._internals.path);
  const model = await tf.loadLayersModel({ load: async () => artifacts(file) });
  const [most, reached] = [description.inputRange[1], description.outputRange[1]];

  const enlarge = async (pixels, height, width) => {
    const large = tf.tidy(() => {
      const scaled = tf.tensor4d(pixels, [1, height, width, 3], "int32").toFloat().mul(most / 255);
      return model.predict(scaled).clipByValue(0, reached).mul(255 / reached).round().squeeze([0]);
    });
    const [values, shape] = [new Uint8Array(await large.data()), large.shape];
    large.dispose();
    return [values, shape];
  };

  const seconds = {};
  for (const picture of fs.readdirSync(input).filter((each) => each.endsWith(".png")).sort()) {
    const { width, height, data } = PNG.sync.read(fs.readFileSync(path.join(input, picture)));
    const pixels = data.filter((_, i) => i % 4 < 3); // without alpha
    const [values, [rows, columns]] = await enlarge(pixels, height, width);
    const made = new PNG({ width: columns, height: rows });
    for (let i = 0; i < rows * columns * 4; i++) made.data[i] = i % 4 < 3 ? values[Math.floor(i / 4) * 3 + (i % 4)] : 255;
    fs.writeFileSync(path.join(output, picture), PNG.sync.write(made));
    seconds[picture] = [];
    for (let i = 0; i < +repetitions; i++) {
      const start = process.hrtime.bigint();
      await enlarge(pixels, height, width);
      seconds[picture].push(Number(process.hrtime.bigint() - start) / 1e9);
    }
  }
  const weights = `@upscalerjs/${name} ${version(`@upscalerjs/${name}`)}`;
  console.log(JSON.stringify({ seconds, parameters: model.countParams(), backend: computes, weights }));
}

main().catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
