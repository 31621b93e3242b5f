// Questions to the engine about the image that is open: it is encoded once, and again if the engine has forgotten it.

import type { Embedding, Engine, ImageRef, MaskAnswer, Prompts } from "../engine/engine";
import { EngineError } from "../engine/engine";

export type Readiness = "none" | "encoding" | "ready" | "failed";

export class Answers {
  readiness = $state<Readiness>("none");
  private image: ImageRef | null = null;
  private embedding: Promise<Embedding> | null = null;
  private gone = new AbortController();

  constructor(private readonly engine: () => Engine) {}

  /** Another image (or none): questions about the one before are not heard any more. */
  open(image: ImageRef | null): void {
    this.gone.abort();
    this.gone = new AbortController();
    this.image = image;
    this.embedding = null;
    this.readiness = "none";
    if (image) this.encoded().catch(() => undefined); // whoever asks next is told
  }

  /** The image after this one is encoded while nobody waits. */
  async prepare(image: ImageRef): Promise<void> {
    await this.encoded();
    await this.engine().embed(image, this.gone.signal);
  }

  /** The decoder's best answer, as quickly as it comes: only that one is upscaled. */
  preview(prompts: Prompts, signal: AbortSignal): Promise<MaskAnswer[]> {
    const options = { multimask: false };
    return this.ask(({ embedding }, stop) => this.engine().predict(embedding, prompts, options, stop), signal);
  }

  async segment(prompts: Prompts): Promise<MaskAnswer[]> {
    const { hint, ...plain } = prompts;
    const ask = (asked: Prompts) =>
      this.ask(({ embedding }, stop) => this.engine().segment(embedding, asked, stop));
    if (!hint) return ask(plain);
    try {
      return await ask(prompts);
    } catch (error) {
      if (error instanceof EngineError && error.forgotten) return ask(plain); // of another server, or long ago
      throw error;
    }
  }

  everything(
    onProgress: (done: number, total: number) => void,
    signal: AbortSignal,
    pointsPerSide: number,
  ): Promise<MaskAnswer[]> {
    return this.ask(({ embedding }, stop) => this.engine().everything(embedding, onProgress, stop, pointsPerSide), signal);
  }

  private async ask<T>(question: (image: Embedding, stop: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const stop = signal ? AbortSignal.any([signal, this.gone.signal]) : this.gone.signal;
    try {
      return await question(await this.encoded(), stop);
    } catch (error) {
      if (!(error instanceof EngineError) || !error.forgotten) throw error;
      this.embedding = null;
      return question(await this.encoded(), stop);
    }
  }

  private encoded(): Promise<Embedding> {
    if (!this.image) return Promise.reject(new EngineError("Open an image first."));
    if (!this.embedding) {
      const { signal } = this.gone;
      this.readiness = "encoding";
      const encoding = this.engine().embed(this.image, signal);
      this.embedding = encoding;
      encoding.then(
        () => !signal.aborted && (this.readiness = "ready"),
        () => {
          if (signal.aborted) return;
          this.readiness = "failed";
          this.embedding = null; // so that the next question tries again
        },
      );
    }
    return this.embedding;
  }
}
