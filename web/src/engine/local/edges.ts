/** Logits drawn as a mask at the size of the photo, with its edges where the photo has them: `samlet.geometry.edges`. */

import { type BoxXyxy, clamp, type Logits, roundEven, type SizeHw } from "./frame";
import type { Manifest } from "./graphs";
import { guidedMask, plainMask } from "./guided";
import type { Patch } from "./patch";
import type { Photo } from "./resize";
import { grown, sizeOf } from "./windows";

const RADIUS_OF_OBJECT = 0.15; // the filter's radius is at most this share of the root of the object's area
const GRID_SIDE = 512; // twice the network's own resolution

/** Pixels of a picture for each of the grid that it is worked on with, and the size of that grid. */
export function gridOver([height, width]: SizeHw): { stepPx: number; gridHw: SizeHw } {
  const stepPx = Math.max(1, Math.max(height, width) / GRID_SIDE);
  return { stepPx, gridHw: [Math.max(1, roundEven(height / stepPx)), Math.max(1, roundEven(width / stepPx))] };
}

/** The guided filter of a model: `radius`, a share of the photo's diagonal (0: none), and `eps`. */
export class Edges {
  constructor(
    readonly radius: number,
    readonly eps: number,
  ) {}

  static of({ edge_radius: radius = 0, edge_eps: eps = 1e-4 }: Manifest): Edges {
    return new Edges(radius, eps);
  }

  /** The part of the photo in which the patch may have pixels, and as much around it as the filter sees. */
  around({ box, frame }: Patch): BoxXyxy {
    if (box === null) return [0, 0, 1, 1];
    return grown(frame.reachOf(box), 1 + Math.ceil(2 * this.radius * Math.hypot(...frame.sizeHw)), frame.sizeHw);
  }

  /** The mask over a window of a photo, bytes 0 and 1; the logits lie on the grid over the window. */
  mask(logits: Logits, photo: Photo, window: BoxXyxy): Uint8Array {
    const windowHw = sizeOf(window);
    const { stepPx } = gridOver(windowHw);
    const areaPx = logits.data.reduce((sum, logit) => sum + Number(logit > 0), 0) * stepPx ** 2;
    const radiusPx = Math.min(
      this.radius * Math.hypot(photo.height, photo.width),
      RADIUS_OF_OBJECT * Math.sqrt(areaPx),
    );
    const radius = roundEven(radiusPx / stepPx);
    return radius > 0 ? guidedMask(probability(logits), photo, window, radius, this.eps) : plainMask(logits, windowHw);
  }
}

function probability(logits: Logits): Logits {
  return { ...logits, data: logits.data.map((logit) => 1 / (1 + Math.exp(-clamp(logit, -30, 30)))) };
}
