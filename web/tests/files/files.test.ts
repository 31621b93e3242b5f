import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Rle } from "../../src/engine/engine";
import { checked, fromText, toText } from "../../src/files/codes";
import { maskPng } from "../../src/files/png";
import { asOneRing, polygonsOf } from "../../src/files/polygons";
import { read } from "../../src/files/readers";
import { filesOf, type LabelledImage, WRITTEN } from "../../src/files/writers";
import { zipOf } from "../../src/files/zip";
import { fillRings } from "../../src/mask/fill";
import { area, fromWindow, intersect, union } from "../../src/mask/rle";
import type { Layer } from "../../src/project/store";
import { golden } from "../local/golden";

interface Given {
  name: string;
  size: [number, number];
  layers: { label: string; counts: number[]; iou: number }[];
}

const LABELS = ["tree", "cat"];
const library = golden.project.files as Record<string, string>;
const images: LabelledImage[] = (golden.project.images as Given[]).map(({ name, size, layers }) => ({
  name,
  size,
  layers: layers.map(({ label, counts, iou }, k): Layer => ({
    id: String(k),
    label,
    rle: { size, counts },
    iou,
    visible: true,
    locked: false,
  })),
}));

const written = async (...formats: Parameters<typeof filesOf>[1]) => {
  const files = await filesOf(images, formats, LABELS);
  const texts = await Promise.all(files.map(({ content }) => content.text()));
  return Object.fromEntries(files.map(({ name }, k) => [name, texts[k]]));
};
const iou = (one: Rle, other: Rle) => area(intersect(one, other)) / area(union(one, other));

describe("files are the library's", () => {
  it("in name and number", async () => {
    const files = await written("coco", "coco-polygons", "labelme", "yolo", "sa1b");
    expect(Object.keys(files).sort()).toEqual(Object.keys(library).sort());
  });

  it("to the last character of a code: COCO and SA-1B", async () => {
    const files = await written("coco", "sa1b");
    for (const [name, text] of Object.entries(files)) expect(JSON.parse(text)).toEqual(JSON.parse(library[name]));
  });

  it.each(["labelme/a/one.json", "labelme/two.json", "annotations.polygons.coco.json"])(
    "within a pixel: %s",
    async (name) => {
      const mine = JSON.parse((await written("labelme", "coco-polygons"))[name]);
      const theirs = JSON.parse(library[name]);
      const bare = (key: string, value: unknown) => (["points", "segmentation"].includes(key) ? null : value);
      expect(JSON.parse(JSON.stringify(mine, bare))).toEqual(JSON.parse(JSON.stringify(theirs, bare)));
      const [a, b] = [read(name, JSON.stringify(mine)), read(name, JSON.stringify(theirs))];
      const masks = a.flatMap((image) => image.masks);
      const others = b.flatMap((image) => image.masks);
      expect(masks.map(({ label }) => label)).toEqual(others.map(({ label }) => label));
      masks.forEach(({ rle }, k) => expect(iou(rle, others[k].rle)).toBeGreaterThan(0.93));
    },
  );

  it("with the classes of YOLO", async () => {
    const files = await written("yolo");
    expect(files["yolo/data.yaml"]).toBe(library["yolo/data.yaml"]);
    const classes = (text: string) => text.split("\n").map((line) => line.split(" ")[0]);
    expect(classes(files["yolo/labels/a/one.txt"])).toEqual(classes(library["yolo/labels/a/one.txt"]));
  });

  it("and nothing of an image without masks but its line", async () => {
    const [file] = await filesOf([{ name: "x.png", size: [2, 2], layers: [] }], ["coco"], []);
    expect(JSON.parse(await file.content.text())).toEqual({
      images: [{ id: 1, width: 2, height: 2, file_name: "x.png" }],
      annotations: [],
      categories: [],
    });
    expect(WRITTEN).toContain("masks");
  });
});

describe("outlines", () => {
  it.each(images.flatMap(({ layers }) => layers))("without tolerance give the mask again, case %#", ({ rle }) => {
    const polygons = polygonsOf(rle, 0);
    expect(fillRings(polygons.flat(), rle.size)).toEqual(rle);
    const bridged = polygons.map((polygon) => fillRings([asOneRing(polygon)], rle.size)).reduce(union);
    expect(bridged).toEqual(rle);
  });

  it("put a hole into the part around it, not into the one around that", () => {
    const ring = images[0].layers[1].rle;
    expect(polygonsOf(ring).map((polygon) => polygon.length)).toEqual([2, 1]);
  });

  it("of nothing are none", () => {
    expect(polygonsOf({ size: [3, 3], counts: [9] })).toEqual([]);
  });
});

