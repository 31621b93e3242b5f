// Undo and redo: states are values that never change, so going back is taking an earlier one.

export class History<State> {
  private past: State[] = [];
  private future: State[] = [];

  constructor(
    private now: State,
    private readonly most = 500,
  ) {}

  get state(): State {
    return this.now;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** A new state; what was undone before is gone. */
  push(state: State): void {
    if (state === this.now) return;
    this.past.push(this.now);
    if (this.past.length > this.most) this.past.shift();
    this.now = state;
    this.future = [];
  }

  /** Another state in the place of this one: no step of its own. */
  replace(state: State): void {
    this.now = state;
  }

  undo(): State {
    const earlier = this.past.pop();
    if (earlier === undefined) return this.now;
    this.future.push(this.now);
    return (this.now = earlier);
  }

  redo(): State {
    const later = this.future.pop();
    if (later === undefined) return this.now;
    this.past.push(this.now);
    return (this.now = later);
  }

  /** All states, earlier and later ones too, seen anew: for what came from outside. */
  map(change: (state: State) => State): void {
    this.past = this.past.map(change);
    this.future = this.future.map(change);
    this.now = change(this.now);
  }
}
