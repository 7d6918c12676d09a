// A worker of the page: decodes, converts and encodes, so that the page itself never stands still.
// It is told { open } once and { convert } for each picture, and answers with { opened }, { stage },
// { tooLarge }, { made } or { failed }.
"use strict";
const GIB = 2 ** 30;
const PROBE = 64; // pixels
let ort, session, model, limit, rate; // milliseconds a pixel

const answer = said => self.postMessage(said);
self.onmessage = async ({ data: { open, convert } }) => {
  try {
    await (open ? start(open) : picture(convert));
  } catch (error) {
    const [line] = String(error?.message ?? error).split("\n");
    answer({ failed: { line, shown: error instanceof Told } });
  }
};
/** An error whose line is meant for who uses the page. */
class Told extends Error {}

// The network, by WebGPU where it computes here, by WebAssembly else.
const WAYS = {
  webgpu: {
    title: "WebGPU", limit: byBuffers,
    module: "ort.webgpu.bundle.min.js", wasm: "ort-wasm-simd-threaded.asyncify.wasm",
  },
  wasm: {
    title: "WebAssembly", limit: byMemory,
    module: "ort.wasm.bundle.min.js", wasm: "ort-wasm-simd-threaded.wasm",
  },
};
async function start({ settings, folder, wanted }) {
  model = settings;
  const network = await bytesOf(new URL("generator.onnx", folder));
  for (const name of await namesOf(wanted)) {
    try { return await prepare(name, new URL("onnxruntime-web/", folder), network); }
    catch (error) { if (name === "wasm") throw error; }
  }
}
/** A software adapter only imitates a GPU, and more slowly than WebAssembly computes. */
async function namesOf(wanted) {
  if (Object.hasOwn(WAYS, wanted)) return [...new Set([wanted, "wasm"])];
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter && !adapter.info?.isFallbackAdapter ? ["webgpu", "wasm"] : ["wasm"];
}
async function prepare(name, folder, network) {
  const { title, module, wasm } = WAYS[name];
  ort = await import(new URL(module, folder).href);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = { wasm: new URL(wasm, folder).href };
  // Threads share memory, which browsers allow where the server sends COOP and COEP.
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const quiet = { logSeverityLevel: 3 }; // it warns that sides are computed beside the GPU, which is quicker
  session = await ort.InferenceSession.create(network, { executionProviders: [name], ...quiet });
  const probe = () => run(new Float32Array(model.channels * PROBE ** 2), PROBE, PROBE);
  await probe(); // what can't compute here fails now, and shaders are compiled
  const begun = performance.now();
  await probe();
  rate = (performance.now() - begun) / PROBE ** 2;
  limit = await WAYS[name].limit();
  const threads = name === "wasm" ? ort.env.wasm.numThreads : 1;
  answer({ opened: { title: threads > 1 ? `${title}, ${threads} threads` : title } });
}
async function bytesOf(url) {
  const found = await fetch(url);
  if (!found.ok)
    throw new Told(`${url.pathname} is not there (${found.status}): copy the whole folder to the server.`);
  return new Uint8Array(await found.arrayBuffer());
}

// How many pixels are computed at once.
/** WebAssembly has 4 GiB; a run takes a fifth more than is estimated, and weights and gaps the rest. Of a small
    device's memory half is others'; browsers that don't tell how much there is count as 4 GiB. */
function byMemory() {
  return Math.min(2.5, (navigator.deviceMemory ?? 4) / 2) * GIB / model.bytesPerPixel;
}
/** And no map at full size may be larger than what the GPU takes as one buffer. */
async function byBuffers() {
  const { limits } = await navigator.gpu.requestAdapter();
  const largest = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  return Math.min(byMemory(), largest / (4 * model.widest));
}

