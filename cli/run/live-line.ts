import type { Writable } from 'node:stream';
import type { RunProgress } from '../../contracts/run-api.ts';
import { formatBytes, formatCount, formatDuration } from '../text.ts';

/** One line on a terminal that is written over: shown between what the agent writes, never inside it. */
export interface LiveLine {
  show(text: string): void;
  /** Before somebody else writes to the terminal. */
  hide(): void;
  /** After bytes of the agent went to the terminal: the line comes back only on a line of its own. */
  wrote(bytes: Buffer): void;
}

export function terminalLine(terminal: Writable & { readonly columns?: number }): LiveLine {
  let shown = false;
  let atLineStart = true;
  let text = '';
  const draw = (): void => {
    if (text === '' || !atLineStart) return;
    terminal.write(`\r\u001b[K${text}`);
    shown = true;
  };
  return {
    show(next) {
      text = next.slice(0, Math.max(20, (terminal.columns || 80) - 1));
      draw();
    },
    hide() {
      if (shown) terminal.write('\r\u001b[K');
      shown = false;
    },
    wrote(bytes) {
      if (bytes.length > 0) atLineStart = bytes[bytes.length - 1] === 0x0a;
      draw();
    },
  };
}

export const noLine: LiveLine = { show: () => { /* Not a terminal. */ }, hide: () => { /* Not a terminal. */ }, wrote: () => { /* Not a terminal. */ } };

export function progressText(progress: RunProgress, elapsedMs: number): string {
  const { requests, bytes_in } = progress.budget;
  return [
    `sallyport  ${formatDuration(elapsedMs)}`,
    `${formatCount(progress.allowed)} allowed`,
    `${formatCount(progress.denied)} denied`,
    ...(requests === undefined ? [] : [`requests ${formatCount(requests.used)}${requests.limit === null ? '' : ` of ${formatCount(requests.limit)}`}`]),
    ...(bytes_in === undefined ? [] : [`${formatBytes(bytes_in.used)} in`]),
  ].join('  ·  ');
}

