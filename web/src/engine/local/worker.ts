/** The worker: runs the model away from the page, so that the page never stands still. */

import { EngineError } from "../engine";
import { Answering } from "./answering";
import type { Answers, FromWorker, Question, ToWorker } from "./messages";
import { readPhoto } from "./photo";
import { type Job, Queue } from "./queue";
import { openModel } from "./runtime";

let model: Promise<Answering> = Promise.reject(new EngineError("The model in the browser is not open.", 500));
model.catch(() => {}); // whoever asks is told

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
    const opened = openModel(question.setup);
    model = opened.then(({ graphs }) => new Answering(graphs, readPhoto));
    model.catch(() => {});
    return (await opened).running;
  }
  const answering = await model;
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
  }
}

function say(message: FromWorker): void {
  self.postMessage(message);
}
