// What a tool is: it hears of the pointer in image pixels and draws what it is about to do.

import type { Pen } from "../../view/paint";
import type { View } from "../../view/viewport";
import type { Editor } from "../editor.svelte";

export type Mode = "select" | "point" | "box" | "brush" | "eraser" | "polygon" | "everything";

/** The pointer, in image pixels. */
export interface Press {
  x: number;
  y: number;
  /** the other button, shift, or the switch for fingers: out instead of in, cut instead of add */
  out: boolean;
  /** ctrl or command: one more instead of another */
  more: boolean;
  /** CSS pixels for one of the image */
  scale: number;
}

export interface Tool {
  readonly cursor: string;
  hover(at: Press): void;
  leave(): void;
  down(at: Press): void;
  move(at: Press): void;
  up(at: Press): void;
  /** Takes back what is begun; false if nothing is. */
  cancel(): boolean;
  /** Ends what is begun; false if nothing is. */
  finish?(): boolean;
  /** Removes the part that is chosen; false if none is. */
  remove?(): boolean;
  /** A double click. */
  twice?(at: Press): void;
  paint(pen: Pen, view: View): void;
}

/** What tools need of the page. */
export interface Bench {
  readonly editor: Editor;
  /** the radius of the brush in CSS pixels */
  readonly brushRadius: number;
  color(label: string): string;
  redraw(): void;
}

export const NEAR = 9; // CSS pixels within which a handle is meant

export const pointOf = (press: Press): [number, number] => [press.x, press.y];

export function within(editor: Editor, { x, y }: Press): boolean {
  return editor.size !== null && x >= 0 && y >= 0 && x < editor.size[1] && y < editor.size[0];
}

/** The nearest place inside of the image. */
export function clamped(editor: Editor, { x, y }: Press): [number, number] {
  const [height, width] = editor.size ?? [0, 0];
  return [Math.max(0, Math.min(width, x)), Math.max(0, Math.min(height, y))];
}
