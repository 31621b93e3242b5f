import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

// ONNX Runtime Web goes beside the page as the files that it is, for the CPU and for graphics cards, under names that do not change: it loads itself
// by address, and so do its threads. The large ones are packed, because static hosts do not pack.
const FOLDER = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
const PLAIN = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
];
const PACKED = ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm"];

/** Puts the runtime into `ort/` of the built page, and serves it from there while developing. */
export function runtimeFiles(): Plugin {
  let built = "";
  return {
    name: "samlet-runtime-files",
    configResolved(config) {
      built = join(config.root, config.build.outDir, "ort");
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const name = basename((request.url ?? "").split("?")[0]).replace(/\.gz$/, "");
        if (!request.url?.startsWith("/ort/") || ![...PLAIN, ...PACKED].includes(name)) return next();
        if (name.endsWith(".mjs")) response.setHeader("Content-Type", "text/javascript");
        response.end(readFileSync(join(FOLDER, name)));
      });
    },
    generateBundle() {
      for (const name of PLAIN) {
        this.emitFile({ type: "asset", fileName: `ort/${name}`, source: readFileSync(join(FOLDER, name)) });
      }
      for (const [name, source] of packed) this.emitFile({ type: "asset", fileName: `ort/${name}.gz`, source });
    },
    buildStart() {
      for (const name of PACKED) packed.set(name, pack(readFileSync(join(FOLDER, name)), join(built, `${name}.gz`)));
    },
  };
}

const packed = new Map<string, Uint8Array>();

/** The content packed. What is there already stays if it is the same inside: versions of node pack in different bytes. */
function pack(content: Uint8Array, earlier: string): Uint8Array {
  if (existsSync(earlier)) {
    const there = readFileSync(earlier);
    if (gunzipSync(there).equals(content)) return there;
  }
  return gzipSync(content, { level: 9 });
}
