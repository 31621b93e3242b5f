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

const MARGIN = 32;
const LARGEST = 40; // CSS pixels for one of the image

export function fit(image: Extent, screen: Extent, margin = MARGIN): View {
  const room = { width: Math.max(1, screen.width - 2 * margin), height: Math.max(1, screen.height - 2 * margin) };
  const scale = Math.min(room.width / image.width, room.height / image.height, 8);
  return { scale, x: (screen.width - image.width * scale) / 2, y: (screen.height - image.height * scale) / 2 };
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
