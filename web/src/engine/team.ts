// The server and the browser together: the server encodes, three times as fast; whoever is quicker decodes; and where
// the server is away, the browser does it all.

import { request, sending } from "../http";
import type { Embedding, Engine, ImageRef, MaskAnswer, Prompts } from "./engine";
import { EngineError } from "./engine";
import type { BrowserEngine } from "./local/browser";
import { readFloats } from "./safetensors";

/** A preview later than this lags behind the pointer. */
export const SLOW_MS = 100;
const REMEMBERED = 9;
const FILES_KEPT = 4;
const REFUSED = 400; // a prompt that is none: the server would say the same

/** Who decodes previews: the browser always, or only while the server is slow. */
export type Decoding = "browser" | "quickest";

export class TeamEngine implements Engine {
  readonly name = "server";
  private here: BrowserEngine | null = null;
  /** images of the server whose features are on their way to the browser, have arrived, or never will */
  private readonly handedOver = new Map<string, "coming" | "here" | "never">();
  private readonly inBrowser = new Set<string>();
  /** of the last images, for when the server goes away: it has the project's files too */
  private readonly files = new Map<string, Blob>();
  private readonly serverMs: number[] = [];
  private readonly browserMs: number[] = [];

  constructor(
    private readonly server: Engine,
    private readonly start: () => BrowserEngine,
    private readonly decoding: Decoding,
    private readonly fetchFeatures = featuresOf,
  ) {}

  async embed(image: ImageRef, signal?: AbortSignal): Promise<Embedding> {
    try {
      const embedded = await this.server.embed(image, signal);
      this.inBrowser.delete(embedded.embedding);
      if (this.decoding === "browser") {
        this.handOver(embedded.embedding, embedded.size);
        void this.keepFile(image);
      }
      return embedded;
    } catch (error) {
      if (!isAway(error)) throw error;
      const here = await this.browser(error);
      const file = this.files.get(image.id);
      const embedded = await here.embed({ ...image, bytes: file ? async () => file : image.bytes }, signal);
      this.inBrowser.add(embedded.embedding);
      return embedded;
    }
  }

  async predict(
    embedding: string,
    prompts: Prompts,
    options: { multimask: boolean },
    signal?: AbortSignal,
  ): Promise<MaskAnswer[]> {
    if (this.inBrowser.has(embedding)) return (await this.browser()).predict(embedding, prompts, options, signal);
    // A hint is the id of the server's mask, which the browser does not have.
    if (prompts.hint === undefined && this.handedOver.get(embedding) === "here" && this.browserIsQuicker()) {
      try {
        const here = await this.browser();
        return await timed(this.browserMs, () => here.predict(embedding, prompts, options, signal));
      } catch (error) {
        if (!(error instanceof EngineError) || error.status === REFUSED) throw error;
        // Its memory is full, or it has failed: the server answers, until the image is embedded again.
        if (error.forgotten) this.handedOver.delete(embedding);
        else this.handedOver.set(embedding, "never");
      }
    }
    const masks = await timed(this.serverMs, () => this.server.predict(embedding, prompts, options, signal));
    if (median(this.serverMs) > SLOW_MS && masks.length > 0) this.handOver(embedding, masks[0].rle.size);
    return masks;
  }

  async segment(embedding: string, prompts: Prompts, signal?: AbortSignal): Promise<MaskAnswer[]> {
    return (await this.owner(embedding)).segment(embedding, prompts, signal).catch(orForgotten);
  }

  async everything(
    embedding: string,
    onProgress: (done: number, total: number) => void,
    signal?: AbortSignal,
    pointsPerSide?: number,
  ): Promise<MaskAnswer[]> {
    return (await this.owner(embedding)).everything(embedding, onProgress, signal, pointsPerSide).catch(orForgotten);
  }

  close(): void {
    this.here?.close();
    this.here = null;
  }

  private async keepFile(image: ImageRef): Promise<void> {
    try {
      this.files.set(image.id, await image.bytes());
    } catch {
      return; // then the browser cannot take over
    }
    const oldest = this.files.keys().next().value;
    if (this.files.size > FILES_KEPT && oldest !== undefined) this.files.delete(oldest);
  }

  private async owner(embedding: string): Promise<Engine> {
    return this.inBrowser.has(embedding) ? this.browser() : this.server;
  }

  private browserIsQuicker(): boolean {
    if (this.decoding === "browser" || this.browserMs.length === 0) return true;
    return median(this.browserMs) < median(this.serverMs);
  }

  /** Let the browser have what the server's encoder said of an image, in the background. */
  private handOver(embedding: string, size: [number, number]): void {
    if (this.handedOver.has(embedding)) return;
    this.handedOver.set(embedding, "coming");
    const work = this.browser().then(async (here) => here.adopt(embedding, size, await this.fetchFeatures(embedding)));
    work.then(
      () => this.handedOver.set(embedding, "here"),
      () => this.handedOver.set(embedding, "never"), // then the server goes on answering
    );
  }

  private async browser(instead?: unknown): Promise<BrowserEngine> {
    const here = (this.here ??= this.start());
    try {
      await here.started;
    } catch (error) {
      here.close();
      this.here = null;
      throw instead ?? error;
    }
    return here;
  }
}

/** What the server's encoder said of an image. */
export async function featuresOf(embedding: string): Promise<Float32Array> {
  const response = await request("api/features", sending("POST", { embedding }));
  return readFloats(await response.arrayBuffer(), "image_embeddings").data;
}

function isAway(error: unknown): boolean {
  return error instanceof EngineError && error.away;
}

/** A server that is away is asked again by embedding the image again, which the browser then does. */
function orForgotten(error: unknown): never {
  if (error instanceof EngineError && error.away) throw new EngineError(error.message, 404);
  throw error;
}

async function timed<Result>(times: number[], work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await work();
  times.push(performance.now() - start);
  if (times.length > REMEMBERED) times.shift();
  return result;
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}
