/** Heads that came again, to the byte, on their connection. */
const repeated = new WeakSet();

export function markRepeated(head: object): void {
  repeated.add(head);
}

/**
 * What was made of heads, for those that repeat: looking up costs 20 ns, but remembering something of a head that never comes again
 * 700 ns. Lives as long as the head, which is until its connection sends another one.
 */
export class PerHead<Head extends object, Value extends object> {
  readonly #values = new WeakMap<Head, Value>();

  get(head: Head): Value | undefined {
    return this.#values.get(head);
  }

  /** Forgotten at once unless the head has repeated. */
  set(head: Head, value: Value): void {
    if (repeated.has(head)) this.#values.set(head, value);
  }
}
