// How the image lies on the screen. Pure: a view is a value.

import type { Point } from "../mask/outline";

/** screen = image · scale + offset, in CSS pixels */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export interface Extent {
  width: number;
  height: number;
}

/** room around the whole image: above it lie the options of the tool, below what is said of the draft */
const ROOM = { top: 64, right: 24, bottom: 70, left: 24 };
const NONE = { top: 0, right: 0, bottom: 0, left: 0 };
const LARGEST = 40; // CSS pixels for one of the image

export function fit(image: Extent, screen: Extent, room = screen.height > 320 ? ROOM : NONE): View {
  const width = Math.max(1, screen.width - room.left - room.right);
  const height = Math.max(1, screen.height - room.top - room.bottom);
  const scale = Math.min(width / image.width, height / image.height, 8);
  return {
    scale,
    x: room.left + (width - image.width * scale) / 2,
    y: room.top + (height - image.height * scale) / 2,
  };
}

/** Closer by `factor`, the image staying where it is under `at`; kept between a quarter of the whole and single pixels. */
export function zoomAt(view: View, factor: number, at: Point, image: Extent, screen: Extent): View {
  const smallest = Math.min(fit(image, screen).scale / 4, 1);
  const scale = Math.max(smallest, Math.min(LARGEST, view.scale * factor));
  const [x, y] = toImage(view, at);
  return within({ scale, x: at[0] - x * scale, y: at[1] - y * scale }, image, screen);
}

export function panBy(view: View, dx: number, dy: number, image: Extent, screen: Extent): View {
  return within({ ...view, x: view.x + dx, y: view.y + dy }, image, screen);
}

/** Some of the image stays in sight. */
function within(view: View, image: Extent, screen: Extent): View {
  const rest = 64;
  const [width, height] = [image.width * view.scale, image.height * view.scale];
  return {
    scale: view.scale,
    x: Math.max(Math.min(rest, screen.width / 2) - width, Math.min(screen.width - rest, view.x)),
    y: Math.max(Math.min(rest, screen.height / 2) - height, Math.min(screen.height - rest, view.y)),
  };
}

export function toImage(view: View, [x, y]: Point): Point {
  return [(x - view.x) / view.scale, (y - view.y) / view.scale];
}

export function toScreen(view: View, [x, y]: Point): Point {
  return [x * view.scale + view.x, y * view.scale + view.y];
}
