import { beforeEach, describe, expect, it } from "vitest";
import type { Answers } from "../src/editor/answers.svelte";
import { Editor, type LabelChange } from "../src/editor/editor.svelte";
import * as scenes from "../src/editor/scene";
import type { MaskAnswer, Prompts, Rle } from "../src/engine/engine";
import { area } from "../src/mask/rle";

const SIZE: [number, number] = [4, 4];
const code = (...counts: number[]): Rle => ({ size: SIZE, counts });
const answer = (id: string, rle: Rle): MaskAnswer => ({ id, rle, iou: 0.9, box: [0, 0, 1, 1], area: area(rle) });
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** An engine that answers when it is told to. */
class Slow {
  readonly asked: Prompts[] = [];
  private readonly waiting: ((masks: MaskAnswer[]) => void)[] = [];

  segment(prompts: Prompts): Promise<MaskAnswer[]> {
    this.asked.push(prompts);
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  preview(): Promise<MaskAnswer[]> {
    return Promise.resolve([]);
  }

  async answer(...masks: MaskAnswer[]): Promise<void> {
    this.waiting.shift()?.(masks);
    await turn();
  }
}

let slow: Slow;
let editor: Editor;
let changes: LabelChange[];
let used: string[];

beforeEach(() => {
  slow = new Slow();
  changes = [];
  used = [];
  editor = new Editor(slow as unknown as Answers, {
    changed: () => undefined,
    labelChanged: (change) => void changes.push(change),
    failed: (error) => {
      throw error;
    },
    used: (label) => void used.push(label),
  });
  editor.open("image", SIZE, scenes.NOTHING);
});

const mask = () => scenes.draftMask(editor.draft!)?.counts;

describe("clicks", () => {
  it("are answered one after the other, each going on from the answer before", async () => {
    editor.addPoint([1, 1], 1);
    editor.addPoint([2, 2], 0);
    await turn();
    expect(slow.asked).toHaveLength(1);
    expect(editor.pending).toHaveLength(2);
    await slow.answer(answer("first", code(0, 4, 12)));
    expect(slow.asked[1]).toEqual({ points: [[1, 1], [2, 2]], labels: [1, 0], hint: "first" });
    await slow.answer(answer("second", code(0, 2, 14)));
    expect(mask()).toEqual([0, 2, 14]);
    expect([editor.pending.length, editor.waiting]).toEqual([0, 0]);
  });

  it("can be taken back before they are answered, and after", async () => {
    editor.addPoint([1, 1], 1);
    await turn();
    editor.undo();
    await slow.answer(answer("late", code(0, 4, 12)));
    expect(editor.draft).toBe(null);
    editor.addPoint([1, 1], 1);
    await turn();
    await slow.answer(answer("first", code(0, 4, 12)));
    editor.undo();
    expect(editor.draft).toBe(null);
    editor.redo();
    expect(mask()).toEqual([0, 4, 12]);
  });

  it("on a painted object take away what is under them", async () => {
    editor.paint(code(0, 8, 8), true);
    editor.addPoint([0, 0], 0);
    await turn();
    expect(slow.asked[0]).toEqual({ points: [[0, 0]], labels: [1] });
    await slow.answer(answer("", code(0, 3, 13)));
    expect(mask()).toEqual([3, 5, 8]);
  });

  it("leave only candidates that differ", async () => {
    editor.addPoint([1, 1], 1);
    await turn();
    await slow.answer(answer("a", code(0, 4, 12)), answer("b", code(0, 4, 12)), answer("c", code(0, 8, 8)), answer("d", code(16)));
    expect(editor.draft!.answers.map(({ id }) => id)).toEqual(["a", "c"]);
    editor.nextCandidate();
    expect(mask()).toEqual([0, 8, 8]);
    editor.nextCandidate();
    expect(mask()).toEqual([0, 4, 12]);
  });
});

describe("keeping", () => {
  it("waits for the answer that is on its way", async () => {
    editor.addPoint([1, 1], 1);
    editor.keep("cat");
    await turn();
    expect(editor.scene.layers).toEqual([]);
    await slow.answer(answer("a", code(0, 4, 12)));
    await turn();
    expect(editor.scene.layers.map(({ label }) => label)).toEqual(["cat"]);
    expect(used).toEqual(["cat"]);
  });

  it("and undo leave a draft that can be gone on with", async () => {
    editor.paint(code(0, 4, 12), true);
    editor.keep("cat");
    editor.undo();
    expect(editor.scene.layers).toEqual([]);
    expect(mask()).toEqual([0, 4, 12]);
  });
});

describe("classes", () => {
  it("are renamed in the scene, and undo says so to the project", () => {
    editor.paint(code(0, 4, 12), true);
    editor.keep("cat");
    const [from, to] = [{ name: "cat", color: "#000000" }, { name: "tiger", color: "#000000" }];
    editor.changeLabel({ from, to });
    expect([editor.scene.layers[0].label, editor.label]).toEqual(["tiger", "tiger"]);
    editor.undo();
    expect(editor.scene.layers[0].label).toBe("cat");
    editor.redo();
    expect(changes).toEqual([{ from, to }, { from: to, to: from }, { from, to }]);
  });
});

describe("images", () => {
  it("keep their history while others are open", () => {
    editor.paint(code(0, 4, 12), true);
    editor.keep("cat");
    const { scene } = editor;
    editor.open("other", SIZE, scenes.NOTHING);
    expect(editor.canUndo).toBe(false);
    editor.open("image", SIZE, scenes.fromLayers(scenes.toLayers(scene), false));
    expect(editor.canUndo).toBe(true);
    editor.undo();
    expect(editor.draft).not.toBe(null);
  });

  it("forget it where somebody else changed them meanwhile", () => {
    editor.paint(code(0, 4, 12), true);
    editor.keep("cat");
    editor.open("other", SIZE, scenes.NOTHING);
    editor.open("image", SIZE, scenes.NOTHING);
    expect(editor.canUndo).toBe(false);
  });
});
