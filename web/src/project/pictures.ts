// Image files as the browser sees them: how large they are, and smaller ones for lists.

const QUALITY = 0.85;

/** Height and width of an image file, upright. Error with one sentence if the browser cannot read it. */
export async function sizeOf(file: Blob): Promise<[number, number]> {
  const bitmap = await opened(file);
  const size: [number, number] = [bitmap.height, bitmap.width];
  bitmap.close();
  return size;
}

/** The image, its long side at most `maxSide` pixels, as a JPEG; the file itself if it is no larger. */
export async function scaled(file: Blob, maxSide: number): Promise<Blob> {
  const bitmap = await opened(file);
  const scale = maxSide / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) {
    bitmap.close();
    return file;
  }
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("The browser has no memory left for this image: close other pages.");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // what is transparent lies on white, as for the model
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}

async function opened(file: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file);
  } catch (cause) {
    throw new Error("It is no image that the browser can read: use JPEG, PNG, WebP, GIF, BMP or AVIF.", { cause });
  }
}
