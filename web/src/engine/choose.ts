// Which engine answers: the server, the browser, or both together.

import type { Engine } from "./engine";
import { besideThePage, BrowserEngine } from "./local/browser";
import type { Setup } from "./local/messages";
import { ServerEngine } from "./server";
import { TeamEngine } from "./team";

/**
 * `auto`: the server, and the browser for previews while the server is slow, or for everything while it is away.
 * `together`: the server encodes, the browser decodes every preview. `server` and `browser`: that one alone.
 */
export type EngineChoice = "auto" | "together" | "server" | "browser";
export const ENGINE_CHOICES: readonly EngineChoice[] = ["auto", "together", "server", "browser"];

const KEY = "samlet.engine";

/** What the user chose last, or what the address says (`?engine=browser`); `auto` without either. */
export function rememberedChoice(): EngineChoice {
  const asked = new URLSearchParams(location.search).get("engine") ?? localStorage.getItem(KEY);
  return ENGINE_CHOICES.find((choice) => choice === asked) ?? "auto";
}

export function rememberChoice(choice: EngineChoice): void {
  localStorage.setItem(KEY, choice);
}

/** `?webgpu=0`: never the graphics card; `?webgpu=1`: the card without a comparison, for who tests it; else the better. */
function deviceAsked(): Setup["device"] {
  const asked = new URLSearchParams(location.search).get("webgpu");
  return asked === "0" ? "wasm" : asked === "1" ? "webgpu" : "auto";
}

/** Whether the page lies in a folder of static files (`samlet app --static`): nobody is there but the browser. */
export function isStatic(): boolean {
  return document.querySelector('meta[name="samlet-server"][content="none"]') !== null;
}

/** The engine of a choice, at once: a model in the browser opens in the background. */
export async function chooseEngine(choice: EngineChoice = rememberedChoice()): Promise<Engine> {
  const start = () => new BrowserEngine(besideThePage(deviceAsked()));
  if (isStatic() || choice === "browser") return start();
  const server = new ServerEngine();
  if (choice === "server") return server;
  return new TeamEngine(server, start, choice === "together" ? "browser" : "quickest");
}
