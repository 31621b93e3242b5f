// The engine in the browser itself: a worker runs the model that ships with samlet.

import type { Embedding, Engine, ImageRef, MaskAnswer, Prompts } from "../engine";
import { EngineError } from "../engine";
import type { Answers, FromWorker, Question, Running, Setup, ToWorker } from "./messages";

const POINTS_PER_SIDE = 16; // a quarter of the library's clicks: a browser takes four times as long for each

interface Waiting {
  resolve(answer: never): void;
  reject(error: unknown): void;
  progress?(done: number, total: number): void;
}

export class BrowserEngine implements Engine {
  readonly name = "browser";
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;

  /** When the model is open; EngineError where the browser cannot, or the files are not there. Questions may come before. */
  readonly started: Promise<Running>;

  constructor(
    setup: Setup = besideThePage(),
    private readonly worker: Worker = newWorker(),
  ) {
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.hear(data));
    worker.addEventListener("error", (event) => this.fail(event.message));
    this.started = this.ask({ kind: "start", setup });
    this.started.catch(() => {}); // every later question is told too
  }

  async ready(): Promise<void> {
    await this.started;
  }

  async embed(image: ImageRef, signal?: AbortSignal): Promise<Embedding> {
    return this.ask({ kind: "embed", key: image.id, file: await image.bytes() }, { signal });
  }

  /** Answer for an image that another encoder with the same weights has seen: float32 features, `size` height and width. */
  adopt(key: string, size: [number, number], features: Float32Array): Promise<Embedding> {
    return this.ask({ kind: "adopt", key, size, features }, { moved: [features.buffer] });
  }

  predict(
    embedding: string,
    prompts: Prompts,
    { multimask }: { multimask: boolean },
    signal?: AbortSignal,
  ): Promise<MaskAnswer[]> {
    return this.ask({ kind: "predict", key: embedding, prompts: plain(prompts), multimask }, { signal });
  }

  segment(embedding: string, prompts: Prompts, signal?: AbortSignal): Promise<MaskAnswer[]> {
    return this.ask({ kind: "segment", key: embedding, prompts: plain(prompts) }, { signal });
  }

  everything(
    embedding: string,
    onProgress: (done: number, total: number) => void,
    signal?: AbortSignal,
    pointsPerSide = POINTS_PER_SIDE,
  ): Promise<MaskAnswer[]> {
    return this.ask({ kind: "everything", key: embedding, pointsPerSide }, { signal, progress: onProgress });
  }

  close(): void {
    this.worker.terminate();
    this.fail("The model in the browser was closed.");
  }

  private ask<Kind extends Question["kind"]>(
    question: Extract<Question, { kind: Kind }>,
    {
      signal,
      progress,
      moved = [],
    }: { signal?: AbortSignal; progress?: Waiting["progress"]; moved?: Transferable[] } = {},
  ): Promise<Answers[Kind]> {
    if (signal?.aborted) return Promise.reject(aborted());
    const number = ++this.asked;
    return new Promise<Answers[Kind]>((resolve, reject) => {
      this.waiting.set(number, { resolve, reject, progress });
      this.send({ number, question }, moved);
      signal?.addEventListener("abort", () => {
        if (!this.waiting.delete(number)) return;
        this.send({ number, stop: true });
        reject(aborted());
      });
    });
  }

  private send(message: ToWorker, moved: Transferable[] = []): void {
    this.worker.postMessage(message, moved);
  }

  private hear(message: FromWorker): void {
    const waiting = this.waiting.get(message.number);
    if (waiting === undefined) return;
    if ("progress" in message) {
      waiting.progress?.(...message.progress);
      return;
    }
    this.waiting.delete(message.number);
    if ("answer" in message) waiting.resolve(message.answer as never);
    else waiting.reject(new EngineError(message.error.message, message.error.status));
  }

  private fail(sentence: string): void {
    for (const { reject } of this.waiting.values())
      reject(new EngineError(sentence || "The model in the browser has failed.", 500));
    this.waiting.clear();
  }
}

/** The files that samlet puts beside its page. */
export function besideThePage(device: Setup["device"] = "auto"): Setup {
  return { runtime: new URL("ort/", document.baseURI).href, model: new URL("model/", document.baseURI).href, device };
}

function newWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
}

/** A copy without what cannot be sent to a worker: frameworks wrap their state. */
function plain({ points, labels, box, hint }: Prompts): Prompts {
  return {
    points: points.map(([x, y]) => [x, y]),
    labels: [...labels],
    ...(box && { box: [box[0], box[1], box[2], box[3]] }),
    ...(hint !== undefined && { hint }),
  };
}

function aborted(): DOMException {
  return new DOMException("Aborted", "AbortError");
}
