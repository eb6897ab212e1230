import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../../contracts/clock.ts';
import { toSallyportError, type SallyportError } from '../../../contracts/errors.ts';
import { authorityError } from './failures.ts';
import { presentGeneration, readStateFile, writeNext } from './files.ts';
import { inOrder, mostAuthorities, rotated, signerAt, trustedAt, trustedUntil } from './rules.ts';
import { makeAuthority, parseState, stateText, tidied, type AuthorityRecord } from './state.ts';

/** How often a worker looks whether the authorities have changed. */
const lookMs = 1000;
/** Each failure means that another process has changed something. */
const mostTries = 50;

interface Loaded {
  readonly generation: number;
  readonly all: readonly AuthorityRecord[];
}

export interface Signer extends AuthorityRecord {
  readonly private_key: KeyObject;
}

const hasKey = (one: AuthorityRecord | undefined): one is Signer => one?.private_key !== undefined;

const folderOf = (dataFolder: string): string => join(dataFolder, 'ca');

function load(folder: string, now: number): Loaded | undefined {
  const file = readStateFile(folder);
  if (file === undefined) return undefined;
  const all = parseState(file.text, file.place);
  const signer = signerAt(all, now);
  const withoutKey = inOrder(all).slice(all.findIndex((one) => one === signer)).find(({ private_key }) => private_key === undefined);
  if (withoutKey !== undefined) throw authorityError(`${file.place} lacks the key of authority ${withoutKey.id}, which signs.`);
  return { generation: file.generation, all };
}

/** What is there; made when nothing ever was. Several processes at once agree on one. */
function loadOrMake(folder: string, now: number): Loaded {
  for (let tries = 0; tries < mostTries; tries++) {
    const loaded = load(folder, now);
    if (loaded !== undefined) return loaded;
    writeNext(folder, 0, stateText([makeAuthority(now, now)]));
  }
  throw authorityError(`${folder} changes faster than it can be read.`);
}

/** The authorities of an installation as a running process sees them. */
export class Authorities {
  readonly #folder: string;
  readonly #clock: Clock;
  #loaded: Loaded;
  #failure: SallyportError | undefined;
  #lookedAt: number;

  /** See `openAuthorities`. */
  constructor(dataFolder: string, clock: Clock) {
    this.#folder = folderOf(dataFolder);
    this.#clock = clock;
    this.#loaded = tidy(this.#folder, loadOrMake(this.#folder, clock.now()), clock.now());
    this.#lookedAt = clock.monotonic();
  }

  /** Who signs at `now` (milliseconds since 1970). Notices within a second what another process changed; throws `authority`. */
  signer(now: number): Signer {
    this.#look(now);
    const signer = signerAt(this.#loaded.all, now);
    if (!hasKey(signer)) throw authorityError(`${this.#folder} lacks the key of the authority that signs now.`);
    if (now >= signer.not_after) {
      throw authorityError(`Authority ${signer.id} has expired on ${new Date(signer.not_after).toISOString()}.`, undefined, ['sallyport ca rotate --overlap 0 makes the next one.']);
    }
    return signer;
  }

  #look(now: number): void {
    const at = this.#clock.monotonic();
    if (at - this.#lookedAt >= lookMs) {
      this.#lookedAt = at;
      this.#failure = this.#reload(now);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #reload(now: number): SallyportError | undefined {
    try {
      if (this.#failure === undefined && presentGeneration(this.#folder) === this.#loaded.generation) return undefined;
      const loaded = load(this.#folder, now);
      if (loaded === undefined) return authorityError(`The authorities in ${this.#folder} have been removed.`);
      this.#loaded = loaded;
      return undefined;
    } catch (error) {
      return toSallyportError(error);
    }
  }
}

/** Whoever opens the folder also drops what it needs no more. That another process was faster is no harm. */
function tidy(folder: string, loaded: Loaded, now: number): Loaded {
  const text = stateText(tidied(loaded.all, now));
  if (text === stateText(loaded.all) || !writeNext(folder, loaded.generation, text)) return loaded;
  return load(folder, now) ?? loaded;
}

/** Those in the data folder's `ca/`; makes the first one when there is none. Throws `authority` or `disk_full`. */
export function openAuthorities(dataFolder: string, clock: Clock): Authorities {
  return new Authorities(dataFolder, clock);
}

/** PEM of all that are trusted now, each ending in a line feed; makes the first one when there is none. Throws `authority`. */
export function readTrusted(dataFolder: string, clock: Clock = systemClock): string {
  const now = clock.now();
  return trustedAt(loadOrMake(folderOf(dataFolder), now).all, now).map(({ certificate }) => certificate).join('');
}

/** An authority with its place among the others. */
export interface AuthorityView extends AuthorityRecord {
  readonly role: 'signs' | 'will sign' | 'has signed';
  /** Milliseconds since 1970; undefined while no other is to follow. */
  readonly trusted_until: number | undefined;
}

/** All that are trusted at `now`, in the order in which they sign; none when nothing was ever made. Throws `authority`. */
export function viewAuthorities(dataFolder: string, now: number): readonly AuthorityView[] {
  const all = load(folderOf(dataFolder), now)?.all ?? [];
  const signer = signerAt(all, now);
  return trustedAt(all, now).map((one) => ({
    ...one,
    role: one === signer ? 'signs' : one.signs_from > now ? 'will sign' : 'has signed',
    trusted_until: trustedUntil(all, one.id),
  }));
}

/** Lets the next authority begin `overlapMs` from now: the one that waits, or a new one. Throws `authority` when there are too many. */
export function rotateAuthorities(dataFolder: string, now: number, overlapMs: number): void {
  const folder = folderOf(dataFolder);
  for (let tries = 0; tries < mostTries; tries++) {
    const { all, generation } = loadOrMake(folder, now);
    const next = rotated(all, (signsFrom) => makeAuthority(signsFrom, now), now, overlapMs);
    if (next === undefined) {
      throw authorityError(`${mostAuthorities} authorities are trusted at once, and there is no room for another.`, undefined, ['Wait until the oldest is dropped: sallyport ca show says when.']);
    }
    if (writeNext(folder, generation, stateText(tidied(next, now)))) return;
  }
  throw authorityError(`${folder} is changed by others faster than it can be rotated.`);
}
