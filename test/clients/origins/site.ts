import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { echo } from '../../helpers/web-socket.ts';
import type { Answers, OriginRequest, OriginResponse } from './listener.ts';

/** Answers what is below a path. */
export type Part = (request: OriginRequest, response: OriginResponse, url: URL) => void;

/** What `/big` is made of: octet n is n modulo 251, which no power of two divides. */
const bigBytes = 3_000_000;
export const big = Buffer.from(Array.from({ length: bigBytes }, (_none, index) => index % 251));

export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** What `/upload` says to two million zeros. */
export const tookZeros = `${digestOf(Buffer.alloc(2_000_000))} 2000000\n`;

/** The origin that all clients of HTTP share: a few pages of its own, and parts for those that need more. */
export function siteAnswers(parts: Readonly<Record<string, Part>>): Answers {
  const all: Readonly<Record<string, Part>> = { ...pages, ...parts };
  return {
    respond(request, response) {
      const url = new URL(request.url ?? '/', 'http://site.test');
      const name = Object.keys(all).find((path) => url.pathname === path || (path.endsWith('/') && url.pathname.startsWith(path)));
      const part = name === undefined ? undefined : all[name];
      if (part === undefined) plain(response, 404, 'There is no such page.\n');
      else part(request, response, url);
    },
    upgrade: (request: IncomingMessage, socket, head) => echo(request, socket, head),
  };
}

export function plain(response: OriginResponse, status: number, text: string): void {
  bytes(response, status, 'text/plain', Buffer.from(text));
}

export function bytes(response: OriginResponse, status: number, type: string, content: Buffer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': content.length });
  response.end(content);
}

export function json(response: OriginResponse, status: number, value: unknown): void {
  bytes(response, status, 'application/json', Buffer.from(JSON.stringify(value)));
}

export function whole(request: OriginRequest, then: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => then(Buffer.concat(chunks)));
}

const pages: Readonly<Record<string, Part>> = {
  '/page': (_request, response) => plain(response, 200, 'the page\n'),
  '/big': (request, response) => ranged(request, response),
  '/upload': (request, response) => whole(request, (body) => plain(response, 200, `${digestOf(body)} ${body.length}\n`)),
  '/events': (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    for (const word of ['one', 'two', 'three']) response.write(`data: ${word}\n\n`);
    response.end();
  },
};

/** RFC 9110, section 14: one range, as `first-last` or `first-`. */
function ranged(request: OriginRequest, response: OriginResponse): void {
  const match = /^bytes=(\d+)-(\d*)$/.exec(String(request.headers.range ?? ''));
  if (match === null) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': big.length, 'accept-ranges': 'bytes' });
    response.end(big);
    return;
  }
  const [first, last] = [Number(match[1]), match[2] === '' ? big.length - 1 : Math.min(Number(match[2]), big.length - 1)];
  const part = big.subarray(first, last + 1);
  response.writeHead(206, { 'content-type': 'application/octet-stream', 'content-length': part.length, 'content-range': `bytes ${first}-${last}/${big.length}` });
  response.end(part);
}
