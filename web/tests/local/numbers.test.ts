import { describe, expect, it } from "vitest";
import { cleaned, cleanedCode, type Mask } from "../../src/engine/local/clean";
import { partsOf } from "../../src/engine/local/components";
import { corrected } from "../../src/engine/local/corrections";
import { leastStability } from "../../src/engine/local/everything";
import { lessForSize } from "../../src/engine/local/segment";
import { ImageFrame, roundEven } from "../../src/engine/local/frame";
import { boxMean, guidedMask, plainMask } from "../../src/engine/local/guided";
import { Patch } from "../../src/engine/local/patch";
import { toPixels } from "../../src/engine/local/pixels";
import { Prompt } from "../../src/engine/local/prompts";
import { resized } from "../../src/engine/local/resize";
import { coarseToFine, Tally } from "../../src/engine/local/tally";
import { windowAround } from "../../src/engine/local/windows";
import { fromWindow } from "../../src/mask/rle";
import { bytes, floats, furthest, golden, photoOf, SPEC } from "./golden";

const FRAME = ImageFrame.of([30, 45], SPEC);
const lowRes = (text: string) => ({ data: floats(text), width: 16, height: 16 });

describe("what the encoder sees", () => {
  it.each(golden.resized)("is scaled to the bit from $size to $target", ({ size, photo, target, result }) => {
    expect(resized(photoOf(photo, size), target)).toEqual(bytes(result));
  });

  it("begins with the columns of tall photos, as Pillow 13 does", () => {
    const tall = photoOf(golden.resized[1].photo, [45, 30]);
    const low = resized(tall, [15, 30]);
    const twice = resized(photoOf(Buffer.from(low).toString("base64"), [15, 30]), [15, 20]);
    expect(resized(tall, [15, 20])).toEqual(twice);
    expect(resized(tall, [30, 20])).toEqual(
      resized(photoOf(Buffer.from(resized(tall, [45, 20])).toString("base64"), [45, 20]), [30, 20]),
    );
  });

  it("is normalized and padded", () => {
    const { size, photo, content, result, window, of_window } = golden.pixels;
    const { pixels, frame } = toPixels(photoOf(photo, size), SPEC);
    expect(frame.contentHw).toEqual(content);
    expect(pixels).toEqual(floats(result));
    expect(toPixels(photoOf(photo, size), SPEC, window).pixels).toEqual(floats(of_window));
  });
});

describe("frames", () => {
  it.each(golden.frames)("of $size", ({ size, content, prompt, low_res, point, boxes, reach }) => {
    const frame = ImageFrame.of(size, SPEC);
    expect([frame.contentHw, frame.promptHw, frame.lowResHw]).toEqual([content, prompt, low_res]);
    expect(frame.toPrompt(1.5, 0.25)).toEqual(point);
    expect(boxes.map((box: [number, number, number, number]) => frame.reachOf(box))).toEqual(reach);
  });

  it.each(golden.samples)("sample logits over $window", ({ logits, window, size, result }) => {
    expect(furthest(FRAME.sampleLogits(lowRes(logits), window, size).data, floats(result))).toBeLessThan(1e-5);
  });

  it("fill the canvas where a model stretches", () => {
    expect(ImageFrame.of([30, 45], { ...SPEC, fit: "stretch" }).contentHw).toEqual([48, 48]);
  });
});

describe("clicks of everything mode", () => {
  it.each(golden.levels)("%i in a row, every %i first", (perSide, stride, levels) => {
    expect(coarseToFine(perSide, stride)).toEqual(levels);
  });

  it.each(golden.tallies)("are counted where they have masks, in $size", ({ size, logits, points, counts }) => {
    const frame = ImageFrame.of(size, SPEC);
    const tally = new Tally(frame);
    logits.forEach((text: string, k: number) => tally.add(Math.floor(k / 2), Patch.cut(lowRes(text), frame, -1)));
    const found = points.map((point: [number, number]) => tally.at(point));
    expect(furthest(found, counts)).toBeLessThan(1e-6);
  });
});

describe("masks", () => {
  it.each(golden.patches)("of an image of $size", ({ size, logits, counts, stability, box, sampled }) => {
    const patch = Patch.cut(lowRes(logits), ImageFrame.of(size, SPEC), -1);
    expect(patch.code()).toEqual({ size, counts });
    expect(patch.stability()).toBe(stability);
    expect(patch.imageBox()).toEqual(box);
    expect(furthest(patch.sample([0, 0, size[1], size[0]], [9, 14]).data, floats(sampled))).toBeLessThan(1e-5);
    expect(patch.isStable(stability - 0.001)).toBe(true);
    expect(patch.isStable(stability + 0.001)).toBe(false);
  });

  it("must be the less stable, the surer and larger they are", () => {
    const rule = { level: -0.5, iou: 1.5, size: 3 };
    golden.patches.forEach(({ size, logits, least_stability }, seed) => {
      const patch = Patch.cut(lowRes(logits), ImageFrame.of(size, SPEC), -1);
      const manifest = { name: "", image: SPEC, mask_tokens: 4, files: {}, stability_score_thresh: 0.5 };
      expect(leastStability({ ...manifest, thing_rule: rule }, 0.15 * seed, patch)).toBeCloseTo(least_stability, 6);
      expect(leastStability({ ...manifest, thing_rule: null }, 0.15 * seed, patch)).toBe(0.5);
    });
  });

  it("are worth less as the answer to a click, the larger they are", () => {
    golden.patches.forEach(({ size, logits, worth }) => {
      const candidate = { iou: 0.7, lowRes: lowRes(logits) };
      expect(lessForSize(candidate, 0.05, ImageFrame.of(size, SPEC))).toBeCloseTo(worth, 6);
    });
  });

  it("are those of the logits at the size of the photo, however large it is", () => {
    golden.patches.forEach(({ logits }, seed) => {
      const frame = ImageFrame.of([300 + 37 * seed, 411 - 23 * seed], SPEC);
      const patch = Patch.cut(lowRes(logits), frame, -1);
      const inside = new Uint8Array(frame.sizeHw[0] * frame.sizeHw[1]);
      frame.windowRows(patch.logits, patch.corner, frame.reachOf(patch.box!), (y, row) => {
        row.forEach((logit, x) => (inside[y * frame.sizeHw[1] + frame.reachOf(patch.box!)[0] + x] = logit > 0 ? 1 : 0));
      });
      const [height, width] = frame.sizeHw;
      expect(patch.code()).toEqual(fromWindow({ left: 0, top: 0, width, height, pixels: inside }, [height, width]));
    });
  });

  it("that are empty", () => {
    const patch = Patch.cut({ data: new Float32Array(256).fill(-9), width: 16, height: 16 }, FRAME, -1);
    expect([patch.code().counts, patch.stability()]).toEqual([[1350], 0]);
    expect(patch.imageBox()).toEqual([0, 0, 0, 0]);
    expect(patch.isStable(0.1)).toBe(false);
  });
});

