// Saves every change at once: first into the outbox, then to the store. While the store is away, changes wait and are
// tried again; where somebody else saved meanwhile, both sets of changes are merged.

import { EngineError } from "../engine/engine";
import { mergeAnnotations } from "./merge";
import type { Outbox, Waiting } from "./outbox";
import { type Annotations, ConflictError, type ProjectStore } from "./store";

export type SaveState = "saved" | "saving" | "waiting";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

interface Listener {
  state(state: SaveState, sentence?: string): void;
  /** The image is now what others and we made of it. */
  merged(image: string, annotations: Annotations): void;
  saved(image: string, annotations: Annotations): void;
}

export class Autosave {
  private readonly waiting = new Map<string, Waiting>();
  private readonly revisions = new Map<string, Annotations>();
  private running: Promise<void> | null = null;
  private pause = FIRST_PAUSE_MS;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly store: Pick<ProjectStore, "annotations" | "saveAnnotations">,
    private readonly outbox: Outbox,
    private readonly listener: Listener,
    private readonly later: (callback: () => void, milliseconds: number) => ReturnType<typeof setTimeout> = (c, ms) =>
      setTimeout(c, ms),
  ) {}

  /** What an earlier page left unsaved is sent now. */
  async recover(): Promise<void> {
    for (const waiting of await this.outbox.all()) this.waiting.set(waiting.image, waiting);
    if (this.waiting.size) this.start();
  }

  /** What an image is, with what waits for it. */
  async open(image: string): Promise<Annotations> {
    const stored = await this.store.annotations(image).catch((error: unknown) => {
      const waiting = this.waiting.get(image);
      if (waiting && error instanceof EngineError && error.away) return waiting.base;
      throw error;
    });
    this.revisions.set(image, stored);
    const waiting = this.waiting.get(image);
    return waiting ? mergeAnnotations(waiting.base, waiting.mine, stored) : stored;
  }

  /** Somebody changed an image. */
  change(image: string, mine: Omit<Annotations, "revision">): void {
    const known = this.waiting.get(image);
    const base = known?.base ?? this.revisions.get(image) ?? { revision: 0, done: false, layers: [] };
    const waiting: Waiting = { image, base, mine: { ...mine, revision: base.revision } };
    this.waiting.set(image, waiting);
    this.outbox.put(plain(waiting)).catch(() => undefined); // the store has it in a moment
    this.start();
  }

  /** All that waits is saved, or cannot be now. */
  async settle(): Promise<boolean> {
    this.start();
    await this.running;
    return this.waiting.size === 0;
  }

  get unsaved(): number {
    return this.waiting.size;
  }

  private start(): void {
    if (this.running) return;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.running = this.run().finally(() => (this.running = null));
  }

  private async run(): Promise<void> {
    while (this.waiting.size) {
      this.listener.state("saving");
      const [next] = this.waiting.values();
      try {
        await this.send(next);
        this.pause = FIRST_PAUSE_MS;
      } catch (error) {
        const gone = error instanceof EngineError && (error.status === 404 || error.status === 410);
        if (gone) {
          await this.forget(next.image);
          continue;
        }
        this.listener.state("waiting", error instanceof Error ? error.message : String(error));
        this.timer = this.later(() => this.start(), this.pause);
        this.pause = Math.min(LONGEST_PAUSE_MS, this.pause * 2);
        return;
      }
    }
    this.listener.state("saved");
  }

  private async send(waiting: Waiting): Promise<void> {
    const { image, mine } = waiting;
    try {
      const revision = await this.store.saveAnnotations(image, mine);
      const saved = { ...mine, revision };
      this.revisions.set(image, saved);
      const newer = this.waiting.get(image);
      if (newer === waiting) await this.forget(image);
      else if (newer) this.waiting.set(image, { image, base: saved, mine: { ...newer.mine, revision } });
      this.listener.saved(image, saved);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const newest = this.waiting.get(image) ?? waiting;
      const merged = mergeAnnotations(newest.base, newest.mine, error.current);
      this.waiting.set(image, { image, base: error.current, mine: merged });
      this.listener.merged(image, merged);
    }
  }

  private async forget(image: string): Promise<void> {
    this.waiting.delete(image);
    await this.outbox.remove(image).catch(() => undefined);
  }
}

/** A copy that the browser's database can keep: proxies of the page cannot be cloned. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
