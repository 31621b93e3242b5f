/** A run-length code made from rows, as they come out of the decoder; what can be done with codes is in `mask/rle`. */

import { Runs } from "../../mask/rle";
import type { Rle } from "../engine";
import type { BoxXyxy, SizeHw } from "./frame";

/**
 * Makes a code from the rows of a window, handed over from top to bottom. A mask of 30 megapixels is never whole in
 * memory: only where a column changes is kept.
 */
export class RleWriter {
  private readonly above: Uint8Array;
  private readonly changes: (number[] | undefined)[];

  constructor(
    private readonly window: BoxXyxy,
    private readonly sizeHw: SizeHw,
  ) {
    const wide = Math.max(0, window[2] - window[0]);
    this.above = new Uint8Array(wide);
    this.changes = new Array<number[] | undefined>(wide);
  }

  /** Row `y` of the image, in the columns of the window, 1 inside. */
  add(y: number, row: Uint8Array): void {
    const { above, changes } = this;
    for (let x = 0; x < above.length; x++) {
      if (row[x] !== above[x]) {
        above[x] = row[x];
        (changes[x] ??= []).push(y);
      }
    }
  }

  /** The code, once all rows of the window are there. */
  finish(): Rle {
    const [height, width] = this.sizeHw;
    const [left, , , bottom] = this.window;
    const runs = new Runs([height, width]);
    this.changes.forEach((column, x) => {
      const start = (left + x) * height;
      for (let k = 0; k < column!.length; k += 2) runs.add(start + column![k], start + (column![k + 1] ?? bottom));
    });
    return runs.finish();
  }
}
