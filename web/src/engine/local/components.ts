/** Connected parts of a mask, with their areas and boxes. Found run by run, because a mask may have 30 million pixels. */

/** Parts 1, 2, … of a mask in the order of their first pixels, row by row; what is known of part n stands at index n. */
export class Parts {
  readonly area: Int32Array;
  readonly left: Int32Array;
  readonly top: Int32Array;
  /** Ends exclusive. */
  readonly right: Int32Array;
  readonly bottom: Int32Array;

  constructor(
    readonly count: number,
    private readonly runs: Runs,
    private readonly numbers: Int32Array,
    private readonly width: number,
  ) {
    const [area, left, right, top, bottom] = Array.from({ length: 5 }, () => new Int32Array(count + 1));
    left.fill(width);
    top.fill(runs.height);
    this.eachRun((part, y, start, end) => {
      area[part] += end - start;
      left[part] = Math.min(left[part], start);
      right[part] = Math.max(right[part], end);
      top[part] = Math.min(top[part], y);
      bottom[part] = y + 1;
    });
    [this.area, this.left, this.top, this.right, this.bottom] = [area, left, top, right, bottom];
  }

  /** The part of a pixel; 0 outside of all. */
  at(x: number, y: number): number {
    for (let run = this.runs.first[y]; run < this.runs.first[y + 1]; run++) {
      if (this.runs.starts[run] <= x && x < this.runs.ends[run]) return this.numbers[run];
    }
    return 0;
  }

  /** Bytes [height, width] of which those of some parts become `value`. */
  paint(pixels: Uint8Array, parts: readonly boolean[], value: 0 | 1): void {
    this.eachRun((part, y, start, end) => {
      if (parts[part]) pixels.fill(value, y * this.width + start, y * this.width + end);
    });
  }

  private eachRun(each: (part: number, y: number, start: number, end: number) => void): void {
    const { first, starts, ends, height } = this.runs;
    for (let y = 0; y < height; y++) {
      for (let run = first[y]; run < first[y + 1]; run++) each(this.numbers[run], y, starts[run], ends[run]);
    }
  }
}

/** The runs of a mask row by row: those of row y are numbers `first[y]` to `first[y + 1]`, ends exclusive. */
interface Runs {
  readonly height: number;
  readonly first: Int32Array;
  readonly starts: number[];
  readonly ends: number[];
}

/** The parts of the pixels of `mask` [height, width] that are `inside` (1: the mask, 0: what is around it). */
export function partsOf(
  mask: Uint8Array,
  width: number,
  height: number,
  connectivity: 4 | 8,
  inside: 0 | 1 = 1,
): Parts {
  const runs = runsOf(mask, width, height, inside);
  const parents = Int32Array.from(runs.starts, (_, run) => run);
  const reach = connectivity === 8 ? 1 : 0;
  for (let y = 1; y < height; y++) {
    let above = runs.first[y - 1];
    for (let run = runs.first[y]; run < runs.first[y + 1]; run++) {
      while (above < runs.first[y] && runs.ends[above] + reach <= runs.starts[run]) above++;
      for (let other = above; other < runs.first[y] && runs.starts[other] < runs.ends[run] + reach; other++) {
        join(parents, run, other);
      }
    }
  }
  let count = 0;
  const numbers = new Int32Array(parents.length);
  for (let run = 0; run < parents.length; run++) {
    const of = root(parents, run);
    numbers[run] = of === run ? ++count : numbers[of];
  }
  return new Parts(count, runs, numbers, width);
}

function runsOf(mask: Uint8Array, width: number, height: number, inside: 0 | 1): Runs {
  const first = new Int32Array(height + 1);
  const [starts, ends]: [number[], number[]] = [[], []];
  for (let y = 0; y < height; y++) {
    const row = mask.subarray(y * width, (y + 1) * width);
    for (let start = row.indexOf(inside); start >= 0;) {
      const end = row.indexOf(1 - inside, start);
      starts.push(start);
      ends.push(end < 0 ? width : end);
      start = end < 0 ? -1 : row.indexOf(inside, end);
    }
    first[y + 1] = starts.length;
  }
  return { height, first, starts, ends };
}

/** Both belong to the root that comes first from now on. */
function join(parents: Int32Array, one: number, other: number): void {
  const [a, b] = [root(parents, one), root(parents, other)];
  parents[Math.max(a, b)] = Math.min(a, b);
}

function root(parents: Int32Array, label: number): number {
  while (parents[label] !== label) {
    parents[label] = parents[parents[label]];
    label = parents[label];
  }
  return label;
}
