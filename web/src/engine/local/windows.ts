/** Windows of a photo: where to look a second time (`samlet.geometry.windows`). */

import { type BoxXyxy, clamp, type SizeHw } from "./frame";

/** A square around a box, as far as a photo of `sizeHw` has room for one: `margin` of its longer side is added on each side, `least` is the smallest side as a share of the photo's longer one. */
export function windowAround(box: BoxXyxy, [height, width]: SizeHw, margin: number, least: number): BoxXyxy {
  const [left, top, right, bottom] = box;
  const side = Math.max(Math.max(right - left, bottom - top) * (1 + 2 * margin), least * Math.max(height, width));
  const [across, down] = [Math.min(side, width), Math.min(side, height)];
  const x = clamp((left + right - across) / 2, 0, width - across);
  const y = clamp((top + bottom - down) / 2, 0, height - down);
  return [Math.trunc(x), Math.trunc(y), Math.min(Math.ceil(x + across), width), Math.min(Math.ceil(y + down), height)];
}

/** A window with a margin on each side, as far as the photo goes. */
export function grown([left, top, right, bottom]: BoxXyxy, marginPx: number, [height, width]: SizeHw): BoxXyxy {
  return [
    Math.max(left - marginPx, 0),
    Math.max(top - marginPx, 0),
    Math.min(right + marginPx, width),
    Math.min(bottom + marginPx, height),
  ];
}

/** Height and width. */
export function sizeOf([left, top, right, bottom]: BoxXyxy): SizeHw {
  return [bottom - top, right - left];
}
