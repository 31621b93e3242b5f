import { expect, it } from "vitest";
import { EngineError } from "../src/engine/engine";

it("tells an engine that forgot from one that is away", () => {
  expect(new EngineError("gone", 404).forgotten).toBe(true);
  expect(new EngineError("away").away).toBe(true);
  expect(new EngineError("busy", 429, 2)).toMatchObject({ forgotten: false, away: false, retryAfterSeconds: 2 });
});
