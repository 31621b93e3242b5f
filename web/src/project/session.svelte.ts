// The project on the page: its images and classes, the image that is open, and what waits to be saved.

import type { Answers } from "../editor/answers.svelte";
import type { Editor, LabelChange } from "../editor/editor.svelte";
import { nextColor } from "../editor/palette";
import * as scenes from "../editor/scene";
import type { Scene } from "../editor/scene";
import type { ImageRef } from "../engine/engine";
import { loadPhoto, type Photo } from "../view/photo";
import { Autosave, type SaveState } from "./autosave";
import { BrowserOutbox } from "./outbox";
import type { Annotations, ExportFormat, Label, Project, ProjectImage, ProjectStore } from "./store";

const RECENT = "samlet.recent";

export class Session {
  name = $state("");
  images = $state.raw<ProjectImage[]>([]);
  labels = $state.raw<Label[]>([]);
  recent = $state.raw<string[]>([]);
  current = $state.raw<ProjectImage | null>(null);
  photo = $state.raw<Photo | null>(null);
  loaded = $state(false);
  opening = $state<string | null>(null);
  problem = $state<string | null>(null);
  saving = $state<SaveState>("saved");
  savingProblem = $state<string | null>(null);

  private autosave: Autosave | null = null;
  private turn = 0;

  constructor(
    readonly store: ProjectStore,
    private readonly editor: Editor,
    private readonly answers: Answers,
    private readonly tell: (sentence: string, kind: "error" | "done") => void,
  ) {}

  async start(): Promise<void> {
    try {
      const { id } = await this.reload();
      this.autosave = new Autosave(this.store, await BrowserOutbox.open(id ?? this.name), {
        state: (state, sentence) => {
          this.saving = state;
          this.savingProblem = sentence ?? null;
          if (state === "saved" && this.problem && this.current) void this.open(this.current.id); // it is back
        },
        merged: (image, annotations) => this.merged(image, annotations),
        saved: (image, annotations) => this.note(image, annotations),
      });
      await this.autosave.recover();
      this.recent = recalled();
      const first = this.images.find((image) => image.id === location.hash.slice(1)) ?? this.images[0];
      if (first) await this.open(first.id);
    } catch (error) {
      this.problem = sentenceOf(error);
    } finally {
      this.loaded = true;
    }
  }

  async reload(): Promise<Project> {
    const project = await this.store.load();
    this.name = project.name;
    this.images = project.images;
    this.labels = project.labels;
    this.problem = null;
    return project;
  }

  /** What others did meanwhile: new images and labels. */
  async refresh(): Promise<void> {
    if (!this.loaded || this.saving !== "saved") return;
    await this.reload().catch(() => undefined); // the next save will tell
  }

  // --- images -------------------------------------------------------------------------------------------------------

  async open(id: string): Promise<void> {
    const image = this.images.find((one) => one.id === id);
    if (!image || !this.autosave) return;
    this.editor.keep();
    const turn = ++this.turn;
    this.opening = id;
    this.problem = null;
    try {
      this.answers.open(this.reference(image)); // encoded while the picture comes
      const size = image.size ?? (await this.store.size(id));
      const [stored, photo] = await Promise.all([this.autosave.open(id), loadPhoto(this.store, id, size)]);
      if (turn !== this.turn) return photo.close();
      this.photo?.close();
      this.photo = photo;
      this.current = image;
      this.editor.open(id, size, scenes.fromLayers(stored.layers, stored.done));
      history.replaceState(null, "", `#${id}`);
      this.prepareNext();
    } catch (error) {
      if (turn !== this.turn) return;
      this.photo?.close();
      this.photo = null;
      this.current = image;
      this.editor.leave();
      this.problem = sentenceOf(error);
    } finally {
      if (turn === this.turn) this.opening = null;
    }
  }

  /** Another engine knows nothing of the open image yet. */
  encodeAgain(): void {
    if (this.current) this.answers.open(this.reference(this.current));
  }

  get index(): number {
    return this.images.findIndex((image) => image.id === this.current?.id);
  }

  step(by: number): void {
    const next = this.images[this.index + by];
    if (next) void this.open(next.id);
  }

  /** The next image without a mask, from here on and then from the start. */
  nextUnlabelled(): void {
    const after = [...this.images.slice(this.index + 1), ...this.images.slice(0, Math.max(0, this.index))];
    const next = after.find((image) => image.state === "new");
    if (next) void this.open(next.id);
    else this.tell("Every other image has masks.", "done");
  }

