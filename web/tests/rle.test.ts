import { describe, expect, it } from "vitest";
import type { Rle } from "../src/engine/engine";
import { area, boxOf, contains, empty, fromWindow, intersect, isEmpty, subtract, union, windowOf } from "../src/mask/rle";

const [HEIGHT, WIDTH] = [7, 9];

/** A mask of noise: every kind of run, at the borders too. */
function noise(seed: number, share = 0.5): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length: HEIGHT * WIDTH }, () => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return state / 0x7fffffff < share ? 1 : 0;
  });
}

function coded(pixels: Uint8Array): Rle {
  return fromWindow({ left: 0, top: 0, width: WIDTH, height: HEIGHT, pixels }, [HEIGHT, WIDTH]);
}

function pixelsOf(rle: Rle): number[] {
  return Array.from({ length: HEIGHT * WIDTH }, (_, place) =>
    contains(rle, (place % WIDTH) + 0.5, Math.floor(place / WIDTH) + 0.5) ? 1 : 0,
  );
}

describe("a run-length code", () => {
  it("goes column by column and counts zeros first, as COCO does", () => {
    const rle = fromWindow({ left: 1, top: 0, width: 1, height: 2, pixels: Uint8Array.from([1, 1]) }, [3, 4]);
    expect(rle).toEqual({ size: [3, 4], counts: [3, 2, 7] });
  });

  it.each([1, 2, 3, 4])("holds every pixel of noise %i", (seed) => {
    const pixels = noise(seed);
    const rle = coded(pixels);
    expect(pixelsOf(rle)).toEqual([...pixels]);
    expect(rle.counts.reduce((a, b) => a + b)).toBe(HEIGHT * WIDTH);
    expect(rle.counts.slice(1).every((count) => count > 0)).toBe(true);
    expect(area(rle)).toBe(pixels.reduce((a, b) => a + b));
  });

  it.each([
    [1, 2],
    [3, 4],
    [5, 5],
  ])("is combined pixel by pixel (noise %i and %i)", (one, other) => {
    const [a, b] = [noise(one), noise(other, 0.3)];
    const [first, second] = [coded(a), coded(b)];
    expect(pixelsOf(union(first, second))).toEqual([...a].map((value, i) => value | b[i]));
    expect(pixelsOf(subtract(first, second))).toEqual([...a].map((value, i) => value & (1 - b[i])));
    expect(pixelsOf(intersect(first, second))).toEqual([...a].map((value, i) => value & b[i]));
  });

  it("combines empty, full and codes with zero runs", () => {
    const size: [number, number] = [2, 2];
    const full: Rle = { size, counts: [0, 4] };
    expect(union(empty(size), full)).toEqual(full);
    expect(isEmpty(subtract(full, full))).toBe(true);
    expect(area(subtract(full, { size, counts: [1, 0, 1, 1, 1] }))).toBe(3);
    expect(() => union(full, empty([3, 3]))).toThrow(RangeError);
  });

  it("has a tight box and a window", () => {
    const rle: Rle = { size: [4, 5], counts: [5, 2, 2, 2, 9] };
    expect(boxOf(rle)).toEqual([1, 1, 2, 2]);
    expect(windowOf(rle, 1)).toMatchObject({ left: 0, top: 0, width: 4, height: 4 });
    expect(boxOf(empty([4, 5]))).toEqual([0, 0, 0, 0]);
    expect(boxOf({ size: [4, 5], counts: [3, 2, 15] })).toEqual([0, 0, 2, 4]); // a run over the end of a column
    expect(fromWindow(windowOf(rle, 3), [4, 5])).toEqual(rle); // a window that leaves the image is cut
  });

  it("knows nothing outside of the image", () => {
    const full: Rle = { size: [2, 3], counts: [0, 6] };
    for (const [x, y] of [[-0.1, 0], [0, -1], [3, 0], [0, 2]]) expect(contains(full, x, y)).toBe(false);
    expect(contains(full, 2.9, 1.9)).toBe(true);
  });
});
