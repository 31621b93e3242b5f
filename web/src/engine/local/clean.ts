/** Clean-up of a mask, as `samlet.geometry.clean`: islands and holes go that no click asked for. */

import { fromWindow, windowOf } from "../../mask/rle";
import type { Rle } from "../engine";
import { partsOf, type Parts } from "./components";

/** A mask [height, width] of bytes 0 and 1, row by row. */
export interface Mask {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export type Point = readonly [number, number];

/** What is too small to stay: shares of the largest part (island), of the mask (hole), and of the photo (both). */
const SMALL = 0.1;
const SMALL_OF_PHOTO = 0.01;

/**
 * The mask without islands and holes that no click asks for; the same object if there are none. `photoPx` counts the
 * pixels of the photo the mask is cut from; clicks are pixels of the mask, those outside of it say nothing.
 */
export function cleaned(mask: Mask, photoPx: number, positive: readonly Point[], negative: readonly Point[]): Mask {
  return withoutHoles(withoutIslands(mask, photoPx, positive, negative), photoPx, negative);
}

function withoutIslands(mask: Mask, photoPx: number, positive: readonly Point[], negative: readonly Point[]): Mask {
  const parts = partsOf(mask.data, mask.width, mask.height, 8);
  if (parts.count < 2) return mask;
  const largest = parts.area.reduce((best, area, part) => (area > parts.area[best] ? part : best), 1);
  const wanted = hit(parts, mask, positive);
  const unwanted = hit(parts, mask, negative);
  const kept = Array.from(parts.area, (area, part) => {
    const large = area >= SMALL * parts.area[largest] || area >= SMALL_OF_PHOTO * photoPx;
    return part > 0 && ((large && !unwanted.has(part)) || wanted.has(part));
  });
  if (!kept.includes(true)) kept[largest] = true;
  if (!kept.includes(false, 1)) return mask;
  const data = new Uint8Array(mask.data.length);
  parts.paint(data, kept, 1);
  return { ...mask, data };
}

function withoutHoles(mask: Mask, photoPx: number, negative: readonly Point[]): Mask {
  const parts = partsOf(mask.data, mask.width, mask.height, 4, 0);
  const maskPx = mask.data.length - parts.area.reduce((sum, area) => sum + area, 0);
  const stays = hit(parts, mask, negative);
  const filled = Array.from(parts.area, (area, part) => {
    const inner =
      parts.left[part] > 0 && parts.top[part] > 0 && parts.right[part] < mask.width && parts.bottom[part] < mask.height;
    return part > 0 && inner && area < SMALL * maskPx && area < SMALL_OF_PHOTO * photoPx && !stays.has(part);
  });
  if (!filled.includes(true)) return mask;
  const data = mask.data.slice();
  parts.paint(data, filled, 1);
  return { ...mask, data };
}

function hit(parts: Parts, { width, height }: Mask, points: readonly Point[]): Set<number> {
  const found = new Set<number>();
  for (const [x, y] of points) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column >= 0 && row >= 0 && column < width && row < height) found.add(parts.at(column, row));
  }
  found.delete(0);
  return found;
}

/** The same for a code, whose clicks are pixels of the photo. */
export function cleanedCode(rle: Rle, positive: readonly Point[]): Rle {
  const window = windowOf(rle);
  const mask = { data: window.pixels, width: window.width, height: window.height };
  const clicks = positive.map(([x, y]): Point => [x - window.left, y - window.top]);
  const clean = cleaned(mask, rle.size[0] * rle.size[1], clicks, []);
  return clean === mask ? rle : fromWindow({ ...window, pixels: clean.data }, rle.size);
}
