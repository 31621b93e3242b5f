// Everything the model finds: masks light up under the pointer, a click takes one, a drag takes all it passes.

import type { MaskAnswer } from "../../engine/engine";
import { paintMask, type Pen } from "../../view/paint";
import type { View } from "../../view/viewport";
import { PALETTE, translucent } from "../palette";
import { pointOf, type Bench, type Press, type Tool } from "./tool";

export class EverythingTool implements Tool {
  readonly cursor = "pointer";
  private lit: MaskAnswer | null = null;
  private passed: Set<MaskAnswer> | null = null;

  constructor(private readonly bench: Bench) {}

  hover(at: Press): void {
    this.light(this.bench.editor.proposalAt(pointOf(at)));
  }

  leave(): void {
    this.light(null);
  }

  down(at: Press): void {
    this.passed = new Set();
    this.move(at);
  }

  move(at: Press): void {
    const found = this.bench.editor.proposalAt(pointOf(at));
    if (found) this.passed?.add(found);
    this.light(found);
  }

  up(): void {
    const { editor } = this.bench;
    const taken = [...(this.passed ?? [])];
    this.passed = null;
    editor.take(taken);
    this.light(null);
  }

  cancel(): boolean {
    const begun = this.passed !== null;
    this.passed = null;
    this.bench.redraw();
    return begun;
  }

  paint(pen: Pen, view: View): void {
    const { editor } = this.bench;
    const proposals = editor.proposals ?? [];
    const taken = new Set(editor.scene.layers.map((layer) => layer.rle));
    proposals.toReversed().forEach((proposal, number) => {
      if (taken.has(proposal.rle)) return;
      const tint = PALETTE[number % PALETTE.length];
      paintMask(pen, view, proposal.rle, { fill: translucent(tint, 0.14), line: "rgba(255, 255, 255, 0.75)", width: 1 });
    });
    for (const mask of new Set([...(this.passed ?? []), ...(this.lit ? [this.lit] : [])])) {
      paintMask(pen, view, mask.rle, { fill: translucent(this.bench.color(editor.label), 0.55), line: "#fff", width: 2.25 });
    }
  }

  private light(proposal: MaskAnswer | null): void {
    if (proposal === this.lit) return;
    this.lit = proposal;
    this.bench.redraw();
  }
}
