// Which engine answers. Today the server does; a worker in the browser takes its place here.

import type { Engine } from "./engine";
import { ServerEngine } from "./server";

export async function chooseEngine(): Promise<Engine> {
  return new ServerEngine();
}
