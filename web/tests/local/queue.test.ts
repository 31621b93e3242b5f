import { describe, expect, it } from "vitest";
import { BrowserEngine } from "../../src/engine/local/browser";
import type { FromWorker, Question, ToWorker } from "../../src/engine/local/messages";
import { type Job, Queue } from "../../src/engine/local/queue";

const job = (number: number, kind: Question["kind"]): Job => ({ number, question: { kind } as Question });
const soon = () => new Promise<void>((resolve) => setTimeout(resolve));

describe("the queue of a worker", () => {
  it("takes short questions first and drops what was taken back", async () => {
    const done: number[] = [];
    const queue = new Queue(async ({ number }) => void done.push(number), soon);
    for (const [number, kind] of [[1, "embed"], [2, "everything"], [3, "predict"], [4, "predict"], [5, "start"]] as const) queue.add(job(number, kind)); // prettier-ignore
    queue.stop(3);
    queue.stop(99); // was answered long ago
    while (done.length < 4) await soon();
    expect(done).toEqual([5, 4, 1, 2]);
  });

  it("lets previews pass while everything is looked for, and ends it once it is taken back", async () => {
    const told: string[] = [];
    const queue = new Queue(async ({ number, question }, between) => {
      if (question.kind !== "everything") return void told.push(`${number}`);
      for (let step = 1; step <= 9; step++) {
        told.push(`step ${step}`);
        if (step === 2) queue.add(job(2, "predict"));
        if (step === 3) queue.add(job(3, "everything"));
        if (step === 4) queue.stop(1);
        await between().catch((error: Error) => {
          told.push(error.message);
          step = 99;
        });
      }
    }, soon);
    queue.add(job(1, "everything"));
    while (told.at(-1) !== "The question was taken back.") await soon();
    queue.stop(3);
    expect(told).toEqual(["step 1", "step 2", "2", "step 3", "step 4", "The question was taken back."]);
  });
});

/** A worker that answers what a function says. */
class FakeWorker extends EventTarget {
  readonly heard: ToWorker[] = [];
  ended = false;

  constructor(private readonly answer: (message: ToWorker) => FromWorker[]) {
    super();
  }

  postMessage(message: ToWorker): void {
    this.heard.push(structuredClone(message));
    for (const data of this.answer(message))
      queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate(): void {
    this.ended = true;
  }
}

const SETUP = { runtime: "ort/", model: "model/", device: "wasm" } as const;

function engineOf(answer: (message: ToWorker) => FromWorker[]) {
  const worker = new FakeWorker(answer);
  return { worker, engine: new BrowserEngine(SETUP, worker as unknown as Worker) };
}

describe("the engine before the worker", () => {
  it("hands over plain copies of what is asked, and the answer back", async () => {
    const { worker, engine } = engineOf(({ number }) => [{ number, answer: [] }]);
    await engine.started;
    const points = new Proxy([[1, 2] as [number, number]], {}); // as Svelte wraps its state
    expect(await engine.predict("a", { points, labels: [1] }, { multimask: true })).toEqual([]);
    expect(worker.heard[1]).toEqual({
      number: 2,
      question: { kind: "predict", key: "a", prompts: { points: [[1, 2]], labels: [1] }, multimask: true },
    });
  });

  it("gives errors their status, progress its numbers", async () => {
    const { engine } = engineOf((message) => {
      if (!("question" in message) || message.question.kind !== "everything") return [];
      return [
        { number: message.number, progress: [4, 9] },
        { number: message.number, error: { message: "Forgotten.", status: 404 } },
      ];
    });
    const told: number[][] = [];
    const asked = engine.everything("a", (done, total) => told.push([done, total]));
    await expect(asked).rejects.toMatchObject({ message: "Forgotten.", forgotten: true });
    expect(told).toEqual([[4, 9]]);
  });

  it("takes questions back", async () => {
    const { worker, engine } = engineOf(() => []);
    const stop = new AbortController();
    const asked = engine.segment("a", { points: [], labels: [], box: [0, 0, 1, 1] }, stop.signal);
    stop.abort();
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    expect(worker.heard.at(-1)).toEqual({ number: 2, stop: true });
    const late = engine.segment("a", { points: [], labels: [] }, stop.signal);
    await expect(late).rejects.toMatchObject({ name: "AbortError" });
    expect(worker.heard).toHaveLength(3);
  });

  it("fails what waits when the worker dies", async () => {
    const { worker, engine } = engineOf(() => []);
    const asked = engine.embed({ id: "a", name: "a", bytes: async () => new Blob() });
    await soon();
    worker.dispatchEvent(Object.assign(new Event("error"), { message: "out of memory" }));
    await expect(asked).rejects.toThrow("out of memory");
    await expect(engine.started).rejects.toThrow("out of memory");
    engine.close();
    expect(worker.ended).toBe(true);
  });
});
