// What an annotation project exports where there is no Python: the same files as `samlet.data.labelled` writes.

import type { ExportFormat, Layer } from "../project/store";
import { area, boxOf } from "../mask/rle";
import { toText } from "./codes";
import { maskPng } from "./png";
import { asOneRing, joined, polygonsOf } from "./polygons";
import type { NamedFile } from "./zip";

export const WRITTEN: readonly ExportFormat[] = ["coco", "coco-polygons", "labelme", "yolo", "masks", "sa1b"];

const LABELME_VERSION = "5.5.0"; // of the layout
const LONGEST = 40; // characters of a label in a file's name

/** One image's masks, the uppermost first; `name` is its path in the project, `size` its height and width. */
export interface LabelledImage {
  name: string;
  size: [number, number];
  layers: readonly Layer[];
}

/** The files of a project in some formats. `labels` are the names of classes in their order; others come behind. */
export async function filesOf(
  images: readonly LabelledImage[],
  formats: readonly ExportFormat[],
  labels: readonly string[],
): Promise<NamedFile[]> {
  const classes = [...new Set([...labels, ...images.flatMap(({ layers }) => layers.map(({ label }) => label))])];
  const files: NamedFile[] = [];
  for (const format of formats) {
    if (format === "coco") files.push(json("annotations.coco.json", coco(images, classes, false)));
    if (format === "coco-polygons") files.push(json("annotations.polygons.coco.json", coco(images, classes, true)));
    if (format === "labelme") files.push(...images.map((image) => json(`labelme/${stem(image)}.json`, labelme(image))));
    if (format === "sa1b") files.push(...images.map((image) => json(`sa1b/${stem(image)}.json`, sa1b(image))));
    if (format === "yolo") files.push(...images.map((image) => yolo(image, classes)), yoloClasses(classes));
    if (format === "masks") for (const image of images) files.push(...(await masks(image)));
  }
  return files;
}

function coco(images: readonly LabelledImage[], classes: readonly string[], polygons: boolean) {
  const annotations = images.flatMap(({ layers }, number) =>
    layers.map((layer) => ({
      image_id: number + 1,
      category_id: classes.indexOf(layer.label) + 1,
      segmentation: polygons ? outlines(layer) : code(layer),
      area: area(layer.rle),
      bbox: boxOf(layer.rle),
      iscrowd: 0,
      ...(layer.iou !== undefined && { score: layer.iou }),
    })),
  );
  const whole = annotations.filter(({ segmentation }) => !Array.isArray(segmentation) || segmentation.length > 0);
  return {
    images: images.map(({ name, size: [height, width] }, k) => ({ id: k + 1, width, height, file_name: name })),
    annotations: whole.map((annotation, k) => ({ id: k + 1, ...annotation })),
    categories: classes.map((name, k) => ({ id: k + 1, name })),
  };
}

function sa1b({ name, size: [height, width], layers }: LabelledImage) {
  return {
    image: { image_id: 0, width, height, file_name: name },
    annotations: layers.map((layer, id) => ({
      id,
      segmentation: code(layer),
      bbox: boxOf(layer.rle),
      area: area(layer.rle),
      ...(layer.iou !== undefined && { predicted_iou: layer.iou }),
    })),
  };
}

function labelme({ name, size: [height, width], layers }: LabelledImage) {
  const shapes = layers.flatMap(({ label, rle }, number) => {
    const polygons = polygonsOf(rle);
    const group = polygons.length > 1 ? number : null;
    return polygons.map((polygon) => ({
      label,
      points: asOneRing(polygon),
      group_id: group,
      shape_type: "polygon",
      flags: {},
    }));
  });
  const imagePath = name.slice(name.lastIndexOf("/") + 1);
  return {
    version: LABELME_VERSION,
    flags: {},
    shapes,
    imagePath,
    imageData: null,
    imageHeight: height,
    imageWidth: width,
  };
}

function yolo(image: LabelledImage, classes: readonly string[]): NamedFile {
  const [height, width] = image.size;
  const lines = image.layers.flatMap(({ label, rle }) => {
    const polygons = polygonsOf(rle);
    if (polygons.length === 0) return [];
    const shares = joined(polygons.map(asOneRing)).flatMap(([x, y]) => [x / width, y / height]);
    return [`${[classes.indexOf(label), ...shares.map((share) => Number(share.toPrecision(6)))].join(" ")}\n`];
  });
  return { name: `yolo/labels/${stem(image)}.txt`, content: new Blob([lines.join("")]) };
}

function yoloClasses(classes: readonly string[]): NamedFile {
  const names = classes.map((name, number) => `  ${number}: ${JSON.stringify(name)}\n`).join("");
  return { name: "yolo/data.yaml", content: new Blob([`path: .\ntrain: images\nval: images\nnames:\n${names}`]) };
}

async function masks(image: LabelledImage): Promise<NamedFile[]> {
  return Promise.all(
    image.layers.map(async ({ label, rle }, k) => {
      const plain =
        label
          .replace(/[^\p{L}\p{N}_.-]+/gu, "_")
          .slice(0, LONGEST)
          .replace(/^[._]+|[._]+$/g, "") || "object";
      const name = `masks/${stem(image)}/${String(k + 1).padStart(3, "0")}_${plain}.png`;
      return { name, content: await maskPng(rle) };
    }),
  );
}

function outlines({ rle }: Layer): number[][] {
  return polygonsOf(rle).map((polygon) => asOneRing(polygon).flat());
}

function code({ rle }: Layer) {
  return { size: rle.size, counts: toText(rle) };
}

/** The path of an image without its suffix. */
function stem({ name }: LabelledImage): string {
  return name.replace(/(?<=[^/])\.[^./]*$/, "");
}

function json(name: string, record: unknown): NamedFile {
  return { name, content: new Blob([`${JSON.stringify(record)}\n`], { type: "application/json" }) };
}
