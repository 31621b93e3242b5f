/** One mask as the part of its low-resolution logits that matters, as `samlet.geometry.patches`. */

import type { Rle } from "../engine";
import type { BoxXyxy, ImageFrame, Logits, SizeHw } from "./frame";
import { codeOf } from "./rle";

const REACH = 3; // low-resolution pixels around the mask that the two bilinear steps can see, and one more
/** A probability of 2 %: where all logits are lower, no mask will have its edge. */
export const BEYOND = -4;
const MARGIN = 0.005;
const MARGIN_OF_ONE_PIXEL = 1;

/** Stability is the IoU of the masks cut at this much above and below 0. */
export const STABILITY_OFFSET = 1;

export class Patch {
  private constructor(
    readonly logits: Logits,
    readonly corner: readonly [number, number],
    /** Low-resolution pixels with a logit above the floor, ends inclusive; null if there are none. */
    readonly box: BoxXyxy | null,
    readonly frame: ImageFrame,
  ) {}

  /** The patch of logits [L, L]; beyond it every logit of the photo is below `floor`. */
  static cut(lowRes: Logits, frame: ImageFrame, floor: number): Patch {
    const box = boxAbove(lowRes, frame.lowResHw, floor);
    if (box === null) return new Patch({ data: new Float32Array(0), width: 0, height: 0 }, [0, 0], null, frame);
    const [left, top] = [Math.max(box[0] - REACH, 0), Math.max(box[1] - REACH, 0)];
    const right = Math.min(box[2] + REACH + 1, frame.lowRes);
    const bottom = Math.min(box[3] + REACH + 1, frame.lowRes);
    const data = new Float32Array((right - left) * (bottom - top));
    for (let y = top; y < bottom; y++) {
      data.set(lowRes.data.subarray(y * lowRes.width + left, y * lowRes.width + right), (y - top) * (right - left));
    }
    return new Patch({ data, width: right - left, height: bottom - top }, [left, top], box, frame);
  }

  /** The mask at the size of the photo. */
  code(): Rle {
    const [height, width] = this.frame.sizeHw;
    if (this.box === null) return { size: [height, width], counts: [height * width] };
    const window = this.frame.reachOf(this.box);
    return codeOf(this.frame.windowEdges(this.logits, this.corner, window), window, [height, width]);
  }

  /** `ImageFrame.sampleLogits`, where the logits beyond the patch are `BEYOND`. */
  sample(window: BoxXyxy, sizeHw: SizeHw): Logits {
    const side = this.frame.lowRes;
    const data = new Float32Array(side * side).fill(BEYOND);
    const { width } = this.logits;
    for (let y = 0; y < this.logits.height; y++) {
      const row = this.logits.data.subarray(y * width, (y + 1) * width);
      data.set(row, (this.corner[1] + y) * side + this.corner[0]);
    }
    return this.frame.sampleLogits({ data, width: side, height: side }, window, sizeHw);
  }

  /** How little the mask changes with its threshold, at the size of the photo. */
  stability(): number {
    if (this.box === null) return 0;
    let [strict, loose] = [0, 0];
    this.frame.windowRows(this.logits, this.corner, this.frame.reachOf(this.box), (_, row) => {
      for (let x = 0; x < row.length; x++) {
        if (row[x] > STABILITY_OFFSET) strict++;
        if (row[x] > -STABILITY_OFFSET) loose++;
      }
    });
    return Math.fround(strict / Math.max(loose, 1));
  }

  /** The tight box of the mask in pixels of the photo, ends inclusive: each edge is looked for in a strip along it. */
  imageBox(): BoxXyxy {
    const [rows, columns] = this.frame.lowResHw;
    const [x, y] = this.corner;
    const found = boxAbove(
      this.logits,
      [Math.min(rows - y, this.logits.height), Math.min(columns - x, this.logits.width)],
      0,
    );
    if (found === null) return [0, 0, 0, 0];
    const [left, top, right, bottom] = [found[0] + x, found[1] + y, found[2] + x, found[3] + y];
    const strips: BoxXyxy[] = [
      [left, top, Math.min(left + 1, right), bottom],
      [left, top, right, Math.min(top + 1, bottom)],
      [Math.max(right - 1, left), top, right, bottom],
      [left, Math.max(bottom - 1, top), right, bottom],
    ];
    const edges = strips.map((strip) => this.boxWithin(strip));
    if (edges.includes(null)) return this.boxWithin([left, top, right, bottom]) ?? [0, 0, 0, 0]; // a small photo
    return [edges[0]![0], edges[1]![1], edges[2]![2], edges[3]![3]];
  }

  /** The box of the mask's pixels around a box of low-resolution ones. */
  private boxWithin(strip: BoxXyxy): BoxXyxy | null {
    const window = this.frame.reachOf(strip);
    let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
    this.frame.windowRows(this.logits, this.corner, window, (y, row) => {
      row.forEach((logit, x) => {
        if (logit <= 0) return;
        left = Math.min(left, window[0] + x);
        right = Math.max(right, window[0] + x);
        top = Math.min(top, y);
        bottom = y;
      });
    });
    return right < 0 ? null : [left, top, right, bottom];
  }

  /** The share of the photo that the mask covers, at low resolution. */
  share(): number {
    const [rows, columns] = this.frame.lowResHw;
    return this.onPhoto().data.reduce((sum, logit) => sum + Number(logit > 0), 0) / (rows * columns);
  }

  /** The logits without those of the canvas's padding. */
  private onPhoto(): Logits {
    const [rows, columns] = this.frame.lowResHw;
    return cropped(this.logits, columns - this.corner[0], rows - this.corner[1]);
  }

  /** Whether the stability at the size of the photo reaches a threshold; its pixels are made only if that is not clear. */
  isStable(threshold: number): boolean {
    if (threshold <= 0) return true;
    if (this.box === null) return false;
    const [rows, columns] = this.frame.lowResHw;
    const inside = this.onPhoto();
    const loose = inside.data.reduce((sum, logit) => sum + Number(logit > -STABILITY_OFFSET), 0);
    const [height, width] = this.frame.sizeHw;
    const pixels = loose * Math.min(1, (height * width) / (rows * columns));
    const estimate = stabilityOf(inside.data);
    const margin = loose === 0 ? 1 : MARGIN + MARGIN_OF_ONE_PIXEL / Math.sqrt(pixels);
    if (Math.abs(estimate - threshold) > margin) return estimate >= threshold;
    return this.stability() >= threshold;
  }
}

/** How little a mask changes when its threshold moves; 0 for one that is empty either way. */
export function stabilityOf(logits: Float32Array): number {
  let [strict, loose] = [0, 0];
  for (const logit of logits) {
    if (logit > STABILITY_OFFSET) strict++;
    if (logit > -STABILITY_OFFSET) loose++;
  }
  return Math.fround(strict / Math.max(loose, 1));
}

function cropped(logits: Logits, width: number, height: number): Logits {
  if (width >= logits.width && height >= logits.height) return logits;
  const [wide, high] = [Math.min(width, logits.width), Math.min(height, logits.height)];
  const data = new Float32Array(wide * high);
  for (let y = 0; y < high; y++) data.set(logits.data.subarray(y * logits.width, y * logits.width + wide), y * wide);
  return { data, width: wide, height: high };
}

function boxAbove(logits: Logits, [height, width]: SizeHw, floor: number): BoxXyxy | null {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (logits.data[y * logits.width + x] <= floor) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      bottom = y;
    }
  }
  return right < 0 ? null : [left, top, right, bottom];
}
