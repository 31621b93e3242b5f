/** The worker: runs the model away from the page, so that the page never stands still. */

import { EngineError } from "../engine";
import { Answering } from "./answering";
import { cardIsBetter, hasCard } from "./card";
import type { Answers, FromWorker, Question, Running, Setup, ToWorker } from "./messages";
import { readPhoto } from "./photo";
import { type Job, Queue } from "./queue";
import { openModel, openOn, type Opened } from "./runtime";

const OWN = 0; // the number of questions that the worker asks itself: the page counts from 1

interface Model extends Opened {
  answering: Answering;
}

let model: Promise<Model> = Promise.reject(new EngineError("The model in the browser is not open.", 500));
model.catch(() => {}); // whoever asks is told
/** The same model on the graphics card, until the two were compared. */
let onCard: Opened | null = null;

const queue = new Queue(async ({ number, question }: Job, between) => {
  const advance = async (done: number, total: number) => {
    say({ number, progress: [done, total] });
    await between();
  };
  try {
    say({ number, answer: await answered(question, advance) });
  } catch (error) {
    const status = error instanceof EngineError ? error.status : 500;
    say({ number, error: { message: error instanceof Error ? error.message : String(error), status } });
  }
});

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if ("stop" in data) queue.stop(data.number);
  else queue.add(data);
});

async function answered(
  question: Question,
  advance: (done: number, total: number) => Promise<void>,
): Promise<Answers[keyof Answers]> {
  if (question.kind === "start") {
    model = openModel(question.setup).then((opened) => ({
      ...opened,
      answering: new Answering(opened.graphs, readPhoto),
    }));
    model.catch(() => {});
    const { running } = await model;
    if (question.setup.device === "auto") void tryCard(question.setup);
    return running;
  }
  const { answering } = await model;
  switch (question.kind) {
    case "embed":
      return answering.embed(question.key, question.file);
    case "adopt":
      return answering.adopt(question.key, question.size, question.features);
    case "predict":
      return answering.predict(question.key, question.prompts, question.multimask);
    case "segment":
      return answering.segment(question.key, question.prompts);
    case "everything":
      return answering.everything(question.key, question.pointsPerSide, advance);
    case "compare":
      return compared(await model);
  }
}

/** Open the model on the card while the CPU answers, and compare the two when nobody asks anything. */
async function tryCard(setup: Setup): Promise<void> {
  try {
    if (!(await hasCard())) return;
    onCard = await openOn("webgpu", setup);
    queue.add({ number: OWN, question: { kind: "compare" } });
  } catch {
    // The CPU goes on: a card that cannot be opened is as good as none.
  }
}

/** Go on with the better of the two, and let go of the other. */
async function compared(on: Model): Promise<Running> {
  if (onCard === null) return on.running;
  const [card, cpu] = [onCard, on.graphs];
  onCard = null;
  const better = await cardIsBetter(card.graphs, cpu).catch(() => false);
  if (better) {
    Object.assign(on, card);
    on.answering.use(card.graphs);
  }
  await (better ? cpu : card.graphs).close();
  return on.running;
}

function say(message: FromWorker): void {
  self.postMessage(message);
}
