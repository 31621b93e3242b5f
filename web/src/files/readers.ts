// Annotation files of other programs as masks: COCO, labelme (its shapes of lines), SA-1B.

import type { Rle } from "../engine/engine";
import { fillRings } from "../mask/fill";
import type { Ring } from "../mask/outline";
import { area, union } from "../mask/rle";
import { checked, fromText } from "./codes";

/** An image as a file names it, and its masks. */
export interface Described {
  name: string;
  size: [number, number];
  masks: { label: string; rle: Rle }[];
}

const UNNAMED = "object";
type Fields = Record<string, unknown>;

/** The images of a file. Error with one sentence if it is of none of the three kinds, or damaged. */
export function read(name: string, text: string): Described[] {
  let record: Fields;
  try {
    record = JSON.parse(text) as Fields;
  } catch (cause) {
    throw new Error(`${name} is no JSON: give a file of COCO, labelme or SA-1B.`, { cause });
  }
  try {
    if (Array.isArray(record.shapes)) return [labelme(record, name)];
    if (isFields(record.image)) return [sa1b(record, record.image)];
    if (Array.isArray(record.images)) return coco(record);
  } catch (error) {
    throw new Error(`${name} is damaged: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  throw new Error(`${name} is none of COCO, labelme and SA-1B: it has no images, shapes or image.`);
}

function coco(record: Fields): Described[] {
  const names = new Map(list(record.categories).map((category) => [category.id, String(category.name)]));
  const images = new Map(
    list(record.images).map((image): [unknown, Described] => [
      image.id,
      { name: String(image.file_name), size: [whole(image.height), whole(image.width)], masks: [] },
    ]),
  );
  for (const annotation of list(record.annotations)) {
    const image = images.get(annotation.image_id);
    if (image === undefined)
      throw new Error(`an annotation is of image ${String(annotation.image_id)}, which is not listed.`);
    add(image, names.get(annotation.category_id) ?? UNNAMED, codeOf(annotation.segmentation, image.size));
  }
  return [...images.values()];
}

function sa1b(record: Fields, image: Fields): Described {
  const described: Described = {
    name: String(image.file_name),
    size: [whole(image.height), whole(image.width)],
    masks: [],
  };
  for (const annotation of list(record.annotations))
    add(described, UNNAMED, codeOf(annotation.segmentation, described.size));
  return described;
}

function labelme(record: Fields, file: string): Described {
  const size: [number, number] = [whole(record.imageHeight), whole(record.imageWidth)];
  const name = typeof record.imagePath === "string" ? record.imagePath.replaceAll("\\", "/") : file;
  const groups = new Map<string, { label: string; rle: Rle }>();
  list(record.shapes).forEach((shape, number) => {
    const ring = ringOf(String(shape.shape_type ?? "polygon"), (shape.points as Ring | undefined) ?? []);
    if (ring === null) return;
    const label = String(shape.label ?? UNNAMED);
    const key = (shape.group_id ?? null) === null ? String(number) : `${label}\n${JSON.stringify(shape.group_id)}`;
    const [rle, before] = [fillRings([ring], size), groups.get(key)];
    groups.set(key, { label, rle: before === undefined ? rle : union(before.rle, rle) });
  });
  const masks = [...groups.values()].filter(({ rle }) => area(rle) > 0);
  return { name, size, masks };
}

/** The rim of a labelme shape; null of what encloses nothing. */
function ringOf(kind: string, points: Ring): Ring | null {
  if (["point", "points", "line", "linestrip"].includes(kind)) return null;
  if (kind === "polygon" && points.length > 2) return points;
  if (kind === "rectangle" && points.length === 4) return points;
  if (kind === "rectangle" && points.length === 2) {
    const [[x0, y0], [x1, y1]] = points;
    return [
      [x0, y0],
      [x1, y0],
      [x1, y1],
      [x0, y1],
    ];
  }
  throw new Error(`the browser reads polygons and rectangles of labelme, not a ${kind} of ${points.length} points.`);
}

function codeOf(segmentation: unknown, size: [number, number]): Rle {
  if (Array.isArray(segmentation)) {
    return (segmentation as number[][])
      .map((flat) => fillRings([flat.flatMap((x, k): Ring => (k % 2 === 0 ? [[x, flat[k + 1]]] : []))], size))
      .reduce(union, { size, counts: [size[0] * size[1]] });
  }
  const { size: stated, counts } = segmentation as { size: [number, number]; counts: string | number[] };
  if (stated[0] !== size[0] || stated[1] !== size[1]) throw new Error("a mask is of another size than its image.");
  return typeof counts === "string" ? fromText(counts, size) : checked({ size, counts });
}

function add(image: Described, label: string, rle: Rle): void {
  if (area(rle) > 0) image.masks.push({ label, rle });
}

function list(values: unknown): Fields[] {
  return Array.isArray(values) ? values.filter(isFields) : [];
}

function whole(value: unknown): number {
  if (Number.isInteger(value) && (value as number) > 0) return value as number;
  throw new Error("an image states no size.");
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
