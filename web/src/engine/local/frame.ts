/**
 * The mapping between a photo and the two canvases of a model, as `samlet.geometry.frames` has it: the only code here
 * that scales coordinates or masks.
 */

/** Height, then width, in pixels. */
export type SizeHw = readonly [number, number];
/** Left, top, right, bottom in pixels; ends exclusive unless said otherwise. */
export type BoxXyxy = readonly [number, number, number, number];

/** What a model's manifest says about its images. */
export interface ImageSpec {
  canvas: number;
  prompt_canvas: number;
  mean: readonly number[];
  std: readonly number[];
  fit?: "pad" | "stretch";
  grid?: number;
  channels?: number;
  low_res?: number;
}

/** Logits `[height, width]`, row by row. */
export interface Logits {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Of one target row or column: the first source index that counts, and the weights from there on. */
interface Reach {
  readonly first: number;
  readonly weights: Float32Array;
}

export class ImageFrame {
  constructor(
    readonly sizeHw: SizeHw,
    readonly canvas: number,
    readonly promptCanvas = 1024,
    readonly lowRes = 256,
    readonly fit: "pad" | "stretch" = "pad",
  ) {}

  static of(sizeHw: SizeHw, spec: ImageSpec): ImageFrame {
    return new ImageFrame(sizeHw, spec.canvas, spec.prompt_canvas, spec.low_res ?? 256, spec.fit ?? "pad");
  }

  /** Height and width of the resized photo on `canvas`; the rest is padding. */
  get contentHw(): SizeHw {
    return this.fitted(this.canvas);
  }

  /** Height and width of the resized photo on the prompt canvas. */
  get promptHw(): SizeHw {
    return this.fitted(this.promptCanvas);
  }

  /** Rows and columns of the low-resolution logits that lie on the photo. */
  get lowResHw(): SizeHw {
    const [height, width] = this.promptHw;
    return [
      Math.ceil((height * this.lowRes) / this.promptCanvas),
      Math.ceil((width * this.lowRes) / this.promptCanvas),
    ];
  }

  /** A point in pixels of the photo, in pixels of the prompt canvas. */
  toPrompt(x: number, y: number): [number, number] {
    const [height, width] = this.promptHw;
    return [Math.fround(x * (width / this.sizeHw[1])), Math.fround(y * (height / this.sizeHw[0]))];
  }

  /** The window of the photo in which the low-resolution pixels of a box (ends inclusive) have a part. */
  reachOf(box: BoxXyxy): BoxXyxy {
    const [height, width] = this.sizeHw;
    const [promptHeight, promptWidth] = this.promptHw;
    const cell = this.promptCanvas / this.lowRes;
    const across = (x: number) => clamp((x * cell * width) / promptWidth, 0, width);
    const down = (y: number) => clamp((y * cell * height) / promptHeight, 0, height);
    return [
      Math.trunc(across(box[0] - 1)),
      Math.trunc(down(box[1] - 1)),
      Math.ceil(across(box[2] + 2)),
      Math.ceil(down(box[3] + 2)),
    ];
  }

  /**
   * Logits of a window of the photo, one row of it at a time: bilinear to the prompt canvas, crop, bilinear to the
   * photo, as SAM does. `patch` is the part of the low-resolution logits that begins at `corner`; what lies outside
   * of it counts as 0. The row handed to `each` is used again for the next one.
   */
  windowRows(
    patch: Logits,
    corner: readonly [number, number],
    window: BoxXyxy,
    each: (y: number, row: Float32Array) => void,
  ): void {
    const wide = window[2] - window[0];
    const widened = this.widened(patch, corner[0], window);
    const rows = enlargement(this.lowRes, this.promptCanvas, this.promptHw[0], this.sizeHw[0]);
    const row = new Float32Array(wide);
    for (let y = window[1]; y < window[3]; y++) {
      const { first, weights } = rows[y];
      blend(widened, wide, patch.height, first - corner[1], weights, row);
      each(y, row);
    }
  }

