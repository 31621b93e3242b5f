/** The guided filter, as `samlet.geometry.guided_filter`: an edge of a mask moves to where the photo has one. */

import { type BoxXyxy, clamp, line, type Logits, roundEven, type SizeHw } from "./frame";
import type { Photo } from "./resize";
import { sizeOf } from "./windows";

/**
 * Where the filtered probability is above one half: bytes 0 and 1 of a window of the photo. `probability` lies over the
 * window and may be coarser; `radiusPx` counts its pixels; `eps` is the variance of a color (0..1) that is an edge.
 */
export function guidedMask(
  probability: Logits,
  photo: Photo,
  window: BoxXyxy,
  radiusPx: number,
  eps: number,
): Uint8Array {
  const guide = shrunk(photo, window, [probability.height, probability.width]);
  const lines = coefficients(probability, guide, radiusPx, eps);
  const [height, width] = sizeOf(window);
  const mask = new Uint8Array(height * width);
  const scaled = Float32Array.from({ length: 256 }, (_, level) => level / 255);
  eachEnlargedRow(lines, probability, 4, [height, width], (y, row) => {
    const start = ((window[1] + y) * photo.width + window[0]) * 4;
    for (let x = 0, place = start; x < width; x++, place += 4) {
      const red = row[4 * x] * scaled[photo.data[place]];
      const green = row[4 * x + 1] * scaled[photo.data[place + 1]];
      const blue = row[4 * x + 2] * scaled[photo.data[place + 2]];
      mask[y * width + x] = red + green + blue + row[4 * x + 3] > 0.5 ? 1 : 0;
    }
  });
  return mask;
}

/** Where logits, enlarged to `sizeHw`, are above 0: bytes 0 and 1. */
export function plainMask(logits: Logits, sizeHw: SizeHw): Uint8Array {
  const mask = new Uint8Array(sizeHw[0] * sizeHw[1]);
  eachEnlargedRow(logits.data, logits, 1, sizeHw, (y, row) => {
    for (let x = 0; x < sizeHw[1]; x++) mask[y * sizeHw[1] + x] = row[x] > 0 ? 1 : 0;
  });
  return mask;
}

/** A map [h, w, channels] enlarged to `sizeHw` a row at a time, so that a large photo needs no map of its own size. */
function eachEnlargedRow(
  values: Float32Array,
  size: { width: number; height: number },
  channels: number,
  [height, width]: SizeHw,
  each: (y: number, row: Float32Array) => void,
): void {
  const [scaleX, scaleY] = [size.width / width, size.height / height];
  const across = line(width, scaleX, scaleX / 2 - 0.5, size.width);
  const source = size.width * channels;
  const between = new Float32Array(source);
  const row = new Float32Array(width * channels);
  for (let y = 0; y < height; y++) {
    const place = Math.fround((y + 0.5) * scaleY - 0.5);
    const floor = Math.floor(place);
    const share = Math.fround(place - floor);
    const above = clamp(floor, 0, size.height - 1) * source;
    const below = clamp(floor + 1, 0, size.height - 1) * source;
    for (let k = 0; k < source; k++) between[k] = values[above + k] + share * (values[below + k] - values[above + k]);
    for (let x = 0; x < width; x++) {
      const [left, right] = [across.before[x] * channels, across.after[x] * channels];
      const shareX = across.share[x];
      for (let c = 0; c < channels; c++) {
        row[x * channels + c] = between[left + c] + shareX * (between[right + c] - between[left + c]);
      }
    }
    each(y, row);
  }
}

/** Three slopes and an offset [h, w, 4], each the mean over the windows that a pixel lies in. */
function coefficients(probability: Logits, guide: Float32Array, radiusPx: number, eps: number): Float32Array {
  const { width, height, data } = probability;
  const mean = (values: Float32Array, channels: number) => boxMean(values, width, height, channels, radiusPx);
  const pixels = width * height;
  const [colors, shares] = [mean(guide, 3), mean(data, 1)];
  const products = (make: (pixel: number, c: number) => number) => {
    const made = new Float32Array(3 * pixels);
    for (let p = 0; p < pixels; p++) for (let c = 0; c < 3; c++) made[3 * p + c] = make(p, c);
    return mean(made, 3);
  };
  const withShare = products((p, c) => guide[3 * p + c] * data[p]);
  const squares = products((p, c) => guide[3 * p + c] * guide[3 * p + c]);
  const mixed = products((p, c) => guide[3 * p + c] * guide[3 * p + ((c + 1) % 3)]);
  const lines = new Float32Array(4 * pixels);
  for (let p = 0; p < pixels; p++) {
    const i = 3 * p;
    const [r, g, b, share] = [colors[i], colors[i + 1], colors[i + 2], shares[p]];
    const rr = squares[i] - r * r + eps;
    const gg = squares[i + 1] - g * g + eps;
    const bb = squares[i + 2] - b * b + eps;
    const rg = mixed[i] - r * g;
    const gb = mixed[i + 1] - g * b;
    const br = mixed[i + 2] - b * r;
    const [y0, y1, y2] = [withShare[i] - r * share, withShare[i + 1] - g * share, withShare[i + 2] - b * share];
    const [c0, c1, c2] = [gg * bb - gb * gb, gb * br - rg * bb, rg * gb - gg * br];
    const [d1, d12, d2] = [rr * bb - br * br, br * rg - rr * gb, rr * gg - rg * rg];
    const determinant = rr * c0 + rg * c1 + br * c2;
    const red = Math.fround((c0 * y0 + c1 * y1 + c2 * y2) / determinant);
    const green = Math.fround((c1 * y0 + d1 * y1 + d12 * y2) / determinant);
    const blue = Math.fround((c2 * y0 + d12 * y1 + d2 * y2) / determinant);
    lines.set([red, green, blue, share - (red * r + green * g + blue * b)], 4 * p);
  }
  return mean(lines, 4);
}

