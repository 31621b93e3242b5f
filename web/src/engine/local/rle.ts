/** Run-length codes of masks as COCO counts them: column by column, the first run counts zeros. */

import type { BoxXyxy, SizeHw } from "./frame";

export interface Rle {
  /** Height, width. */
  size: [number, number];
  counts: number[];
}

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
    const runs = new Runs();
    this.changes.forEach((column, x) => {
      if (column === undefined) return;
      const start = (left + x) * height;
      for (let k = 0; k < column.length; k += 2) runs.add(start + column[k], start + (column[k + 1] ?? bottom));
    });
    return runs.finish([height, width]);
  }
}

/** Collects the runs of pixels inside a mask, in their order; runs that touch become one. */
class Runs {
  private readonly places: number[] = [];

  add(start: number, end: number): void {
    if (this.places.length > 0 && this.places[this.places.length - 1] === start)
      this.places[this.places.length - 1] = end;
    else if (end > start) this.places.push(start, end);
  }

  finish([height, width]: SizeHw): Rle {
    const counts: number[] = [];
    let last = 0;
    for (const place of this.places) {
      counts.push(place - last);
      last = place;
    }
    if (last < height * width || counts.length === 0) counts.push(height * width - last);
    return { size: [height, width], counts };
  }
}

/** Code of an image of `sizeHw` that is `mask` (bytes 0 and 1, row by row) in a window and empty elsewhere. */
export function encodeWindow(mask: Uint8Array, window: BoxXyxy, sizeHw: SizeHw): Rle {
  const writer = new RleWriter(window, sizeHw);
  const wide = window[2] - window[0];
  for (let y = window[1]; y < window[3]; y++) {
    const start = (y - window[1]) * wide;
    writer.add(y, mask.subarray(start, start + wide));
  }
  return writer.finish();
}

/** A window of the mask of a code (all of it by default): bytes 0 and 1, row by row. */
export function decodeWindow(rle: Rle, window: BoxXyxy = [0, 0, rle.size[1], rle.size[0]]): Uint8Array {
  const [height] = rle.size;
  const [left, top, right, bottom] = window;
  const wide = right - left;
  const mask = new Uint8Array(wide * (bottom - top));
  eachRun(rle, (start, end) => {
    for (let place = start; place < end; place++) {
      const [x, y] = [Math.trunc(place / height), place % height];
      if (x >= left && x < right && y >= top && y < bottom) mask[(y - top) * wide + x - left] = 1;
    }
  });
  return mask;
}

/** Number of pixels inside. */
export function areaOf({ counts }: Rle): number {
  let area = 0;
  for (let k = 1; k < counts.length; k += 2) area += counts[k];
  return area;
}

/** Tight box: left, top, width, height in pixels; zeros for an empty mask. */
export function boxOf(rle: Rle): [number, number, number, number] {
  const [height] = rle.size;
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  eachRun(rle, (start, end) => {
    const first = Math.trunc(start / height);
    const last = Math.trunc((end - 1) / height);
    left = Math.min(left, first);
    right = Math.max(right, last);
    top = Math.min(top, first === last ? start % height : 0);
    bottom = Math.max(bottom, first === last ? (end - 1) % height : height - 1);
  });
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/** Intersection over union of two masks of one size; 1 if both are empty. */
export function iouOf(one: Rle, other: Rle): number {
  const [a, b] = [ends(one), ends(other)];
  let [i, k, place, both, either] = [0, 0, 0, 0, 0];
  const total = one.size[0] * one.size[1];
  while (place < total) {
    const next = Math.min(a[i] ?? total, b[k] ?? total);
    const [inOne, inOther] = [i % 2 === 1, k % 2 === 1];
    if (inOne && inOther) both += next - place;
    if (inOne || inOther) either += next - place;
    place = next;
    while (i < a.length && a[i] <= place) i++;
    while (k < b.length && b[k] <= place) k++;
  }
  return either === 0 ? 1 : both / either;
}

/** COCO's text form of the run lengths: five bits of value a character, lowest first, differences from the third on. */
export function toText({ counts }: Rle): string {
  let text = "";
  counts.forEach((count, k) => {
    let value = k > 2 ? count - counts[k - 2] : count;
    for (let more = true; more;) {
      let symbol = value & 31;
      value >>= 5;
      more = symbol & 16 ? value !== -1 : value !== 0;
      if (more) symbol |= 32;
      text += String.fromCharCode(symbol + 48);
    }
  });
  return text;
}

/** Calls `each` with first pixel and end of every run inside the mask, counted column by column. */
export function eachRun({ counts }: Rle, each: (start: number, end: number) => void): void {
  let place = 0;
  counts.forEach((count, k) => {
    if (k % 2 === 1 && count > 0) each(place, place + count);
    place += count;
  });
}

function ends({ counts }: Rle): number[] {
  let place = 0;
  return counts.map((count) => (place += count));
}
