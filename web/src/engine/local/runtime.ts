/** ONNX Runtime Web and the graphs of a model, from files beside the page: nothing comes from elsewhere. */

import type * as Ort from "onnxruntime-web";
import { EngineError } from "../engine";
import { type GraphName, Graphs, type Manifest } from "./graphs";
import type { Running, Setup } from "./messages";

const MOST_THREADS = 4;
const MODULES = { wasm: "ort.wasm.min.mjs", webgpu: "ort.webgpu.min.mjs" };
const BINARIES = { wasm: "ort-wasm-simd-threaded", webgpu: "ort-wasm-simd-threaded.asyncify" };

export interface Opened {
  graphs: Graphs;
  running: Running;
}

/** The model, ready to run: on the CPU unless the graphics card is insisted on, and there too where that fails. */
export async function openModel(setup: Setup): Promise<Opened> {
  if (setup.device !== "webgpu") return openOn("wasm", setup);
  return openOn("webgpu", setup).catch(() => openOn("wasm", setup));
}

/** The model on one device; an error where that is not to be had. */
export async function openOn(device: Running["device"], setup: Setup): Promise<Opened> {
  const manifest = (await (await fetched(new URL("manifest.json", setup.model))).json()) as Manifest;
  const { ort, threads } = await openRuntime(setup, device);
  const graphs = new Graphs(manifest, (name) => openGraph(ort, setup, manifest, name, device), ort.Tensor);
  await graphs.warmUp();
  return { graphs, running: { device, threads, model: manifest.name } };
}

async function openRuntime(setup: Setup, device: Running["device"]): Promise<{ ort: typeof Ort; threads: number }> {
  const ort = (await import(/* @vite-ignore */ new URL(MODULES[device], setup.runtime).href)) as typeof Ort;
  const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: new URL(`${BINARIES[device]}.mjs`, setup.runtime).href };
  ort.env.wasm.wasmBinary = await unpacked(await fetched(new URL(`${BINARIES[device]}.wasm.gz`, setup.runtime)));
  return { ort, threads };
}

async function openGraph(
  ort: typeof Ort,
  setup: Setup,
  manifest: Manifest,
  name: GraphName,
  device: Running["device"],
): Promise<Ort.InferenceSession> {
  // The digest in the address: a browser may keep an old graph for long, but never takes it for a new one.
  const file = `${name}.onnx`;
  const address = new URL(file, setup.model);
  address.searchParams.set("sha256", manifest.files[file].slice(0, 16));
  const content = new Uint8Array(await (await fetched(address)).arrayBuffer());
  return ort.InferenceSession.create(content, {
    executionProviders: device === "wasm" ? ["wasm"] : [device, "wasm"],
    logSeverityLevel: 3, // shapes are computed on the CPU, which is no news
  });
}

async function fetched(address: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address);
  } catch {
    throw new EngineError("The files of the decoder in the browser cannot be had: nobody answers.");
  }
  if (response.ok) return response;
  throw new EngineError(
    `The decoder in the browser is not to be had here: ${address.pathname} is missing.`,
    response.status,
  );
}

/** The content of a file that is packed, or that whoever sent it has unpacked already. */
async function unpacked(response: Response): Promise<ArrayBuffer> {
  const content = await response.arrayBuffer();
  const [first, second] = new Uint8Array(content, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return content;
  if (typeof DecompressionStream === "undefined") {
    throw new EngineError(
      "This browser is too old to run the model: use Chrome 80, Firefox 114, Safari 16.4 or later.",
      500,
    );
  }
  return new Response(new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
