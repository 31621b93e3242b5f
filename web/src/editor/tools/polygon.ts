// Outlines by hand: set corners one by one, or move, add and remove those of the draft or of the chosen layer.

import { fillRings } from "../../mask/fill";
import { distance, distanceToSegment, simplify, trace, type Point, type Ring } from "../../mask/outline";
import type { Pen } from "../../view/paint";
import { toScreen, type View } from "../../view/viewport";
import * as scenes from "../scene";
import type { Rle } from "../../engine/engine";
import { clamped, NEAR, type Bench, type Press, type Tool } from "./tool";

const TOLERANCE = 1.5; // CSS pixels between a mask and the outline that is edited

interface Corner {
  ring: number;
  index: number;
}

export class PolygonTool implements Tool {
  readonly cursor = "crosshair";
  private drawn: Ring = [];
  private at: Point | null = null;
  /** the outline that is edited, of which mask it was made and at which magnification */
  private edited: { rings: Ring[]; of: Rle; scale: number } | null = null;
  private held: Corner | null = null;
  private chosen: Corner | null = null;
  private changed = false;

  constructor(private readonly bench: Bench) {}

  hover(at: Press): void {
    this.at = [at.x, at.y];
    this.bench.redraw();
  }

  leave(): void {
    this.at = null;
    this.bench.redraw();
  }

  down(at: Press): void {
    const point = clamped(this.bench.editor, at);
    const near = NEAR / at.scale;
    this.at = point;
    const rings = this.drawn.length ? [] : this.rings(at.scale);
    this.chosen = null;
    const corner = cornerAt(rings, point, near);
    if (corner && at.out) {
      this.chosen = corner;
      this.remove();
    } else if (corner) {
      this.held = this.chosen = corner;
    } else {
      this.held = rings.length ? this.insert(rings, point, near) : null;
      this.chosen = this.held;
      if (!this.held) this.addCorner(point, near);
    }
    this.bench.redraw();
  }

  move(at: Press): void {
    this.at = clamped(this.bench.editor, at);
    if (this.held && this.edited) {
      this.edited.rings[this.held.ring][this.held.index] = this.at;
      this.changed = true;
    }
    this.bench.redraw();
  }

  up(): void {
    this.held = null;
    if (this.changed) this.commit();
  }

  twice(): void {
    this.finish();
  }

  cancel(): boolean {
    const begun = this.drawn.length > 0;
    this.drawn = [];
    this.held = this.chosen = null;
    this.bench.redraw();
    return begun;
  }

  finish(): boolean {
    const { editor } = this.bench;
    const ring = this.drawn;
    this.drawn = [];
    this.bench.redraw();
    if (ring.length < 3 || !editor.size) return ring.length > 0;
    editor.paint(fillRings([ring], editor.size), true);
    return true;
  }

  remove(): boolean {
    if (!this.chosen || !this.edited) return false;
    const { ring, index } = this.chosen;
    this.edited.rings[ring].splice(index, 1);
    if (this.edited.rings[ring].length < 3) this.edited.rings.splice(ring, 1);
    this.chosen = null;
    this.commit();
    return true;
  }

  paint(pen: Pen, view: View): void {
    if (this.drawn.length) return this.paintDrawn(pen, view);
    this.rings(view.scale).forEach((ring, number) => {
      ring.forEach((corner, index) => {
        const on = this.chosen?.ring === number && this.chosen.index === index;
        paintHandle(pen, toScreen(view, corner), on);
      });
    });
  }

  private paintDrawn(pen: Pen, view: View): void {
    pen.save();
    const corners = [...this.drawn, ...(this.at ? [this.at] : [])].map((corner) => toScreen(view, corner));
    for (const [line, width] of [["rgba(0, 0, 0, 0.6)", 4], ["#fff", 1.75]] as const) {
      pen.strokeStyle = line;
      pen.lineWidth = width;
      pen.beginPath();
      corners.forEach((corner) => pen.lineTo(...corner));
      pen.stroke();
    }
    pen.restore();
    this.drawn.forEach((corner, index) => paintHandle(pen, toScreen(view, corner), index === 0));
  }

  /** The mask whose outline is edited: the draft's, else that of the one chosen layer. */
  private mask(): Rle | null {
    const { scene } = this.bench.editor;
    if (scene.draft) return scenes.draftMask(scene.draft);
    const layer = scene.selected.length === 1 ? scene.layers.find(({ id }) => id === scene.selected[0]) : undefined;
    return layer && layer.visible && !layer.locked ? layer.rle : null;
  }

  private rings(scale: number): Ring[] {
    const mask = this.mask();
    if (!mask) return [];
    const stale = this.edited?.of !== mask || Math.abs(Math.log(this.edited.scale / scale)) > 0.7;
    if (stale && !this.held) {
      const rings = trace(mask).map((ring) => simplify(ring, TOLERANCE / scale));
      this.edited = { rings: rings.map((ring) => [...ring]), of: mask, scale };
    }
    return this.edited?.rings ?? [];
  }

  private insert(rings: Ring[], point: Point, near: number): Corner | null {
    for (const [ring, corners] of rings.entries()) {
      for (const [index, from] of corners.entries()) {
        const to = corners[(index + 1) % corners.length];
        if (distanceToSegment(point, from, to) > near) continue;
        corners.splice(index + 1, 0, point);
        this.changed = true;
        return { ring, index: index + 1 };
      }
    }
    return null;
  }

  private addCorner(point: Point, near: number): void {
    if (this.drawn.length > 2 && distance(point, this.drawn[0]) <= near) this.finish();
    else if (!this.drawn.length || distance(point, this.drawn[this.drawn.length - 1]) > 0) this.drawn.push(point);
  }

  /** The outline, filled, is the mask from now on. */
  private commit(): void {
    const { editor } = this.bench;
    this.changed = false;
    if (!this.edited || !editor.size) return;
    const rle = fillRings(this.edited.rings, editor.size);
    const [selected] = editor.scene.selected;
    editor.change((scene) => {
      const taken = scene.draft ? scene : scenes.takeUp(scene, selected);
      return taken.draft ? { ...taken, draft: scenes.redrawn(taken.draft, rle) } : scene;
    });
    const mask = this.mask();
    if (mask) this.edited = { ...this.edited, of: mask };
  }
}

function cornerAt(rings: Ring[], point: Point, near: number): Corner | null {
  for (const [ring, corners] of rings.entries()) {
    const index = corners.findIndex((corner) => distance(corner, point) <= near);
    if (index >= 0) return { ring, index };
  }
  return null;
}

function paintHandle(pen: Pen, [x, y]: Point, on: boolean): void {
  pen.save();
  pen.beginPath();
  pen.arc(x, y, on ? 5.5 : 4, 0, 2 * Math.PI);
  pen.fillStyle = on ? "#0f766e" : "#fff";
  pen.strokeStyle = on ? "#fff" : "rgba(0, 0, 0, 0.65)";
  pen.lineWidth = 1.5;
  pen.fill();
  pen.stroke();
  pen.restore();
}
