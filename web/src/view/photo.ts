// The pixels of the open image: a small picture at once, and all of them when somebody looks close enough.

import type { ProjectStore } from "../project/store";

const PREVIEW_SIDE = 2048;

export class Photo {
  private whole: ImageBitmap | null = null;
  private loading = false;
  private closed = false;

  constructor(
    private readonly store: ProjectStore,
    private readonly id: string,
    /** height, width of the image, not of the picture */
    readonly size: [number, number],
    private readonly preview: ImageBitmap,
  ) {}

  get width(): number {
    return this.size[1];
  }

  get height(): number {
    return this.size[0];
  }

  /** The picture to draw at so many screen pixels for one of the image; `redraw` when a better one has come. */
  at(scale: number, redraw: () => void): ImageBitmap {
    if (scale * this.width > this.preview.width * 1.1 && this.preview.width < this.width) this.load(redraw);
    return this.whole ?? this.preview;
  }

  close(): void {
    this.closed = true;
    this.preview.close();
    this.whole?.close();
  }

  private load(redraw: () => void): void {
    if (this.loading || this.whole) return;
    this.loading = true;
    this.store
      .pixels(this.id)
      .then((blob) => createImageBitmap(blob))
      .then((bitmap) => {
        if (this.closed) return bitmap.close();
        this.whole = bitmap;
        redraw();
      })
      .catch(() => undefined); // the small picture stays
  }
}

export async function loadPhoto(store: ProjectStore, id: string, size: [number, number]): Promise<Photo> {
  const side = Math.max(...size) > PREVIEW_SIDE ? PREVIEW_SIDE : undefined;
  return new Photo(store, id, size, await createImageBitmap(await store.pixels(id, side)));
}
