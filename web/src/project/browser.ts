// The project in the browser's own database: for the app without a server. Nothing leaves the machine.

import { nextColor } from "../editor/palette";
import { type Described, read } from "../files/readers";
import { filesOf, WRITTEN } from "../files/writers";
import { zipOf } from "../files/zip";
import { type Access, Database } from "./database";
import { scaled, sizeOf } from "./pictures";
import {
  type Annotations,
  ConflictError,
  type ExportFormat,
  type Label,
  type Layer,
  type Project,
  type ProjectImage,
  type ProjectStore,
} from "./store";

const NAME = "samlet";
const NEW: Annotations = { revision: 0, done: false, layers: [] };

/** An image as it is kept; images stand in the order in which they were added. */
interface Entry extends ProjectImage {
  size: [number, number];
  added: number;
}

export class BrowserStore implements ProjectStore {
  readonly name = "browser";
  readonly formats: readonly ExportFormat[] = WRITTEN;

  private readonly database: Promise<Database>;

  /** The database opens in the background; where the browser gives none, `load` says so. */
  constructor(database: Promise<Database> = Database.open()) {
    this.database = database;
    database.catch(() => {}); // whoever asks is told
  }

  load(): Promise<Project> {
    return this.run("readonly", projectOf);
  }

  saveLabels(labels: Label[], renamed?: { from: string; to: string }): Promise<Project> {
    return this.run("readwrite", async (access) => {
      await access.put("facts", "labels", labels);
      if (renamed !== undefined) {
        for (const image of await imagesOf(access)) await rename(access, image.id, renamed);
      }
      return projectOf(access);
    });
  }

  async addImages(files: File[]): Promise<{ images: ProjectImage[]; refused: { name: string; error: string }[] }> {
    await navigator.storage?.persist?.(); // else the browser may forget it all when the disk is full
    const added: { images: ProjectImage[]; refused: { name: string; error: string }[] } = { images: [], refused: [] };
    for (const file of files) {
      try {
        added.images.push(await this.add(file, await sizeOf(file)));
      } catch (error) {
        added.refused.push({ name: file.name, error: error instanceof Error ? error.message : String(error) });
      }
    }
    return added;
  }

  removeImage(id: string): Promise<void> {
    return this.run("readwrite", async (access) => {
      for (const table of ["images", "files", "annotations"] as const) await access.remove(table, id);
    });
  }

  size(id: string): Promise<[number, number]> {
    return this.run("readonly", async (access) => (await imageAt(access, id)).size);
  }

  async pixels(id: string, maxSide?: number, signal?: AbortSignal): Promise<Blob> {
    const file = await this.run("readonly", (access) => access.get<Blob>("files", id));
    if (file === undefined) throw new Error("This image is not in the project any more.");
    signal?.throwIfAborted();
    return maxSide === undefined ? file : scaled(file, maxSide);
  }

  annotations(id: string): Promise<Annotations> {
    return this.run("readonly", async (access) => (await access.get<Annotations>("annotations", id)) ?? NEW);
  }

  saveAnnotations(id: string, annotations: Annotations): Promise<number> {
    const given = JSON.parse(JSON.stringify(annotations)) as Annotations; // without what frameworks wrap around it
    return this.run("readwrite", async (access) => {
      const current = (await access.get<Annotations>("annotations", id)) ?? NEW;
      if (current.revision !== given.revision) throw new ConflictError(current);
      return save(access, id, given);
    });
  }

  async exportFiles(formats: ExportFormat[], images?: string[]): Promise<{ name: string; content: Blob }> {
    const { labels, marked } = await this.run("readonly", async (access) => {
      const project = await projectOf(access);
      const chosen = project.images.filter(({ id }) => images === undefined || images.includes(id));
      const found = await Promise.all(
        chosen.map(async ({ id, name, size }) => ({
          name,
          size: size!,
          ...(await access.get<Annotations>("annotations", id)),
        })),
      );
      return { labels: project.labels, marked: found.filter(({ layers, done }) => done || layers?.length) };
    });
    const labelled = marked.map(({ name, size, layers = [] }) => ({
      name,
      size,
      layers: layers.filter(({ draft }) => !draft),
    }));
    const files = await filesOf(
      labelled,
      formats,
      labels.map(({ name }) => name),
    );
    if (files.length === 1)
      return { name: files[0].name.slice(files[0].name.lastIndexOf("/") + 1), content: files[0].content };
    return { name: `${NAME}-export.zip`, content: await zipOf(files) };
  }

