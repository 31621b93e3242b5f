/**
 * The verb for people: an answer, a second look at it, edges where the photo has them, no specks. The same steps with
 * the same numbers as `samlet.segmenting`, for one prompt.
 */

import { fromWindow } from "../../mask/rle";
import type { Rle } from "../engine";
import { cleaned, type Point } from "./clean";
import { partsOf } from "./components";
import { corrected } from "./corrections";
import { Edges, gridOver } from "./edges";
import { type BoxXyxy, clamp, type ImageFrame, type Logits } from "./frame";
import type { Answer, Features, Framing, Graphs } from "./graphs";
import { BEYOND, Patch, stabilityOf } from "./patch";
import { toPixels } from "./pixels";
import type { Prompt } from "./prompts";
import type { Photo } from "./resize";
import { sizeOf, windowAround } from "./windows";

// How a second look is framed after later clicks, which may ask for more; `WIDE` of `samlet.geometry.windows`.
const WIDE: Framing = { margin: 0.4, least_of_box: 0.4, least_of_click: 0.33, most: 0.7 };
const FREE_SHARE = 0.3; // of the photo: a mask up to here has no penalty for its size

/** A mask of the photo, what the model thinks of it, and the logits that a later question may take as a hint. */
export interface Segmented {
  readonly rle: Rle;
  readonly iou: number;
  readonly stability: number;
  readonly lowRes: Logits;
  /** The network's own candidates, best first, where the answer was chosen from them. */
  readonly candidates?: readonly Candidate[];
}

/** A mask as the network has it. */
export interface Candidate {
  readonly iou: number;
  readonly lowRes: Logits;
}

interface First extends Candidate {
  readonly candidates?: readonly Candidate[];
}

interface Look {
  readonly window: BoxXyxy;
  readonly frame: ImageFrame;
  readonly lowRes: Logits;
}

/** One clean mask for a prompt about a photo that was encoded before. */
export async function segment(
  graphs: Graphs,
  photo: Photo,
  features: Features,
  prompt: Prompt,
  hint?: Float32Array,
): Promise<Segmented> {
  const first = await dialogue(graphs, features, prompt, hint);
  const look = await secondLook(graphs, photo, features.frame, first, prompt);
  return { ...refined(graphs, photo, features.frame, first, look, prompt), ...first };
}

/** The masks of an ambiguous prompt, best predicted IoU first: upscaling all of them costs hardly more than one. */
export async function candidatesOf(graphs: Graphs, answer: Answer): Promise<Candidate[]> {
  return bestFirst(await masksOf(answer, graphs.multimask));
}

async function masksOf(answer: Answer, columns: readonly number[]): Promise<Candidate[]> {
  const logits = await answer.lowRes(columns);
  return columns.map((column, k) => ({ iou: answer.iou[column], lowRes: logits[k] }));
}

function bestFirst(candidates: readonly Candidate[]): Candidate[] {
  return [...candidates].sort((one, other) => other.iou - one.iou);
}

/** The mask that answers a prompt which leaves no doubt. */
export async function singleOf(graphs: Graphs, answer: Answer): Promise<Candidate> {
  return { iou: answer.iou[graphs.single], lowRes: (await answer.lowRes([graphs.single]))[0] };
}

/**
 * The network's answer, as in a dialogue: one more click a turn, with the last answer as a hint. The first turn takes
 * the best of the candidates; later ones leave no doubt what is meant, and change what the click lies in. A hint of the
 * user's own is the last answer already, to all but the last of several clicks.
 */
async function dialogue(graphs: Graphs, features: Features, prompt: Prompt, hint?: Float32Array): Promise<First> {
  if (hint !== undefined) {
    const several = prompt.clicks.length > 1;
    const answer = await chosen(graphs, features, prompt, several, hint);
    return several ? correctedAt(prompt.clicks[prompt.clicks.length - 1], hint, answer, features.frame) : answer;
  }
  let last: First | undefined;
  for (const { asked, click } of prompt.turns()) {
    const answer = await chosen(graphs, features, asked, last !== undefined, last?.lowRes.data);
    last = last && click ? correctedAt(click, last.lowRes.data, answer, features.frame) : answer;
  }
  if (last === undefined) throw new Error("a prompt without a hint has at least one turn");
  return last;
}

/** An answer to one more click, in pixels of the photo, where it corrects the last one. */
function correctedAt([x, y]: Point, last: Float32Array, answer: First, frame: ImageFrame): First {
  const scale = frame.lowRes / frame.promptCanvas;
  const [across, down] = frame.toPrompt(x, y);
  return { ...answer, lowRes: corrected(last, answer.lowRes, [across * scale, down * scale]) };
}

async function chosen(
  graphs: Graphs,
  features: Features,
  prompt: Prompt,
  single: boolean,
  hint?: Float32Array,
): Promise<First> {
  const answer = await graphs.decode(features, prompt, hint);
  if (single) return singleOf(graphs, answer);
  const penalty = hint === undefined && prompt.isOneClick ? (graphs.manifest.click_size_penalty ?? 0) : 0;
  if (penalty === 0) {
    const candidates = await candidatesOf(graphs, answer);
    return { ...candidates[0], candidates };
  }
  const every = await masksOf(answer, [...answer.iou.keys()]);
  const worth = every.map((candidate) => lessForSize(candidate, penalty, features.frame));
  const best = every[worth.indexOf(Math.max(...worth))];
  return { ...best, candidates: bestFirst(graphs.multimask.map((column) => every[column])) };
}

