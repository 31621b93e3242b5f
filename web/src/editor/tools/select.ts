// Choose objects by clicking them: ctrl takes more, a double click takes one up again to go on with it.

import type { Pen } from "../../view/paint";
import { takeUp } from "../scene";
import { pointOf, type Bench, type Press, type Tool } from "./tool";

export class SelectTool implements Tool {
  readonly cursor = "default";

  constructor(
    private readonly bench: Bench,
    private readonly point: (layer: string | null) => void,
  ) {}

  hover(at: Press): void {
    this.point(this.bench.editor.layerAt(pointOf(at))?.id ?? null);
  }

  leave(): void {
    this.point(null);
  }

  down(at: Press): void {
    const { editor } = this.bench;
    const id = editor.layerAt(pointOf(at))?.id;
    const { selected } = editor.scene;
    if (!id) editor.select(at.more ? selected : []);
    else if (!at.more && !at.out) editor.select([id]);
    else editor.select(selected.includes(id) ? selected.filter((one) => one !== id) : [...selected, id]);
  }

  move(): void {
    // a click is a click
  }

  up(): void {
    // it was chosen when it was pressed
  }

  twice(at: Press): void {
    const layer = this.bench.editor.layerAt(pointOf(at));
    if (layer) this.bench.editor.change((scene) => takeUp(scene, layer.id));
  }

  cancel(): boolean {
    const { editor } = this.bench;
    const chosen = editor.scene.selected.length > 0;
    editor.select([]);
    return chosen;
  }

  paint(_: Pen): void {
    // layers show themselves who is chosen
  }
}
