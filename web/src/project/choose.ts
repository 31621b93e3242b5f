// Where the project is kept: on the server, or in the browser's own database where the page is all there is.

import { isStatic } from "../engine/choose";
import { BrowserStore } from "./browser";
import { ServerStore } from "./server";
import type { ProjectStore } from "./store";

export async function chooseStore(): Promise<ProjectStore> {
  return isStatic() ? new BrowserStore() : new ServerStore();
}