// From the file to the file.
async function picture({ file, scaled }) {
  const begun = performance.now();
  const bitmap = await decoded(file), [fullWidth, fullHeight] = [bitmap.width, bitmap.height];
  const [width, height] = fitting(fullWidth, fullHeight);
  if (width * height < fullWidth * fullHeight && !scaled)
    return answer({ tooLarge: { fullWidth, fullHeight, width, height } });
  const pixels = pixelsOf(bitmap, width, height);
  bitmap.close();
  answer({ stage: { pixels: width * height, milliseconds: rate * width * height } });
  await converted(pixels, width, height);
  const blob = await encoded(pixels, width, height);
  answer({ made: { blob, width, height, seconds: (performance.now() - begun) / 1000 } });
}
/** The sides as they are if they are within the limit, else of the same shape. */
function fitting(width, height) {
  const share = Math.min(1, Math.sqrt(limit / (width * height)));
  return [width, height].map(side => Math.max(1, Math.floor(side * share)));
}
/** Upright by EXIF, in sRGB by the file's profile, not multiplied by transparency: as `cyclegan convert` reads. */
async function decoded(file) {
  const how = { imageOrientation: "from-image", colorSpaceConversion: "default", premultiplyAlpha: "none" };
  try { return await createImageBitmap(file, how); }
  catch { throw new Told(`${file.name} is no picture that this browser can read: make it a PNG or JPEG first.`); }
}
/** RGBA of 8 bits. A canvas multiplies colours by transparency: in floats, where it has them, nothing is lost. */
function pixelsOf(bitmap, width, height) {
  const how = { colorType: "float16", willReadFrequently: true };
  const context = new OffscreenCanvas(width, height).getContext("2d", how);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height, { pixelFormat: "rgba-float16" });
  if (data instanceof Uint8ClampedArray) return data;
  const pixels = new Uint8ClampedArray(data.length);
  for (let at = 0; at < data.length; at++) pixels[at] = 255 * data[at];
  return pixels;
}
async function encoded(pixels, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

// Pixels and the network's values in [-1, 1].
/** Converts RGBA in place; transparency stays. */
async function converted(pixels, width, height) {
  const down = reflected(height), across = reflected(width), begun = performance.now();
  const values = valuesOf(pixels, width, down.places, across.places);
  const made = await run(values, across.places.length, down.places.length), plane = values.length / model.channels;
  rate = (performance.now() - begun) / plane;
  const next = made.length > plane ? plane : 0; // a gray picture is all three colours
  for (let row = 0, to = 0; row < height; row++) {
    let from = (row + down.before) * across.places.length + across.before;
    for (let column = 0; column < width; column++, from++, to += 4)
      for (let colour = 0; colour < 3; colour++) {
        const value = made[from + colour * next];
        if (!Number.isFinite(value)) throw new Told("The generator's output for this picture is not finite.");
        pixels[to + colour] = (value + 1) * 127.5; // rounded to even and kept in range, by the array
      }
  }
}
async function run(values, width, height) {
  const given = new ort.Tensor("float32", values, [1, model.channels, height, width]);
  const { output } = await session.run({ input: given });
  const made = await output.getData();
  output.dispose();
  return made;
}
/** Which row or column each one of a padded side shows: reflected to a multiple of 4, as often as it takes. */
function reflected(side) {
  const padded = Math.max(model.smallest, Math.ceil(side / 4) * 4), before = (padded - side) >> 1;
  const period = Math.max(1, 2 * (side - 1));
  const places = Array.from({ length: padded }, (_, at) => {
    const place = ((at - before) % period + period) % period;
    return Math.min(place, period - place);
  });
  return { before, places };
}
/** (C, H, W); what full transparency hides is white to the network. */
function valuesOf(pixels, width, down, across) {
  const plane = down.length * across.length, values = new Float32Array(model.channels * plane);
  const level = (from, colour) => pixels[from + 3] ? pixels[from + colour] : 255;
  const gray = from => (19595 * level(from, 0) + 38470 * level(from, 1) + 7471 * level(from, 2) + 32768) >> 16;
  const read = model.channels === 1 ? gray : level;
  let to = 0;
  for (const row of down)
    for (const column of across) {
      for (let colour = 0; colour < model.channels; colour++)
        values[to + colour * plane] = read(4 * (row * width + column), colour) / 127.5 - 1;
      to++;
    }
  return values;
}