  /** This image is done; on to the next that is not. */
  doneAndNext(): void {
    this.editor.keep();
    this.editor.change((scene) => ({ ...scene, done: true }));
    const after = [...this.images.slice(this.index + 1), ...this.images.slice(0, Math.max(0, this.index))];
    const next = after.find((image) => image.state !== "done");
    if (next) void this.open(next.id);
    else this.tell("All images are done.", "done");
  }

  async add(files: File[]): Promise<void> {
    try {
      const { images, refused } = await this.store.addImages(files);
      this.images = [...this.images, ...images.filter((image) => !this.images.some((one) => one.id === image.id))];
      for (const { name, error } of refused) this.tell(`${name}: ${error}`, "error");
      if (images[0]) await this.open(images[0].id);
    } catch (error) {
      this.tell(sentenceOf(error), "error");
    }
  }

  async remove(image: ProjectImage): Promise<void> {
    try {
      await this.store.removeImage(image.id);
      const index = this.images.indexOf(image);
      this.images = this.images.filter((one) => one.id !== image.id);
      if (this.current?.id === image.id) await this.close(this.images[Math.min(index, this.images.length - 1)]);
    } catch (error) {
      this.tell(sentenceOf(error), "error");
    }
  }

  // --- changes ------------------------------------------------------------------------------------------------------

  /** The scene of the open image has changed. */
  changed(scene: Scene): void {
    const image = this.current;
    if (!image || !this.autosave) return;
    const layers = scenes.toLayers(scene);
    this.autosave.change(image.id, { done: scene.done, layers });
    this.note(image.id, { layers, done: scene.done });
  }

  labelChanged({ from, to }: LabelChange): void {
    const renamed = from && to && from.name !== to.name ? { from: from.name, to: to.name } : undefined;
    const others = this.labels.filter((label) => label.name !== from?.name);
    const place = from ? this.labels.findIndex((label) => label.name === from.name) : this.labels.length;
    this.labels = to ? others.toSpliced(place < 0 ? others.length : place, 0, to) : others;
    this.store.saveLabels(this.labels, renamed).catch((error: unknown) => this.tell(sentenceOf(error), "error"));
  }

  /** A class was given to an object: it comes first from now on, and is one of the project's. */
  used(name: string): void {
    this.recent = [name, ...this.recent.filter((one) => one !== name)].slice(0, 50);
    localStorage.setItem(RECENT, JSON.stringify(this.recent));
    if (!this.labels.some((label) => label.name === name)) {
      this.labelChanged({ from: null, to: { name, color: nextColor(this.labels) } });
    }
  }

  // --- files --------------------------------------------------------------------------------------------------------

  /** Everything is saved, then written; returns the file for the browser to keep. */
  async export(formats: ExportFormat[], images?: string[]): Promise<{ name: string; content: Blob }> {
    this.editor.keep();
    await this.settle();
    return this.store.exportFiles(formats, images);
  }

  async import(file: File): Promise<void> {
    try {
      await this.settle();
      const { message } = await this.store.importFile(file);
      await this.reload();
      this.tell(message, "done");
      const again = this.current ?? this.images[0];
      if (again) await this.open(again.id);
    } catch (error) {
      this.tell(sentenceOf(error), "error");
    }
  }

  private async settle(): Promise<void> {
    if (!(await this.autosave?.settle())) throw new Error(this.savingProblem ?? "Your changes cannot be saved now.");
  }

  private reference(image: ProjectImage): ImageRef {
    return { id: image.id, name: image.name, bytes: () => this.store.pixels(image.id) };
  }

  private prepareNext(): void {
    const next = this.images[this.index + 1];
    if (next) this.answers.prepare(this.reference(next)).catch(() => undefined); // it will be encoded when it is opened
  }

  private async close(next?: ProjectImage): Promise<void> {
    if (next) return this.open(next.id);
    this.answers.open(null);
    this.editor.leave();
    this.photo?.close();
    this.photo = null;
    this.current = null;
    history.replaceState(null, "", location.pathname);
  }

  private merged(image: string, annotations: Annotations): void {
    if (this.current?.id !== image) return;
    this.editor.replaceLayers(annotations.layers, annotations.done);
    this.tell("Somebody else changed this image too: both changes are kept.", "done");
    void this.reload().catch(() => undefined); // for the colors of their labels
  }

  /** The list of images tells how far each is. */
  private note(id: string, { layers, done }: Pick<Annotations, "layers" | "done">): void {
    const state = done ? "done" : layers.length ? "started" : "new";
    this.images = this.images.map((image) =>
      image.id === id && (image.state !== state || image.masks !== layers.length)
        ? { ...image, state, masks: layers.length }
        : image,
    );
  }
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function recalled(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? kept.map(String) : [];
  } catch {
    return [];
  }
}