describe("the guided filter", () => {
  it.each(golden.guided)("of radius $radius on a grid of $grid", ({ size, photo, grid, probability, radius, mask }) => {
    const share = { data: floats(probability), width: grid[1], height: grid[0] };
    const made = guidedMask(share, photoOf(photo, size), [0, 0, size[1], size[0]], radius, 1e-4);
    const wrong = made.reduce((sum, inside, place) => sum + Number(inside !== bytes(mask)[place]), 0);
    expect(wrong).toBeLessThanOrEqual(2); // pixels on the threshold, of some 700
  });

  it("leaves plain masks where there is none", () => {
    const { logits, size, mask } = golden.plain;
    expect(plainMask(lowRes(logits), size)).toEqual(bytes(mask));
  });

  it("means a constant everywhere, also where the window is larger than the map", () => {
    expect(furthest(boxMean(new Float32Array(12).fill(0.25), 4, 3, 1, 5), new Float32Array(12).fill(0.25))).toBe(0);
  });
});

describe("clean-up", () => {
  it.each(golden.cleaned)("case %#", ({ mask, positive, negative, result }) => {
    const given: Mask = { data: bytes(mask), width: 50, height: 40 };
    expect(cleaned(given, 2000, positive, negative).data).toEqual(bytes(result));
  });

  it("leaves the same mask if there is nothing to do, and an empty one empty", () => {
    const empty: Mask = { data: new Uint8Array(12), width: 4, height: 3 };
    expect(cleaned(empty, 12, [], [])).toBe(empty);
    const code = { size: [3, 4] as [number, number], counts: [12] };
    expect(cleanedCode(code, [[1, 1]])).toBe(code);
  });

  it("of a code", () => {
    const { mask, counts } = golden.cleaned[0];
    const code = fromWindow({ left: 0, top: 0, width: 50, height: 40, pixels: bytes(mask) }, [40, 50]);
    expect(cleanedCode(code, []).counts).toEqual(counts);
  });

  it("knows the two ways to be connected", () => {
    const corners = Uint8Array.of(1, 0, 0, 1);
    expect([partsOf(corners, 2, 2, 4).count, partsOf(corners, 2, 2, 8).count]).toEqual([2, 1]);
    const bowl = Uint8Array.of(1, 0, 1, 0, 1, 1, 1, 1, 1, 1); // two arms that meet late
    expect(partsOf(bowl, 5, 2, 4).count).toBe(1);
  });
});

describe("corrections", () => {
  it.each(golden.corrected)("at $click", ({ last, answer, click, result }) => {
    expect(corrected(floats(last), lowRes(answer), click).data).toEqual(floats(result));
  });
});

describe("windows and prompts", () => {
  it.each(golden.windows)("around $box", ({ box, size, window }) => {
    expect(windowAround(box, size, 0.4, 0.33)).toEqual(window);
  });

  it.each(golden.tokens)(
    "as the decoder eats them, case %#",
    ({ points, labels, box, points_xy, token_labels, turns }) => {
      const prompt = Prompt.of({ points, labels, ...(box && { box }) }, [30, 45]);
      const tokens = prompt.tokens(FRAME);
      expect([...tokens.points]).toEqual(points_xy.flat());
      expect([...tokens.labels].map(Number)).toEqual(token_labels);
      const shown = prompt.turns().map(({ asked, click }) => [asked.clicks.length, click]);
      const count = (turn: number) => turns.filter((first: number) => first <= turn).length;
      expect(shown).toEqual(shown.map((_, turn) => [count(turn), points[turns.lastIndexOf(turn)]]));
    },
  );

  it.each([
    [{ points: [], labels: [] }, "No prompt given"],
    [{ points: [[45, 3]], labels: [1] }, "outside the image, which is 45 x 30"],
    [{ points: [[1, 1]], labels: [] }, "one label per point"],
    [{ points: [[1, 1]], labels: [2] }, "use 1 for foreground"],
    [{ points: [], labels: [], box: [5, 5, 5, 9] }, "empty or inverted"],
    [{ points: [], labels: [], box: [5, 5, 48, 9] }, "outside the image"],
  ])("refuses %j", (prompts, sentence) => {
    expect(() => Prompt.of(prompts as Parameters<typeof Prompt.of>[0], [30, 45])).toThrow(sentence);
  });

  it("rounds halves as Python does", () => {
    expect([0.5, 1.5, 2.5, 3.5, 2.4999].map(roundEven)).toEqual([0, 2, 2, 4, 2]);
  });
});
