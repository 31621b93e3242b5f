// What happens to the scene of the open image: every change is a step that can be undone. Answers of the model come one
// after the other, each for the prompts that were there when its turn came.

import type { MaskAnswer, Prompts, Rle } from "../engine/engine";
import { area, contains, intersect, union, type Size } from "../mask/rle";
import type { Label, Layer } from "../project/store";
import type { Answers } from "./answers.svelte";
import { History } from "./history";
import { Latest } from "./latest";
import { UNNAMED } from "./palette";
import * as scenes from "./scene";
import type { Box, Draft, Scene } from "./scene";

/** A class that was added, changed or removed in a step; null is "there is none". */
export interface LabelChange {
  from: Label | null;
  to: Label | null;
}

interface Step {
  scene: Scene;
  label?: LabelChange;
}

export interface Listener {
  changed(scene: Scene): void;
  labelChanged(change: LabelChange): void;
  failed(error: unknown): void;
  used(label: string): void;
}

type Point = [number, number];

const [COARSE_GRID, FINE_GRID] = [16, 32]; // clicks in a row: a quarter of the time for what is not small

export class Editor {
  scene = $state.raw<Scene>(scenes.NOTHING);
  size = $state.raw<Size | null>(null);
  /** the class that the next object gets */
  label = $state(UNNAMED);
  preview = $state.raw<MaskAnswer | null>(null);
  /** clicks that wait for their answer */
  pending = $state.raw<{ point: Point; label: number }[]>([]);
  waiting = $state(0);
  proposals = $state.raw<MaskAnswer[] | null>(null);
  progress = $state.raw<{ done: number; total: number } | null>(null);
  canUndo = $state(false);
  canRedo = $state(false);

  private history = new History<Step>({ scene: scenes.NOTHING });
  private readonly kept = new Map<string, { history: History<Step>; proposals: MaskAnswer[] | null }>();
  private image: string | null = null;
  private chain: Promise<void> = Promise.resolve();
  private turn = 0;
  private search: AbortController | null = null;
  private readonly previews: Latest<Prompts, MaskAnswer[]>;

  constructor(
    private readonly answers: Answers,
    private readonly listener: Listener,
  ) {
    this.previews = new Latest(
      (prompts, signal) => this.answers.preview(prompts, signal),
      ([best]) => (this.preview = best ?? null),
      () => (this.preview = null), // a preview that fails is no reason to disturb
    );
  }

  // --- images -------------------------------------------------------------------------------------------------------

  /** Another image, with what is stored of it; what was undone here before can still be redone. */
  open(image: string, size: Size, stored: Scene): void {
    this.leave();
    this.image = image;
    this.size = size;
    const known = this.kept.get(image);
    const same = known && JSON.stringify(scenes.toLayers(known.history.state.scene)) === JSON.stringify(scenes.toLayers(stored));
    this.history = same ? known.history : new History<Step>({ scene: stored });
    this.proposals = known?.proposals ?? null;
    this.show();
  }

  leave(): void {
    this.stop();
    if (this.image) this.kept.set(this.image, { history: this.history, proposals: this.proposals });
    this.image = null;
    this.size = null;
    this.proposals = null;
    this.history = new History<Step>({ scene: scenes.NOTHING });
    this.show();
  }

  /** Somebody else changed the image too: what is there now, as a step of its own. */
  replaceLayers(layers: readonly Layer[], done: boolean): void {
    this.push(scenes.fromLayers(layers, done), undefined, false);
  }

  // --- steps --------------------------------------------------------------------------------------------------------

  get draft(): Draft | null {
    return this.scene.draft;
  }

  change(change: (scene: Scene) => Scene): void {
    this.push(change(this.scene));
  }

  /** A change of the classes, with what it does to this image. */
  changeLabel(label: LabelChange): void {
    const { from, to } = label;
    let scene = this.scene;
    if (from && to && from.name !== to.name) {
      const renamed = (name: string) => (name === from.name ? to.name : name);
      const layers = scene.layers.map((layer) => ({ ...layer, label: renamed(layer.label) }));
      scene = { ...scene, layers, draft: scene.draft && { ...scene.draft, label: renamed(scene.draft.label) } };
      this.label = renamed(this.label);
    }
    this.push({ ...scene }, label);
    this.listener.labelChanged(label);
  }

