// Requests that follow the pointer: one at a time, and of those that come meanwhile only the last.

export class Latest<Question, Answer> {
  private waiting: { question: Question } | null = null;
  private running: AbortController | null = null;

  constructor(
    private readonly ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
    private readonly tell: (answer: Answer, question: Question) => void,
    private readonly fail: (error: unknown) => void,
  ) {}

  get busy(): boolean {
    return this.running !== null;
  }

  put(question: Question): void {
    this.waiting = { question };
    if (!this.running) void this.run();
  }

  /** Nothing is asked any more, and what is on its way is not heard. */
  stop(): void {
    this.waiting = null;
    this.running?.abort();
    this.running = null;
  }

  private async run(): Promise<void> {
    const mine = new AbortController();
    this.running = mine;
    while (this.waiting && this.running === mine) {
      const { question } = this.waiting;
      this.waiting = null;
      try {
        const answer = await this.ask(question, mine.signal);
        if (this.running === mine) this.tell(answer, question);
      } catch (error) {
        if (this.running === mine) this.fail(error);
      }
    }
    if (this.running === mine) this.running = null;
  }
}