  /**
   * Where the mask of these logits (above 0) begins and ends in turn, for each column of the window; undefined where it
   * has no pixel. Where all low-resolution logits that some rows are made of have one sign, so have the rows: most of a
   * large photo is never computed.
   */
  windowEdges(patch: Logits, corner: readonly [number, number], window: BoxXyxy): (number[] | undefined)[] {
    const wide = window[2] - window[0];
    const widened = this.widened(patch, corner[0], window);
    const rows = enlargement(this.lowRes, this.promptCanvas, this.promptHw[0], this.sizeHw[0]);
    const edges = new Array<number[] | undefined>(wide);
    const inside = new Uint8Array(wide);
    const turn = (x: number, y: number, now: number) => {
      if (inside[x] === now) return;
      inside[x] = now;
      (edges[x] ??= []).push(y);
    };
    for (let y = window[1]; y < window[3];) {
      const end = sameSources(rows, y, window[3]);
      const above = rows[y].first - corner[1];
      const below = above + rows[y].weights.length;
      const whole = above >= 0 && below <= patch.height;
      const [start, stop] = [Math.max(above, 0), Math.min(below, patch.height)];
      for (let x = 0; x < wide; x++) {
        let positive = 0;
        for (let k = start; k < stop; k++) positive += widened[k * wide + x] > 0 ? 1 : 0;
        if (positive === 0) turn(x, y, 0);
        else if (whole && positive === stop - start) turn(x, y, 1);
        else {
          for (let each = y; each < end; each++) {
            let sum = 0;
            const { weights } = rows[each];
            for (let k = start; k < stop; k++) sum = Math.fround(sum + weights[k - above] * widened[k * wide + x]);
            turn(x, each, sum > 0 ? 1 : 0);
          }
        }
      }
      y = end;
    }
    return edges;
  }

  /** The rows of a patch, in the columns of a window of the photo. */
  private widened(patch: Logits, x0: number, [left, , right]: BoxXyxy): Float32Array {
    const columns = enlargement(this.lowRes, this.promptCanvas, this.promptHw[1], this.sizeHw[1]);
    const wide = right - left;
    const widened = new Float32Array(patch.height * wide);
    for (let x = 0; x < wide; x++) {
      const { first, weights } = columns[left + x];
      for (let y = 0; y < patch.height; y++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          const source = first + k - x0;
          if (source >= 0 && source < patch.width) sum += weights[k] * patch.data[y * patch.width + source];
        }
        widened[y * wide + x] = sum;
      }
    }
    return widened;
  }

  /** Low-resolution logits over a window of the photo at any resolution, in one bilinear step. */
  sampleLogits(lowRes: Logits, window: BoxXyxy, sizeHw: SizeHw): Logits {
    const [left, top, right, bottom] = window;
    const cell = this.promptCanvas / this.lowRes;
    const perX = this.promptHw[1] / this.sizeHw[1] / cell;
    const perY = this.promptHw[0] / this.sizeHw[0] / cell;
    const stepX = (right - left) / sizeHw[1];
    const stepY = (bottom - top) / sizeHw[0];
    return {
      data: warped(lowRes.data, lowRes, 1, sizeHw, {
        scaleX: stepX * perX,
        scaleY: stepY * perY,
        fromX: (left + stepX / 2) * perX - 0.5,
        fromY: (top + stepY / 2) * perY - 0.5,
      }),
      width: sizeHw[1],
      height: sizeHw[0],
    };
  }

  private fitted(canvas: number): SizeHw {
    return this.fit === "stretch" ? [canvas, canvas] : resizedHw(this.sizeHw, canvas);
  }
}

/** Height and width once the longest side is `longestSide`. */
export function resizedHw([height, width]: SizeHw, longestSide: number): SizeHw {
  const scale = longestSide / Math.max(height, width);
  return [Math.max(1, Math.trunc(height * scale + 0.5)), Math.max(1, Math.trunc(width * scale + 0.5))];
}

/** Where the pixels of a target lie in a source: place = scale · index + from. */
export interface Placement {
  scaleX: number;
  scaleY: number;
  fromX: number;
  fromY: number;
}

/**
 * Bilinear samples of a map `[h, w, channels]` at the places of a target `sizeHw`; beyond the border the border's value
 * counts. What OpenCV's warpAffine does with INTER_LINEAR and BORDER_REPLICATE.
 */
