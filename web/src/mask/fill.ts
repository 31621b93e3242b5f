// From shapes to masks: outlines filled, strokes of a round brush. A pixel belongs to a shape that holds its middle.

import type { Rle } from "../engine/engine";
import { distanceToSegment, type Point, type Ring } from "./outline";
import { fromWindow, Runs, type Size } from "./rle";

/** The inside of rings by the even-odd rule, so holes stay holes. */
export function fillRings(rings: readonly Ring[], size: Size): Rle {
  const [height, width] = size;
  const crossings: number[][] = Array.from({ length: width }, () => []);
  for (const ring of rings) {
    ring.forEach((from, index) => addCrossings(from, ring[(index + 1) % ring.length], crossings, width));
  }
  const runs = new Runs(size);
  crossings.forEach((heights, column) => {
    heights.sort((a, b) => a - b);
    for (let index = 0; index + 1 < heights.length; index += 2) {
      const from = Math.max(0, Math.ceil(heights[index] - 0.5));
      const to = Math.min(height, Math.ceil(heights[index + 1] - 0.5));
      runs.add(column * height + from, column * height + to);
    }
  });
  return runs.finish();
}

/** Where one side crosses the middle of each column. */
function addCrossings(from: Point, to: Point, crossings: number[][], width: number): void {
  const [left, right] = from[0] <= to[0] ? [from, to] : [to, from];
  const first = Math.max(0, Math.ceil(left[0] - 0.5));
  const last = Math.min(width, Math.ceil(right[0] - 0.5));
  const slope = (right[1] - left[1]) / (right[0] - left[0]);
  for (let column = first; column < last; column++) crossings[column].push(left[1] + (column + 0.5 - left[0]) * slope);
}

/** What a round brush of `radius` pixels leaves along a way; a single place is a dot, of one pixel at least. */
export function strokeMask(way: readonly Point[], radius: number, size: Size): Rle {
  const xs = way.map(([x]) => x);
  const ys = way.map(([, y]) => y);
  const left = Math.max(0, Math.floor(Math.min(...xs) - radius));
  const top = Math.max(0, Math.floor(Math.min(...ys) - radius));
  const width = Math.max(0, Math.min(size[1], Math.ceil(Math.max(...xs) + radius) + 1) - left);
  const height = Math.max(0, Math.min(size[0], Math.ceil(Math.max(...ys) + radius) + 1) - top);
  const pixels = new Uint8Array(width * height);
  const paint = (from: Point, to: Point) => {
    const firstRow = Math.max(0, Math.floor(Math.min(from[1], to[1]) - radius) - top);
    const lastRow = Math.min(height - 1, Math.ceil(Math.max(from[1], to[1]) + radius) - top);
    const firstColumn = Math.max(0, Math.floor(Math.min(from[0], to[0]) - radius) - left);
    const lastColumn = Math.min(width - 1, Math.ceil(Math.max(from[0], to[0]) + radius) - left);
    for (let row = firstRow; row <= lastRow; row++) {
      for (let column = firstColumn; column <= lastColumn; column++) {
        const middle: Point = [left + column + 0.5, top + row + 0.5];
        if (distanceToSegment(middle, from, to) <= radius) pixels[row * width + column] = 1;
      }
    }
  };
  way.forEach((to, index) => {
    paint(way[Math.max(0, index - 1)], to);
    const [column, row] = [Math.floor(to[0]) - left, Math.floor(to[1]) - top];
    if (column >= 0 && row >= 0 && column < width && row < height) pixels[row * width + column] = 1;
  });
  return fromWindow({ left, top, width, height, pixels }, size);
}
