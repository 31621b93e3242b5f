// The seam between the page and wherever a project is kept: the server's folder, or the browser's own database.

import type { Rle } from "../engine/engine";

export interface Label {
  name: string;
  /** #rrggbb */
  color: string;
}

export type ImageState = "new" | "started" | "done";

export interface ProjectImage {
  id: string;
  name: string;
  /** height, width; null until somebody has looked */
  size: [number, number] | null;
  state: ImageState;
  /** how many masks it has */
  masks: number;
  /** whether it was added on the page, and may be removed there */
  removable: boolean;
}

export interface Project {
  /** tells projects of one name apart, where there may be several */
  id?: string;
  name: string;
  labels: Label[];
  images: ProjectImage[];
}

/** One object of an image. `prompts` is what it was asked with, so that it can be refined later. */
export interface Layer {
  id: string;
  label: string;
  visible: boolean;
  locked: boolean;
  rle: Rle;
  iou?: number;
  prompts?: { points: [number, number][]; labels: number[]; box?: [number, number, number, number] };
  /** what a brush added to the model's answer and took away from it */
  strokes?: { added?: Rle; removed?: Rle };
  /** not kept yet: the page goes on with it after a reload */
  draft?: boolean;
}

/** All objects of an image. `revision` counts its savings; 0 is an image that was never saved. */
export interface Annotations {
  revision: number;
  done: boolean;
  layers: Layer[];
}

export type ExportFormat =
  | "coco"
  | "coco-polygons"
  | "labelme"
  | "yolo"
  | "masks"
  | "label-map"
  | "cutouts"
  | "geojson"
  | "sa1b";

export interface ProjectStore {
  readonly name: "server" | "browser";
  /** the formats this store can write */
  readonly formats: readonly ExportFormat[];
  load(): Promise<Project>;
  /** The whole list of labels; `renamed` is applied to the layers of all images. */
  saveLabels(labels: Label[], renamed?: { from: string; to: string }): Promise<Project>;
  /** Adds image files; those that are no images are told by name and sentence. */
  addImages(files: File[]): Promise<{ images: ProjectImage[]; refused: { name: string; error: string }[] }>;
  removeImage(id: string): Promise<void>;
  /** height and width of the upright image */
  size(id: string): Promise<[number, number]>;
  /** The upright image as a file the browser can show, its long side at most `maxSide` pixels (none: full size). */
  pixels(id: string, maxSide?: number, signal?: AbortSignal): Promise<Blob>;
  annotations(id: string): Promise<Annotations>;
  /** Returns the new revision; ConflictError if somebody else saved meanwhile. */
  saveAnnotations(id: string, annotations: Annotations): Promise<number>;
  /** A file to download: one format of one image may be a bare file, everything else is a zip. */
  exportFiles(formats: ExportFormat[], images?: string[]): Promise<{ name: string; content: Blob }>;
  /** COCO, labelme or SA-1B. Returns one sentence that says what came in. */
  importFile(file: File): Promise<{ images: string[]; masks: number; message: string }>;
}

/** Somebody else saved the image meanwhile; `current` is what is there now. */
export class ConflictError extends Error {
  constructor(readonly current: Annotations) {
    super("Somebody else changed this image meanwhile.");
    this.name = "ConflictError";
  }
}
