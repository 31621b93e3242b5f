import { describe, expect, it } from "vitest";
import { Answering } from "../../src/engine/local/answering";
import type { Answer, Features, Graphs } from "../../src/engine/local/graphs";
import type { Logits } from "../../src/engine/local/frame";
import { Memory } from "../../src/engine/local/memory";
import type { Prompt } from "../../src/engine/local/prompts";
import type { Photo } from "../../src/engine/local/resize";
import { SPEC } from "./golden";

const IOU = [0.9, 0.5, 0.8, 0.6]; // the single mask first
const SPEC_OF_ALL = { ...SPEC, channels: 2, grid: 3 };

/** A model whose mask number n is a square of n + 1 low-resolution pixels around the first point. */
class FakeGraphs {
  readonly single = 0;
  readonly multimask = [1, 2, 3];
  readonly manifest = { image: SPEC_OF_ALL, pred_iou_thresh: 0.1, stability_score_thresh: 0.1, edge_radius: 0 };
  readonly asked: { prompt: Prompt; hint?: Float32Array }[] = [];
  encoded = 0;

  async encode(_: Float32Array, frame: Features["frame"]): Promise<Features> {
    this.encoded++;
    return { frame, embeddings: new Float32Array(18) };
  }

  async decode(features: Features, prompt: Prompt, hint?: Float32Array): Promise<Answer> {
    this.asked.push({ prompt, hint });
    features.shared = {};
    const [x, y] = features.frame
      .toPrompt(...(prompt.clicks[0] ?? [prompt.box![0], prompt.box![1]]))
      .map((at) => Math.trunc(at / 4));
    return {
      iou: Float32Array.from(IOU),
      lowRes: async (columns) => columns.map((column) => square(x, y, column + 1)),
    };
  }

  async decodeAll(features: Features, prompts: readonly Prompt[]): Promise<Answer[]> {
    return Promise.all(prompts.map((prompt) => this.decode(features, prompt)));
  }
}

function square(x: number, y: number, side: number): Logits {
  const data = new Float32Array(256).fill(-5);
  for (let row = y; row < Math.min(16, y + side); row++) data.fill(5, row * 16 + x, row * 16 + Math.min(16, x + side));
  return { data, width: 16, height: 16 };
}

const photo: Photo = { data: new Uint8Array(30 * 45 * 4).fill(120), width: 45, height: 30 };

function fresh(read = async () => photo) {
  const graphs = new FakeGraphs();
  return { graphs, model: new Answering(graphs as unknown as Graphs, read) };
}

const CLICK = { points: [[10, 10] as [number, number]], labels: [1] };

