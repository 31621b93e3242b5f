// COCO's text form of run-length codes: six bits a character, lowest first, differences from the third run on.

import type { Rle } from "../engine/engine";

export function toText({ counts }: Rle): string {
  let text = "";
  counts.forEach((count, run) => {
    let value = run > 2 ? count - counts[run - 2] : count;
    for (let more = true; more;) {
      const bits = value & 31;
      value >>= 5;
      more = bits & 16 ? value !== -1 : value !== 0;
      text += String.fromCharCode(48 + bits + (more ? 32 : 0));
    }
  });
  return text;
}

/** The code of a text; RangeError if it is damaged or does not fill the image. */
export function fromText(text: string, size: [number, number]): Rle {
  const counts: number[] = [];
  let [value, shift] = [0, 0];
  for (const character of text) {
    const bits = character.charCodeAt(0) - 48;
    if (bits < 0 || bits > 63 || shift > 30) throw new RangeError("A run-length code is damaged.");
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if (bits & 32) continue;
    if (bits & 16) value -= 2 ** shift;
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
    [value, shift] = [0, 0];
  }
  return checked({ size, counts });
}

/** The same code; RangeError if its runs do not fill the image. */
export function checked(rle: Rle): Rle {
  const whole = rle.counts.every((count) => Number.isInteger(count) && count >= 0);
  const pixels = rle.counts.reduce((sum, count) => sum + count, 0);
  if (!whole || pixels !== rle.size[0] * rle.size[1]) throw new RangeError("A run-length code is damaged.");
  return rle;
}
