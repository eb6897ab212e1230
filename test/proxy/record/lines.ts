import type { Exchange } from '../../../proxy/exchange.ts';
import type { Egress } from '../../../proxy/describe/egress.ts';
import type { EventWriter, Subject } from '../../../proxy/record/egress-events.ts';

/** Records of an exchange, as the pipeline would make them. */
export function decidedLine(writer: EventWriter, subject: Subject, path: string = '/'): string {
  const exchange = { head: { method: 'GET', target: path, headers: ['Host', 'site.test'] }, form: { kind: 'absolute' } } as unknown as Exchange;
  const egress: Egress = {
    act: 'request', form: 'absolute', method: 'GET', host: 'site.test', port: 80, is_ip_literal: false, scheme: 'http', tls: undefined, authority: 'site.test', path, target: path,
    query_keys: [], headers: [], credential: 'none', host_mismatch: false, own_name: false, body_bytes: 0, upgrade: undefined,
  };
  const decision = { v: 1, effect: 'allow', default: false, reasons: [], approval: null, obligations: [] } as const;
  return writer.decided(subject, exchange, egress, { decision, revision: 'r', input_digest: 'd' }, [], null).text;
}

export function endedLine(writer: EventWriter, subject: Subject): string {
  return writer.ended(subject, '01a20e87-0e27-7437-89b0-248be5e9be39', {
    kind: 'completed', status: 200, response_headers: [], address: undefined, bytes_out: 1, bytes_in: 2, first_byte_ms: 1, duration_ms: 2, code: undefined,
  }).text;
}
