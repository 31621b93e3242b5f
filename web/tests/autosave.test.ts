import { describe, expect, it } from "vitest";
import { EngineError } from "../src/engine/engine";
import { Autosave } from "../src/project/autosave";
import { mergeAnnotations } from "../src/project/merge";
import { MemoryOutbox } from "../src/project/outbox";
import { type Annotations, ConflictError, type Layer } from "../src/project/store";

const layer = (id: string, label = "cat"): Layer => ({
  id,
  label,
  visible: true,
  locked: false,
  rle: { size: [2, 2], counts: [0, 4] },
});
const of = (revision: number, ...layers: Layer[]): Annotations => ({ revision, done: false, layers });
const ids = (annotations: Annotations) => annotations.layers.map((one) => `${one.id}:${one.label}`);

/** A store of one image that can be away. */
class Server {
  kept = of(0);
  away = false;
  saves = 0;

  async annotations(): Promise<Annotations> {
    if (this.away) throw new EngineError("away");
    return this.kept;
  }

  async saveAnnotations(_: string, next: Annotations): Promise<number> {
    if (this.away) throw new EngineError("away");
    if (next.revision !== this.kept.revision) throw new ConflictError(this.kept);
    this.saves++;
    this.kept = { ...next, revision: next.revision + 1 };
    return this.kept.revision;
  }
}

function autosave(server: Server, outbox = new MemoryOutbox()) {
  const states: string[] = [];
  const retries: (() => void)[] = [];
  const merged: Annotations[] = [];
  const listener = {
    state: (state: string) => void states.push(state),
    merged: (_: string, annotations: Annotations) => void merged.push(annotations),
    saved: () => undefined,
  };
  const later = (callback: () => void) => (retries.push(callback), 0 as unknown as ReturnType<typeof setTimeout>);
  return { saving: new Autosave(server, outbox, listener, later), states, retries, merged, outbox };
}

describe("autosave", () => {
  it("saves each change, and of several in a row the last", async () => {
    const server = new Server();
    const { saving, states } = autosave(server);
    await saving.open("a");
    saving.change("a", of(0, layer("1")));
    saving.change("a", of(0, layer("1"), layer("2")));
    saving.change("a", of(0, layer("3")));
    expect(await saving.settle()).toBe(true);
    expect(ids(server.kept)).toEqual(["3:cat"]);
    expect(server.saves).toBe(2);
    expect(states.at(-1)).toBe("saved");
  });

  it("waits while the server is away, and loses nothing when the page goes too", async () => {
    const server = new Server();
    const first = autosave(server);
    await first.saving.open("a");
    server.away = true;
    first.saving.change("a", of(0, layer("1")));
    expect(await first.saving.settle()).toBe(false);
    expect(first.states.at(-1)).toBe("waiting");
    expect(first.retries).toHaveLength(1);
    server.away = false;
    const second = autosave(server, first.outbox); // the page, loaded again
    await second.saving.recover();
    expect(await second.saving.settle()).toBe(true);
    expect(ids(server.kept)).toEqual(["1:cat"]);
    expect(await first.outbox.all()).toEqual([]);
  });

  it("shows what waits when an image is opened while the server is away", async () => {
    const server = new Server();
    const { saving } = autosave(server);
    await saving.open("a");
    server.away = true;
    saving.change("a", of(0, layer("1")));
    await saving.settle();
    expect(ids(await saving.open("a"))).toEqual(["1:cat"]);
    await expect(saving.open("b")).rejects.toThrow("away");
  });

  it("merges with what somebody else saved", async () => {
    const server = new Server();
    const mine = autosave(server);
    const theirs = autosave(server);
    await mine.saving.open("a");
    await theirs.saving.open("a");
    theirs.saving.change("a", of(0, layer("t")));
    await theirs.saving.settle();
    mine.saving.change("a", of(0, layer("m")));
    expect(await mine.saving.settle()).toBe(true);
    expect(ids(server.kept).sort()).toEqual(["m:cat", "t:cat"]);
    expect(ids(mine.merged[0])).toEqual(["m:cat", "t:cat"]);
  });

  it("forgets an image that is gone", async () => {
    const server = new Server();
    const { saving } = autosave(server);
    server.saveAnnotations = async () => {
      throw new EngineError("no such image", 404);
    };
    saving.change("a", of(0, layer("1")));
    expect(await saving.settle()).toBe(true);
  });
});

describe("merging", () => {
  const base = of(1, layer("a"), layer("b"), layer("c"));

  it.each([
    ["I changed, they did not", of(1, layer("a", "dog"), layer("b"), layer("c")), base, ["a:dog", "b:cat", "c:cat"]],
    ["they changed, I did not", base, of(2, layer("a", "dog"), layer("b"), layer("c")), ["a:dog", "b:cat", "c:cat"]],
    ["both changed: mine", of(1, layer("a", "x")), of(2, layer("a", "y"), layer("b"), layer("c")), ["a:x"]],
    ["I removed", of(1, layer("b"), layer("c")), base, ["b:cat", "c:cat"]],
    ["they removed", base, of(2, layer("b"), layer("c")), ["b:cat", "c:cat"]],
    ["they removed what I changed", of(1, layer("a", "x"), layer("b"), layer("c")), of(2, layer("b"), layer("c")), ["a:x", "b:cat", "c:cat"]],
    ["I removed what they changed", of(1, layer("b"), layer("c")), of(2, layer("a", "y"), layer("b"), layer("c")), ["b:cat", "c:cat", "a:y"]],
  ])("%s", (_, mine, theirs, expected) => {
    expect(ids(mergeAnnotations(base, mine, theirs))).toEqual(expected);
  });
});
