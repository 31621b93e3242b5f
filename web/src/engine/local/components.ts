/** Connected parts of a mask, with their areas and boxes. */

/** Parts 1, 2, … of a mask in the order of their first pixels, row by row; what is known of part n stands at index n. */
export interface Parts {
  /** Number of the part at every pixel, 0 outside. */
  readonly map: Int32Array;
  readonly count: number;
  readonly area: Int32Array;
  readonly left: Int32Array;
  readonly top: Int32Array;
  /** Ends exclusive. */
  readonly right: Int32Array;
  readonly bottom: Int32Array;
}

/** The parts of the pixels of `mask` [height, width] that are `inside` (1: the mask, 0: what is around it). */
export function partsOf(
  mask: Uint8Array,
  width: number,
  height: number,
  connectivity: 4 | 8,
  inside: 0 | 1 = 1,
): Parts {
  const map = new Int32Array(mask.length);
  const parents = [0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = y * width + x;
      if (mask[place] !== inside) continue;
      let label = x > 0 ? map[place - 1] : 0;
      if (y > 0) {
        const above = place - width;
        label = joined(parents, label, map[above]);
        if (connectivity === 8) {
          if (x > 0) label = joined(parents, label, map[above - 1]);
          if (x + 1 < width) label = joined(parents, label, map[above + 1]);
        }
      }
      if (label === 0) {
        label = parents.length;
        parents.push(label);
      }
      map[place] = label;
    }
  }
  return measured(map, parents, width, height);
}

/** The smaller root of two labels, of which 0 is none; both belong to it from now on. */
function joined(parents: number[], one: number, other: number): number {
  if (other === 0 || one === other) return one;
  if (one === 0) return other;
  const [a, b] = [root(parents, one), root(parents, other)];
  const least = Math.min(a, b);
  parents[Math.max(a, b)] = least;
  return least;
}

function root(parents: number[], label: number): number {
  while (parents[label] !== label) {
    parents[label] = parents[parents[label]];
    label = parents[label];
  }
  return label;
}

function measured(map: Int32Array, parents: number[], width: number, height: number): Parts {
  const numbers = new Int32Array(parents.length);
  let count = 0;
  for (let label = 1; label < parents.length; label++) {
    const of = root(parents, label);
    numbers[label] = of === label ? ++count : numbers[of];
  }
  const [area, left, top] = [
    new Int32Array(count + 1),
    new Int32Array(count + 1).fill(width),
    new Int32Array(count + 1).fill(height),
  ];
  const [right, bottom] = [new Int32Array(count + 1), new Int32Array(count + 1)];
  for (let y = 0, place = 0; y < height; y++) {
    for (let x = 0; x < width; x++, place++) {
      const part = (map[place] = numbers[map[place]]);
      if (part === 0) continue;
      area[part] = area[part] + 1;
      if (x < left[part]) left[part] = x;
      if (x >= right[part]) right[part] = x + 1;
      if (y < top[part]) top[part] = y;
      bottom[part] = y + 1;
    }
  }
  return { map, count, area, left, top, right, bottom };
}
