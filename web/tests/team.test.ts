import { describe, expect, it, vi } from "vitest";
import { type Embedding, type Engine, EngineError, type MaskAnswer } from "../src/engine/engine";
import type { BrowserEngine } from "../src/engine/local/browser";
import { readFloats } from "../src/engine/safetensors";
import { type Decoding, SLOW_MS, TeamEngine } from "../src/engine/team";

const IMAGE = { id: "image", name: "image.jpg", bytes: async () => new Blob() };
const CLICK = { points: [[1, 1] as [number, number]], labels: [1] };
const AWAY = () => Promise.reject(new EngineError("The server does not answer."));
const soon = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

function fake(name: "server" | "browser") {
  const mask: MaskAnswer = { id: name, rle: { size: [4, 6], counts: [24] }, iou: 1, box: [0, 0, 0, 0], area: 0 };
  return {
    name,
    started: Promise.resolve({ device: "wasm", threads: 1, model: "m" }),
    embed: vi.fn(async (): Promise<Embedding> => ({ embedding: `of the ${name}`, size: [4, 6] })),
    adopt: vi.fn(async (key: string): Promise<Embedding> => ({ embedding: key, size: [4, 6] })),
    predict: vi.fn(async () => [mask]),
    segment: vi.fn(async () => [mask]),
    everything: vi.fn(async () => [mask]),
    close: vi.fn(),
  };
}

function team(decoding: Decoding) {
  const [server, browser] = [fake("server"), fake("browser")];
  const start = vi.fn(() => browser as unknown as BrowserEngine);
  const features = vi.fn(async () => new Float32Array(1));
  const engine = new TeamEngine(server as unknown as Engine, start, decoding, features);
  const who = async (question: Promise<MaskAnswer[]>) => (await question)[0].id;
  return { server, browser, start, features, engine, who };
}

