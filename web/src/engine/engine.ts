// The seam between the page and whatever answers it: the server, or a worker in the browser. The page knows this file
// only. Coordinates are image pixels, x then y; masks are run-length codes of the whole image.

/** COCO's uncompressed run-length code: column by column, the first run counts zeros; `size` is [height, width]. */
export interface Rle {
  size: [number, number];
  counts: number[];
}

/** What was asked of one object. `labels`: 1 in, 0 out, one for each point; `hint` is the id of an earlier answer. */
export interface Prompts {
  points: [number, number][];
  labels: number[];
  /** left, top, right, bottom */
  box?: [number, number, number, number];
  hint?: string;
}

export interface MaskAnswer {
  id: string;
  rle: Rle;
  /** the model's own estimate */
  iou: number;
  /** x, y, width, height */
  box: [number, number, number, number];
  /** pixels */
  area: number;
}

export interface Embedding {
  /** the id by which the engine knows the encoded image */
  embedding: string;
  /** height, width */
  size: [number, number];
}

/** One image of the project: an engine takes its id (server) or its bytes (browser), whichever it can use. */
export interface ImageRef {
  id: string;
  name: string;
  /** the image file, or a picture of it at full size */
  bytes(): Promise<Blob>;
}

export interface Engine {
  readonly name: "server" | "browser";
  /** Waits until it can answer; EngineError if it never will. */
  ready?(): Promise<void>;
  /** Lets go of all that it holds; it answers no more. */
  close?(): void;
  embed(image: ImageRef, signal?: AbortSignal): Promise<Embedding>;
  /** The raw decoder: previews. `multimask` asks for the three candidates of an ambiguous prompt. */
  predict(
    embedding: string,
    prompts: Prompts,
    options: { multimask: boolean },
    signal?: AbortSignal,
  ): Promise<MaskAnswer[]>;
  /** `model.segment`: the final mask first, then the other candidates. */
  segment(embedding: string, prompts: Prompts, signal?: AbortSignal): Promise<MaskAnswer[]>;
  /** Masks of all things; `pointsPerSide` clicks in a row of the grid that is asked. */
  everything(
    embedding: string,
    onProgress: (done: number, total: number) => void,
    signal?: AbortSignal,
    pointsPerSide?: number,
  ): Promise<MaskAnswer[]>;
}

/** An answer that says no: one sentence to show. `status` is HTTP's, or 0 where nobody answered. */
export class EngineError extends Error {
  constructor(
    message: string,
    readonly status = 0,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
    this.name = "EngineError";
  }

  /** The engine has forgotten the embedding: embed again and repeat the question. */
  get forgotten(): boolean {
    return this.status === 404;
  }

  /** Nobody answered: the server is away. */
  get away(): boolean {
    return this.status === 0;
  }
}
