/** Which clicks everything mode leaves out, as `samlet.geometry.tally` and `coarse_to_fine` of `samlet.geometry.points`. */

import type { Point } from "./clean";
import { clamp, type ImageFrame } from "./frame";
import type { Patch } from "./patch";

// Larger masks count less, as large things have parts, and grounds have things on them.
const LARGE = 0.2;
const FALL = 3;

/** By place of the photo at low resolution: how many clicks have a mask there, the last of them, and what it counted. */
export class Tally {
  private readonly clicks: Float32Array;
  private readonly last: Int32Array;
  private readonly given: Float32Array;

  constructor(private readonly frame: ImageFrame) {
    const [rows, columns] = frame.lowResHw;
    this.clicks = new Float32Array(rows * columns);
    this.given = new Float32Array(rows * columns);
    this.last = new Int32Array(rows * columns).fill(-1);
  }

  /** Count a mask of a click, which has a number; of several masks of one click the one that counts most. */
  add(click: number, patch: Patch): void {
    const { logits, corner } = patch;
    const [left, top] = corner;
    const [rows, columns] = this.frame.lowResHw;
    const weight = Math.fround(Math.min(1, (LARGE / Math.max(patch.share(), LARGE)) ** FALL));
    for (let y = 0; y < Math.min(logits.height, rows - top); y++) {
      for (let x = 0; x < Math.min(logits.width, columns - left); x++) {
        const place = (top + y) * columns + left + x;
        if (logits.data[y * logits.width + x] <= 0) continue;
        const before = this.last[place] === click ? this.given[place] : 0;
        this.given[place] = Math.max(before, weight);
        this.clicks[place] += this.given[place] - before;
        this.last[place] = click;
      }
    }
  }

  /** The count at a point of the photo. */
  at([x, y]: Point): number {
    const [height, width] = this.frame.sizeHw;
    const [rows, columns] = this.frame.lowResHw;
    const row = clamp(Math.trunc((y * rows) / height), 0, rows - 1);
    const column = clamp(Math.trunc((x * columns) / width), 0, columns - 1);
    return this.clicks[row * columns + column];
  }
}

/** The numbers of a grid's points, level by level: every `stride`-th row and column, then each half of that, to all. */
export function coarseToFine(perSide: number, stride: number): number[][] {
  const waiting = new Set(Array.from({ length: perSide ** 2 }, (_, k) => k));
  const levels: number[][] = [];
  for (let step = stride; step >= 1; step = Math.floor(step / 2)) {
    const middle = Math.floor(step / 2);
    const level = [...waiting].filter(
      (k) => Math.floor(k / perSide) % step === middle && (k % perSide) % step === middle,
    );
    level.forEach((k) => waiting.delete(k));
    levels.push(level);
  }
  return levels.filter((level) => level.length > 0);
}
