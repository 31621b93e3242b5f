/** What the page and the worker say to each other. */

import type { Embedding, MaskAnswer, Prompts } from "../engine";

/** Where the files of the runtime and of the model lie (absolute addresses that end with a slash), and how to run. */
export interface Setup {
  runtime: string;
  model: string;
  /** `auto`: the CPU, and the graphics card once it has shown to be better; `webgpu`: the card, unseen. */
  device: "auto" | "wasm" | "webgpu";
}

export type Question =
  | { kind: "start"; setup: Setup }
  | { kind: "embed"; key: string; file: Blob }
  /** Features that somebody else has computed, float32 [channels · grid · grid], of a photo of `size` (height, width). */
  | { kind: "adopt"; key: string; size: [number, number]; features: Float32Array }
  | { kind: "predict"; key: string; prompts: Prompts; multimask: boolean }
  | { kind: "segment"; key: string; prompts: Prompts }
  | { kind: "everything"; key: string; pointsPerSide: number }
  /** Let the card show that it is better, if it is there: the worker asks itself. */
  | { kind: "compare" };

/** On what the graphs run, once they are open. */
export interface Running {
  device: "wasm" | "webgpu";
  threads: number;
  model: string;
}

export interface Answers {
  start: Running;
  embed: Embedding;
  adopt: Embedding;
  predict: MaskAnswer[];
  segment: MaskAnswer[];
  everything: MaskAnswer[];
  compare: Running;
}

export type ToWorker = { number: number; question: Question } | { number: number; stop: true };

export type FromWorker =
  | { number: number; answer: Answers[keyof Answers] }
  | { number: number; progress: [done: number, total: number] }
  | { number: number; error: { message: string; status: number } };
