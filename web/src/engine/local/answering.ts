/** A model that answers the page's questions: what `samlet serve` does, in the browser. It knows no workers and no files. */

import { area, boxOf } from "../../mask/rle";
import type { Embedding, MaskAnswer, Prompts, Rle } from "../engine";
import { EngineError } from "../engine";
import { cleanedCode } from "./clean";
import { everything } from "./everything";
import { ImageFrame, type Logits } from "./frame";
import type { Features, Graphs } from "./graphs";
import { Memory } from "./memory";
import { Patch } from "./patch";
import { toPixels } from "./pixels";
import { Prompt } from "./prompts";
import type { Photo } from "./resize";
import { type Candidate, candidatesOf, segment, singleOf } from "./segment";

const PHOTOS_BYTES = 400_000_000;
const HINTS_BYTES = 64_000_000;

/** A photo that was encoded; without its pixels it can be asked, but not looked at again. */
interface Kept {
  readonly features: Features;
  readonly photo: Photo | null;
}

interface Hint {
  readonly key: string;
  readonly logits: Float32Array;
}

export class Answering {
  private readonly kept = new Memory<Kept>(
    PHOTOS_BYTES,
    ({ photo, features }) => (photo?.data.length ?? 0) + features.embeddings.byteLength,
  );
  private readonly hints = new Memory<Hint>(HINTS_BYTES, ({ logits }) => logits.byteLength);
  private named = 0;
  private last: Features | null = null;

  constructor(
    private graphs: Graphs,
    private readonly read: (file: Blob) => Promise<Photo>,
  ) {}

  /** From now on other graphs of the same model answer, about what was embedded before too. */
  use(graphs: Graphs): void {
    this.graphs = graphs;
    if (this.last !== null) delete this.last.shared;
  }

  async embed(key: string, file: Blob): Promise<Embedding> {
    let kept = this.kept.get(key);
    if (kept === undefined || kept.photo === null) {
      const photo = await this.read(file);
      const { pixels, frame } = toPixels(photo, this.graphs.manifest.image);
      kept = { features: await this.graphs.encode(pixels, frame), photo };
      this.kept.put(key, kept);
    }
    return { embedding: key, size: [...kept.features.frame.sizeHw] };
  }

  /** Take over what another encoder with the same weights has said of a photo of `size` (height, width). */
  adopt(key: string, size: [number, number], embeddings: Float32Array): Embedding {
    const { channels = 256, grid = 64 } = this.graphs.manifest.image;
    if (embeddings.length !== channels * grid * grid)
      throw new EngineError("The server's features are not this model's.", 500);
    const frame = ImageFrame.of(size, this.graphs.manifest.image);
    this.kept.put(key, { features: { frame, embeddings }, photo: null });
    return { embedding: key, size };
  }

  /** The network's own answer, or all candidates of an ambiguous prompt, best first. */
  async predict(key: string, prompts: Prompts, multimask: boolean): Promise<MaskAnswer[]> {
    const { features, prompt, hint } = this.asked(key, prompts);
    return this.answered(key, features, await this.candidates(features, prompt, hint, multimask));
  }

  /** The mask for people, then the network's candidates, best first. */
  async segment(key: string, prompts: Prompts): Promise<MaskAnswer[]> {
    const { features, photo, prompt, hint } = this.asked(key, prompts);
    if (photo === null) throw forgotten();
    const { rle, iou, lowRes, candidates } = await segment(this.graphs, photo, features, prompt, hint);
    const others = candidates ?? (await this.candidates(features, prompt, hint, true));
    return [this.answer(key, rle, iou, lowRes), ...this.answered(key, features, others)];
  }

  /** All masks of a photo, best first, without islands and holes that no click asked for. */
  async everything(
    key: string,
    pointsPerSide: number,
    advance: (done: number, total: number) => Promise<void>,
  ): Promise<MaskAnswer[]> {
    const { features, photo } = this.of(key);
    const found = await everything(this.graphs, features, photo, pointsPerSide, advance);
    return found.map(({ rle, iou, click }) => this.answer(key, cleanedCode(rle, [click]), iou));
  }

  private asked(key: string, prompts: Prompts): Kept & { prompt: Prompt; hint: Float32Array | undefined } {
    const kept = this.of(key);
    const prompt = Prompt.of(prompts, kept.features.frame.sizeHw);
    if (prompts.hint === undefined) return { ...kept, prompt, hint: undefined };
    const hint = this.hints.get(prompts.hint);
    if (hint === undefined || hint.key !== key) {
      throw new EngineError("The mask that this goes on from is not kept any more: ask without the hint.", 404);
    }
    return { ...kept, prompt, hint: hint.logits };
  }

  private of(key: string): Kept {
    const kept = this.kept.get(key);
    if (kept === undefined) throw forgotten();
    // What questions about a photo share takes 31 MB: only the photo that is being asked about keeps it.
    if (this.last !== null && this.last !== kept.features) delete this.last.shared;
    this.last = kept.features;
    return kept;
  }

  private async candidates(
    features: Features,
    prompt: Prompt,
    hint: Float32Array | undefined,
    multimask: boolean,
  ): Promise<Candidate[]> {
    const decoded = await this.graphs.decode(features, prompt, hint);
    const unambiguous = prompt.clicks.length > 1 && prompt.box === null;
    if (unambiguous && !multimask) return [await singleOf(this.graphs, decoded)];
    const found = await candidatesOf(this.graphs, decoded);
    return multimask ? found : found.slice(0, 1);
  }

  private answered(key: string, features: Features, candidates: readonly Candidate[]): MaskAnswer[] {
    return candidates.map(({ iou, lowRes }) =>
      this.answer(key, Patch.cut(lowRes, features.frame, -1).code(), iou, lowRes),
    );
  }

  private answer(key: string, rle: Rle, iou: number, lowRes?: Logits): MaskAnswer {
    const id = `here-${++this.named}`;
    if (lowRes !== undefined) this.hints.put(id, { key, logits: lowRes.data });
    return { id, rle, iou, box: boxOf(rle), area: area(rle) };
  }
}

function forgotten(): EngineError {
  return new EngineError("This image is not kept in the browser's memory any more: embed it again.", 404);
}
