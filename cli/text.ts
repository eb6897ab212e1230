/**
 * Text for a terminal. What came from an agent or the network never reaches it raw: control characters (C0, DEL, C1), the marks
 * that reorder text (Trojan Source, CVE-2021-42574), invisible ones and line separators are shown as escapes.
 */
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Cs}/gu;

/** Longest piece of foreign text in one place of a report. */
const longest = 200;

export function escapeText(text: string, limit: number = longest): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** JSON for programs, which a person may look at all the same: what a terminal would obey stands there as an escape of JSON itself. */
export function terminalJson(value: unknown, indent?: number): string {
  // Line breaks between members are ours; those inside strings are escaped already.
  return JSON.stringify(value, undefined, indent).replace(unsafe, (character) => character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `12,345`. By hand: `toLocaleString` loads ICU's tables, 15 ms at the end of each run. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(?:[0-9]{3})+$)/g, ',');
}

export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `999 B`, `1.5 KiB`, `20 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    if (value < 1023.95) return `${trimmed(value)} ${unit}`;
    value /= 1024;
  }
  return `${trimmed(value)} TiB`;
}

/** `250 ms`, `1.5 s`, `5 m`, `2 h 30 m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${trimmed(milliseconds / 1000)} s`;
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 60) return `${minutes} m`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

function trimmed(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '');
}

/** Columns wide enough for their longest cell; the last one is as long as it is. Names in `right` are right-aligned. */
export function table(rows: readonly (readonly string[])[], right: ReadonlySet<number> = new Set()): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => { widths[index] = Math.max(widths[index] ?? 0, cell.length); });
  return rows.map((row) => row
    .map((cell, index) => right.has(index) ? cell.padStart(widths[index] ?? 0) : index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))
    .join('  ')
    .trimEnd());
}

export type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold';
export type Paint = (colour: Colour, text: string) => string;

const codes: Readonly<Record<Colour, string>> = { green: '32', red: '31', yellow: '33', dim: '2', bold: '1' };

export function painter(colours: boolean): Paint {
  return colours ? (colour, text) => `\u001b[${codes[colour]}m${text}\u001b[0m` : (_colour, text) => text;
}
