/** What the page and the worker say to each other. */

import type { Embedding, MaskAnswer, Prompts } from "../engine";

/** Where the files of the runtime and of the model lie (absolute addresses that end with a slash), and how to run. */
export interface Setup {
  runtime: string;
  model: string;
  /** Which device is tried first; the CPU is what remains. */
  device: "wasm" | "webgpu";
}

export type Question =
  | { kind: "start"; setup: Setup }
  | { kind: "embed"; key: string; file: Blob }
  /** Features that somebody else has computed, float32 [channels · grid · grid], of a photo of `size` (height, width). */
  | { kind: "adopt"; key: string; size: [number, number]; features: Float32Array }
  | { kind: "predict"; key: string; prompts: Prompts; multimask: boolean }
  | { kind: "segment"; key: string; prompts: Prompts }
  | { kind: "everything"; key: string; pointsPerSide: number };

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
}

export type ToWorker = { number: number; question: Question } | { number: number; stop: true };

export type FromWorker =
  | { number: number; answer: Answers[keyof Answers] }
  | { number: number; progress: [done: number, total: number] }
  | { number: number; error: { message: string; status: number } };
