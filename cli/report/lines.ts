import type { Meter } from '../../contracts/budget.ts';
import { isTerminal } from '../../contracts/run.ts';
import { bracketed } from '../allow-option.ts';
import { escapeText, formatBytes, formatCount, formatDuration, plural, table, type Paint } from '../text.ts';
import type { Exchange } from './egress.ts';
import type { RunReport } from './report.ts';
import { flagFor } from './suggest.ts';

/** Groups shown of each kind; the rest is counted, and in `--report`. */
const mostGroups = 20;

/** The end of a run, as a person likes to read it. */
export function reportLines(report: RunReport, paint: Paint): readonly string[] {
  const allowed = report.exchanges.filter(({ effect }) => effect === 'allow');
  const unsent = report.exchanges.filter(({ effect }) => effect !== 'allow');
  // What policy allowed and the other side did not take is no denial: no flag would help.
  const failed = unsent.filter(({ code }) => code?.startsWith('upstream_') === true);
  const denied = unsent.filter((exchange) => !failed.includes(exchange));
  return [
    paint('bold', headline(report)),
    ...allowedLines(allowed, report, paint),
    ...deniedLines(failed, 'failed', report, paint),
    ...deniedLines(denied, 'denied', report, paint),
    ...deniedLines(allowed.filter(({ observed }) => observed !== null), 'would be', report, paint),
    ...budgetLines(report),
    ...noteLines(report, paint),
    ...chainLines(report, paint),
  ];
}

function headline({ run, exitCode }: RunReport): string {
  const code = exitCode === null || run.reason?.includes(`exit code ${exitCode}`) === true ? [] : [`exit code ${exitCode}`];
  const took = run.started_at === null || run.ended_at === null ? [] : [formatDuration(run.ended_at - run.started_at)];
  const why = run.reason === null || run.state === 'Done' ? '' : `: ${escapeText(run.reason)}`;
  const facts = [...code, ...took].join(', ');
  return `sallyport: ${run.run_id} ${run.state}${why}${facts === '' ? '' : ` (${facts})`}`;
}

function allowedLines(exchanges: readonly Exchange[], { run }: RunReport, paint: Paint): readonly string[] {
  // Workers ship their records each second.
  if (exchanges.length === 0) return [isTerminal(run.state) ? '  allowed   nothing was sent' : '  allowed   nothing so far (the last seconds may be missing)'];
  const sum = (rows: readonly Exchange[], key: 'bytes_out' | 'bytes_in'): number => rows.reduce((total, row) => total + row[key], 0);
  const groups = groupBy(exchanges, (row) => `${whatOf(row)}\0${row.code ?? ''}\0${row.detail}`);
  const rows = groups.slice(0, mostGroups).map((group) => [
    `    ${times(group.length)}`, ...whatOf(group[0]).split(' ', 2), statuses(group),
    `${formatBytes(sum(group, 'bytes_out'))} out`, `${formatBytes(sum(group, 'bytes_in'))} in`, ended(group[0]),
  ]);
  return [
    `  ${paint('green', 'allowed')}   ${plural(exchanges.length, 'request')}, ${formatBytes(sum(exchanges, 'bytes_out'))} out, ${formatBytes(sum(exchanges, 'bytes_in'))} in`,
    ...table(rows, new Set([0, 4, 5])).flatMap((line, index) => [line, ...because(groups[index]![0])]), ...more(groups.length),
  ];
}

/** Those that were refused, those that came to nothing, or, of a run that observes, those that would have been refused. */
function deniedLines(exchanges: readonly Exchange[], title: 'denied' | 'failed' | 'would be', { run }: RunReport, paint: Paint): readonly string[] {
  if (exchanges.length === 0) return [];
  // One line for what one flag would allow.
  const groups = groupBy(exchanges, (row) => [row.code, row.act, row.method, row.scheme, row.host, row.port, row.detail, flagFor(row, run.policy) ?? row.path].join('\0'));
  return [
    `  ${paint('red', title)}${title === 'would be' ? '  denied ' : '    '}${plural(exchanges.length, 'request')}`,
    ...groups.slice(0, mostGroups).flatMap((group) => {
      const [first] = group;
      const flag = flagFor(first, run.policy);
      const others = new Set(group.map(({ path }) => path)).size - 1;
      return [
        `    ${times(group.length)} ${whatOf(first)}${others > 0 ? ` and ${plural(others, 'other path')}` : ''}  ${paint('red', escapeText(first.code ?? first.observed ?? 'denied'))}`,
        ...because(first),
        ...(flag === undefined ? [] : [`       to allow it: ${paint('bold', escapeText(flag, 2000))}`]),
      ];
    }),
    ...more(groups.length),
  ];
}

