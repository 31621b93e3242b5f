// Which engine answers: the server, the browser, or both together.

import type { Engine } from "./engine";
import { besideThePage, BrowserEngine } from "./local/browser";
import { ServerEngine } from "./server";
import { TeamEngine } from "./team";

/**
 * `auto`: the server, and the browser for previews while the server is slow, or for everything while it is away.
 * `together`: the server encodes, the browser decodes every preview. `server` and `browser`: that one alone.
 */
export type EngineChoice = "auto" | "together" | "server" | "browser";
export const ENGINE_CHOICES: readonly EngineChoice[] = ["auto", "together", "server", "browser"];

const KEY = "samlet.engine";
const GPU_KEY = "samlet.webgpu";

/** What the user chose last, or what the address says (`?engine=browser`); `auto` without either. */
export function rememberedChoice(): EngineChoice {
  const asked = new URLSearchParams(location.search).get("engine") ?? localStorage.getItem(KEY);
  return ENGINE_CHOICES.find((choice) => choice === asked) ?? "auto";
}

export function rememberChoice(choice: EngineChoice): void {
  localStorage.setItem(KEY, choice);
}

/** Whether the graphs may run on the graphics card: only where the user asked for it (`?webgpu=1`), it is not proven. */
export function rememberedWebGpu(): boolean {
  return (new URLSearchParams(location.search).get("webgpu") ?? localStorage.getItem(GPU_KEY)) === "1";
}

export function rememberWebGpu(use: boolean): void {
  localStorage.setItem(GPU_KEY, use ? "1" : "0");
}

/** Whether the page lies in a folder of static files (`samlet app --static`): nobody is there but the browser. */
export function isStatic(): boolean {
  return document.querySelector('meta[name="samlet-server"][content="none"]') !== null;
}

/** The engine of a choice, at once: a model in the browser opens in the background. */
export async function chooseEngine(choice: EngineChoice = rememberedChoice()): Promise<Engine> {
  const start = () => new BrowserEngine(besideThePage(rememberedWebGpu() ? "webgpu" : "wasm"));
  if (isStatic() || choice === "browser") return start();
  const server = new ServerEngine();
  if (choice === "server") return server;
  return new TeamEngine(server, start, choice === "together" ? "browser" : "quickest");
}
