/** What has to be taken back, last first, when a launch fails halfway or a jail has ended. Each step runs once, whatever the others do. */
export class Undo {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch {
        // The next one matters as much.
      }
    }
  }
}
