import type { HeaderList, Refusal } from '../exchange.ts';
import { fieldValues } from '../wire/fields.ts';

/** False when `Accept` names types and none of them is JSON (RFC 9110, section 12.5.1); then plain text is spoken. */
export function acceptsJson(headers: HeaderList): boolean {
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

/** The whole answer. Nothing in it comes from the request unescaped: `detail` and messages go through JSON or into plain text. */
export function serialiseRefusal(refusal: Refusal, shape: AnswerShape): Buffer {
  const body = Buffer.from(shape.json ? document(refusal) : plainText(refusal));
  let head = `HTTP/1.1 ${refusal.status} ${reasonPhrases[refusal.status] ?? 'Refused'}\r\n`
    + `Content-Type: ${shape.json ? 'application/problem+json' : 'text/plain; charset=utf-8'}\r\n`
    + `Content-Length: ${body.length}\r\nCache-Control: no-store\r\n`;
  if (refusal.status === 407) head += 'Proxy-Authenticate: Basic realm="sallyport"\r\n';
  if (refusal.retry_after !== undefined) head += `Retry-After: ${Math.ceil(refusal.retry_after)}\r\n`;
  if (shape.close) head += 'Connection: close\r\n';
  head += '\r\n';
  return shape.head ? Buffer.from(head, 'latin1') : Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

const reasonPhrases: Readonly<Record<number, string>> = {
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 407: 'Proxy Authentication Required', 408: 'Request Timeout',
  429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout',
};
