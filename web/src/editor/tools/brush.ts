// Paint a mask, or rub parts of it out. Works on the draft, else on the chosen layer; paint without either begins one.

import { strokeMask } from "../../mask/fill";
import { toScreen, type View } from "../../view/viewport";
import type { Pen } from "../../view/paint";
import { pointOf, type Bench, type Press, type Tool } from "./tool";

export class BrushTool implements Tool {
  readonly cursor = "none";
  private way: [number, number][] | null = null;
  private adding = true;
  private at: Press | null = null;

  constructor(
    private readonly bench: Bench,
    private readonly adds: boolean,
  ) {}

  hover(at: Press): void {
    this.at = at;
    this.bench.redraw();
  }

  leave(): void {
    this.at = null;
    this.bench.redraw();
  }

  down(at: Press): void {
    this.adding = this.adds !== at.out; // the other button does the other thing
    this.way = [pointOf(at)];
    this.hover(at);
  }

  move(at: Press): void {
    this.way?.push(pointOf(at));
    this.hover(at);
  }

  up(at: Press): void {
    const { editor, brushRadius } = this.bench;
    const { way } = this;
    this.way = null;
    if (way && editor.size) editor.paint(strokeMask(way, brushRadius / at.scale, editor.size), this.adding);
    this.bench.redraw();
  }

  cancel(): boolean {
    const begun = this.way !== null;
    this.way = null;
    this.bench.redraw();
    return begun;
  }

  paint(pen: Pen, view: View): void {
    const { brushRadius, editor } = this.bench;
    if (this.way) {
      pen.save();
      pen.lineCap = pen.lineJoin = "round";
      pen.lineWidth = 2 * brushRadius;
      pen.strokeStyle = this.adding ? this.bench.color(editor.draft?.label ?? editor.label) : "#fff";
      pen.globalAlpha = 0.55;
      pen.beginPath();
      this.way.forEach((point) => pen.lineTo(...toScreen(view, point)));
      pen.lineTo(...toScreen(view, this.way[this.way.length - 1]));
      pen.stroke();
      pen.restore();
    }
    if (this.at) this.paintRing(pen, toScreen(view, pointOf(this.at)));
  }

  private paintRing(pen: Pen, [x, y]: [number, number]): void {
    const { brushRadius } = this.bench;
    pen.save();
    for (const [line, width] of [["rgba(0, 0, 0, 0.6)", 3], ["#fff", 1.5]] as const) {
      pen.strokeStyle = line;
      pen.lineWidth = width;
      pen.setLineDash(this.adds || line !== "#fff" ? [] : [4, 3]);
      pen.beginPath();
      pen.arc(x, y, brushRadius, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.restore();
  }
}