  async importFile(file: File): Promise<{ images: string[]; masks: number; message: string }> {
    const described = read(file.name, await file.text());
    return this.run("readwrite", async (access) => {
      const images = await imagesOf(access);
      const found = described.map((each) => ({ ...each, image: imageOf(each, images) }));
      const placed = found.filter(({ image }) => image !== undefined);
      if (placed.length === 0) {
        throw new Error(
          `${file.name} is about ${described[0]?.name ?? "nothing"}, which is no image of this project: add the image first.`,
        );
      }
      const changed: string[] = [];
      let masks = 0;
      for (const { image, masks: given } of placed) {
        const count = await bringIn(access, image!, given);
        if (count > 0) changed.push(image!.id);
        masks += count;
      }
      return { images: changed, masks, message: told(masks, changed.length, found.length - placed.length) };
    });
  }

  private async run<Result>(
    mode: "readonly" | "readwrite",
    work: (access: Access) => Promise<Result>,
  ): Promise<Result> {
    return (await this.database).run(mode, work);
  }

  private add(file: File, size: [number, number]): Promise<Entry> {
    return this.run("readwrite", async (access) => {
      const images = await imagesOf(access);
      const added = (images.at(-1)?.added ?? 0) + 1;
      const name = freeName(file.name, images);
      const entry: Entry = { id: newId(), name, size, state: "new", masks: 0, removable: true, added };
      await access.put("images", entry.id, entry);
      await access.put("files", entry.id, file);
      return entry;
    });
  }
}

async function projectOf(access: Access): Promise<Project> {
  return { name: NAME, labels: (await access.get<Label[]>("facts", "labels")) ?? [], images: await imagesOf(access) };
}

async function imagesOf(access: Access): Promise<Entry[]> {
  return (await access.all<Entry>("images")).sort((one, other) => one.added - other.added);
}

async function imageAt(access: Access, id: string): Promise<Entry> {
  const image = await access.get<Entry>("images", id);
  if (image === undefined) throw new Error("This image is not in the project any more.");
  return image;
}

async function save(access: Access, id: string, annotations: Annotations): Promise<number> {
  const image = await imageAt(access, id);
  const masks = annotations.layers.length;
  const revision = annotations.revision + 1;
  await access.put("annotations", id, { ...annotations, revision });
  await access.put("images", id, { ...image, masks, state: annotations.done ? "done" : masks > 0 ? "started" : "new" });
  return revision;
}

async function rename(access: Access, id: string, { from, to }: { from: string; to: string }): Promise<void> {
  const annotations = await access.get<Annotations>("annotations", id);
  if (!annotations?.layers.some(({ label }) => label === from)) return;
  const layers = annotations.layers.map((layer) => (layer.label === from ? { ...layer, label: to } : layer));
  await save(access, id, { ...annotations, layers });
}

/** Puts masks below those that are there, and gives their labels colors; returns how many were new. */
async function bringIn(access: Access, image: Entry, masks: Described["masks"]): Promise<number> {
  const current = (await access.get<Annotations>("annotations", image.id)) ?? NEW;
  const known = new Set(current.layers.map(keyOf));
  const fresh = masks.filter((mask) => !known.has(keyOf(mask)));
  if (fresh.length === 0) return 0;
  const layers = fresh.map((mask): Layer => ({ id: newId(), visible: true, locked: false, ...mask }));
  await save(access, image.id, { ...current, layers: [...current.layers, ...layers] });
  const labels = (await access.get<Label[]>("facts", "labels")) ?? [];
  for (const { label } of fresh) {
    if (!labels.some(({ name }) => name === label)) labels.push({ name: label, color: nextColor(labels) });
  }
  await access.put("facts", "labels", labels);
  return fresh.length;
}

/** The image that a file means: by its name, with or without folders and suffix; never one of two. */
function imageOf({ name, size }: Described, images: readonly Entry[]): Entry | undefined {
  const bare = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const stem = (path: string) => bare(path).replace(/\.[^.]*$/, "");
  for (const same of [bare, stem]) {
    const found = images.filter((image) => same(image.name) === same(name));
    if (found.length > 1) return undefined;
    if (found.length === 1) {
      const [height, width] = found[0].size;
      if (height === size[0] && width === size[1]) return found[0];
      throw new Error(`The masks of ${name} are of an image of another size.`);
    }
  }
  return undefined;
}

function keyOf({ label, rle }: { label: string; rle: Layer["rle"] }): string {
  return `${label}\n${rle.counts.join(" ")}`;
}

function freeName(name: string, images: readonly Entry[]): string {
  const taken = new Set(images.map((image) => image.name));
  const place = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
  for (let number = 1, free = name; ; free = `${name.slice(0, place)} (${++number})${name.slice(place)}`) {
    if (!taken.has(free)) return free;
  }
}

function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function told(masks: number, images: number, strangers: number): string {
  if (masks === 0) return "All of it was here already.";
  const leftOut = strangers > 0 ? ` ${strangers} images of the file are not in this project.` : "";
  return `${masks} masks on ${images} ${images === 1 ? "image" : "images"} came in.${leftOut}`;
}
