/** A mapping that forgets what was used longest ago once its values weigh too much; the newest value always stays. */
export class Memory<Value> {
  private readonly values = new Map<string, Value>();
  private bytes = 0;

  constructor(
    private readonly mostBytes: number,
    private readonly bytesOf: (value: Value) => number,
  ) {}

  get(key: string): Value | undefined {
    const value = this.values.get(key);
    if (value !== undefined) {
      this.values.delete(key);
      this.values.set(key, value);
    }
    return value;
  }

  put(key: string, value: Value): void {
    this.forget(key);
    this.values.set(key, value);
    this.bytes += this.bytesOf(value);
    for (const oldest of this.values.keys()) {
      if (this.bytes <= this.mostBytes || this.values.size === 1) break;
      this.forget(oldest);
    }
  }

  private forget(key: string): void {
    const value = this.values.get(key);
    if (value === undefined) return;
    this.values.delete(key);
    this.bytes -= this.bytesOf(value);
  }
}
