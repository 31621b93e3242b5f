/**
 * Photos made smaller or larger to the bit as Pillow does it (bilinear, antialiased, whole-number weights of 22 bits):
 * what SAM's encoders were trained on. A browser's own scaling is another one in every browser.
 */

import type { BoxXyxy, SizeHw } from "./frame";

/** A photo, RGBA, row by row; the fourth channel says nothing. */
export interface Photo {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

const BITS = 22;

/** Of one target index: the first source index, and whole-number weights from there on. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly stride: number;
}

/** Bytes `[height, width, step]`, of which the first three of each pixel are red, green and blue. */
interface Picture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly step: number;
}

/** A window of a photo (all of it by default) scaled to `sizeHw`: RGB bytes `[h, w, 3]`. */
export function resized(photo: Photo, sizeHw: SizeHw, window: BoxXyxy = [0, 0, photo.width, photo.height]): Uint8Array {
  const [height, width] = sizeHw;
  const [left, top, right, bottom] = window;
  const [high, wide] = [bottom - top, right - left];
  const part = { ...photo, step: 4 };
  if (downFirst([high, wide], sizeHw)) {
    const low = down(part, window, taps(high, height), height);
    return across(low, [0, 0, wide, height], taps(wide, width), width).data;
  }
  const narrow = across(part, window, taps(wide, width), width);
  if (high === height) return narrow.data;
  return down(narrow, [0, 0, width, high], taps(high, height), height).data;
}

/** Whether Pillow begins with the columns: found out by trying (Pillow 13); earlier versions never do. */
function downFirst([high, wide]: SizeHw, [height, width]: SizeHw): boolean {
  return high - height > 2 * Math.max(0, wide - width);
}

function across(picture: Picture, [left, top, right, bottom]: BoxXyxy, columns: Taps, width: number) {
  const { data, step } = picture;
  const result = new Uint8Array((bottom - top) * width * 3);
  const copies = right - left === width;
  let place = 0;
  for (let y = top; y < bottom; y++) {
    const start = (y * picture.width + left) * step;
    for (let x = 0; x < width; x++) {
      if (copies) {
        for (let c = 0; c < 3; c++) result[place++] = data[start + step * x + c];
        continue;
      }
      const from = start + columns.first[x] * step;
      const count = columns.count[x];
      const weights = x * columns.stride;
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (BITS - 1);
        for (let k = 0; k < count; k++) sum += data[from + step * k + c] * columns.weights[weights + k];
        result[place++] = byte(sum);
      }
    }
  }
  return { data: result, width, height: bottom - top, step: 3 };
}

function down(picture: Picture, [left, top, right]: BoxXyxy, rows: Taps, height: number) {
  const { data, step } = picture;
  const wide = right - left;
  const result = new Uint8Array(height * wide * 3);
  const line = picture.width * step;
  let place = 0;
  for (let y = 0; y < height; y++) {
    const start = (top + rows.first[y]) * line + left * step;
    const count = rows.count[y];
    const weights = y * rows.stride;
    for (let x = 0; x < wide; x++) {
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (BITS - 1);
        const from = start + x * step + c;
        for (let k = 0; k < count; k++) sum += data[from + k * line] * rows.weights[weights + k];
        result[place++] = byte(sum);
      }
    }
  }
  return { data: result, width: wide, height, step: 3 };
}

function byte(sum: number): number {
  const value = sum >> BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

function taps(source: number, target: number): Taps {
  const scale = source / target;
  const support = Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Int32Array(target * stride);
  const share = new Float64Array(stride);
  for (let i = 0; i < target; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(0, Math.trunc(center - support + 0.5));
    const high = Math.min(source, Math.trunc(center + support + 0.5));
    let sum = 0;
    for (let k = 0; k < high - low; k++) {
      share[k] = Math.max(0, 1 - Math.abs((k + low - center + 0.5) * (1 / support)));
      sum += share[k];
    }
    for (let k = 0; k < high - low; k++) {
      weights[i * stride + k] = Math.trunc(0.5 + (sum === 0 ? share[k] : share[k] / sum) * (1 << BITS));
    }
    first[i] = low;
    count[i] = high - low;
  }
  return { first, count, weights, stride };
}
