// Click what is meant: in with the left button, out with the other or with shift. A click on a point takes it away.

import { distance } from "../../mask/outline";
import { paintPreview, type Pen } from "../../view/paint";
import type { View } from "../../view/viewport";
import { NEAR, pointOf, within, type Bench, type Press, type Tool } from "./tool";

export class PointTool implements Tool {
  readonly cursor = "crosshair";
  private pressed: Press | null = null;

  constructor(private readonly bench: Bench) {}

  hover(at: Press): void {
    const { editor } = this.bench;
    const free = !editor.draft && !editor.waiting && within(editor, at);
    editor.previewAt(free ? pointOf(at) : null);
  }

  leave(): void {
    this.bench.editor.stopPreview();
  }

  down(at: Press): void {
    this.pressed = at;
  }

  move(): void {
    // a click that trembles is one where it began
  }

  up(): void {
    const at = this.pressed;
    this.pressed = null;
    const { editor } = this.bench;
    if (!at || !within(editor, at)) return;
    const near = NEAR / at.scale;
    const hit = editor.draft?.points.findIndex((point) => distance(point, pointOf(at)) <= near) ?? -1;
    if (hit >= 0) editor.removePoint(hit);
    else editor.addPoint(pointOf(at), at.out && (editor.draft || editor.waiting) ? 0 : 1); // nothing to take away yet
  }

  cancel(): boolean {
    this.pressed = null;
    return false;
  }

  paint(pen: Pen, view: View): void {
    const { editor } = this.bench;
    if (editor.preview) paintPreview(pen, view, editor.preview.rle, this.bench.color(editor.label));
  }
}
