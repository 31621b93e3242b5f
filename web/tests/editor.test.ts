import { describe, expect, it } from "vitest";
import type { Rle } from "../src/engine/engine";
import { History } from "../src/editor/history";
import { Latest } from "../src/editor/latest";
import { nextColor, PALETTE, recentFirst } from "../src/editor/palette";
import * as scenes from "../src/editor/scene";
import { area } from "../src/mask/rle";
import type { Layer } from "../src/project/store";

const SIZE: [number, number] = [4, 4];
const code = (...counts: number[]): Rle => ({ size: SIZE, counts });
const layer = (id: string, rle: Rle, more: Partial<Layer> = {}): Layer => ({
  id,
  label: "cat",
  visible: true,
  locked: false,
  rle,
  ...more,
});
const answer = (id: string, rle: Rle) => ({ id, rle, iou: 0.9, box: [0, 0, 1, 1] as scenes.Box, area: 1 });
const scene = (...layers: Layer[]): scenes.Scene => ({ ...scenes.NOTHING, layers });

describe("history", () => {
  it("goes back and forth, and forgets the future after a new step", () => {
    const history = new History("a");
    history.push("b");
    history.push("c");
    expect([history.undo(), history.undo(), history.undo()]).toEqual(["b", "a", "a"]);
    expect(history.redo()).toBe("b");
    history.push("d");
    expect(history.canRedo).toBe(false);
    expect(history.redo()).toBe("d");
  });

  it("keeps as many steps as it may", () => {
    const history = new History(0, 3);
    for (let step = 1; step <= 10; step++) history.push(step);
    while (history.canUndo) history.undo();
    expect(history.state).toBe(7);
  });

  it("takes no step for the same state, and none for a replacement", () => {
    const history = new History("a");
    history.push("a");
    history.replace("b");
    expect([history.canUndo, history.state]).toEqual([false, "b"]);
  });
});

describe("questions that follow the pointer", () => {
  it("are asked one at a time, and of those in between only the last", async () => {
    const asked: number[] = [];
    const told: number[] = [];
    const answers: (() => void)[] = [];
    const latest = new Latest<number, number>(
      (question) => new Promise((resolve) => (asked.push(question), answers.push(() => resolve(question)))),
      (result) => told.push(result),
      () => undefined,
    );
    for (const question of [1, 2, 3, 4]) latest.put(question);
    expect(asked).toEqual([1]);
    answers[0]();
    await Promise.resolve().then(() => undefined);
    await new Promise((resolve) => setTimeout(resolve));
    expect(asked).toEqual([1, 4]);
    latest.stop();
    answers[1]();
    await new Promise((resolve) => setTimeout(resolve));
    expect(told).toEqual([1]);
    expect(latest.busy).toBe(false);
  });

  it("tell errors and go on", async () => {
    const failed: unknown[] = [];
    const latest = new Latest<number, number>(
      async () => {
        throw new Error("no");
      },
      () => undefined,
      (error) => failed.push(error),
    );
    latest.put(1);
    await new Promise((resolve) => setTimeout(resolve));
    latest.put(2);
    await new Promise((resolve) => setTimeout(resolve));
    expect(failed).toHaveLength(2);
  });
});

describe("a draft", () => {
  it("is the chosen answer with what the brush did, whatever is chosen", () => {
    let draft = { ...scenes.newDraft("cat"), answers: [answer("1", code(0, 4, 12)), answer("2", code(0, 8, 8))] };
    draft = scenes.painted(draft, code(8, 2, 6), true);
    draft = scenes.painted(draft, code(0, 1, 15), false);
    expect(area(scenes.draftMask(draft)!)).toBe(5);
    expect(area(scenes.draftMask({ ...draft, choice: 1 })!)).toBe(9);
  });

  it("gives way to the last stroke where strokes cross", () => {
    let draft = scenes.painted(scenes.newDraft("cat"), code(0, 4, 12), true);
    draft = scenes.painted(draft, code(0, 2, 14), false);
    draft = scenes.painted(draft, code(0, 1, 15), true);
    expect(scenes.draftMask(draft)!.counts).toEqual([0, 1, 1, 2, 12]);
  });

  it("is no layer while it is empty", () => {
    expect(scenes.keepDraft({ ...scenes.NOTHING, draft: scenes.newDraft("cat") })).toEqual(scenes.NOTHING);
  });

  it("comes back from the store as it was", () => {
    const draft = { ...scenes.newDraft("cat"), points: [[1, 1]] as [number, number][], labels: [1] };
    const made = { ...scene(layer("a", code(0, 1, 15))), draft: { ...draft, answers: [answer("1", code(4, 4, 8))] } };
    const stored = scenes.toLayers(made);
    expect(stored.map((one) => one.draft)).toEqual([true, undefined]);
    const again = scenes.fromLayers(stored, false);
    expect(again.layers).toEqual(made.layers);
    expect(scenes.draftMask(again.draft!)).toEqual(code(4, 4, 8));
    expect(again.draft!.points).toEqual([[1, 1]]);
  });
});

describe("layers", () => {
  it("are taken up and put back where they were", () => {
    const before = scene(layer("a", code(0, 1, 15)), layer("b", code(1, 1, 14)), layer("c", code(2, 1, 13)));
    const taken = scenes.takeUp(before, "b");
    expect(taken.layers.map((one) => one.id)).toEqual(["a", "c"]);
    expect(scenes.keepDraft(taken).layers.map((one) => one.id)).toEqual(["a", "b", "c"]);
    expect(scenes.takeUp(scene(layer("a", code(16), { locked: true })), "a").draft).toBe(null);
  });

  it("are merged into the uppermost, and cut by it", () => {
    const both = scene(layer("a", code(0, 4, 12)), layer("b", code(2, 4, 10)));
    expect(scenes.mergeLayers(both, ["a", "b"]).layers).toMatchObject([{ id: "a", rle: code(0, 6, 10) }]);
    expect(scenes.subtractLayers(both, ["b", "a"]).layers[1].rle).toEqual(code(4, 2, 10));
    expect(scenes.mergeLayers(both, ["a"])).toBe(both);
    const covered = scene(layer("a", code(0, 4, 12)), layer("b", code(1, 2, 13)));
    expect(scenes.subtractLayers(covered, ["a", "b"]).layers.map((one) => one.id)).toEqual(["a"]);
  });

  it("that are locked are neither removed nor merged", () => {
    const both = scene(layer("a", code(0, 4, 12), { locked: true }), layer("b", code(2, 4, 10)));
    expect(scenes.removeLayers(both, ["a", "b"]).layers.map((one) => one.id)).toEqual(["a"]);
    expect(scenes.mergeLayers(both, ["a", "b"])).toBe(both);
  });

  it("move within the list and no farther", () => {
    const three = scene(...["a", "b", "c"].map((id) => layer(id, code(16))));
    expect(scenes.moveLayer(three, "c", 0).layers.map((one) => one.id)).toEqual(["c", "a", "b"]);
    expect(scenes.moveLayer(three, "a", 99).layers.map((one) => one.id)).toEqual(["b", "c", "a"]);
    expect(scenes.moveLayer(three, "x", 0)).toBe(three);
  });
});

describe("labels", () => {
  it("get colors that are still free, and are offered recent first", () => {
    const labels = PALETTE.slice(0, 3).map((color, index) => ({ name: `${index}`, color }));
    expect(nextColor(labels)).toBe(PALETTE[3]);
    expect(recentFirst(labels, ["2", "gone"]).map((label) => label.name)).toEqual(["2", "0", "1"]);
  });
});