  undo(): void {
    if (this.waiting || this.pending.length) return this.stop(); // what has no answer yet goes first
    const { label } = this.history.state;
    this.history.undo();
    this.show();
    this.listener.changed(this.scene);
    if (label) this.listener.labelChanged({ from: label.to, to: label.from });
  }

  redo(): void {
    this.history.redo();
    this.show();
    this.listener.changed(this.scene);
    const { label } = this.history.state;
    if (label) this.listener.labelChanged(label);
  }

  select(ids: readonly string[]): void {
    this.history.replace({ ...this.history.state, scene: { ...this.scene, selected: ids } });
    this.show();
  }

  // --- the draft ----------------------------------------------------------------------------------------------------

  /** A click: `label` 1 in, 0 out. */
  addPoint(point: Point, label: number): void {
    this.pending = [...this.pending, { point, label }];
    this.ask(async (draft) => {
      const asked = { ...draft, points: [...draft.points, point], labels: [...draft.labels, label] };
      return label === 0 && isPainted(draft) ? this.without(draft, point) : this.answered(asked);
    });
  }

  removePoint(index: number): void {
    this.ask(async (draft) => {
      const asked = { ...draft, points: draft.points.toSpliced(index, 1), labels: draft.labels.toSpliced(index, 1) };
      return hasQuestion(asked) ? this.answered(asked, false) : { ...asked, answers: [], choice: 0 };
    });
  }

  setBox(box: Box): void {
    this.ask((draft) => this.answered({ ...draft, box }, false));
  }

  /** The next of the model's candidates. */
  nextCandidate(step = 1): void {
    const { draft } = this.scene;
    if (!draft || draft.answers.length < 2) return;
    const choice = (draft.choice + step + draft.answers.length) % draft.answers.length;
    this.push({ ...this.scene, draft: { ...draft, choice } });
  }

  paint(stroke: Rle, adds: boolean): void {
    this.afterAnswers(() => {
      const [selected] = this.scene.selected;
      const scene = this.scene.draft || !selected ? this.scene : scenes.takeUp(this.scene, selected);
      if (!scene.draft && !adds) return; // nothing to erase from
      this.push({ ...scene, draft: scenes.painted(scene.draft ?? scenes.newDraft(this.label), stroke, adds) });
    });
  }

  /** The draft becomes a layer, under another class if one is given. */
  keep(label?: string): void {
    this.afterAnswers(() => {
      const { draft } = this.scene;
      if (!draft) return;
      const name = label ?? draft.label;
      this.label = name;
      this.push(scenes.keepDraft({ ...this.scene, draft: { ...draft, label: name } }));
      this.listener.used(name);
    });
  }

  discard(): void {
    this.stop();
    if (this.scene.draft) this.push({ ...this.scene, draft: null });
  }

  setDraftLabel(label: string): void {
    this.label = label;
    if (this.scene.draft) this.push({ ...this.scene, draft: { ...this.scene.draft, label } });
  }

  // --- previews and everything --------------------------------------------------------------------------------------

  previewAt(point: Point | null): void {
    if (point) this.previews.put({ points: [point], labels: [1] });
    else this.stopPreview();
  }

  previewBox(box: Box): void {
    this.previews.put({ points: [], labels: [], box });
  }

  stopPreview(): void {
    this.previews.stop();
    this.preview = null;
  }

  /** Quickly, with a coarse grid of clicks; `closer` with a fine one, which finds small things too. */
  async findEverything(closer = false): Promise<void> {
    if (this.search) return;
    const grid = closer ? FINE_GRID : COARSE_GRID;
    const search = (this.search = new AbortController());
    this.progress = { done: 0, total: 0 };
    try {
      const tell = (done: number, total: number) => (this.progress = { done, total });
      const found = await this.answers.everything(tell, search.signal, grid);
      this.proposals = found.toSorted((a, b) => a.area - b.area);
    } catch (error) {
      if (!search.signal.aborted) this.listener.failed(error);
    } finally {
      if (this.search === search) this.search = this.progress = null;
    }
  }

