// A mask as PNG, 0 and 255.

import type { Rle } from "../engine/engine";
import { windowOf } from "../mask/rle";
import { crc32, numbers } from "./bytes";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const UP = 2; // the filter of every row: its difference to the one above, mostly zeros in masks

export async function maskPng(rle: Rle): Promise<Blob> {
  const [height, width] = rle.size;
  const { left, top, width: wide, height: high, pixels } = windowOf(rle);
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) {
    const start = y * (width + 1);
    rows[start] = UP;
    for (let x = 0; x < wide; x++) {
      const at = (row: number) => (row >= top && row < top + high ? 255 * pixels[(row - top) * wide + x] : 0);
      rows[start + 1 + left + x] = at(y) - at(y - 1);
    }
  }
  const packed = await new Response(
    new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate")),
  ).arrayBuffer();
  const header = numbers(false, [4, width], [4, height], [1, 8], [1, 0], [1, 0], [1, 0], [1, 0]);
  const parts = [
    ...chunk("IHDR", header),
    ...chunk("IDAT", new Uint8Array(packed)),
    ...chunk("IEND", new Uint8Array()),
  ];
  return new Blob([SIGNATURE, ...parts], { type: "image/png" });
}

function chunk(kind: string, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const name = Uint8Array.from(kind, (character) => character.charCodeAt(0));
  return [numbers(false, [4, body.length]), name, body, numbers(false, [4, crc32(name, body)])];
}
