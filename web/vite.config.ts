import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { runtimeFiles } from "./runtime.vite.ts";

// The page is built into the Python package and is committed there: users need no node. Addresses are relative, so
// that it works under any prefix and from any static host.
export default defineConfig({
  base: "./",
  plugins: [svelte(), runtimeFiles()],
  build: {
    outDir: "../src/samlet/web/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or styles
  },
  worker: { format: "es" },
  server: { proxy: Object.fromEntries(["/api", "/health", "/model"].map((path) => [path, "http://127.0.0.1:8000"])) },
  test: { include: ["tests/**/*.test.ts"] },
});
