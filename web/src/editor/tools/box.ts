// Drag a box around an object. While it is dragged, the mask is shown as the model sees it.

import { paintBox, paintPreview, type Pen } from "../../view/paint";
import type { View } from "../../view/viewport";
import type { Box } from "../scene";
import { clamped, type Bench, type Press, type Tool } from "./tool";

const LEAST = 4; // CSS pixels: less is a click that trembled

export class BoxTool implements Tool {
  readonly cursor = "crosshair";
  private start: [number, number] | null = null;
  private box: Box | null = null;
  private at: Press | null = null;

  constructor(private readonly bench: Bench) {}

  hover(at: Press): void {
    this.at = at;
    this.bench.redraw();
  }

  leave(): void {
    this.at = null;
    this.bench.redraw();
  }

  down(at: Press): void {
    this.start = clamped(this.bench.editor, at);
  }

  move(at: Press): void {
    if (!this.start) return;
    const [x, y] = clamped(this.bench.editor, at);
    const [startX, startY] = this.start;
    this.box = [Math.min(x, startX), Math.min(y, startY), Math.max(x, startX), Math.max(y, startY)];
    if (this.isLarge(at.scale)) this.bench.editor.previewBox(this.box);
    this.bench.redraw();
  }

  up(at: Press): void {
    this.move(at);
    const { box } = this;
    const large = this.isLarge(at.scale);
    this.cancel();
    if (box && large) this.bench.editor.setBox(box);
  }

  cancel(): boolean {
    const begun = this.start !== null;
    this.start = this.box = null;
    this.bench.editor.stopPreview();
    this.bench.redraw();
    return begun;
  }

  paint(pen: Pen, view: View): void {
    const { editor } = this.bench;
    if (editor.preview) paintPreview(pen, view, editor.preview.rle, this.bench.color(editor.label));
    if (this.box) return paintBox(pen, view, this.box, false);
    if (this.at && !editor.draft) paintGuides(pen, view, this.at);
  }

  private isLarge(scale: number): boolean {
    return this.box !== null && Math.min(this.box[2] - this.box[0], this.box[3] - this.box[1]) * scale >= LEAST;
  }
}

/** Thin lines through the pointer: where the first corner would lie. */
function paintGuides(pen: Pen, view: View, at: Press): void {
  const [x, y] = [at.x * view.scale + view.x, at.y * view.scale + view.y];
  pen.save();
  for (const [color, dash] of [
    ["rgba(0, 0, 0, 0.35)", []],
    ["rgba(255, 255, 255, 0.75)", [4, 4]],
  ] as [string, number[]][]) {
    pen.strokeStyle = color;
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, pen.canvas.height);
    pen.moveTo(0, y);
    pen.lineTo(pen.canvas.width, y);
    pen.stroke();
  }
  pen.restore();
}
