/**
 * Hosts and paths: what is judged is what goes out, by the account of `URL` and of our own reading of it.
 * A failure prints its seed and path: hence, inside the properties, assertions of Node, which fast-check sees.
 */
import assert from 'node:assert/strict';
import test from 'ava';
import * as fc from 'fast-check';
import { describe } from '../../../proxy/describe/describe.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import type { Exchange } from '../../../proxy/exchange.ts';
import { fuzzRuns } from '../../helpers/fuzz.ts';
import { readRequests, sentOn, type TakenRequest } from './our-reading.ts';

const hostPiece = fc.oneof(
  fc.constantFrom('a', 'A', 'b.test', 'xn--', 'xn--mnchen-3ya', '.', '..', '-', '_', '%', '%2e', '%41', '[', ']', '[::1]', '::', ':', '@', '\\', '1', '127.1', '0x7f', '017', '2130706433', '169.254.169.254', '::ffff:1.2.3.4', ':80', ':0080', ':', ':65536', '\xe9', '\xad', '0', '..', 'localhost'),
  fc.string({ maxLength: 3, unit: 'binary-ascii' }),
);
const host = fc.array(hostPiece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''));
const plainHost = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('a.test', 'A.TEST.', 'b.test:8080', '127.0.0.1', '[::1]:81', '[0:0::1]', 'a.test:80') }, { weight: 4, arbitrary: host });
const pathPiece = fc.oneof(
  fc.constantFrom('/', '//', '.', '..', '%2e', '%2E', '%2F', '%2f', '%5C', '\\', ';', ';x=1', '%', '%4', '%41', '%C3%A9', '%c3', '?', '#', '&', '=', '+', '%20', '%00', '%0d%0a', '%C0%AE', 'a', 'B', '~', '"', '<', '|', '{', '*', '@', ':'),
  fc.string({ maxLength: 3, unit: 'binary-ascii' }),
);
const path = fc.oneof({ weight: 1, arbitrary: fc.constantFrom('', '/') }, { weight: 5, arbitrary: fc.array(pathPiece, { maxLength: 6 }).map((pieces) => `/${pieces.join('')}`) });

function take(text: string): TakenRequest | undefined {
  const { taken } = readRequests([Buffer.from(text, 'latin1')]);
  return taken[0];
}

/** What would be judged; undefined where the target is refused. Anything thrown but a refusal is a crash. */
function judged({ head }: TakenRequest): Egress | undefined {
  try {
    return describe({ head, form: { kind: 'absolute' } } as Exchange);
  } catch (error) {
    if ((error as Error).name !== 'SallyportError') throw error;
    return undefined;
  }
}

function check(spelling: string, target: string, hostField: string): 'taken' | 'refused' {
  const request = take(`GET http://${spelling}${target} HTTP/1.1\r\nHost: ${hostField}\r\n\r\n`);
  const egress = request === undefined ? undefined : judged(request);
  if (request === undefined || egress?.target === undefined || egress.host_mismatch) return 'refused';
  const shown = JSON.stringify([spelling, target, hostField]);
  const sent = sentOn(request, egress.target, egress.authority).toString('latin1');
  assert.equal(sent, `GET ${egress.target} HTTP/1.1\r\nHost: ${egress.authority}\r\n\r\n`, shown);
  // Another reader of what goes out sees the host, port and path that were judged.
  const url = new URL(`http://${egress.authority}${egress.target}`);
  assert.equal(url.hostname.replaceAll(/^\[|\]$/g, ''), egress.host, shown);
  assert.equal(url.port === '' ? 80 : Number(url.port), egress.port, shown);
  assert.equal(`${url.username}${url.password}${url.hash}`, '', shown);
  assert.equal(unescaped(url.pathname), unescaped(egress.path ?? ''), shown);
  // And so does the next proxy that would be like us.
  const again = take(`GET http://${egress.authority}${egress.target} HTTP/1.1\r\nHost: ${egress.authority}\r\n\r\n`);
  const second = again === undefined ? undefined : judged(again);
  assert.equal(JSON.stringify([second?.host, second?.port, second?.path, second?.target, second?.authority, second?.host_mismatch]), JSON.stringify([egress.host, egress.port, egress.path, egress.target, egress.authority, false]), shown);
  return 'taken';
}

/** `URL` escapes what RFC 3986 has no place for; that is one reading still. */
const unescaped = (text: string): string => text.replaceAll(/%(?:22|3C|3E|5E|60|7B|7D|7C)/g, (escape) => decodeURIComponent(escape));

for (const [what, spelling, target] of [['host', plainHost, fc.constant('/x')], ['path', fc.constant('a.test'), path]] as const) {
  test(`whatever the ${what}, what goes out names what was judged, or nothing goes out`, (t) => {
    const counts = { taken: 0, refused: 0 };
    const runs = fuzzRuns(7.5);
    const began = performance.now();
    fc.assert(fc.property(spelling, target, fc.boolean(), (host, path, same) => {
      counts[check(host, path, same ? host : 'a.test')]++;
    }), { numRuns: runs });
    t.log(`${runs} cases, ${Math.round(runs / (performance.now() - began) * 1000)}/s; ${JSON.stringify(counts)}`);
    t.true(counts.taken > runs / 20 && counts.refused > runs / 20, JSON.stringify(counts));
  });
}
