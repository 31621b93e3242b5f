import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { BrowserStore } from "../src/project/browser";
import { Database } from "../src/project/database";
import { type Annotations, ConflictError, type Layer } from "../src/project/store";

const LAYER: Layer = { id: "1", label: "cat", rle: { size: [4, 6], counts: [3, 5, 16] }, visible: true, locked: false };
const file = (name: string, content = "picture") => new File([content], name);
const saved = (layers: Layer[], revision = 0, done = false): Annotations => ({ revision, done, layers });

let factory: IDBFactory;
let store: BrowserStore;

beforeEach(() => {
  vi.stubGlobal("navigator", {});
  vi.stubGlobal("createImageBitmap", async (blob: Blob) => {
    if ((await blob.text()) !== "picture") throw new Error("no image");
    return { height: 4, width: 6, close: () => {} };
  });
  factory = new IDBFactory();
  store = new BrowserStore(Database.open(factory));
});

async function added(...names: string[]): Promise<string[]> {
  return (await store.addImages(names.map((name) => file(name)))).images.map(({ id }) => id);
}

describe("a project in the browser", () => {
  it("is empty at first", async () => {
    expect(await store.load()).toEqual({ name: "samlet", labels: [], images: [] });
  });

  it("keeps images in their order, under names that no other has, and refuses what is none", async () => {
    const { images, refused } = await store.addImages([
      file("b.jpg"),
      file("a.jpg"),
      file("b.jpg"),
      file("c.txt", "x"),
    ]);
    expect(images.map(({ name }) => name)).toEqual(["b.jpg", "a.jpg", "b (2).jpg"]);
    expect(refused).toEqual([{ name: "c.txt", error: expect.stringContaining("no image that the browser can read") }]);
    const again = new BrowserStore(Database.open(factory));
    expect((await again.load()).images.map(({ name, state, masks, size }) => [name, state, masks, size])).toEqual(
      ["b.jpg", "a.jpg", "b (2).jpg"].map((name) => [name, "new", 0, [4, 6]]),
    );
    expect(await again.size(images[0].id)).toEqual([4, 6]);
    expect(await (await again.pixels(images[0].id)).text()).toBe("picture");
  });

  it("saves masks, counts revisions and refuses what is out of date", async () => {
    const [id] = await added("a.jpg");
    expect(await store.annotations(id)).toEqual(saved([]));
    expect(await store.saveAnnotations(id, saved([LAYER]))).toBe(1);
    const late = store.saveAnnotations(id, saved([]));
    await expect(late).rejects.toBeInstanceOf(ConflictError);
    await expect(late).rejects.toMatchObject({ current: saved([LAYER], 1) });
    expect(await store.annotations(id)).toEqual(saved([LAYER], 1));
    expect((await store.load()).images[0]).toMatchObject({ state: "started", masks: 1 });
    await store.saveAnnotations(id, saved([LAYER], 1, true));
    expect((await store.load()).images[0].state).toBe("done");
  });

  it("renames a label on all images", async () => {
    const [one, two] = await added("a.jpg", "b.jpg");
    for (const id of [one, two]) await store.saveAnnotations(id, saved([LAYER, { ...LAYER, id: "2", label: "dog" }]));
    await store.saveLabels([{ name: "lion", color: "#ffffff" }], { from: "cat", to: "lion" });
    for (const id of [one, two]) {
      const { layers, revision } = await store.annotations(id);
      expect([revision, ...layers.map(({ label }) => label)]).toEqual([2, "lion", "dog"]);
    }
    expect((await store.load()).labels).toEqual([{ name: "lion", color: "#ffffff" }]);
  });

  it("forgets a removed image and all that was marked on it", async () => {
    const [id] = await added("a.jpg");
    await store.saveAnnotations(id, saved([LAYER]));
    await store.removeImage(id);
    expect((await store.load()).images).toEqual([]);
    expect(await store.annotations(id)).toEqual(saved([]));
    await expect(store.pixels(id)).rejects.toThrow("not in the project any more");
    await expect(store.saveAnnotations(id, saved([LAYER]))).rejects.toThrow("not in the project any more");
    expect(await store.annotations(id)).toEqual(saved([])); // all of it was undone
  });

  it("writes one file as it is, several as an archive, and leaves drafts out", async () => {
    const [one] = await added("a.jpg", "b.jpg");
    await store.saveLabels([{ name: "dog", color: "#000000" }]);
    await store.saveAnnotations(one, saved([LAYER, { ...LAYER, id: "2", draft: true }]));
    const { name, content } = await store.exportFiles(["coco"]);
    expect(name).toBe("annotations.coco.json");
    const coco = JSON.parse(await content.text());
    expect(coco.images.map((image: { file_name: string }) => image.file_name)).toEqual(["a.jpg"]);
    expect(coco.annotations).toHaveLength(1);
    expect(coco.categories.map((category: { name: string }) => category.name)).toEqual(["dog", "cat"]);
    expect((await store.exportFiles(["coco", "labelme"])).name).toBe("samlet-export.zip");
  });

  it("brings files in: once, below what is there, with colors for new labels", async () => {
    const [id] = await added("a.jpg");
    const mask = { ...LAYER, id: "2", label: "dog" };
    await store.saveAnnotations(id, saved([LAYER, mask]));
    const { content } = await store.exportFiles(["coco"]);
    const copy = () => new File([content], "annotations.coco.json");
    expect((await store.importFile(copy())).message).toBe("All of it was here already.");

    await store.removeImage(id);
    await expect(store.importFile(copy())).rejects.toThrow("a.jpg, which is no image of this project");
    const [again] = await added("a.png");
    expect(await store.importFile(copy())).toEqual({
      images: [again],
      masks: 2,
      message: "2 masks on 1 image came in.",
    });
    const { labels } = await store.load();
    expect(labels.map(({ name }) => name)).toEqual(["cat", "dog"]);
    expect(new Set(labels.map(({ color }) => color)).size).toBe(2);
  });

  it("takes no masks of an image of another size", async () => {
    await added("a.jpg");
    const record = { images: [{ id: 1, file_name: "a.jpg", height: 9, width: 9 }], annotations: [], categories: [] };
    const other = new File([JSON.stringify(record)], "x.json");
    await expect(store.importFile(other)).rejects.toThrow("another size");
  });

  it("says what to do where the browser keeps nothing", async () => {
    const closed = { open: () => ({ set onerror(tell: () => void) { queueMicrotask(tell); } }) }; // prettier-ignore
    const nothing = new BrowserStore(Database.open(closed as unknown as IDBFactory));
    await expect(nothing.load()).rejects.toThrow("leave the private window");
  });
});
