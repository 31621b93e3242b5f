// Where the project is kept. Today on the server; the browser's own database takes its place here.

import { ServerStore } from "./server";
import type { ProjectStore } from "./store";

export async function chooseStore(): Promise<ProjectStore> {
  return new ServerStore();
}
