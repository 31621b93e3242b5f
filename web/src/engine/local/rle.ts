/** A run-length code made of where columns begin and end; what can be done with codes is in `mask/rle`. */

import { Runs } from "../../mask/rle";
import type { Rle } from "../engine";
import type { BoxXyxy, SizeHw } from "./frame";

/** The code of an image of `sizeHw` whose mask has these edges in the columns of a window: in, out, in, … from above. */
export function codeOf(edges: readonly (number[] | undefined)[], window: BoxXyxy, [height, width]: SizeHw): Rle {
  const [left, , , bottom] = window;
  const runs = new Runs([height, width]);
  edges.forEach((column, x) => {
    const start = (left + x) * height;
    for (let k = 0; k < (column?.length ?? 0); k += 2) runs.add(start + column![k], start + (column![k + 1] ?? bottom));
  });
  return runs.finish();
}
