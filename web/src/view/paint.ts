// What is drawn over the photo. Masks are drawn as outlines of their pixels, so they are sharp at any magnification.

import { translucent } from "../editor/palette";
import type { Rle } from "../engine/engine";
import { middles, trace } from "../mask/outline";
import type { Layer } from "../project/store";
import type { Photo } from "./photo";
import { toScreen, type View } from "./viewport";

export type Pen = CanvasRenderingContext2D;

const paths = new WeakMap<Rle, Path2D>();

/** The outline of a mask in image pixels. */
export function pathOf(rle: Rle): Path2D {
  let path = paths.get(rle);
  if (!path) {
    path = new Path2D();
    for (const ring of trace(rle)) {
      const points = middles(ring);
      path.moveTo(...points[0]);
      for (const point of points) path.lineTo(...point);
      path.closePath();
    }
    paths.set(rle, path);
  }
  return path;
}

/** An empty canvas, `ratio` device pixels for one of CSS. */
export function clear(pen: Pen, ratio: number): void {
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, pen.canvas.width, pen.canvas.height);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

export function paintPhoto(pen: Pen, view: View, photo: Photo, redraw: () => void): void {
  const ratio = pen.getTransform().a;
  const picture = photo.at(view.scale * ratio, redraw);
  pen.imageSmoothingEnabled = view.scale * ratio < 3;
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff"; // transparency lies on white
  const [width, height] = [photo.width * view.scale, photo.height * view.scale];
  pen.fillRect(view.x, view.y, width, height);
  pen.drawImage(picture, view.x, view.y, width, height);
}

export interface Look {
  fill: string;
  line: string;
  width: number;
  dash?: number[];
}

/** One mask. */
export function paintMask(pen: Pen, view: View, rle: Rle, look: Look): void {
  const path = pathOf(rle);
  pen.save();
  pen.translate(view.x, view.y);
  pen.scale(view.scale, view.scale);
  pen.fillStyle = look.fill;
  pen.fill(path, "evenodd");
  pen.lineJoin = "round";
  if (look.width > 0) {
    pen.lineWidth = look.width / view.scale;
    pen.strokeStyle = look.line;
    pen.setLineDash((look.dash ?? []).map((part) => part / view.scale));
    pen.stroke(path);
  }
  pen.restore();
}

/** Layers from the lowest to the uppermost; `faded` while an object is in the making. */
export function paintLayers(
  pen: Pen,
  view: View,
  layers: readonly Layer[],
  options: { color: (label: string) => string; selected: readonly string[]; hovered: string | null; faded: boolean },
): void {
  for (const layer of layers.toReversed()) {
    if (!layer.visible) continue;
    const color = options.color(layer.label);
    const lit = options.selected.includes(layer.id);
    const hovered = options.hovered === layer.id;
    const opacity = (options.faded ? 0.22 : 0.38) + (lit || hovered ? 0.17 : 0);
    if (lit) paintMask(pen, view, layer.rle, { fill: "transparent", line: "rgba(0, 0, 0, 0.55)", width: 5 });
    const line = lit ? "#fff" : hovered ? color : translucent(color, options.faded ? 0.6 : 0.95);
    paintMask(pen, view, layer.rle, { fill: translucent(color, opacity), line, width: lit || hovered ? 2.5 : 1.5 });
  }
}

/** The draft: stronger than layers, with a light and a dark rim, so that it is seen on any photo. */
export function paintDraft(pen: Pen, view: View, rle: Rle, color: string): void {
  paintMask(pen, view, rle, { fill: translucent(color, 0.5), line: "rgba(0, 0, 0, 0.6)", width: 4 });
  paintMask(pen, view, rle, { fill: "transparent", line: "#fff", width: 1.75 });
}

export function paintPreview(pen: Pen, view: View, rle: Rle, color: string): void {
  paintMask(pen, view, rle, { fill: translucent(color, 0.3), line: "rgba(0, 0, 0, 0.45)", width: 3 });
  paintMask(pen, view, rle, { fill: "transparent", line: "#fff", width: 1.25, dash: [5, 4] });
}

/** A click: in is a plus on green, out a minus on red; hollow while its answer is awaited. */
export function paintPoint(pen: Pen, view: View, point: [number, number], inside: boolean, waiting = false): void {
  const [x, y] = toScreen(view, point);
  const color = inside ? "#0f9d6b" : "#dc3545";
  pen.save();
  pen.beginPath();
  pen.arc(x, y, 7, 0, 2 * Math.PI);
  pen.shadowColor = "rgba(0, 0, 0, 0.5)";
  pen.shadowBlur = 3;
  pen.fillStyle = waiting ? "rgba(255, 255, 255, 0.85)" : color;
  pen.fill();
  pen.shadowBlur = 0;
  pen.lineWidth = 2;
  pen.strokeStyle = waiting ? color : "#fff";
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x - 3, y);
  pen.lineTo(x + 3, y);
  if (inside) {
    pen.moveTo(x, y - 3);
    pen.lineTo(x, y + 3);
  }
  pen.stroke();
  pen.restore();
}

export function paintBox(pen: Pen, view: View, box: [number, number, number, number], firm: boolean): void {
  const [left, top] = toScreen(view, [box[0], box[1]]);
  const [right, bottom] = toScreen(view, [box[2], box[3]]);
  pen.save();
  pen.lineWidth = 3;
  pen.strokeStyle = "rgba(0, 0, 0, 0.5)";
  pen.strokeRect(left, top, right - left, bottom - top);
  pen.lineWidth = 1.5;
  pen.strokeStyle = "#fff";
  pen.setLineDash(firm ? [] : [6, 4]);
  pen.strokeRect(left, top, right - left, bottom - top);
  pen.restore();
}