/** The mean over a square of 2 · radius + 1 pixels a side; beyond the border the map is mirrored, border and all. */
export function boxMean(
  values: Float32Array,
  width: number,
  height: number,
  channels: number,
  radius: number,
): Float32Array {
  const side = 2 * radius + 1;
  const line = width * channels;
  const across = new Float64Array(line * height);
  for (let y = 0; y < height; y++) {
    for (let c = 0; c < channels; c++) {
      const at = (x: number) => values[y * line + mirrored(x, width) * channels + c];
      let sum = 0;
      for (let x = -radius; x <= radius; x++) sum += at(x);
      for (let x = 0; x < width; x++) {
        across[y * line + x * channels + c] = sum;
        sum += at(x + radius + 1) - at(x - radius);
      }
    }
  }
  const result = new Float32Array(line * height);
  const sums = new Float64Array(line);
  const add = (y: number, sign: number) => {
    const start = mirrored(y, height) * line;
    for (let x = 0; x < line; x++) sums[x] = sums[x] + sign * across[start + x];
  };
  for (let y = -radius; y <= radius; y++) add(y, 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < line; x++) result[y * line + x] = sums[x] / (side * side);
    add(y + radius + 1, 1);
    add(y - radius, -1);
  }
  return result;
}

function mirrored(place: number, count: number): number {
  while (place < 0 || place >= count) place = place < 0 ? -place - 1 : 2 * count - 1 - place;
  return place;
}

/** A window of the photo made smaller by the means of areas, rounded to bytes as OpenCV does, in 0..1: [h, w, 3]. */
export function shrunk(photo: Photo, window: BoxXyxy, [height, width]: SizeHw): Float32Array {
  const [high, wide] = sizeOf(window);
  const rows = areas(high, height);
  const columns = areas(wide, width);
  const result = new Float32Array(height * width * 3);
  const sums = new Float32Array(width * 3);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let row = rows.first[y], k = rows.from[y]; k < rows.from[y + 1]; row++, k++) {
      const start = ((window[1] + row) * photo.width + window[0]) * 4;
      addRow(photo.data, start, columns, rows.shares[k], sums);
    }
    for (let x = 0; x < width * 3; x++) result[y * width * 3 + x] = roundEven(sums[x]) / 255;
  }
  return result;
}

/** For each of some target pixels the first source pixel below it, and from `from[i]` on the share that each covers. */
interface Areas {
  readonly first: Int32Array;
  readonly from: Int32Array;
  readonly shares: Float32Array;
}

function addRow(data: Photo["data"], start: number, columns: Areas, share: number, sums: Float32Array): void {
  const { first, from, shares } = columns;
  for (let x = 0; x < first.length; x++) {
    let [red, green, blue] = [0, 0, 0];
    for (let k = from[x], place = start + 4 * first[x]; k < from[x + 1]; k++, place += 4) {
      red += data[place] * shares[k];
      green += data[place + 1] * shares[k];
      blue += data[place + 2] * shares[k];
    }
    sums[3 * x] += share * red;
    sums[3 * x + 1] += share * green;
    sums[3 * x + 2] += share * blue;
  }
}

function areas(source: number, target: number): Areas {
  const scale = source / target;
  const [first, from] = [new Int32Array(target), new Int32Array(target + 1)];
  const shares: number[] = [];
  for (let i = 0; i < target; i++) {
    const [start, end] = [i * scale, Math.min((i + 1) * scale, source)];
    first[i] = Math.floor(start + 1e-9);
    for (let place = first[i]; place < end - 1e-9; place++) {
      shares.push((Math.min(place + 1, end) - Math.max(place, start)) / (end - start));
    }
    from[i + 1] = shares.length;
  }
  return { first, from, shares: Float32Array.from(shares) };
}
