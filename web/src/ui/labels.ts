// The labels that are offered with numbers: those used last, then the others in the project's order.

import { recentFirst } from "../editor/palette";
import type { Label } from "../project/store";

export const MOST_OFFERED = 9;

export function offered(labels: readonly Label[], recent: readonly string[]): Label[] {
  return recentFirst(labels, recent).slice(0, MOST_OFFERED);
}
