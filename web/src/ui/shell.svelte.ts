// What is around the picture: theme, dialogs, messages, sizes. Remembered where it is worth it.

export type Dialog = "help" | "export" | "settings" | null;
export type Theme = "auto" | "light" | "dark";

export interface Message {
  id: number;
  sentence: string;
  kind: "error" | "done";
}

const THEME = "samlet.theme";
const HINTS = "samlet.hints";
const STAYS_MS = { done: 4000, error: 9000 };

export class Shell {
  dialog = $state<Dialog>(null);
  theme = $state<Theme>((localStorage.getItem(THEME) as Theme | null) ?? "auto");
  messages = $state<Message[]>([]);
  brushRadius = $state(14);
  /** for fingers and keys: a click means out */
  out = $state(false);
  showLayers = $state(true);
  hints = $state(localStorage.getItem(HINTS) !== "off");
  private count = 0;

  tell(sentence: string, kind: Message["kind"]): void {
    if (this.messages.some((message) => message.sentence === sentence)) return;
    const id = ++this.count;
    this.messages = [...this.messages.slice(-3), { id, sentence, kind }];
    setTimeout(() => this.dismiss(id), STAYS_MS[kind]);
  }

  dismiss(id: number): void {
    this.messages = this.messages.filter((message) => message.id !== id);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem(THEME, theme);
  }

  setHints(shown: boolean): void {
    this.hints = shown;
    localStorage.setItem(HINTS, shown ? "on" : "off");
  }

  resizeBrush(factor: number): void {
    this.brushRadius = Math.max(2, Math.min(120, Math.round(this.brushRadius * factor + (factor > 1 ? 0.5 : -0.5))));
  }
}
