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

/** A window of a photo (all of it by default) scaled to `sizeHw`: RGB bytes `[h, w, 3]`. */
export function resized(photo: Photo, sizeHw: SizeHw, window: BoxXyxy = [0, 0, photo.width, photo.height]): Uint8Array {
  const [height, width] = sizeHw;
  const [left, top, right, bottom] = window;
  const rows = taps(bottom - top, height);
  const columns = taps(right - left, width);
  const narrow = across(photo, window, columns, width);
  return bottom - top === height ? narrow : down(narrow, rows, width, height);
}

function across(photo: Photo, [left, top, right, bottom]: BoxXyxy, columns: Taps, width: number): Uint8Array {
  const result = new Uint8Array((bottom - top) * width * 3);
  const copies = right - left === width;
  let place = 0;
  for (let y = top; y < bottom; y++) {
    const start = (y * photo.width + left) * 4;
    for (let x = 0; x < width; x++) {
      if (copies) {
        for (let c = 0; c < 3; c++) result[place++] = photo.data[start + 4 * x + c];
        continue;
      }
      const from = start + columns.first[x] * 4;
      const count = columns.count[x];
      const weights = x * columns.stride;
      for (let c = 0; c < 3; c++) {
        let sum = 1 << (BITS - 1);
        for (let k = 0; k < count; k++) sum += photo.data[from + 4 * k + c] * columns.weights[weights + k];
        result[place++] = byte(sum);
      }
    }
  }
  return result;
}

function down(narrow: Uint8Array, rows: Taps, width: number, height: number): Uint8Array {
  const result = new Uint8Array(height * width * 3);
  const line = width * 3;
  for (let y = 0; y < height; y++) {
    const from = rows.first[y] * line;
    const count = rows.count[y];
    const weights = y * rows.stride;
    for (let x = 0; x < line; x++) {
      let sum = 1 << (BITS - 1);
      for (let k = 0; k < count; k++) sum += narrow[from + k * line + x] * rows.weights[weights + k];
      result[y * line + x] = byte(sum);
    }
  }
  return result;
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
