/**
 * Whether the graphics card may run the model: only a real card, whose masks are the CPU's, and that is quicker. Drivers
 * differ too much to be believed unseen, so both are asked one question about one picture, on the spot.
 */

import { ImageFrame } from "./frame";
import type { Graphs } from "./graphs";
import { Prompt } from "./prompts";

const LEAST_IOU = 0.99; // what the library asks of reduced precision too

interface Adapter {
  info?: { vendor?: string; architecture?: string; isFallbackAdapter?: boolean };
}

/** Whether the browser reaches a graphics card; software that plays one is slower than WebAssembly. */
export async function hasCard(scope: object = navigator): Promise<boolean> {
  const { gpu } = scope as { gpu?: { requestAdapter(): Promise<Adapter | null> } };
  const info = (await gpu?.requestAdapter().catch(() => null))?.info;
  return info !== undefined && !info.isFallbackAdapter && info.architecture !== "swiftshader";
}

/** Whether the card answers as the CPU does, and sooner. It is asked twice: the first time it compiles its programs. */
export async function cardIsBetter(card: Graphs, cpu: Graphs, now = () => performance.now()): Promise<boolean> {
  await answer(card);
  const [ofCard, cardMs] = await timed(card, now);
  const [ofCpu, cpuMs] = await timed(cpu, now);
  return cardMs < cpuMs && ofCard.length === ofCpu.length && ofCard.every((mask, k) => iou(mask, ofCpu[k]) >= LEAST_IOU);
}

async function timed(graphs: Graphs, now: () => number): Promise<[Float32Array[], number]> {
  const start = now();
  const masks = await answer(graphs);
  return [masks, now() - start];
}

/** All masks of a click on a disk, as low-resolution logits. */
async function answer(graphs: Graphs): Promise<Float32Array[]> {
  const { image, mask_tokens: count } = graphs.manifest;
  const side = image.canvas;
  const frame = ImageFrame.of([side, side], image);
  const features = await graphs.encode(disk(side), frame);
  const decoded = await graphs.decode(features, new Prompt([[side / 2, side / 2]], [1], null));
  const masks = await decoded.lowRes(Array.from({ length: count }, (_, column) => column));
  return masks.map(({ data }) => data);
}

/** Normalized pixels [3, side, side]: a bright disk with a soft edge on a dark slope. */
function disk(side: number): Float32Array {
  const pixels = new Float32Array(3 * side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = Math.hypot(x - side / 2, y - side / 2) - side / 4;
      const value = (2 * x) / side - 2 + 3 / (1 + Math.exp(from / 2));
      for (let channel = 0; channel < 3; channel++) pixels[(channel * side + y) * side + x] = value;
    }
  }
  return pixels;
}

/** Of what two answers call the object; two that call nothing one agree. 0 if a number is none. */
function iou(one: Float32Array, other: Float32Array): number {
  let both = 0;
  let either = 0;
  for (let k = 0; k < one.length; k++) {
    if (Number.isNaN(one[k])) return 0;
    const [inOne, inOther] = [one[k] > 0, other[k] > 0];
    if (inOne && inOther) both++;
    if (inOne || inOther) either++;
  }
  return either === 0 ? 1 : both / either;
}
