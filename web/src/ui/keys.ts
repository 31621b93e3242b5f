// Every action that has a key. The help sheet is this table.

import type { App } from "../app.svelte";
import type { Mode } from "../editor/tools/tool";
import { mergeLayers, removeLayers, subtractLayers, takeUp } from "../editor/scene";
import { offered } from "./labels";

export interface Key {
  /** as KeyboardEvent.key says it, in lower case, with ctrl+ and shift+ in front; command counts as ctrl */
  keys: string[];
  title: string;
  group: "Tools" | "Object" | "View" | "Images" | "Everything else";
  run(app: App, key: string): void;
}

const tool = (key: string, mode: Mode, title: string): Key => ({
  keys: [key],
  title,
  group: "Tools",
  run: (app) => app.setMode(mode),
});

const selected = (app: App) => app.editor.scene.selected;

export const KEYS: Key[] = [
  tool("v", "select", "Select"),
  tool("p", "point", "Point"),
  tool("b", "box", "Box"),
  tool("d", "brush", "Brush"),
  tool("e", "eraser", "Eraser"),
  tool("g", "polygon", "Polygon"),
  tool("a", "everything", "Everything"),
  { keys: ["[", "]"], title: "Smaller, larger brush", group: "Tools", run: (app, key) => app.shell.resizeBrush(key === "]" ? 1.25 : 0.8) },
  { keys: ["enter"], title: "Keep the object", group: "Object", run: (app) => app.enter() },
  { keys: ["escape"], title: "Discard, cancel", group: "Object", run: (app) => app.escape() },
  { keys: ["c", "shift+c"], title: "Next, previous candidate", group: "Object", run: (app, key) => app.editor.nextCandidate(key === "c" ? 1 : -1) },
  {
    keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    title: "Keep under a recent label",
    group: "Object",
    run: (app, key) => {
      const label = offered(app.session.labels, app.session.recent)[Number(key) - 1];
      if (label) giveLabel(app, label.name);
    },
  },
  { keys: ["l"], title: "Type a label", group: "Object", run: () => document.querySelector<HTMLElement>("[data-label-input]")?.focus() },
  {
    keys: ["r"],
    title: "Refine the chosen object",
    group: "Object",
    run: (app) => selected(app)[0] && app.editor.change((scene) => takeUp(scene, selected(app)[0])),
  },
  {
    keys: ["delete", "backspace"],
    title: "Delete",
    group: "Object",
    run: (app) => {
      if (app.tool.remove?.()) return;
      if (selected(app).length) app.editor.change((scene) => removeLayers(scene, scene.selected));
      else app.editor.discard();
    },
  },
  { keys: ["m"], title: "Merge chosen objects", group: "Object", run: (app) => app.editor.change((scene) => mergeLayers(scene, scene.selected)) },
  { keys: ["s"], title: "Subtract the upper from the lower", group: "Object", run: (app) => app.editor.change((scene) => subtractLayers(scene, scene.selected)) },
  { keys: ["ctrl+a"], title: "Choose all objects", group: "Object", run: (app) => app.editor.select(app.editor.scene.layers.map((layer) => layer.id)) },
  { keys: ["ctrl+z"], title: "Undo", group: "Everything else", run: (app) => app.editor.undo() },
  { keys: ["ctrl+shift+z", "ctrl+y"], title: "Redo", group: "Everything else", run: (app) => app.editor.redo() },
  { keys: ["ctrl+e"], title: "Export", group: "Everything else", run: (app) => (app.shell.dialog = "export") },
  { keys: ["ctrl+o"], title: "Add images", group: "Everything else", run: () => document.querySelector<HTMLInputElement>("[data-add-images]")?.click() },
  { keys: ["?", "shift+?", "f1"], title: "This help", group: "Everything else", run: (app) => (app.shell.dialog = app.shell.dialog === "help" ? null : "help") },
  { keys: ["n"], title: "Next image without masks", group: "Images", run: (app) => app.session.nextUnlabelled() },
  { keys: ["ctrl+enter"], title: "Done, next image", group: "Images", run: (app) => app.session.doneAndNext() },
  { keys: ["pagedown", "."], title: "Next image", group: "Images", run: (app) => app.session.step(1) },
  { keys: ["pageup", ","], title: "Previous image", group: "Images", run: (app) => app.session.step(-1) },
  { keys: ["h"], title: "Hide, show objects", group: "View", run: (app) => (app.shell.showLayers = !app.shell.showLayers) },
];

/** Keys that the picture itself hears, for the help sheet. */
export const PICTURE_KEYS: { keys: string[]; title: string; group: Key["group"] }[] = [
  { keys: ["+", "-"], title: "Closer, farther", group: "View" },
  { keys: ["0"], title: "Whole image", group: "View" },
  { keys: ["space"], title: "Hold and drag: move the image", group: "View" },
  { keys: ["arrows"], title: "Move the crosshair", group: "View" },
  { keys: ["x", "shift+x"], title: "Click at the crosshair: in, out", group: "View" },
];

/** The draft is kept under a label, or chosen layers get it, or the next object will. */
export function giveLabel(app: App, name: string): void {
  const { editor, session } = app;
  if (editor.draft || editor.waiting) return editor.keep(name);
  editor.label = name;
  const ids = selected(app);
  if (!ids.length) return session.used(name);
  editor.change((scene) => ({
    ...scene,
    layers: scene.layers.map((layer) => (ids.includes(layer.id) && !layer.locked ? { ...layer, label: name } : layer)),
  }));
  session.used(name);
}

export function nameOf(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const ctrl = event.ctrlKey || event.metaKey ? "ctrl+" : "";
  return `${ctrl}${event.shiftKey ? "shift+" : ""}${key}`;
}

/** The action of a key, if it has one. */
export function actionOf(event: KeyboardEvent): ((app: App) => void) | null {
  if (event.altKey) return null;
  const name = nameOf(event);
  const key = KEYS.find(({ keys }) => keys.includes(name));
  return key ? (app) => key.run(app, name) : null;
}

/** Whether keys belong to what has the focus: a field, a dialog. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input:not([type=range]), textarea, select, dialog, [contenteditable]") !== null;
}
