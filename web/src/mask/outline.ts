// Outlines of masks: closed rings along the edges of pixels, and what is drawn and edited of them.

import type { Rle } from "../engine/engine";
import { isEmpty, windowOf } from "./rle";

export type Point = [x: number, y: number];
/** A closed ring of corners; the last is joined to the first. */
export type Ring = Point[];

const [RIGHT, DOWN, LEFT] = [0, 1, 2]; // and 3 is up
const STEP: readonly Point[] = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

/**
 * All rings of a mask, along the edges of pixels, with the inside to the right: outer rings and holes alike. Filled by
 * the even-odd rule they give the mask again.
 */
export function trace(rle: Rle): Ring[] {
  if (isEmpty(rle)) return [];
  const { left, top, width, height, pixels } = windowOf(rle, 1);
  const inside = (x: number, y: number) => pixels[y * width + x] === 1;
  const seen = new Uint8Array(width * height); // upper edges of pixels that a ring has passed
  const rings: Ring[] = [];
  for (let y = 1; y < height; y++) {
    for (let x = 1; x < width; x++) {
      if (inside(x, y) && !inside(x, y - 1) && !seen[y * width + x]) {
        rings.push(follow(x, y, inside, (px, py) => (seen[py * width + px] = 1)).map(([cx, cy]) => [cx + left, cy + top]));
      }
    }
  }
  return rings;
}

/** The ring that passes the upper edge of pixel (x, y) from left to right. */
function follow(
  startX: number,
  startY: number,
  inside: (x: number, y: number) => boolean,
  pass: (x: number, y: number) => void,
): Ring {
  const ring: Ring = [];
  let [x, y, direction] = [startX, startY, RIGHT];
  do {
    if (direction === RIGHT) pass(x, y);
    x += STEP[direction][0];
    y += STEP[direction][1];
    const next = turn(x, y, direction, inside);
    if (next !== direction) ring.push([x, y]);
    direction = next;
  } while (x !== startX || y !== startY || direction !== RIGHT);
  return ring;
}

/** Where a ring goes on at a corner. Pixels that touch at a corner only are parts of one object. */
function turn(x: number, y: number, direction: number, inside: (x: number, y: number) => boolean): number {
  // the two pixels ahead, on the left and on the right of the way
  const ahead: [boolean, boolean] =
    direction === RIGHT
      ? [inside(x, y - 1), inside(x, y)]
      : direction === DOWN
        ? [inside(x, y), inside(x - 1, y)]
        : direction === LEFT
          ? [inside(x - 1, y), inside(x - 1, y - 1)]
          : [inside(x - 1, y - 1), inside(x, y - 1)];
  const [left, right] = ahead;
  if (left) return (direction + 3) % 4;
  return right ? direction : (direction + 1) % 4;
}

/** The ring through the middles of its edges: what is drawn, calmer than the stairs of pixels. */
export function middles(ring: Ring): Ring {
  return ring.flatMap(([x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    const length = Math.abs(nextX - x) + Math.abs(nextY - y);
    if (length <= 2) return [[(x + nextX) / 2, (y + nextY) / 2] as Point];
    const [dx, dy] = [Math.sign(nextX - x), Math.sign(nextY - y)];
    return [[x + dx, y + dy] as Point, [nextX - dx, nextY - dy] as Point];
  });
}

/** Fewer corners, none left out farther than `tolerance` pixels from the new outline (Douglas and Peucker). */
export function simplify(ring: Ring, tolerance: number): Ring {
  if (ring.length <= 4) return ring;
  let far = 0;
  for (let index = 1; index < ring.length; index++) {
    if (distance(ring[index], ring[0]) > distance(ring[far], ring[0])) far = index;
  }
  const open = [...ring, ring[0]];
  const keep = new Uint8Array(open.length);
  keep[0] = keep[far] = 1;
  const waiting: [number, number][] = [
    [0, far],
    [far, ring.length],
  ];
  for (let part = waiting.pop(); part; part = waiting.pop()) {
    const [from, to] = part;
    let [worst, most] = [-1, tolerance];
    for (let index = from + 1; index < to; index++) {
      const off = distanceToSegment(open[index], open[from], open[to]);
      if (off > most) [worst, most] = [index, off];
    }
    if (worst < 0) continue;
    keep[worst] = 1;
    waiting.push([from, worst], [worst, to]);
  }
  const kept = ring.filter((_, index) => keep[index]);
  return kept.length >= 3 ? kept : ring;
}

export function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

export function distanceToSegment(point: Point, from: Point, to: Point): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const square = dx * dx + dy * dy;
  const share = square === 0 ? 0 : ((point[0] - from[0]) * dx + (point[1] - from[1]) * dy) / square;
  const along = Math.max(0, Math.min(1, share));
  return Math.hypot(point[0] - from[0] - along * dx, point[1] - from[1] - along * dy);
}
