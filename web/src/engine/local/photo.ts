/** An image file as upright pixels, the way `samlet.images` reads it. */

import { EngineError } from "../engine";
import type { Photo } from "./resize";

const MOST_PIXELS = 100_000_000;

/** Decode an image file; EngineError for what the browser cannot read. */
export async function readPhoto(file: Blob): Promise<Photo> {
  let bitmap: ImageBitmap;
  try {
    // Values as they are stored: the library knows no color profiles either.
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new EngineError(
      "This is not an image that the browser can read: use JPEG, PNG, WebP, GIF, BMP or AVIF.",
      422,
    );
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new EngineError(
      `The image is ${width} x ${height} pixels, more than the browser works on: shrink it or cut it into tiles.`,
      413,
    );
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new EngineError("The browser has no memory left for this image: close other pages.", 500);
  context.fillStyle = "white"; // what is transparent lies on white
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}
