// What is edited of one image: its layers, and the draft that is not kept yet. A scene never changes; each function
// gives another one, so that undo is taking an earlier scene.

import type { MaskAnswer, Rle } from "../engine/engine";
import { area, boxOf, isEmpty, subtract, union } from "../mask/rle";
import type { Layer } from "../project/store";

export type Box = [number, number, number, number];

/** An object in the making. What a brush added or took away outlives every new answer of the model. */
export interface Draft {
  id: string;
  label: string;
  points: [number, number][];
  labels: number[];
  box?: Box;
  answers: MaskAnswer[];
  choice: number;
  added?: Rle;
  removed?: Rle;
  /** where it lay among the layers, for one that was taken up again */
  place?: number;
}

export interface Scene {
  layers: readonly Layer[];
  draft: Draft | null;
  selected: readonly string[];
  done: boolean;
}

export const NOTHING: Scene = { layers: [], draft: null, selected: [], done: false };

/** Ids without crypto.randomUUID, which plain http addresses do not have. */
export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newDraft(label: string): Draft {
  return { id: newId(), label, points: [], labels: [], answers: [], choice: 0 };
}

/** The mask of a draft: the chosen answer, with what the brush added and without what it took away. */
export function draftMask(draft: Draft): Rle | null {
  const answer = draft.answers[draft.choice]?.rle;
  const whole = answer && draft.added ? union(answer, draft.added) : (answer ?? draft.added);
  return whole && draft.removed ? subtract(whole, draft.removed) : (whole ?? null);
}

export function painted(draft: Draft, stroke: Rle, adds: boolean): Draft {
  const { added, removed } = draft;
  if (adds) return { ...draft, added: added ? union(added, stroke) : stroke, removed: removed && subtract(removed, stroke) };
  return { ...draft, added: added && subtract(added, stroke), removed: removed ? union(removed, stroke) : stroke };
}

/** A draft with exactly this mask: the model's answer stays, and what differs from it is as if painted. */
export function redrawn(draft: Draft, rle: Rle): Draft {
  const answer = draft.answers[draft.choice]?.rle;
  if (!answer) return { ...draft, added: rle, removed: undefined };
  return { ...draft, added: subtract(rle, answer), removed: subtract(answer, rle) };
}

/** The draft as a layer; null if it is empty. */
export function draftLayer(draft: Draft, unkept = false): Layer | null {
  const rle = draftMask(draft);
  if (!rle || isEmpty(rle)) return null;
  const layer: Layer = { id: draft.id, label: draft.label, visible: true, locked: false, rle };
  const iou = draft.answers[draft.choice]?.iou;
  if (iou !== undefined) layer.iou = iou;
  if (draft.points.length || draft.box) {
    layer.prompts = { points: draft.points, labels: draft.labels, ...(draft.box ? { box: draft.box } : {}) };
    if (draft.added || draft.removed) layer.strokes = { added: draft.added, removed: draft.removed };
  }
  return unkept ? { ...layer, draft: true } : layer;
}

/** The draft becomes a layer; an empty one is gone. */
export function keepDraft(scene: Scene): Scene {
  if (!scene.draft) return scene;
  const layer = draftLayer(scene.draft);
  if (!layer) return { ...scene, draft: null };
  const place = Math.min(scene.draft.place ?? 0, scene.layers.length);
  return { ...scene, draft: null, layers: scene.layers.toSpliced(place, 0, layer), selected: [] };
}

/** A layer becomes the draft again, with its mask as it is; a draft before it is kept. */
export function takeUp(scene: Scene, id: string): Scene {
  const kept = keepDraft(scene);
  const place = kept.layers.findIndex((layer) => layer.id === id);
  const layer = kept.layers[place];
  if (!layer || layer.locked) return kept;
  const draft: Draft = { ...newDraft(layer.label), id: layer.id, place, ...remembered(layer) };
  return { ...kept, draft, layers: kept.layers.toSpliced(place, 1), selected: [] };
}

/** What a layer was asked with. A mask that no prompt made (painted, imported) is like one that a brush added. */
function remembered({ prompts, strokes, rle, iou }: Layer): Partial<Draft> {
  if (!prompts) return { added: rle };
  const answer: MaskAnswer = { id: "", rle, iou: iou ?? 0, box: boxOf(rle), area: area(rle) };
  return { ...prompts, ...strokes, answers: [answer] };
}

export function addLayers(scene: Scene, layers: readonly Layer[]): Scene {
  return { ...scene, layers: [...layers, ...scene.layers], selected: [] };
}

export function changeLayers(scene: Scene, ids: readonly string[], change: Partial<Layer>): Scene {
  const layers = scene.layers.map((layer) => (ids.includes(layer.id) ? { ...layer, ...change } : layer));
  return { ...scene, layers };
}

export function removeLayers(scene: Scene, ids: readonly string[]): Scene {
  const layers = scene.layers.filter((layer) => !ids.includes(layer.id) || layer.locked);
  return { ...scene, layers, selected: scene.selected.filter((id) => layers.some((layer) => layer.id === id)) };
}

/** Moves a layer to another place in the list; the first lies on top. */
export function moveLayer(scene: Scene, id: string, place: number): Scene {
  const from = scene.layers.findIndex((layer) => layer.id === id);
  const to = Math.max(0, Math.min(scene.layers.length - 1, place));
  if (from < 0 || from === to) return scene;
  return { ...scene, layers: scene.layers.toSpliced(from, 1).toSpliced(to, 0, scene.layers[from]) };
}

/** Several layers become the uppermost of them. */
export function mergeLayers(scene: Scene, ids: readonly string[]): Scene {
  const parts = scene.layers.filter((layer) => ids.includes(layer.id) && !layer.locked);
  if (parts.length < 2) return scene;
  const [first, ...others] = parts;
  const rle = others.reduce((whole, layer) => union(whole, layer.rle), first.rle);
  const merged: Layer = { id: first.id, label: first.label, visible: true, locked: false, rle };
  const gone = new Set(others.map((layer) => layer.id));
  const layers = scene.layers.filter((layer) => !gone.has(layer.id));
  return { ...scene, layers: layers.map((layer) => (layer.id === first.id ? merged : layer)), selected: [first.id] };
}

/** Takes the uppermost of the layers out of the others. */
export function subtractLayers(scene: Scene, ids: readonly string[]): Scene {
  const parts = scene.layers.filter((layer) => ids.includes(layer.id));
  if (parts.length < 2) return scene;
  const [first, ...others] = parts;
  const cut = new Map(others.filter((layer) => !layer.locked).map((layer) => [layer.id, subtract(layer.rle, first.rle)]));
  const layers = scene.layers.map((layer) => ({ ...layer, rle: cut.get(layer.id) ?? layer.rle }));
  return { ...scene, layers: layers.filter((layer) => !cut.has(layer.id) || !isEmpty(layer.rle)) };
}

/** Scene and layers as they are stored: a draft is a layer that is not kept yet. */
export function toLayers(scene: Scene): Layer[] {
  const unkept = scene.draft && draftLayer(scene.draft, true);
  if (!unkept) return [...scene.layers];
  return scene.layers.toSpliced(Math.min(scene.draft?.place ?? 0, scene.layers.length), 0, unkept);
}

export function fromLayers(layers: readonly Layer[], done: boolean): Scene {
  const unkept = layers.find((layer) => layer.draft);
  const scene: Scene = { layers: layers.map(({ draft: _, ...layer }) => layer), draft: null, selected: [], done };
  return unkept ? takeUp(scene, unkept.id) : scene;
}
