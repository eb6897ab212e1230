import type { RunAction } from '../../contracts/run-api.ts';
import { exchangesOf } from '../report/egress.ts';
import { whatOf } from '../report/lines.ts';
import { escapeText, formatBytes } from '../text.ts';

/** One event, or one exchange, on one line. */
export function actionLine(action: RunAction): string {
  const { event } = action;
  const [exchange] = exchangesOf([action]);
  const parts = [new Date(event.at).toISOString().slice(0, 23), (action.completion ?? event).type, event.run_id ?? '-'];
  if (exchange !== undefined) {
    parts.push(whatOf(exchange), exchange.code ?? (exchange.status === null ? '' : String(exchange.status)));
    if (action.completion !== null) parts.push(`${formatBytes(exchange.bytes_out)} out, ${formatBytes(exchange.bytes_in)} in`);
  } else {
    const text = JSON.stringify({ ...event.facts });
    if (text !== '{}') parts.push(escapeText(text));
  }
  return parts.filter((part) => part !== '').join('  ');
}
