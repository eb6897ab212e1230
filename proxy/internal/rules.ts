import { SallyportError } from '../../contracts/errors.ts';
import type { Egress } from '../describe/egress.ts';
import { internalHost } from '../describe/own-addresses.ts';
import type { HeaderList, RequestHead } from '../exchange.ts';

/** Bounds of the way to the control plane. Times in milliseconds. */
export interface InternalLimits {
  /** Requests under way: of one run, of this worker. */
  readonly of_run: number;
  readonly of_worker: number;
  /** Of a body: what the control plane takes of JSON. */
  readonly body_bytes: number;
  /** Of the target and of the fields that are passed on; the control plane reads heads of 16 KiB. */
  readonly target_bytes: number;
  readonly field_bytes: number;
  /** For the whole body to come. */
  readonly body_ms: number;
  /** Until the control plane answers; its own long waits end after 30 s. */
  readonly answer_ms: number;
}

export const internalLimits: InternalLimits = {
  of_run: 16, of_worker: 256, body_bytes: 256 * 1024, target_bytes: 8192, field_bytes: 4096, body_ms: 30_000, answer_ms: 60_000,
};

/** Requests of one run: it may ask often, but not make the control plane work for it alone. */
export const internalRate = { burst: 100, perSecond: 20 } as const;

const internalPort = 80;

/**
 * Whether this goes to the control plane, by its one name and port; any other name for it is refused as `core.self_address`. A
 * `Host` that names another place is left to be refused like any other.
 */
export function isInternal({ host, port, host_mismatch }: Egress): boolean {
  return host === internalHost && port === internalPort && !host_mismatch;
}

/** No path of ours needs an escape, so none is decoded differently anywhere; no segment is `.` or `..`, whatever comes before it. */
const apiPath = /^\/chat(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~:-]+)+$/;
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * The target to ask for. Only the agents' own API is reached this way, whatever else the proxy's token would open: a closed list,
 * because one spelling that another parser reads otherwise would be enough. `describe/` has refused what is not canonical. Throws
 * `not_found`, `not_supported` or `bad_request`.
 */
export function internalTarget({ method, path, target }: Pick<Egress, 'method' | 'path' | 'target'>, limits: InternalLimits): string {
  if (path === undefined || target === undefined) throw new SallyportError('not_found', 'There is nothing at this address.');
  if (path !== '/healthz' && !apiPath.test(path)) throw new SallyportError('not_found', 'At sallyport.internal there is only /chat/...: the API of your own run.');
  if (!methods.has(method)) throw new SallyportError('not_supported', `The API does not know the method ${method.slice(0, 32)}.`);
  if (target.length > limits.target_bytes) throw new SallyportError('bad_request', `A target at sallyport.internal may have ${limits.target_bytes} bytes.`);
  return target;
}

/**
 * What is passed on of the request's head: a closed list, so that nothing an agent sends can pass for what the proxy adds
 * (`Authorization`, `Sallyport-Run`), for what routers believe (`Forwarded`, `X-...`), or for framing.
 */
const passed: ReadonlySet<string> = new Set(['accept', 'content-type', 'content-encoding', 'idempotency-key', 'last-event-id', 'user-agent']);

/** By lower-case name. Throws `bad_request` where a field comes twice or is too long, and `not_supported` for an upgrade. */
export function passedFields({ headers, upgrade }: Pick<RequestHead, 'headers' | 'upgrade'>, limits: InternalLimits): Record<string, string> {
  if (upgrade !== undefined) throw new SallyportError('not_supported', 'Nothing at sallyport.internal can be upgraded.');
  const fields: Record<string, string> = {};
  let bytes = 0;
  for (const [name, value] of pairs(headers)) {
    const lower = name.toLowerCase();
    if (!passed.has(lower)) continue;
    if (fields[lower] !== undefined) throw new SallyportError('bad_request', `The field ${lower} came twice.`);
    fields[lower] = value;
    bytes += value.length;
  }
  if (bytes > limits.field_bytes) throw new SallyportError('bad_request', `The fields of a request to sallyport.internal may have ${limits.field_bytes} bytes.`);
  return fields;
}

function* pairs(headers: HeaderList): Iterable<readonly [name: string, value: string]> {
  for (let index = 0; index < headers.length; index += 2) yield [headers[index]!, headers[index + 1]!];
}
