/** A photo as an encoder takes it: `samlet.preprocess.to_pixels`. */

import { type BoxXyxy, ImageFrame, type ImageSpec } from "./frame";
import { type Photo, resized } from "./resize";

/** Normalized pixels `[3, S, S]` of a window of a photo (all of it by default), and how that window lies on the canvas. */
export function toPixels(
  photo: Photo,
  spec: ImageSpec,
  window: BoxXyxy = [0, 0, photo.width, photo.height],
): { pixels: Float32Array; frame: ImageFrame } {
  const frame = ImageFrame.of([window[3] - window[1], window[2] - window[0]], spec);
  const [height, width] = frame.contentHw;
  const content = resized(photo, [height, width], window);
  const side = spec.canvas;
  const pixels = new Float32Array(3 * side * side);
  for (let channel = 0; channel < 3; channel++) {
    const table = Float32Array.from({ length: 256 }, (_, level) => (level - spec.mean[channel]) / spec.std[channel]);
    for (let y = 0; y < height; y++) {
      const row = (channel * side + y) * side;
      for (let x = 0; x < width; x++) pixels[row + x] = table[content[(y * width + x) * 3 + channel]];
    }
  }
  return { pixels, frame };
}