export function warped(
  values: Float32Array,
  { width, height }: { width: number; height: number },
  channels: number,
  [rows, columns]: SizeHw,
  place: Placement,
): Float32Array {
  const result = new Float32Array(rows * columns * channels);
  const across = line(columns, place.scaleX, place.fromX, width);
  const down = line(rows, place.scaleY, place.fromY, height);
  for (let y = 0; y < rows; y++) {
    const above = down.before[y] * width * channels;
    const below = down.after[y] * width * channels;
    const shareY = down.share[y];
    for (let x = 0; x < columns; x++) {
      const left = across.before[x] * channels;
      const right = across.after[x] * channels;
      const shareX = across.share[x];
      for (let c = 0; c < channels; c++) {
        const upper = values[above + left + c] + shareX * (values[above + right + c] - values[above + left + c]);
        const lower = values[below + left + c] + shareX * (values[below + right + c] - values[below + left + c]);
        result[(y * columns + x) * channels + c] = upper + shareY * (lower - upper);
      }
    }
  }
  return result;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** To the nearest whole number, halves to the even one, as Python and NumPy round. */
export function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Of `count` places scale · index + from along a line: the samples before and after each, and the share of the latter. */
export function line(count: number, scale: number, from: number, source: number) {
  const before = new Int32Array(count);
  const after = new Int32Array(count);
  const share = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const place = Math.fround(Math.fround(i * Math.fround(scale)) + Math.fround(from));
    const floor = Math.floor(place);
    share[i] = place - floor;
    before[i] = clamp(floor, 0, source - 1);
    after[i] = clamp(floor + 1, 0, source - 1);
  }
  return { before, after, share };
}

/** The row before `end` up to which rows are made of the same source rows as row `y`. */
function sameSources(rows: readonly Reach[], y: number, end: number): number {
  const { first, weights } = rows[y];
  let next = y + 1;
  while (next < end && rows[next].first === first && rows[next].weights.length === weights.length) next++;
  return next;
}

/** `row` = the weighted sum of some rows of `source` [height, width]; rows that are not there count as 0. */
function blend(
  source: Float32Array,
  width: number,
  height: number,
  first: number,
  weights: Float32Array,
  row: Float32Array,
): void {
  row.fill(0);
  for (let k = 0; k < weights.length; k++) {
    const y = first + k;
    if (y < 0 || y >= height) continue;
    const weight = weights[k];
    const start = y * width;
    for (let x = 0; x < width; x++) row[x] = row[x] + weight * source[start + x];
  }
}

const KEPT = 16;
const enlargements = new Map<string, readonly Reach[]>();

/** Both bilinear steps and the crop between them along one axis: `source` → `canvas`, crop `content` → `target`. */
function enlargement(source: number, canvas: number, content: number, target: number): readonly Reach[] {
  const key = `${source} ${canvas} ${content} ${target}`;
  let made = enlargements.get(key);
  if (made === undefined) {
    const one: Reach[] = Array.from({ length: source }, (_, first) => ({ first, weights: Float32Array.of(1) }));
    made = interpolated(interpolated(one, canvas).slice(0, content), target);
    enlargements.set(key, made);
    const oldest = enlargements.keys().next().value;
    if (enlargements.size > KEPT && oldest !== undefined) enlargements.delete(oldest);
  }
  return made;
}

/** Rows of a matrix, stretched to `target` rows: bilinear, centers of samples as torch places them, in float32. */
function interpolated(rows: readonly Reach[], target: number): Reach[] {
  const scale = Math.fround(Math.fround(rows.length) / Math.fround(target));
  return Array.from({ length: target }, (_, i) => {
    const place = clamp(Math.fround(scale * (i + 0.5) - 0.5), 0, rows.length - 1);
    const before = Math.trunc(place);
    const share = Math.fround(place - before);
    return mixed(rows[before], rows[Math.min(before + 1, rows.length - 1)], share);
  });
}

function mixed(one: Reach, other: Reach, share: number): Reach {
  const first = Math.min(one.first, other.first);
  const end = Math.max(one.first + one.weights.length, other.first + other.weights.length);
  const weights = new Float32Array(end - first);
  const rest = Math.fround(1 - share);
  one.weights.forEach((weight, k) => (weights[one.first - first + k] = weight * rest));
  other.weights.forEach((weight, k) => {
    weights[other.first - first + k] = weights[other.first - first + k] + Math.fround(weight * share);
  });
  return { first, weights };
}
