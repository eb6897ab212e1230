import { until } from '../helpers/wait.ts';
import type { EgressRow } from '../../cli/report/egress.ts';
import { ways, type Channel, type Client, type Expected, type Place, type Way } from './client.ts';
import type { Driven } from './drive.ts';
import type { SiteRequest } from './origins/listener.ts';
import type { Scene, Seen } from './scene.ts';

/** A client that is refused says so within this time of its first try, its own retries included. */
const refusedWithinMs = 5000;

/** Octets of one answer beside its content: a head, and the framing of chunks. */
const mostOverhead = 1024;

/** How much each origin had seen before. */
export type Before = ReadonlyMap<Way, { readonly requests: number; readonly connections: number }>;

export function before(scene: Scene, client: Client): Before {
  return new Map(ways.map((way) => {
    const { requests, connections } = scene.seen(client, way);
    return [way, { requests: requests.length, connections: connections?.length ?? 0 }] as const;
  }));
}

/** All that is not as it has to be, one sentence each. */
export async function findings(scene: Scene, client: Client, channel: Channel, driven: Driven, start: Before): Promise<readonly string[]> {
  const hosts = new Set([...ways.map((way) => scene.place(client, way, channel).host), ...driven.refusals.map(({ place }) => place.host)]);
  const astray = driven.egress.filter(({ host }) => !hosts.has(host)).map((row) => `the run went elsewhere: ${told(row)}`);
  const each: string[] = [];
  for (const way of ways) each.push(...await wayFindings(client, scene.place(client, way, channel), driven, since(scene.seen(client, way), start.get(way)!)));
  return [...stepFindings(driven), ...each, ...refusalFindings(client, driven), ...astray];
}

function since({ requests, connections }: Seen, start: { readonly requests: number; readonly connections: number }): Seen {
  return { requests: requests.slice(start.requests), connections: connections?.slice(start.connections) };
}

function stepFindings({ steps }: Driven): readonly string[] {
  return steps.flatMap(({ way, step, outcome: { code, stdout, stderr } }) => {
    if (code !== 0) return [`${way}, ${step.title}: ended with ${code}: ${tail(stderr)}${tail(stdout)}`];
    const good = typeof step.prints === 'string' ? stdout.includes(step.prints) : step.prints.test(stdout);
    return good ? [] : [`${way}, ${step.title}: printed ${JSON.stringify(tail(stdout))} and ${JSON.stringify(tail(stderr))} in place of ${String(step.prints)}`];
  });
}

async function wayFindings(client: Client, place: Place, driven: Driven, seen: Seen): Promise<readonly string[]> {
  const { way, host } = place;
  const expected = driven.steps.filter((step) => step.way === way).flatMap(({ step }) => step.seen(place));
  const rows = driven.egress.filter((row) => row.host === host && row.effect === 'allow');
  const refused = driven.egress.filter((row) => row.host === host && row.effect !== 'allow' && !driven.refusals.some(({ refusal, place: at }) => refusal.of === 'path' && at.host === host && row.path.startsWith('/forbidden')));
  return [
    ...requestFindings(way, expected, seen.requests),
    ...seen.requests.flatMap((request) => strangeFields(request, way === 'passthrough' ? client.reveals?.[place.channel] ?? [] : []).map((field) => `${way}: the origin was shown ${field} in ${request.method} ${request.target}`)),
    ...refused.map((row) => `${way}: refused: ${told(row)}`),
    ...(way === 'passthrough' ? await tunnelFindings(rows, seen) : rowFindings(way, rows, seen.requests, client)),
  ];
}

function requestFindings(way: Way, expected: readonly Expected[], requests: readonly SiteRequest[]): readonly string[] {
  const line = ({ method, target, version }: Expected): string => `${method} ${target}${version === undefined ? '' : ` ${version}`}`;
  const wanted = expected.map((one) => line(one)).join('\n    ');
  const came = requests.map(({ method, target, version }, index) => line({ method, target, ...(expected[index]?.version !== undefined && { version }) })).join('\n    ');
  if (wanted !== came) return [`${way}: the origin saw\n    ${came}\n  in place of\n    ${wanted}`];
  return expected.flatMap(({ method, target, body }, index) => {
    const text = requests[index]!.body().toString();
    const good = body === undefined || (typeof body === 'string' ? text === body : body.test(text));
    return good ? [] : [`${way}: the body of ${method} ${target} came as ${JSON.stringify(tail(text))} in place of ${String(body)}`];
  });
}

/** The beginning of a run's token, plain and in the three forms that Base64 has of it. */
const credentials = /sp_ag_|c3BfYWdf|NwX2FnX|zcF9hZ1|run_[0-9a-f]{8}-/;

/** What is between the client and us, or ours, and no business of an origin's. */
function strangeFields({ rawHeaders }: SiteRequest, revealed: readonly string[]): readonly string[] {
  return rawHeaders.flatMap((name, index) => {
    if (index % 2 === 1 || revealed.includes(name.toLowerCase())) return [];
    const value = rawHeaders[index + 1] ?? '';
    return /^(?:proxy-.*|sallyport.*|via|forwarded|x-forwarded-.*)$/i.test(name) || credentials.test(value) ? [`${name}: ${value}`] : [];
  });
}

