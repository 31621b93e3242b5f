import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

// ONNX Runtime Web goes beside the page as the three files that it is, under names that do not change: it loads itself
// by address, and so do its threads. The large one is packed, because static hosts do not pack.
const FOLDER = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
const PLAIN = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"];
const PACKED = "ort-wasm-simd-threaded.wasm";

/** Puts the runtime into `ort/` of the built page, and serves it from there while developing. */
export function runtimeFiles(): Plugin {
  let built = "";
  return {
    name: "samlet-runtime-files",
    configResolved(config) {
      built = join(config.root, config.build.outDir, "ort", `${PACKED}.gz`);
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const name = basename((request.url ?? "").split("?")[0]).replace(/\.gz$/, "");
        if (!request.url?.startsWith("/ort/") || ![...PLAIN, PACKED].includes(name)) return next();
        if (name.endsWith(".mjs")) response.setHeader("Content-Type", "text/javascript");
        response.end(readFileSync(join(FOLDER, name)));
      });
    },
    generateBundle() {
      for (const name of PLAIN) {
        this.emitFile({ type: "asset", fileName: `ort/${name}`, source: readFileSync(join(FOLDER, name)) });
      }
      this.emitFile({ type: "asset", fileName: `ort/${PACKED}.gz`, source: packed });
    },
    buildStart() {
      packed = pack(readFileSync(join(FOLDER, PACKED)), built);
    },
  };
}

let packed: Uint8Array = new Uint8Array();

/** The content packed. What is there already stays if it is the same inside: versions of node pack in different bytes. */
function pack(content: Uint8Array, earlier: string): Uint8Array {
  if (existsSync(earlier)) {
    const there = readFileSync(earlier);
    if (gunzipSync(there).equals(content)) return there;
  }
  return gzipSync(content, { level: 9 });
}
