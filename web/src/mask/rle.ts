// Run-length codes of masks as COCO counts them: column by column, the first run counts zeros. Pure functions; a code
// is never changed, so what is known of it (where its runs end, its box) is kept beside it.

import type { Rle } from "../engine/engine";

export type Size = [height: number, width: number];
/** x, y, width, height in pixels */
export type Box = [number, number, number, number];

/** A piece of a mask: its pixels row by row, from the corner `left`, `top` on. */
export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
  pixels: Uint8Array;
}

interface Facts {
  /** where each run ends, counted from the first pixel */
  ends: Float64Array;
  box?: Box;
  area?: number;
}

const facts = new WeakMap<Rle, Facts>();

function factsOf(rle: Rle): Facts {
  let known = facts.get(rle);
  if (!known) {
    const ends = new Float64Array(rle.counts.length);
    let end = 0;
    rle.counts.forEach((count, run) => (ends[run] = end += count));
    facts.set(rle, (known = { ends }));
  }
  return known;
}

export function empty(size: Size): Rle {
  return { size: [...size], counts: [size[0] * size[1]] };
}

export function isEmpty(rle: Rle): boolean {
  return area(rle) === 0;
}

/** Pixels inside. */
export function area(rle: Rle): number {
  const known = factsOf(rle);
  return (known.area ??= rle.counts.reduce((sum, count, run) => sum + (run % 2 ? count : 0), 0));
}

/** The tight box; [0, 0, 0, 0] of an empty mask. */
export function boxOf(rle: Rle): Box {
  const known = factsOf(rle);
  return (known.box ??= tightBox(rle, known.ends));
}

function tightBox(rle: Rle, ends: Float64Array): Box {
  const height = rle.size[0];
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  for (let run = 1; run < ends.length; run += 2) {
    if (rle.counts[run] === 0) continue;
    const [first, last] = [ends[run - 1], ends[run] - 1];
    const [column, lastColumn] = [Math.floor(first / height), Math.floor(last / height)];
    left = Math.min(left, column);
    right = Math.max(right, lastColumn);
    top = Math.min(top, column === lastColumn ? first % height : 0);
    bottom = Math.max(bottom, column === lastColumn ? last % height : height - 1);
  }
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/** Whether the pixel that holds (x, y) is inside. */
export function contains(rle: Rle, x: number, y: number): boolean {
  const [height, width] = rle.size;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return false;
  const place = column * height + row;
  const { ends } = factsOf(rle);
  let [low, high] = [0, ends.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > place) high = middle;
    else low = middle + 1;
  }
  return low % 2 === 1;
}

export const union = (first: Rle, second: Rle): Rle => combine(first, second, (a, b) => a || b);
export const subtract = (first: Rle, second: Rle): Rle => combine(first, second, (a, b) => a && !b);
export const intersect = (first: Rle, second: Rle): Rle => combine(first, second, (a, b) => a && b);

function combine(first: Rle, second: Rle, rule: (a: boolean, b: boolean) => boolean): Rle {
  if (first.size[0] !== second.size[0] || first.size[1] !== second.size[1]) {
    throw new RangeError(`Masks of ${first.size} and ${second.size} pixels do not lie on one image.`);
  }
  const counts: number[] = [];
  let [inside, length] = [false, 0];
  let [i, j] = [0, 0];
  let [restA, restB] = [first.counts[0] ?? 0, second.counts[0] ?? 0];
  for (;;) {
    while (restA === 0 && i < first.counts.length - 1) restA = first.counts[++i];
    while (restB === 0 && j < second.counts.length - 1) restB = second.counts[++j];
    const step = Math.min(restA, restB);
    if (step === 0) break;
    const value = rule(i % 2 === 1, j % 2 === 1);
    if (value !== inside) {
      counts.push(length);
      [inside, length] = [value, 0];
    }
    length += step;
    restA -= step;
    restB -= step;
  }
  counts.push(length);
  return { size: [...first.size], counts };
}

/** The part of a mask inside its box, with `margin` empty pixels around it. */
export function windowOf(rle: Rle, margin = 0): Window {
  const [x, y, boxWidth, boxHeight] = boxOf(rle);
  const [width, height] = [boxWidth + 2 * margin, boxHeight + 2 * margin];
  const pixels = new Uint8Array(width * height);
  const imageHeight = rle.size[0];
  let place = 0;
  rle.counts.forEach((count, run) => {
    const end = place + count;
    if (run % 2) {
      for (let at = place; at < end; ) {
        const column = Math.floor(at / imageHeight);
        const stop = Math.min(end, (column + 1) * imageHeight);
        let index = (at - column * imageHeight - y + margin) * width + (column - x + margin);
        for (; at < stop; at++, index += width) pixels[index] = 1;
      }
    }
    place = end;
  });
  return { left: x - margin, top: y - margin, width, height, pixels };
}

/** The code of a mask that is the window's and empty elsewhere; what leaves the image is cut off. */
export function fromWindow(window: Window, size: Size): Rle {
  const [height, width] = size;
  const runs = new Runs(size);
  const [firstRow, lastRow] = [Math.max(0, -window.top), Math.min(window.height, height - window.top)];
  const [firstColumn, lastColumn] = [Math.max(0, -window.left), Math.min(window.width, width - window.left)];
  for (let column = firstColumn; column < lastColumn; column++) {
    const start = (window.left + column) * height + window.top;
    for (let row = firstRow; row < lastRow; ) {
      if (!window.pixels[row * window.width + column]) {
        row++;
        continue;
      }
      const from = row;
      while (row < lastRow && window.pixels[row * window.width + column]) row++;
      runs.add(start + from, start + row);
    }
  }
  return runs.finish();
}

/** Builds a code from runs in rising order; runs that touch become one. */
export class Runs {
  private readonly counts: number[] = [];
  private end = 0;

  constructor(private readonly size: Size) {}

  add(from: number, to: number): void {
    if (to <= from) return;
    if (from === this.end && this.counts.length > 0) this.counts[this.counts.length - 1] += to - from;
    else this.counts.push(from - this.end, to - from);
    this.end = to;
  }

  finish(): Rle {
    const rest = this.size[0] * this.size[1] - this.end;
    if (rest > 0 || this.counts.length === 0) this.counts.push(rest);
    return { size: [...this.size], counts: this.counts };
  }
}
