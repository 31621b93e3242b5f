/**
 * Everything mode, as the fast mode of `samlet.everything`: a grid of clicks, and filters that leave one mask for each
 * thing.
 */

import { fromWindow } from "../../mask/rle";
import type { Rle } from "../engine";
import type { Point } from "./clean";
import { Edges, gridOver } from "./edges";
import type { BoxXyxy } from "./frame";
import type { Features, Graphs, Manifest } from "./graphs";
import { Patch } from "./patch";
import { Prompt } from "./prompts";
import type { Photo } from "./resize";
import { coarseToFine, Tally } from "./tally";
import { sizeOf } from "./windows";

const BOX_NMS_THRESH = 0.7;
const CLICKS_PER_RUN = 4;
const FAST_STRIDE = 8;
const ENOUGH_CLICKS = 2; // with masks over a place: it is not asked about again
const LEAST_IOU = 1e-3; // some models predict an IoU of 0 or below, or above 1

/** A mask that passed the filters; its pixels are made at the end. */
interface Sketch {
  readonly box: BoxXyxy;
  readonly iou: number;
  readonly patch: Patch;
  readonly click: Point;
}

export interface Found {
  readonly rle: Rle;
  readonly iou: number;
  /** What asked for it, in pixels of the photo. */
  readonly click: Point;
}

/**
 * All masks of a photo, best predicted IoU first, their outlines at its edges if its pixels are known. `advance` is told
 * the clicks done and their total, and is waited for: it may let other work pass, or throw to stop.
 */
export async function everything(
  graphs: Graphs,
  features: Features,
  photo: Photo | null,
  pointsPerSide: number,
  advance: (done: number, total: number) => Promise<void>,
): Promise<Found[]> {
  const [height, width] = features.frame.sizeHw;
  const clicks = grid(pointsPerSide).map(([x, y]): Point => [x * width, y * height]);
  const tally = new Tally(features.frame);
  const found: Sketch[] = [];
  let done = 0;
  for (const level of coarseToFine(pointsPerSide, FAST_STRIDE)) {
    const left = level.filter((number) => tally.at(clicks[number]) < ENOUGH_CLICKS);
    done += level.length - left.length;
    if (left.length < level.length) await advance(done, clicks.length);
    for (let start = 0; start < left.length; start += CLICKS_PER_RUN) {
      const some = left.slice(start, start + CLICKS_PER_RUN);
      const asked = some.map((number) => new Prompt([clicks[number]], [1], null));
      for (const [row, sketch] of await sketches(graphs, features, asked)) {
        tally.add(some[row], sketch.patch);
        found.push(sketch);
      }
      done += some.length;
      await advance(done, clicks.length);
    }
  }
  const edges = Edges.of(graphs.manifest);
  return suppressed(found).map(({ patch, iou, click }) => ({ rle: codeOf(patch, photo, edges), iou, click }));
}

/** The mask at the size of the photo, its outline where that has edges; of something tiny nothing may be left there. */
function codeOf(patch: Patch, photo: Photo | null, edges: Edges): Rle {
  if (photo === null) return patch.code();
  const window = edges.around(patch);
  const [height, width] = sizeOf(window);
  const pixels = edges.mask(patch.sample(window, gridOver([height, width]).gridHw), photo, window);
  if (!pixels.includes(1)) return patch.code();
  return fromWindow({ left: window[0], top: window[1], width, height, pixels }, [...patch.frame.sizeHw]);
}

/** The masks that pass, each with the number of its prompt. */
async function sketches(graphs: Graphs, features: Features, prompts: readonly Prompt[]): Promise<[number, Sketch][]> {
  const leastIou = graphs.manifest.pred_iou_thresh ?? 0.88;
  const found: [number, Sketch][] = [];
  const answers = await graphs.decodeAll(features, prompts);
  for (const [row, answer] of answers.entries()) {
    const columns = graphs.multimask.filter((column) => leastIou <= 0 || answer.iou[column] > leastIou);
    (await answer.lowRes(columns)).forEach((logits, k) => {
      const patch = Patch.cut(logits, features.frame, -1);
      const iou = answer.iou[columns[k]];
      if (!patch.isStable(leastStability(graphs.manifest, iou, patch))) return;
      found.push([row, { box: patch.imageBox(), iou, patch, click: prompts[row].clicks[0] }]);
    });
  }
  return found;
}

/** How stable a mask must be: the same for all, or by `ThingRule` of `samlet.spec` the less, the surer and larger it is. */
export function leastStability(manifest: Manifest, iou: number, patch: Patch): number {
  const { thing_rule: rule, stability_score_thresh: least = 0.95 } = manifest;
  if (!rule) return least;
  const odds = Math.log(Math.max(iou, LEAST_IOU) / Math.max(1 - iou, LEAST_IOU));
  return 1 / (1 + Math.exp(rule.level + rule.iou * odds + rule.size * Math.sqrt(patch.share())));
}

/** Of masks whose boxes overlap more than the threshold the one with the best predicted IoU, best first. */
function suppressed(found: readonly Sketch[]): Sketch[] {
  const kept: Sketch[] = [];
  for (const sketch of [...found].sort((a, b) => b.iou - a.iou)) {
    if (kept.every((better) => overlap(better.box, sketch.box) <= BOX_NMS_THRESH)) kept.push(sketch);
  }
  return kept;
}

/** Intersection over union of two boxes in float32, as torchvision and the library compare them. */
function overlap(one: BoxXyxy, other: BoxXyxy): number {
  const wide = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]));
  const high = Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));
  const area = ([left, top, right, bottom]: BoxXyxy) => Math.fround((right - left) * (bottom - top));
  const both = Math.fround(wide * high);
  const either = Math.fround(Math.fround(area(one) + area(other)) - both);
  return either > 0 ? Math.fround(both / either) : 0;
}

function grid(perSide: number): [number, number][] {
  const ticks = Array.from({ length: perSide }, (_, k) => (k + 0.5) / perSide);
  return ticks.flatMap((y) => ticks.map((x): [number, number] => [x, y]));
}
