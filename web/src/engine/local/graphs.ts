/**
 * The four graphs of an exported model, run by ONNX Runtime Web: what `samlet.runtime.graphs` is in Python. It knows
 * their inputs and outputs; it does not know where they come from or on what they run.
 */

import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";
import type { ImageFrame, ImageSpec, Logits } from "./frame";
import type { Prompt } from "./prompts";

/** How close a second look is (`samlet.geometry.windows`): shares of the box's longer side, of the photo's long side, and of the photo. */
export interface Framing {
  readonly margin: number;
  readonly least_of_box: number;
  readonly least_of_click: number;
  readonly most: number;
}

/** What a model's manifest says that inference needs. */
export interface Manifest {
  name: string;
  image: ImageSpec;
  mask_tokens: number;
  single_column?: number;
  multimask_columns?: number[] | null;
  pred_iou_thresh?: number;
  stability_score_thresh?: number;
  edge_radius?: number;
  edge_eps?: number;
  look?: Framing;
  thing_rule?: { level: number; iou: number; size: number } | null;
  click_size_penalty?: number;
  files: Record<string, string>;
}

export const GRAPHS = ["encoder", "projector", "decoder", "upscaler"] as const;
export type GraphName = (typeof GRAPHS)[number];

/** Opens a graph when it is first needed. */
export type OpenGraph = (name: GraphName) => Promise<InferenceSession>;

type Tensors = Record<string, Tensor>;

/** What the encoder says of a photo, or of a window of one, and what all questions about it share once one was asked. */
export interface Features {
  readonly frame: ImageFrame;
  readonly embeddings: Float32Array;
  shared?: Tensors;
}

/** The answer to a prompt: the predicted IoU of each mask, and the masks themselves where they are asked for. */
export interface Answer {
  readonly iou: Float32Array;
  /** Low-resolution logits of some of the masks, by their columns. */
  lowRes(columns: readonly number[]): Promise<Logits[]>;
}

export class Graphs {
  private readonly sessions = new Map<GraphName, Promise<InferenceSession>>();

  constructor(
    readonly manifest: Manifest,
    private readonly open: OpenGraph,
    private readonly tensor: TensorConstructor,
  ) {}

  /** The column of the mask that answers a prompt that leaves no doubt. */
  get single(): number {
    return this.manifest.single_column ?? 0;
  }

  /** The columns of the masks of an ambiguous prompt. */
  get multimask(): number[] {
    const columns = Array.from({ length: this.manifest.mask_tokens }, (_, column) => column);
    const others = this.manifest.multimask_columns ?? columns.filter((column) => column !== this.single);
    return others.length > 0 ? others : [this.single];
  }

  /** Open the graphs that a click needs, one after the other: the first one would wait for them. */
  async warmUp(): Promise<void> {
    for (const name of GRAPHS) await this.session(name);
  }

  /** Give back what the sessions hold. */
  async close(): Promise<void> {
    for (const session of this.sessions.values()) await (await session).release();
    this.sessions.clear();
  }

  async encode(pixels: Float32Array, frame: ImageFrame): Promise<Features> {
    const side = this.manifest.image.canvas;
    const answer = await this.run("encoder", { pixels: this.floats(pixels, [1, 3, side, side]) });
    return { frame, embeddings: await values(answer.image_embeddings) };
  }

  /** What the decoder says of a prompt; `hint` is the low-resolution logits of an earlier answer. */
  async decode(features: Features, prompt: Prompt, hint?: Float32Array): Promise<Answer> {
    return (await this.decodeAll(features, [prompt], hint))[0];
  }

  /** The same for prompts of equally many points, in one run. */
  async decodeAll(features: Features, prompts: readonly Prompt[], hint?: Float32Array): Promise<Answer[]> {
    const shared =
      hint === undefined ? (features.shared ??= await this.project(features)) : await this.project(features, hint);
    const tokens = prompts.map((prompt) => prompt.tokens(features.frame));
    const length = tokens[0].labels.length;
    const points = new Float32Array(prompts.length * length * 2);
    const labels = new BigInt64Array(prompts.length * length);
    tokens.forEach((token, row) => {
      points.set(token.points, row * length * 2);
      labels.set(token.labels, row * length);
    });
    const decoded = await this.run("decoder", {
      points_xy: this.floats(points, [prompts.length, length, 2]),
      labels: new this.tensor("int64", labels, [prompts.length, length]),
      ...shared,
    });
    const iou = await values(decoded.iou);
    const masks = this.manifest.mask_tokens;
    return prompts.map((_, row) => ({
      iou: iou.slice(row * masks, (row + 1) * masks),
      lowRes: (columns) => this.upscale(shared, decoded, row, columns),
    }));
  }

  private async project(features: Features, hint?: Float32Array): Promise<Tensors> {
    const { low_res: side = 256, channels = 256, grid = 64 } = this.manifest.image;
    return this.run("projector", {
      image_embeddings: this.floats(features.embeddings, [1, channels, grid, grid]),
      mask_hint: this.floats(hint ?? new Float32Array(side * side), [1, side, side]),
      has_mask_hint: this.floats(Float32Array.of(hint === undefined ? 0 : 1), [1]),
    });
  }

  private async upscale(shared: Tensors, decoded: Tensors, row: number, columns: readonly number[]): Promise<Logits[]> {
    if (columns.length === 0) return [];
    const inputs: Tensors = {
      upscaled: shared.upscaled,
      columns: new this.tensor("int64", BigInt64Array.from(columns.map(BigInt)), [columns.length]),
    };
    for (const name of ["mask_tokens", "weights", "vectors", "scale"])
      inputs[name] = await this.rowOf(decoded[name], row);
    const logits = await values((await this.run("upscaler", inputs)).logits);
    const side = this.manifest.image.low_res ?? 256;
    return columns.map((_, k) => ({
      data: logits.slice(k * side * side, (k + 1) * side * side),
      width: side,
      height: side,
    }));
  }

  private async rowOf(tensor: Tensor, row: number): Promise<Tensor> {
    if (tensor.dims[0] === 1) return tensor;
    const size = tensor.size / tensor.dims[0];
    return this.floats((await values(tensor)).subarray(row * size, (row + 1) * size), [1, ...tensor.dims.slice(1)]);
  }

  private async run(name: GraphName, inputs: Tensors): Promise<Tensors> {
    return (await (await this.session(name)).run(inputs)) as Tensors;
  }

  private session(name: GraphName): Promise<InferenceSession> {
    let session = this.sessions.get(name);
    if (session === undefined) {
      session = this.open(name);
      this.sessions.set(name, session);
      session.catch(() => this.sessions.delete(name));
    }
    return session;
  }

  private floats(data: Float32Array, dims: readonly number[]): Tensor {
    return new this.tensor("float32", data, dims);
  }
}

async function values(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.getData()) as Float32Array;
}