describe("pictures and archives", () => {
  it("hold the mask as gray levels", async () => {
    const { rle } = images[0].layers[2];
    const [height, width] = rle.size;
    const file = Buffer.from(await (await maskPng(rle)).arrayBuffer());
    expect([file.readUInt32BE(16), file.readUInt32BE(20)]).toEqual([width, height]);
    const length = file.readUInt32BE(33);
    const rows = inflateSync(file.subarray(41, 41 + length));
    const pixels = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      expect(rows[y * (width + 1)]).toBe(2);
      for (let x = 0; x < width; x++) {
        const above = y > 0 ? pixels[(y - 1) * width + x] * 255 : 0;
        pixels[y * width + x] = ((rows[y * (width + 1) + 1 + x] + above) & 255) / 255;
      }
    }
    expect(fromWindow({ left: 0, top: 0, width, height, pixels }, rle.size)).toEqual(rle);
  });

  it("list their files", async () => {
    const archive = await zipOf([
      { name: "ä/one.txt", content: new Blob(["hello"]) },
      { name: "two", content: new Blob([]) },
    ]);
    const bytes = Buffer.from(await archive.arrayBuffer());
    const end = bytes.length - 22;
    expect(bytes.readUInt32LE(end)).toBe(0x06054b50);
    expect(bytes.readUInt16LE(end + 10)).toBe(2);
    expect(bytes.readUInt32LE(bytes.readUInt32LE(end + 16))).toBe(0x02014b50);
    expect(bytes.readUInt32LE(14)).toBe(0x3610a686); // the checksum of "hello"
  });
});

describe("what is read", () => {
  it.each(["annotations.coco.json", "sa1b/two.json"])("gives the masks again: %s", (name) => {
    const found = read(name, library[name]);
    const masks = found.flatMap((image) => image.masks.map(({ rle }) => rle));
    const all = images.filter((image) => found.some((each) => each.name === image.name));
    expect(masks).toEqual(all.flatMap(({ layers }) => layers.map(({ rle }) => rle)));
  });

  it("knows codes as lists and as text", () => {
    const rle: Rle = { size: [4, 3], counts: [1, 2, 3, 4, 2] };
    expect(fromText(toText(rle), [4, 3])).toEqual(rle);
    expect(() => fromText("0", [4, 3])).toThrow("damaged");
    expect(() => fromText("~", [4, 3])).toThrow("damaged");
    expect(() => checked({ size: [2, 2], counts: [-1, 5] })).toThrow("damaged");
  });

  it("joins the parts of a labelme object and leaves out what encloses nothing", () => {
    const shape = (points: number[][], more = {}) => ({ label: "a", points, shape_type: "rectangle", ...more });
    const shapes = [
      shape([[0, 0], [2, 2]], { group_id: 1 }),
      shape([[4, 0], [6, 2]], { group_id: 1 }),
      { label: "b", points: [[1, 1]], shape_type: "point" },
    ]; // prettier-ignore
    const [image] = read("x.json", JSON.stringify({ shapes, imagePath: "..\\x.jpg", imageHeight: 4, imageWidth: 8 }));
    expect(image.name).toBe("../x.jpg");
    expect(image.masks.map(({ label, rle }) => [label, area(rle)])).toEqual([["a", 8]]);
  });

  it.each([
    ["no JSON", "x", "is no JSON"],
    ["another kind", "{}", "none of COCO, labelme and SA-1B"],
    ["no size", '{"shapes": []}', "states no size"],
    [
      "a circle",
      '{"shapes": [{"shape_type": "circle", "points": [[1,1],[2,2]]}], "imageHeight": 4, "imageWidth": 4}',
      "not a circle",
    ],
    ["a stray annotation", '{"images": [], "annotations": [{"image_id": 3}]}', "image 3, which is not listed"],
  ])("refuses %s", (_, text, sentence) => {
    expect(() => read("x.json", text)).toThrow(sentence);
  });
});