describe("the server and the browser together", () => {
  it("leave all to the server while it is quick", async () => {
    const { engine, start, who } = team("quickest");
    const { embedding } = await engine.embed(IMAGE);
    expect(await who(engine.predict(embedding, CLICK, { multimask: false }))).toBe("server");
    expect(await who(engine.segment(embedding, CLICK))).toBe("server");
    await soon();
    expect(start).not.toHaveBeenCalled();
  });

  it("share the work: the server encodes, the browser decodes previews once it has the features", async () => {
    const { engine, browser, features, who } = team("browser");
    const { embedding } = await engine.embed(IMAGE);
    await soon();
    expect(features).toHaveBeenCalledWith("of the server");
    expect(browser.adopt).toHaveBeenCalledWith("of the server", [4, 6], new Float32Array(1));
    expect(await who(engine.predict(embedding, CLICK, { multimask: true }))).toBe("browser");
    expect(await who(engine.predict(embedding, { ...CLICK, hint: "server" }, { multimask: false }))).toBe("server");
    expect(await who(engine.segment(embedding, CLICK))).toBe("server");
    expect(await who(engine.everything(embedding, () => {}))).toBe("server");
  });

  it("refuse what is no prompt as the server would", async () => {
    const { engine, browser, server } = team("browser");
    browser.predict.mockRejectedValueOnce(new EngineError("Point (9, 9) lies outside the image.", 400));
    const { embedding } = await engine.embed(IMAGE);
    await soon();
    await expect(engine.predict(embedding, CLICK, { multimask: false })).rejects.toThrow("outside the image");
    expect(server.predict).not.toHaveBeenCalled();
  });

  it("turn to the browser when the server is slow", async () => {
    const { engine, server, who } = team("quickest");
    const { embedding } = await engine.embed(IMAGE);
    server.predict.mockImplementation(async () => {
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS + 20));
      return [{ id: "server", rle: { size: [4, 6], counts: [24] }, iou: 1, box: [0, 0, 0, 0], area: 0 }];
    });
    expect(await who(engine.predict(embedding, CLICK, { multimask: false }))).toBe("server");
    await soon();
    expect(await who(engine.predict(embedding, CLICK, { multimask: false }))).toBe("browser");
  });

  it("go on with the server where the browser cannot, or has forgotten", async () => {
    const { engine, browser, who } = team("browser");
    browser.predict.mockRejectedValueOnce(new EngineError("Forgotten.", 404));
    const { embedding } = await engine.embed(IMAGE);
    await soon();
    expect(await who(engine.predict(embedding, CLICK, { multimask: false }))).toBe("server");

    const dead = team("browser");
    dead.browser.predict.mockRejectedValue(new EngineError("Out of memory.", 500));
    const embedded = await dead.engine.embed(IMAGE);
    await soon();
    for (let time = 0; time < 2; time++) {
      expect(await dead.who(dead.engine.predict(embedded.embedding, CLICK, { multimask: false }))).toBe("server");
    }
    expect(dead.browser.predict).toHaveBeenCalledTimes(1);

    const other = team("browser");
    other.browser.started = AWAY();
    other.browser.started.catch(() => {});
    const again = await other.engine.embed(IMAGE);
    await soon();
    expect(await other.who(other.engine.predict(again.embedding, CLICK, { multimask: false }))).toBe("server");
    expect(other.browser.close).toHaveBeenCalled();
  });

  it("let the browser do it all while the server is away, and come back to it", async () => {
    const { engine, server, who } = team("quickest");
    const { embedding } = await engine.embed(IMAGE);
    server.segment.mockImplementationOnce(AWAY);
    await expect(engine.segment(embedding, CLICK)).rejects.toMatchObject({ forgotten: true }); // so it is embedded again
    server.embed.mockImplementationOnce(AWAY);
    const here = await engine.embed(IMAGE);
    expect(here.embedding).toBe("of the browser");
    expect(await who(engine.segment(here.embedding, CLICK))).toBe("browser");
    expect(await who(engine.predict(here.embedding, CLICK, { multimask: false }))).toBe("browser");
    expect(await who(engine.everything(here.embedding, () => {}))).toBe("browser");
    expect((await engine.embed(IMAGE)).embedding).toBe("of the server");
  });

  it("keep the files of the last images, which the server has too", async () => {
    const { engine, server, browser } = team("browser");
    const file = new Blob(["photo"]);
    const bytes = vi.fn(async () => file);
    for (const id of ["a", "b", "c", "d", "e"]) await engine.embed({ ...IMAGE, id, bytes });
    await soon();
    server.embed.mockImplementation(AWAY);
    bytes.mockImplementation(AWAY);
    await engine.embed({ ...IMAGE, id: "e", bytes });
    const [given] = browser.embed.mock.calls[0] as unknown as [{ bytes(): Promise<Blob> }];
    expect(await given.bytes()).toBe(file);
    await engine.embed({ ...IMAGE, id: "a", bytes });
    const [forgotten] = browser.embed.mock.calls[1] as unknown as [{ bytes(): Promise<Blob> }];
    await expect(forgotten.bytes()).rejects.toThrow("does not answer");
  });

  it("say that the server is away where the browser cannot help", async () => {
    const { engine, server, browser } = team("quickest");
    server.embed.mockImplementation(AWAY);
    browser.started = Promise.reject(new EngineError("No WebAssembly.", 500));
    browser.started.catch(() => {});
    await expect(engine.embed(IMAGE)).rejects.toThrow("The server does not answer.");
  });

  it("leave other errors as they are", async () => {
    const { engine, server, start } = team("quickest");
    server.embed.mockRejectedValue(new EngineError("It is no image.", 422));
    await expect(engine.embed(IMAGE)).rejects.toMatchObject({ status: 422 });
    expect(start).not.toHaveBeenCalled();
  });
});

describe("features as a file", () => {
  const header = JSON.stringify({ image_embeddings: { dtype: "F32", shape: [1, 2], data_offsets: [0, 8] } }).padEnd(80);
  const file = new Uint8Array(8 + 80 + 8);
  file[0] = 80;
  file.set(new TextEncoder().encode(header), 8);
  file.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 88);

  it("are read by their name", () => {
    expect(readFloats(file.buffer, "image_embeddings")).toEqual({ data: Float32Array.of(1.5, -2), shape: [1, 2] });
    expect(() => readFloats(file.buffer, "other")).toThrow("no float32 numbers called other");
  });
});
