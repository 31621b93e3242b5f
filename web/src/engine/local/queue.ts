/** The order in which a worker answers: short questions first, those that were taken back not at all. */

import { EngineError } from "../engine";
import type { Question } from "./messages";

const ORDER: readonly Question["kind"][] = ["start", "predict", "segment", "adopt", "embed", "compare", "everything"];

export interface Job {
  readonly number: number;
  readonly question: Question;
}

/**
 * One question at a time. `answer` may wait for `between`, which lets other questions that came meanwhile go first and
 * throws once its own was taken back: so the pointer gets its preview while everything is being looked for.
 */
export class Queue {
  private readonly waiting: Job[] = [];
  private readonly begun = new Set<number>();
  private running = false;

  constructor(
    private readonly answer: (job: Job, between: () => Promise<void>) => Promise<void>,
    private readonly pause: () => Promise<void> = () => new Promise((resolve) => setTimeout(resolve)),
  ) {}

  add(job: Job): void {
    this.waiting.push(job);
    void this.run();
  }

  /** Take a question back: it is not begun, or ends where it next waits. */
  stop(number: number): void {
    const place = this.waiting.findIndex((job) => job.number === number);
    if (place >= 0) this.waiting.splice(place, 1);
    else this.begun.delete(number);
  }

  private async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (;;) {
      await this.pause(); // until what was sent meanwhile has arrived, above all what was taken back
      const job = this.next("everything");
      if (job === undefined) break;
      await this.begin(job);
    }
    this.running = false;
  }

  private async begin(job: Job): Promise<void> {
    this.begun.add(job.number);
    await this.answer(job, () => this.between(job));
    this.begun.delete(job.number);
  }

  private async between(job: Job): Promise<void> {
    await this.pause();
    for (let other = this.next("embed"); other !== undefined; other = this.next("embed")) {
      await this.begin(other);
      await this.pause();
    }
    if (!this.begun.has(job.number)) throw new EngineError("The question was taken back.", 499);
  }

  /** The next question, of the kinds up to `last`. */
  private next(last: Question["kind"]): Job | undefined {
    const rank = (job: Job) => ORDER.indexOf(job.question.kind);
    const best = this.waiting.reduce<Job | undefined>(
      (first, job) => (first === undefined || rank(job) < rank(first) ? job : first),
      undefined,
    );
    if (best === undefined || rank(best) > ORDER.indexOf(last)) return undefined;
    this.waiting.splice(this.waiting.indexOf(best), 1);
    return best;
  }
}