  stopSearch(): void {
    this.search?.abort();
    this.search = null;
    this.progress = null;
  }

  /** The smallest proposal at a place that was not taken yet. */
  proposalAt([x, y]: Point): MaskAnswer | null {
    const taken = new Set(this.scene.layers.map((layer) => layer.rle));
    return this.proposals?.find(({ rle }) => contains(rle, x, y) && !taken.has(rle)) ?? null;
  }

  take(taken: readonly MaskAnswer[]): void {
    if (!taken.length) return;
    const layers = taken.map(
      ({ rle, iou }): Layer => ({ id: scenes.newId(), label: this.label, visible: true, locked: false, rle, iou }),
    );
    this.push(scenes.addLayers(scenes.keepDraft(this.scene), layers));
    this.listener.used(this.label);
  }

  /** The uppermost visible layer at a place. */
  layerAt([x, y]: Point): Layer | null {
    return this.scene.layers.find((layer) => layer.visible && contains(layer.rle, x, y)) ?? null;
  }

  // --- inner --------------------------------------------------------------------------------------------------------

  /** Changes the draft by a question whose answer takes a while; questions wait for each other. */
  private ask(question: (draft: Draft) => Promise<Draft>): void {
    this.stopPreview();
    const turn = this.turn;
    this.waiting++;
    const heard = () => turn === this.turn;
    this.chain = this.chain.then(async () => {
      if (!heard()) return;
      try {
        const draft = await question(this.scene.draft ?? scenes.newDraft(this.label));
        if (heard()) this.push({ ...this.scene, draft, selected: [] });
      } catch (error) {
        if (heard()) this.listener.failed(error);
      }
      if (!heard()) return;
      this.waiting--;
      this.pending = this.pending.slice(1);
    });
  }

  /** Does something once all answers are there; at once if none is awaited. */
  private afterAnswers(action: () => void): void {
    if (!this.waiting) return action();
    const turn = this.turn;
    this.chain = this.chain.then(() => {
      if (turn === this.turn) action();
    });
  }

  private async answered(draft: Draft, goesOn = true): Promise<Draft> {
    const hint = goesOn ? draft.answers[draft.choice]?.id : undefined;
    const prompts: Prompts = { points: draft.points, labels: draft.labels };
    if (draft.box) prompts.box = draft.box;
    if (hint) prompts.hint = hint;
    return { ...draft, answers: distinct(await this.answers.segment(prompts)), choice: 0 };
  }

  /** A draft that no prompt made loses the object at a place. */
  private async without(draft: Draft, point: Point): Promise<Draft> {
    const [object] = await this.answers.segment({ points: [point], labels: [1] });
    return object ? scenes.painted(draft, object.rle, false) : draft;
  }

  /** Nothing that was asked is heard any more. */
  private stop(): void {
    this.turn++;
    this.waiting = 0;
    this.pending = [];
    this.stopPreview();
    this.stopSearch();
  }

  private push(scene: Scene, label?: LabelChange, tell = true): void {
    if (scene === this.scene) return;
    this.history.push(label ? { scene, label } : { scene });
    this.show();
    if (tell) this.listener.changed(scene);
  }

  private show(): void {
    this.scene = this.history.state.scene;
    this.canUndo = this.history.canUndo;
    this.canRedo = this.history.canRedo;
  }
}

function hasQuestion(draft: Draft): boolean {
  return draft.labels.includes(1) || draft.box !== undefined;
}

/** Whether a draft has a mask, but none by prompts: painted, or imported. */
function isPainted(draft: Draft): boolean {
  return draft.added !== undefined && !hasQuestion(draft);
}

const ALIKE = 0.95;

/** The answer and those candidates that are something else. */
function distinct(answers: MaskAnswer[]): MaskAnswer[] {
  const kept: MaskAnswer[] = [];
  for (const answer of answers) {
    const alike = kept.some(({ rle }) => area(intersect(rle, answer.rle)) > ALIKE * area(union(rle, answer.rle)));
    if (answer.area > 0 && !alike) kept.push(answer);
  }
  return kept;
}