/** A predicted IoU less the penalty for the mask's share of the photo: `less_for_size` of `samlet.candidates`. */
export function lessForSize({ iou, lowRes }: Candidate, penalty: number, frame: ImageFrame): number {
  const [rows, columns] = frame.lowResHw;
  let inside = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) inside += Number(lowRes.data[row * lowRes.width + column] > 0);
  }
  return iou - penalty * Math.log(Math.max(inside / (rows * columns) / FREE_SHARE, 1));
}

/** A second answer in a window around the first one, encoded larger; none where the window fills the photo. */
async function secondLook(
  graphs: Graphs,
  photo: Photo,
  frame: ImageFrame,
  first: First,
  prompt: Prompt,
): Promise<Look | null> {
  const [height, width] = frame.sizeHw;
  const box = boxOfAnswer(frame, first, prompt);
  if (box === null) return null;
  const boxed = prompt.box !== null;
  const framing = prompt.clicks.length + Number(boxed) > 1 ? WIDE : (graphs.manifest.look ?? WIDE);
  const least = boxed ? framing.least_of_box : framing.least_of_click;
  const window = windowAround(around(box, prompt.positive), frame.sizeHw, framing.margin, least);
  const [high, wide] = sizeOf(window);
  if (high * wide >= framing.most * height * width) return null;
  const { pixels, frame: inWindow } = toPixels(photo, graphs.manifest.image, window);
  const features = await graphs.encode(pixels, inWindow);
  const asked = prompt.within(window, box);
  // A box that comes from the answer to a click is shown with it.
  const { lowRes } = await (prompt.isOneClick ? chosen(graphs, features, asked, false) : dialogue(graphs, features, asked));
  return { window, frame: inWindow, lowRes };
}

/** The box that the second look is given: the prompt's own, else that of the parts clicked on (or the largest). */
function boxOfAnswer(frame: ImageFrame, first: First, prompt: Prompt): BoxXyxy | null {
  if (prompt.box !== null) return prompt.box;
  const [height, width] = frame.sizeHw;
  const { stepPx, gridHw } = gridOver(frame.sizeHw);
  const logits = frame.sampleLogits(first.lowRes, [0, 0, width, height], gridHw);
  const parts = partsOf(inside(logits), logits.width, logits.height, 8);
  if (parts.count === 0) return null;
  const hit = new Set(
    prompt.positive.map(([x, y]) => {
      const column = clamp(Math.trunc(x / stepPx), 0, logits.width - 1);
      const row = clamp(Math.trunc(y / stepPx), 0, logits.height - 1);
      return parts.at(column, row);
    }),
  );
  hit.delete(0);
  if (hit.size === 0) hit.add(parts.area.reduce((best, area, part) => (area > parts.area[best] ? part : best), 1));
  const of = (values: Int32Array) => [...hit].map((part) => values[part]);
  return [
    Math.min(Math.min(...of(parts.left)) * stepPx, width),
    Math.min(Math.min(...of(parts.top)) * stepPx, height),
    Math.min(Math.max(...of(parts.right)) * stepPx, width),
    Math.min(Math.max(...of(parts.bottom)) * stepPx, height),
  ];
}

function around([left, top, right, bottom]: BoxXyxy, points: readonly Point[]): BoxXyxy {
  return [
    Math.min(left, ...points.map(([x]) => x)),
    Math.min(top, ...points.map(([, y]) => y)),
    Math.max(right, ...points.map(([x]) => x + 1)),
    Math.max(bottom, ...points.map(([, y]) => y + 1)),
  ];
}

function refined(
  graphs: Graphs,
  photo: Photo,
  frame: ImageFrame,
  first: First,
  look: Look | null,
  prompt: Prompt,
): { rle: Rle; stability: number } {
  const edges = Edges.of(graphs.manifest);
  const window = look?.window ?? edges.around(Patch.cut(first.lowRes, frame, BEYOND));
  const [high, wide] = sizeOf(window);
  const { gridHw } = gridOver([high, wide]);
  const logits = frame.sampleLogits(first.lowRes, window, gridHw);
  if (look !== null) {
    const again = look.frame.sampleLogits(look.lowRes, [0, 0, wide, high], gridHw);
    logits.data.forEach((logit, k) => (logits.data[k] = Math.fround(logit + again.data[k]) * 0.5));
  }
  const drawn = edges.mask(logits, photo, window);
  const shifted = (points: Point[]): Point[] => points.map(([x, y]) => [x - window[0], y - window[1]]);
  const photoPx = frame.sizeHw[0] * frame.sizeHw[1];
  const mask = cleaned(
    { data: drawn, width: wide, height: high },
    photoPx,
    shifted(prompt.positive),
    shifted(prompt.negative),
  );
  const [height, width] = frame.sizeHw;
  const rle = fromWindow({ left: window[0], top: window[1], width: wide, height: high, pixels: mask.data }, [
    height,
    width,
  ]);
  return { rle, stability: stabilityOf(logits.data) };
}

function inside(logits: Logits): Uint8Array {
  return Uint8Array.from(logits.data, (logit) => (logit > 0 ? 1 : 0));
}
