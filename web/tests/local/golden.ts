import { readFileSync } from "node:fs";
import type { ImageSpec } from "../../src/engine/local/frame";
import type { Photo } from "../../src/engine/local/resize";

// What the library says: tests/web/golden_numbers.py writes it.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Case = any;

export const golden = JSON.parse(readFileSync(new URL("golden.json", import.meta.url), "utf8")) as {
  [name in "resized" | "frames" | "patches" | "samples" | "guided" | "cleaned" | "corrected" | "windows" | "tokens" | "tallies" | "levels"]: Case[];
} & { [name in "pixels" | "plain" | "project"]: Case };

export const SPEC: ImageSpec = {
  canvas: 48,
  prompt_canvas: 64,
  low_res: 16,
  mean: [123.675, 116.28, 103.53],
  std: [58.395, 57.12, 57.375],
};

export function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "base64"));
}

export function floats(text: string): Float32Array {
  return new Float32Array(bytes(text).buffer);
}

/** A photo of three channels with the fourth that browsers add. */
export function photoOf(text: string, [height, width]: [number, number]): Photo {
  const rgb = bytes(text);
  const data = new Uint8Array(height * width * 4).fill(255);
  for (let place = 0; place < height * width; place++) data.set(rgb.subarray(3 * place, 3 * place + 3), 4 * place);
  return { data, width, height };
}

export function furthest(one: ArrayLike<number>, other: ArrayLike<number>): number {
  if (one.length !== other.length) return Infinity;
  return Array.from(one).reduce((most, value, place) => Math.max(most, Math.abs(value - other[place])), 0);
}