describe("a model that answers", () => {
  it("encodes an image once, and knows its size", async () => {
    const { graphs, model } = fresh();
    expect(await model.embed("a", new Blob())).toEqual({ embedding: "a", size: [30, 45] });
    await model.embed("a", new Blob());
    expect(graphs.encoded).toBe(1);
  });

  it("gives the best of an ambiguous click, and of several clicks the single mask", async () => {
    const { model } = fresh();
    await model.embed("a", new Blob());
    const [best] = await model.predict("a", CLICK, false);
    expect(best.iou).toBeCloseTo(0.8);
    expect(best.area).toBeGreaterThan(0);
    const [single] = await model.predict("a", { points: [[10, 10], [20, 20]], labels: [1, 0] }, false); // prettier-ignore
    expect(single.iou).toBeCloseTo(0.9);
    const boxed = { points: [[10, 10], [20, 20]] as [number, number][], labels: [1, 0], box: [5, 5, 30, 25] as [number, number, number, number] }; // prettier-ignore
    expect((await model.predict("a", boxed, false))[0].iou).toBeCloseTo(0.8);
  });

  it("sorts candidates, and puts the mask for people before them", async () => {
    const { model } = fresh();
    await model.embed("a", new Blob());
    expect((await model.predict("a", CLICK, true)).map(({ iou }) => iou.toFixed(1))).toEqual(["0.8", "0.6", "0.5"]);
    const masks = await model.segment("a", CLICK);
    expect(masks.map(({ iou }) => iou.toFixed(1))).toEqual(["0.8", "0.8", "0.6", "0.5"]);
    expect(new Set(masks.map(({ id }) => id)).size).toBe(4);
  });

  it("asks further clicks with the last answer as a hint", async () => {
    const { graphs, model } = fresh();
    await model.embed("a", new Blob());
    await model.segment("a", { points: [[20, 3], [10, 10]], labels: [0, 1] }); // prettier-ignore
    const [first, second] = graphs.asked;
    expect([first.prompt.clicks, first.hint]).toEqual([[[10, 10]], undefined]);
    expect([second.prompt.clicks.length, second.hint?.length]).toEqual([2, 256]);
  });

  it("goes on from a mask of the same image only", async () => {
    const { graphs, model } = fresh();
    await model.embed("a", new Blob());
    await model.embed("b", new Blob());
    const [{ id }] = await model.predict("a", CLICK, false);
    await model.predict("a", { ...CLICK, hint: id }, false);
    expect(graphs.asked[1].hint?.length).toBe(256);
    await expect(model.predict("b", { ...CLICK, hint: id }, false)).rejects.toMatchObject({ status: 404 });
    await expect(model.predict("none", CLICK, false)).rejects.toMatchObject({ forgotten: true });
  });

  it("answers about features that it was handed, but looks at no pixels of theirs", async () => {
    const { model } = fresh();
    expect(model.adopt("a", [30, 45], new Float32Array(18)).size).toEqual([30, 45]);
    expect(await model.predict("a", CLICK, false)).toHaveLength(1);
    await expect(model.segment("a", CLICK)).rejects.toMatchObject({ forgotten: true });
    expect(() => model.adopt("a", [30, 45], new Float32Array(17))).toThrow("not this model's");
  });

  it("keeps what questions share for one image only", async () => {
    const { graphs, model } = fresh();
    const features: Features[] = [];
    const encode = graphs.encode.bind(graphs);
    graphs.encode = async (pixels, frame) => (features.push(await encode(pixels, frame)), features.at(-1)!);
    for (const key of ["a", "b"]) await model.embed(key, new Blob());
    await model.predict("a", CLICK, false);
    await model.predict("b", CLICK, false);
    expect(features.map(({ shared }) => shared !== undefined)).toEqual([false, true]);
  });

  it("finds everything, tells how far it is, and stops when told", async () => {
    const { model } = fresh();
    await model.embed("a", new Blob());
    const told: number[][] = [];
    const masks = await model.everything("a", 3, async (done, total) => void told.push([done, total]));
    expect(told).toEqual([[1, 9], [2, 9], [6, 9], [9, 9]]); // prettier-ignore
    expect(masks.length).toBeGreaterThan(3);
    expect(masks.map(({ iou }) => iou)).toEqual(masks.map(({ iou }) => iou).sort((a, b) => b - a));
    const stop = model.everything("a", 3, () => Promise.reject(new Error("enough")));
    await expect(stop).rejects.toThrow("enough");
  });

  it("tells what cannot be read", async () => {
    const { model } = fresh(() => Promise.reject(new Error("no image")));
    await expect(model.embed("a", new Blob())).rejects.toThrow("no image");
  });
});

describe("memory", () => {
  it("forgets what was used longest ago, but never the newest", () => {
    const memory = new Memory<number>(10, (value) => value);
    memory.put("a", 4);
    memory.put("b", 4);
    memory.get("a");
    memory.put("c", 4);
    expect([memory.get("a"), memory.get("b"), memory.get("c")]).toEqual([4, undefined, 4]);
    memory.put("d", 99);
    expect([memory.get("a"), memory.get("c"), memory.get("d")]).toEqual([undefined, undefined, 99]);
    memory.put("d", 1);
    memory.put("e", 9);
    expect([memory.get("d"), memory.get("e")]).toEqual([1, 9]);
  });
});
