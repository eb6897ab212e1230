import type { HeaderList, Refusal } from '../exchange.ts';
import { fieldValues } from '../wire/fields.ts';

/**
 * False when `Accept` names types and none of them is JSON (RFC 9110, section 12.5.1); then plain text is spoken. To git as well: it
 * accepts anything, and shows its user plain text alone (`remote: ...`).
 */
export function acceptsJson(headers: HeaderList): boolean {
  if (fieldValues(headers, 'user-agent').some((value) => value.startsWith('git/'))) return false;
  const values = fieldValues(headers, 'accept');
  if (values.length === 0) return true;
  return values.join(',').split(',').some((range) => {
    const [type = '', ...parameters] = range.toLowerCase().split(';').map((part) => part.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) return false;
    return type === '' || type === '*/*' || type === 'application/*' || type === 'application/json' || type === 'application/problem+json';
  });
}

function document(refusal: Refusal): string {
  const { code, status, title, detail, reasons, next_steps, egress_id, retry_after } = refusal;
  return `${JSON.stringify({
    type: `https://sallyport.example/problems/${code}`,
    title, status, code, detail,
    // The one member that the SDK of OpenAI for Python shows its users.
    message: `${title} (${code}): ${detail}`,
    ...(egress_id !== undefined && { instance: egress_id, egress_id }),
    reasons,
    ...(retry_after !== undefined && { retry_after }),
    next_steps,
  }, undefined, 2)}\n`;
}

function plainText({ code, title, detail, reasons, next_steps, egress_id }: Refusal): string {
  const lines = [`${title} (${code})`, detail, ...reasons.map(({ rule, message }) => `- ${message} (${rule})`), ...next_steps];
  if (egress_id !== undefined) lines.push(egress_id);
  return `${lines.join('\n')}\n`;
}

export interface AnswerShape {
  readonly json: boolean;
  readonly close: boolean;
  /** The request was HEAD: the length is told, the body left out. */
  readonly head: boolean;
}

export function refusalBody(refusal: Refusal, json: boolean): Buffer {
  return Buffer.from(json ? document(refusal) : plainText(refusal));
}

/** `length` is the body's. */
export function refusalFields({ status, retry_after }: Refusal, length: number, json: boolean): HeaderList {
  const fields = ['Content-Type', json ? 'application/problem+json' : 'text/plain; charset=utf-8', 'Content-Length', String(length), 'Cache-Control', 'no-store'];
  if (status === 407) fields.push('Proxy-Authenticate', 'Basic realm="sallyport"');
  if (retry_after !== undefined) fields.push('Retry-After', String(Math.ceil(retry_after)));
  return fields;
}

/** The whole answer. Nothing in it comes from the request unescaped: `detail` and messages go through JSON or into plain text. */
export function serialiseRefusal(refusal: Refusal, shape: AnswerShape): Buffer {
  const body = refusalBody(refusal, shape.json);
  // wget, apt, pip and others show their users no more than this line.
  let head = `HTTP/1.1 ${refusal.status} ${reasonPhrases[refusal.status] ?? 'Refused'} (${refusal.code})\r\n`;
  const fields = refusalFields(refusal, body.length, shape.json);
  for (let index = 0; index < fields.length; index += 2) head += `${fields[index]}: ${fields[index + 1]}\r\n`;
  if (shape.close) head += 'Connection: close\r\n';
  head += '\r\n';
  return shape.head ? Buffer.from(head, 'latin1') : Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

const reasonPhrases: Readonly<Record<number, string>> = {
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 407: 'Proxy Authentication Required', 408: 'Request Timeout',
  429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout',
};
