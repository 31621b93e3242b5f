import { describe, expect, it } from "vitest";
import { fillRings, strokeMask } from "../src/mask/fill";
import { middles, simplify, trace, type Ring } from "../src/mask/outline";
import { area, boxOf, contains, empty, fromWindow, isEmpty } from "../src/mask/rle";

const SIZE: [number, number] = [12, 15];

function drawn(rows: string[], size: [number, number] = [rows.length, rows[0].length]) {
  const pixels = Uint8Array.from(rows.join(""), (letter) => (letter === "#" ? 1 : 0));
  return fromWindow({ left: 0, top: 0, width: rows[0].length, height: rows.length, pixels }, size);
}

const SHAPES = {
  ring: ["#####", "#...#", "#.#.#", "#...#", "#####"],
  diagonal: ["#..", ".#.", "..#"],
  "hole at a corner": ["####", "#.##", "##.#", "####"],
  "at the border": ["###", "###", "..#"],
};

describe("outlines", () => {
  it.each(Object.entries(SHAPES))("of %s give the mask again when they are filled", (_, rows) => {
    const mask = drawn(rows);
    expect(fillRings(trace(mask), mask.size)).toEqual(mask);
  });

  it("of nothing are none", () => {
    expect(trace(empty([4, 4]))).toEqual([]);
    expect(fillRings([], [4, 4])).toEqual(empty([4, 4]));
  });

  it("have a ring for the outside and one for each hole", () => {
    expect(trace(drawn(SHAPES.ring))).toHaveLength(3);
  });

  it("are calmer through the middles of edges, and enclose about the same", () => {
    const [ring] = trace(drawn(["#.", "##", "##", "##"]));
    expect(middles(ring).length).toBeGreaterThanOrEqual(ring.length);
    const disc = strokeMask([[40, 40]], 30, [80, 80]);
    const smooth = fillRings(trace(disc).map(middles), [80, 80]);
    expect(Math.abs(area(smooth) - area(disc)) / area(disc)).toBeLessThan(0.01);
  });

  it("lose corners only within the tolerance", () => {
    const disc = strokeMask([[40, 40]], 30, [80, 80]);
    const [ring] = trace(disc);
    const fewer = simplify(ring, 1);
    expect(fewer.length).toBeLessThan(ring.length / 3);
    expect(Math.abs(area(fillRings([fewer], [80, 80])) - area(disc)) / area(disc)).toBeLessThan(0.03);
    const square: Ring = [[0, 0], [4, 0], [4, 4], [0, 4]];
    expect(simplify(square, 10)).toEqual(square);
  });
});

describe("a brush", () => {
  it("leaves at least the pixel it touches", () => {
    expect(boxOf(strokeMask([[3.2, 4.7]], 0.1, SIZE))).toEqual([3, 4, 1, 1]);
  });

  it("is round and joins the places of its way", () => {
    const stroke = strokeMask([[3, 6], [11, 6]], 2, SIZE);
    expect(boxOf(stroke)).toEqual([1, 4, 12, 4]);
    expect(contains(stroke, 7, 6)).toBe(true);
    expect(contains(stroke, 1.5, 4.5)).toBe(false); // the corner of its box
  });

  it("stays in the image", () => {
    expect(isEmpty(strokeMask([[-20, -20]], 3, SIZE))).toBe(true);
    expect(boxOf(strokeMask([[0, 0]], 3, SIZE))).toEqual([0, 0, 3, 3]);
  });
});
