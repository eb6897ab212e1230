import { hashLength, type Hash } from './merkle-tree.ts';
import { parseNote, signNote, verifyNote, type NoteKey, type NoteSigner } from './signed-note.ts';

/** What a seal says: this is the head of the chain. */
export interface SealedHead {
  /** Name of the installation's chain, and of its key: a schema-less URL such as `sallyport.example/main`. */
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
  /** Of the database that the tree was read from; a restored one gets another. */
  readonly incarnation: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * A seal as a line of `seals.jsonl` and of an export. All but `note` repeats what the note says, for people and `grep`; a verifier
 * compares them.
 */
export interface SealLine {
  readonly at: number;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  readonly incarnation: string;
  readonly note: string;
}

const decimal = /^(?:0|[1-9][0-9]{0,15})$/;
const word = /^[\w.:-]{1,100}$/;

/**
 * The signed text: a C2SP checkpoint (c2sp.org/tlog-checkpoint): origin, size, base64 root, and two extension lines,
 * `incarnation <id>` and `at <milliseconds>`. Throws a TypeError when the head cannot be written so.
 */
export function sealText(head: SealedHead): string {
  const text = `${head.origin}\n${head.size}\n${Buffer.from(head.root).toString('base64')}\nincarnation ${head.incarnation}\nat ${head.at}\n`;
  if (parseSealText(text) === undefined) throw new TypeError('the head of the chain cannot be sealed');
  return text;
}

function integer(text: string | undefined): number | undefined {
  const value = text !== undefined && decimal.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseSealText(text: string): SealedHead | undefined {
  const [origin = '', sizeText, rootText = '', incarnationLine = '', atLine = '', ...rest] = text.split('\n');
  const size = integer(sizeText);
  const bytes = Buffer.from(rootText, 'base64');
  const incarnation = incarnationLine.startsWith('incarnation ') ? incarnationLine.slice('incarnation '.length) : '';
  const at = atLine.startsWith('at ') ? integer(atLine.slice('at '.length)) : undefined;
  if (rest.length !== 1 || rest[0] !== '' || origin === '' || /[\s+]/.test(origin) || size === undefined || at === undefined) return undefined;
  if (!word.test(incarnation) || bytes.length !== hashLength || bytes.toString('base64') !== rootText) return undefined;
  return { origin, size, root: Uint8Array.from(bytes), incarnation, at };
}

/** Signs a head; the key's name is the origin. */
export function signSeal(head: SealedHead, signer: NoteSigner): SealLine {
  if (signer.name !== head.origin) throw new TypeError('a chain is sealed by the key of its own name');
  const { at, size, incarnation } = head;
  return { at, size, root: Buffer.from(head.root).toString('hex'), incarnation, note: signNote(sealText(head), signer) };
}

/** What the note of a seal says, whoever signed it; undefined when it is no seal. */
export function parseSeal(note: string): SealedHead | undefined {
  const parsed = parseNote(note);
  return parsed === undefined ? undefined : parseSealText(parsed.text);
}

/** The head when this key has signed it under its own name; `reason` otherwise, a clause for a person. */
export function verifySeal(note: string, key: NoteKey): { readonly ok: true; readonly head: SealedHead } | { readonly ok: false; readonly reason: string } {
  const parsed = parseNote(note);
  const head = parsed === undefined ? undefined : parseSealText(parsed.text);
  if (parsed === undefined || head === undefined) return { ok: false, reason: 'it is not a signed checkpoint of a chain' };
  if (head.origin !== key.name) return { ok: false, reason: `it is of the chain ${head.origin}, not of ${key.name}` };
  return verifyNote(parsed, key) ? { ok: true, head } : { ok: false, reason: 'its signature is not by the key' };
}

/** The notes in a file that an auditor keeps: one signed note as it is, or lines of `seals.jsonl`. Undefined when it is neither. */
export function readSeals(text: string): readonly string[] | undefined {
  if (parseSeal(text) !== undefined) return [text];
  const notes: string[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    try {
      const { note } = JSON.parse(line) as { readonly note?: unknown };
      if (typeof note !== 'string' || parseSeal(note) === undefined) return undefined;
      notes.push(note);
    } catch {
      return undefined;
    }
  }
  return notes.length === 0 ? undefined : notes;
}
