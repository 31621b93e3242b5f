/** What a click may change of an answer: the part it lies in (`samlet.geometry.corrections`). */

import type { Point } from "./clean";
import { partsOf } from "./components";
import { clamp, type Logits } from "./frame";

const REACH_PX = 2; // a click counts as inside a part that it misses by so little

/** The logits of an answer to one more click, but those of `last` where it changes another part of the mask; all of the answer if the click is in none. */
export function corrected(last: Float32Array, answer: Logits, click: Point): Logits {
  const { data, width, height } = answer;
  const changed = Uint8Array.from(data, (logit, k) => Number(logit > 0 !== last[k] > 0));
  const parts = partsOf(changed, width, height, 8);
  const [x, y] = [clamp(Math.trunc(click[0]), 0, width - 1), clamp(Math.trunc(click[1]), 0, height - 1)];
  const others = new Array<boolean>(parts.count + 1).fill(true);
  for (let row = Math.max(y - REACH_PX, 0); row <= Math.min(y + REACH_PX, height - 1); row++) {
    for (let column = Math.max(x - REACH_PX, 0); column <= Math.min(x + REACH_PX, width - 1); column++) {
      others[parts.at(column, row)] = false;
    }
  }
  if (!others.includes(false, 1)) return answer;
  changed.fill(0);
  parts.paint(changed, others, 1);
  return { data: data.map((logit, k) => (changed[k] ? last[k] : logit)), width, height };
}