/** One row of the record for each request, with the octets that the request has: heads as HTTP/1.1 writes them, whatever was spoken. */
function rowFindings(way: Way, rows: readonly EgressRow[], requests: readonly SiteRequest[], client: Client): readonly string[] {
  const line = (method: string, path: string): string => `${method} ${path}`;
  const wanted = requests.map(({ method, target }) => line(method, new URL(target, 'http://site.test').pathname)).toSorted().join('\n    ');
  const recorded = rows.map(({ act, method, path }) => `${act === 'request' ? '' : `${act} `}${line(method, path)}`).toSorted().join('\n    ');
  if (wanted !== recorded) return [`${way}: the record has\n    ${recorded}\n  in place of\n    ${wanted}`];
  const bad = rows.filter(({ status, code, bytes_in }) => code !== null || status === null || bytes_in === 0).map((row) => `${way}: recorded with status ${row.status}, code ${row.code} and ${row.bytes_in} octets in: ${told(row)}`);
  if (client.origin === 'grpc') return bad;
  const [out, into] = (['bytes_out', 'bytes_in'] as const).map((meter) => rows.reduce((sum, row) => sum + row[meter], 0)) as [number, number];
  // The framing of chunks, and what went through a connection that became another protocol's, is not in what the origin tells.
  const exact = requests.every(({ headers }) => headers['transfer-encoding'] === undefined && headers.upgrade === undefined);
  const least = requests.reduce((sum, request) => sum + octets(request), 0);
  if (out !== least && (exact || out < least)) bad.push(`${way}: ${out} octets out were recorded, and the origin read ${least}`);
  if (requests.some((request) => request.answered() === undefined)) return bad;
  const content = requests.reduce((sum, request) => sum + request.answered()!, 0);
  if (into < content || into > content + mostOverhead * requests.length) bad.push(`${way}: ${into} octets in were recorded, and the origin sent ${content} and ${requests.length} heads`);
  return bad;
}

function octets(request: SiteRequest): number {
  const { method, target, rawHeaders, host, version } = request;
  const fields = version === '2.0' ? ['host', host, ...rawHeaders.filter((_word, index) => !rawHeaders[index - (index % 2)]!.startsWith(':'))] : rawHeaders;
  const head = fields.reduce((sum, word) => sum + Buffer.byteLength(word, 'latin1') + 2, `${method} ${target} HTTP/1.1\r\n\r\n`.length);
  return head + request.body().length;
}

/** One tunnel for each connection that the origin had, and each octet of it counted. */
async function tunnelFindings(rows: readonly EgressRow[], { connections }: Seen): Promise<readonly string[]> {
  const others = rows.filter(({ act }) => act !== 'connect').map((row) => `passthrough: no tunnel: ${told(row)}`);
  if (connections === undefined) return rows.length === 0 ? ['passthrough: there is no tunnel in the record'] : others;
  if (rows.length !== connections.length) return [...others, `passthrough: the record has ${rows.length} tunnels, and the origin had ${connections.length} connections`];
  const recorded = rows.reduce((sum, row) => sum + row.bytes_out, 0);
  const came = (): number => connections.reduce((sum, connection) => sum + connection.bytesIn(), 0);
  // The last octets may be on their way to the origin when the client has ended.
  await until('the last octets at the origin', () => came() >= recorded, 5000).catch(() => { /* Told below. */ });
  return recorded === came() ? others : [...others, `passthrough: ${recorded} octets out were recorded, and the origin read ${came()}`];
}

function refusalFindings(client: Client, { refusals, egress }: Driven): readonly string[] {
  return refusals.flatMap(({ refusal, place, outcome }) => {
    const { title, of, shows = /policy_denied/, tries = 1 } = refusal;
    const found: string[] = [];
    const rows = egress.filter((row) => row.at >= outcome.began && row.at <= outcome.ended && row.host === place.host && row.effect !== 'allow' && (of === 'host' || row.path.startsWith('/forbidden')));
    const [first] = rows;
    if (first === undefined) return [`${title}: no refusal is in the record; the client said ${JSON.stringify(tail(outcome.stdout + outcome.stderr))}`];
    if (rows.some(({ code }) => code !== 'policy_denied')) found.push(`${title}: recorded as ${rows.map(({ code }) => code).join(', ')}`);
    if (tries !== 'several' && rows.length !== tries) found.push(`${title}: asked ${rows.length} times in place of ${tries}`);
    const took = outcome.ended - first.at;
    if (took > refusedWithinMs) found.push(`${title}: ${client.name} took ${took} ms to say so, in ${rows.length} tries`);
    if (!shows.test(outcome.stdout + outcome.stderr)) found.push(`${title}: not seen in what the client said (${rows.length} tries): ${JSON.stringify(tail(outcome.stdout))} ${JSON.stringify(tail(outcome.stderr))}`);
    return found;
  });
}

const told = ({ act, method, host, port, path, code, status }: EgressRow): string => `${act} ${method} ${host}:${port}${path} (${code ?? status ?? 'nothing came'})`;

const tail = (text: string): string => text.trim().slice(-700);
