const entriesMax = 4096;
/** UTF-16 units of all keys together. */
const keysMax = 8 * 1024 * 1024;

/** Values by text, bounded in number and in the length of their keys; the oldest go first. */
export class Remembered<T> {
  readonly #known = new Map<string, T>();
  #keyUnits = 0;

  get(key: string): T | undefined {
    return this.#known.get(key);
  }

  /** `key` is not in it yet. */
  set(key: string, value: T): void {
    this.#known.set(key, value);
    this.#keyUnits += key.length;
    while (this.#known.size > entriesMax || this.#keyUnits > keysMax) {
      const oldest = this.#known.keys().next().value!;
      this.#known.delete(oldest);
      this.#keyUnits -= oldest.length;
    }
  }

  clear(): void {
    this.#known.clear();
    this.#keyUnits = 0;
  }
}
