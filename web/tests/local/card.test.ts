import { expect, it } from "vitest";
import { cardIsBetter, hasCard } from "../../src/engine/local/card";
import type { Graphs } from "../../src/engine/local/graphs";
import { SPEC } from "./golden";

let clock = 0;
const now = () => clock;

/** A model that takes `ms`, and finds the first `object` of 100 pixels. */
function model(ms: number, object: number, outside = -1): Graphs {
  const logits = Float32Array.from({ length: 100 }, (_, k) => (k < object ? 1 : outside));
  return {
    manifest: { image: { ...SPEC, canvas: 16 }, mask_tokens: 4 },
    encode: async () => void (clock += ms),
    decode: async () => ({ lowRes: async (columns: number[]) => columns.map(() => ({ data: logits })) }),
  } as unknown as Graphs;
}

it.each([
  ["the same masks sooner", model(5, 50), model(9, 50), true],
  ["nothing found by both, sooner", model(5, 0), model(9, 0), true],
  ["the same masks later", model(9, 50), model(5, 50), false],
  ["other masks", model(5, 60), model(9, 50), false],
  ["something where there is nothing", model(5, 1), model(9, 0), false],
  ["numbers that are none", model(5, 50, NaN), model(9, 50), false],
])("chooses the card for %s: %#", async (_, card, cpu, better) => {
  expect(await cardIsBetter(card, cpu, now)).toBe(better);
});

it.each([
  [{}, false],
  [{ gpu: { requestAdapter: async () => null } }, false],
  [{ gpu: { requestAdapter: async () => Promise.reject(new Error("lost")) } }, false],
  [{ gpu: { requestAdapter: async () => ({ info: { architecture: "swiftshader" } }) } }, false],
  [{ gpu: { requestAdapter: async () => ({ info: { isFallbackAdapter: true } }) } }, false],
  [{ gpu: { requestAdapter: async () => ({ info: { vendor: "amd", architecture: "rdna-3" } }) } }, true],
])("knows a card from software that plays one: %#", async (scope, card) => {
  expect(await hasCard(scope)).toBe(card);
});
