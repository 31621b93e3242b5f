/** What was pointed at, as a decoder takes it: `samlet.prompts`, for one prompt. */

import type { Prompts } from "../engine";
import { EngineError } from "../engine";
import type { Point } from "./clean";
import { type BoxXyxy, clamp, type ImageFrame, type SizeHw } from "./frame";

const PADDING = -1;
const BOX_TOP_LEFT = 2;
const BOX_BOTTOM_RIGHT = 3;
const BOX_OVERHANG_PX = 1;

/** Clicks in pixels of the photo with their labels (1 in, 0 out), and a box or none. */
export class Prompt {
  constructor(
    readonly clicks: readonly Point[],
    readonly labels: readonly number[],
    readonly box: BoxXyxy | null,
  ) {}

  /** The page's prompt about a photo of `sizeHw`; EngineError in the words of the library if it is none. */
  static of(prompts: Prompts, sizeHw: SizeHw): Prompt {
    const box = prompts.box ?? null;
    if (prompts.points.length !== prompts.labels.length) {
      throw refused(
        `${prompts.labels.length} labels do not fit ${prompts.points.length} points: give one label per point.`,
      );
    }
    const wrong = prompts.labels.find((label) => label !== 0 && label !== 1);
    if (wrong !== undefined) throw refused(`A point's label is ${wrong}: use 1 for foreground or 0 for background.`);
    if (prompts.points.length === 0 && box === null && prompts.hint === undefined) {
      throw refused("No prompt given: give at least one point or one box.");
    }
    for (const point of prompts.points) checkPoint(point, sizeHw);
    if (box !== null) checkBox(box, sizeHw);
    return new Prompt(prompts.points, prompts.labels, box);
  }

  get positive(): Point[] {
    return this.clicks.filter((_, k) => this.labels[k] === 1);
  }

  get negative(): Point[] {
    return this.clicks.filter((_, k) => this.labels[k] === 0);
  }

  get isEmpty(): boolean {
    return this.clicks.length === 0 && this.box === null;
  }

  /** Whether it is a click on something and nothing else: `are_one_click` of `samlet.dialogue`. */
  get isOneClick(): boolean {
    return this.box === null && this.clicks.length === 1 && this.positive.length === 1;
  }

  /** The question of each turn and the click that is new in it: the box at once, clicks one after the other, a positive one first. */
  turns(): { asked: Prompt; click?: Point }[] {
    const positive = this.labels.indexOf(1);
    const order = this.clicks.map((_, k) => k).filter((k) => k !== positive);
    if (positive >= 0) order.unshift(positive);
    const upTo = (count: number) => {
      const shown = new Set(order.slice(0, count));
      const only = <Item>(items: readonly Item[]) => items.filter((_, k) => shown.has(k));
      return new Prompt(only(this.clicks), only(this.labels), this.box);
    };
    const first = this.box === null ? 1 : 0;
    const turn = (count: number) => ({ asked: upTo(count), click: this.clicks[order[count - 1]] });
    return Array.from({ length: order.length + 1 - first }, (_, number) => turn(first + number));
  }

  /** The same question in the pixels of a window, with a box; clicks outside of the window are left out. */
  within([left, top, right, bottom]: BoxXyxy, box: BoxXyxy): Prompt {
    const inside = this.clicks.map(([x, y]) => x >= left && y >= top && x < right && y < bottom);
    return new Prompt(
      this.clicks.filter((_, k) => inside[k]).map(([x, y]) => [x - left, y - top]),
      this.labels.filter((_, k) => inside[k]),
      [box[0] - left, box[1] - top, box[2] - left, box[3] - top],
    );
  }

  /** Points [T, 2] in pixels of the prompt canvas and labels [T], as the decoder eats them. */
  tokens(frame: ImageFrame): { points: Float32Array; labels: BigInt64Array } {
    const points: Point[] = [...this.clicks];
    const labels = [...this.labels];
    if (this.box !== null) {
      const [left, top, right, bottom] = clipped(this.box, frame.sizeHw);
      points.push([left, top], [right, bottom]);
      labels.push(BOX_TOP_LEFT, BOX_BOTTOM_RIGHT);
    } else if (points.length > 0) {
      points.push([0, 0]);
      labels.push(PADDING);
    }
    return {
      points: Float32Array.from(points.flatMap(([x, y]) => frame.toPrompt(x, y))),
      labels: BigInt64Array.from(labels.map(BigInt)),
    };
  }
}

function clipped([left, top, right, bottom]: BoxXyxy, [height, width]: SizeHw): BoxXyxy {
  return [clamp(left, 0, width), clamp(top, 0, height), clamp(right, 0, width), clamp(bottom, 0, height)];
}

function checkPoint([x, y]: Point, [height, width]: SizeHw): void {
  if (x >= 0 && y >= 0 && x < width && y < height) return;
  throw refused(`Point (${x}, ${y}) lies outside the image, which is ${width} x ${height} pixels (x, y).`);
}

function checkBox([left, top, right, bottom]: BoxXyxy, [height, width]: SizeHw): void {
  const listed = `(${left}, ${top}, ${right}, ${bottom})`;
  if (!(left < right && top < bottom)) {
    throw refused(`Box ${listed} is empty or inverted: boxes are XYXY pixels (left, top, right, bottom).`);
  }
  const reaches =
    Math.min(left, top) >= -BOX_OVERHANG_PX && right <= width + BOX_OVERHANG_PX && bottom <= height + BOX_OVERHANG_PX;
  if (reaches && left < width && top < height && right > 0 && bottom > 0) return;
  throw refused(`Box ${listed} lies outside the image, which is ${width} x ${height} pixels (x, y).`);
}

function refused(sentence: string): EngineError {
  return new EngineError(sentence, 400);
}
