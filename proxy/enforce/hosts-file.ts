import { readFile, stat } from 'node:fs/promises';
import { parseAddress } from '../../contracts/address-text.ts';

const file = '/etc/hosts';
const checkEveryMs = 1000;
/** A larger file is not read: block lists of that kind belong into policy data. */
const maxBytes = 4 * 1024 * 1024;

/** `/etc/hosts` (hosts(5)), read again when it changed; asked at most once a second whether it did. */
export class HostsFile {
  readonly #path: string;
  readonly #monotonic: () => number;
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #version = '';
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(monotonic: () => number, path: string = file) {
    this.#monotonic = monotonic;
    this.#path = path;
  }

  /** The addresses that the file gives a canonical name; undefined when it has none. */
  async lookup(host: string): Promise<readonly string[] | undefined> {
    const now = this.#monotonic();
    if (now - this.#checkedAt >= checkEveryMs) {
      this.#checkedAt = now;
      await this.#refresh();
    }
    return this.#names.get(host);
  }

  async #refresh(): Promise<void> {
    try {
      const { mtimeMs, ino, size } = await stat(this.#path);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === this.#version || size > maxBytes) return;
      this.#names = parseHosts(await readFile(this.#path, 'utf8'));
      this.#version = version;
    } catch {
      // No such file: there are no such names.
      this.#names = new Map();
      this.#version = '';
    }
  }
}

export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...hosts] = line.replace(/#.*/, '').trim().split(/\s+/);
    // Zone ids (`fe80::1%lo0`) mean nothing to us, and neither do other things that are no address.
    if (parseAddress(address) === undefined) continue;
    for (const host of hosts) {
      const name = host.toLowerCase();
      const known = names.get(name);
      if (known === undefined) names.set(name, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return names;
}
