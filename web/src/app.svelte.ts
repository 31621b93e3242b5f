// Everything the page is made of, put together once.

import { getContext, setContext } from "svelte";
import { Answers } from "./editor/answers.svelte";
import { Editor } from "./editor/editor.svelte";
import { colorOf } from "./editor/palette";
import { BoxTool } from "./editor/tools/box";
import { BrushTool } from "./editor/tools/brush";
import { EverythingTool } from "./editor/tools/everything";
import { PointTool } from "./editor/tools/point";
import { PolygonTool } from "./editor/tools/polygon";
import { SelectTool } from "./editor/tools/select";
import type { Bench, Mode, Tool } from "./editor/tools/tool";
import { chooseEngine, rememberChoice, type EngineChoice } from "./engine/choose";
import type { Engine } from "./engine/engine";
import { sentenceOf, Session } from "./project/session.svelte";
import type { ProjectStore } from "./project/store";
import { Shell } from "./ui/shell.svelte";

export class App implements Bench {
  readonly shell = new Shell();
  readonly answers: Answers;
  readonly editor: Editor;
  readonly session: Session;
  readonly tools: Record<Mode, Tool>;
  engine = $state.raw<Engine>() as Engine;
  mode = $state<Mode>("point");
  /** the layer under the pointer, in the picture or in the list */
  hovered = $state<string | null>(null);
  /** counts what tools want to be drawn again */
  drawings = $state(0);

  constructor(engine: Engine, store: ProjectStore) {
    this.engine = engine;
    this.answers = new Answers(() => this.engine);
    this.editor = new Editor(this.answers, {
      changed: (scene) => this.session.changed(scene),
      labelChanged: (change) => this.session.labelChanged(change),
      failed: (error) => this.shell.tell(sentenceOf(error), "error"),
      used: (label) => this.session.used(label),
    });
    this.session = new Session(store, this.editor, this.answers, (sentence, kind) => this.shell.tell(sentence, kind));
    this.tools = {
      select: new SelectTool(this, (layer) => (this.hovered = layer)),
      point: new PointTool(this),
      box: new BoxTool(this),
      brush: new BrushTool(this, true),
      eraser: new BrushTool(this, false),
      polygon: new PolygonTool(this),
      everything: new EverythingTool(this),
    };
  }

  get tool(): Tool {
    return this.tools[this.mode];
  }

  get brushRadius(): number {
    return this.shell.brushRadius;
  }

  color(label: string): string {
    return colorOf(this.session.labels, label);
  }

  redraw(): void {
    this.drawings++;
  }

  setMode(mode: Mode): void {
    if (mode === this.mode) return;
    this.tool.cancel();
    this.tool.leave();
    this.mode = mode;
    if (mode === "everything" && !this.editor.proposals) void this.editor.findEverything();
    this.redraw();
  }

  /** Another engine answers from now on; the one before goes on where the new one cannot start. */
  async setEngine(choice: EngineChoice): Promise<void> {
    try {
      const next = await chooseEngine(choice);
      await next.ready?.();
      this.engine.close?.();
      this.engine = next;
      rememberChoice(choice);
      this.session.encodeAgain();
    } catch (error) {
      this.shell.tell(sentenceOf(error), "error");
    }
  }

  /** Takes back what is begun: a drag, else the search, else the draft, else what is chosen. */
  escape(): void {
    if (this.tool.cancel()) return;
    if (this.editor.progress) this.editor.stopSearch();
    else if (this.editor.draft || this.editor.waiting) this.editor.discard();
    else this.editor.select([]);
  }

  /** Ends what is begun: an outline, else the draft. */
  enter(): void {
    if (!this.tool.finish?.()) this.editor.keep();
  }
}

const KEY = Symbol("app");

export function provideApp(app: App): App {
  return setContext(KEY, app);
}

export function useApp(): App {
  return getContext<App>(KEY);
}