/** Method, host and path; a tunnel has no path. */
export function whatOf({ act, method, scheme, host, port, path, target }: Exchange): string {
  if (host === '') return `${escapeText(method, 32)} ${escapeText(target ?? '?')}`;
  const shown = `${bracketed(host)}${act === 'request' && port === (scheme === 'https' ? 443 : 80) ? '' : `:${port}`}`;
  return act === 'connect' ? `CONNECT ${escapeText(shown)}` : `${escapeText(method, 32)} ${escapeText(`${scheme ?? 'http'}://${shown}${path}`)}`;
}

const times = (count: number): string => `${formatCount(count)}x`;

function statuses(group: readonly Exchange[]): string {
  return [...new Set(group.map(({ status }) => status === null ? '-' : String(status)))].slice(0, 4).join(',');
}

/** Why it was refused, or did not come to its end. */
function because({ detail }: Exchange): readonly string[] {
  return detail === '' ? [] : [`       ${escapeText(detail, 300)}`];
}

/** What became of an exchange that did not come to its end. */
function ended({ code }: Exchange): string {
  return code === null ? '' : `ended by ${escapeText(code)}`;
}

const more = (groups: number): readonly string[] => groups > mostGroups ? [`    and ${plural(groups - mostGroups, 'other')} (see --report)`] : [];

const units: Partial<Record<Meter, (value: number) => string>> = {
  bytes_out: formatBytes, bytes_in: formatBytes, storage_bytes: formatBytes, wall_clock_ms: formatDuration,
  cost_usd_micros: (value) => `$${(value / 1_000_000).toFixed(2)}`,
};

/** Meters that something enforces so far, in the order they are told. */
const enforced: readonly Meter[] = ['requests', 'bytes_out', 'bytes_in', 'wall_clock_ms'];

function budgetLines({ run }: RunReport): readonly string[] {
  const others = (Object.keys(run.budget) as readonly Meter[]).filter((meter) => !enforced.includes(meter) && (run.budget[meter]?.used ?? 0) > 0);
  const parts = [...enforced, ...others].flatMap((meter) => {
    const balance = run.budget[meter];
    if (balance === undefined) return [];
    const { limit, used } = balance;
    const format = units[meter] ?? formatCount;
    const name = meter === 'wall_clock_ms' ? 'wall_clock' : meter;
    return limit === null ? `${name} ${format(used)}` : `${name} ${format(used)} of ${format(limit)}`;
  });
  return parts.length === 0 ? [] : [`  budget    ${parts.join(', ')}`];
}

function noteLines({ notes, truncated }: RunReport, paint: Paint): readonly string[] {
  const all = truncated ? [...notes, 'There were more requests than this report reads; the chain has them all.'] : notes;
  return all.map((note) => `  ${paint('yellow', 'note')}      ${escapeText(note, 600)}`);
}

function chainLines({ chain, settled }: RunReport, paint: Paint): readonly string[] {
  if (chain === undefined) return [];
  const head = `${plural(chain.size, 'entry', 'entries')}, root ${chain.root.slice(0, 16)}…`;
  return [`  chain     ${settled ? head : `${head} ${paint('yellow', '(not all of this run is in it yet)')}`}`];
}

function groupBy(rows: readonly Exchange[], key: (row: Exchange) => string): readonly (readonly [Exchange, ...Exchange[]])[] {
  const groups = new Map<string, [Exchange, ...Exchange[]]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group === undefined) groups.set(key(row), [row]);
    else group.push(row);
  }
  return [...groups.values()];
}
