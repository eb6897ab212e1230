import test from 'ava';
import { judgeFirstBytes, type FirstBytes } from '../../../proxy/describe/first-bytes.ts';
import { extension, hello, inRecords, record, message, serverName } from '../../helpers/tls-hello.ts';

const named = (name: string, ...more: readonly Buffer[]): Buffer => hello({ extensions: [serverName(name), ...more] });
const ech = extension(0xfe0d, Buffer.alloc(30));
const nameless = hello({ extensions: [] });

type Verdict = 'pass' | 'more' | Extract<FirstBytes, { kind: 'refused' }>['code'];

/** What the bytes get in a tunnel to the host: with TLS only, and under `raw`. */
const rows: readonly (readonly [string, Buffer, string, Verdict, Verdict])[] = [
  ['the name of the CONNECT', named('a.test'), 'a.test', 'pass', 'pass'],
  ['the same name in another spelling', named('A.TEST.'), 'a.test', 'pass', 'pass'],
  ['the same name over records', inRecords(named('a.test'), [30]), 'a.test', 'pass', 'pass'],
  ['another name', named('b.test'), 'a.test', 'core.host_mismatch', 'core.host_mismatch'],
  ['a name below', named('x.a.test'), 'a.test', 'core.host_mismatch', 'core.host_mismatch'],
  ['another name over records', inRecords(named('b.test'), [30]), 'a.test', 'core.host_mismatch', 'core.host_mismatch'],
  ['the name, with an encrypted hello (or GREASE)', named('a.test', ech), 'a.test', 'pass', 'pass'],
  ['another name outside an encrypted hello', named('public.test', ech), 'a.test', 'core.host_mismatch', 'pass'],
  ['no name', nameless, 'a.test', 'pass', 'pass'],
  ['an encrypted hello without a name', hello({ extensions: [ech] }), 'a.test', 'pass', 'pass'],
  ['no name to an address', nameless, '192.0.2.1', 'pass', 'pass'],
  ['a name to an address', named('a.test'), '192.0.2.1', 'core.host_mismatch', 'core.host_mismatch'],
  ['the address as a name', named('192.0.2.1'), '192.0.2.1', 'pass', 'pass'],
  ['two names', hello({ extensions: [serverName('a.test'), serverName('b.test')] }), 'a.test', 'bad_request', 'bad_request'],
  ['an alert before the hello', Buffer.concat([Buffer.from('1503010002015a', 'hex'), named('b.test')]), 'a.test', 'bad_request', 'bad_request'],
  ['change_cipher_spec before the hello', Buffer.concat([Buffer.from('140303000101', 'hex'), named('b.test')]), 'a.test', 'bad_request', 'bad_request'],
  ['application data', record(Buffer.alloc(10), 23), 'a.test', 'bad_request', 'bad_request'],
  ['a ServerHello', record(message(Buffer.alloc(40), 2)), 'a.test', 'bad_request', 'bad_request'],
  ['SSH', Buffer.from('SSH-2.0-x\r\n'), 'a.test', 'not_supported', 'pass'],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'a.test', 'not_supported', 'pass'],
  ['a hello of SSL 2', Buffer.from('802e0100020015', 'hex'), 'a.test', 'not_supported', 'pass'],
  ['a first byte as of TLS, and none of its versions behind', Buffer.from('1604', 'hex'), 'a.test', 'not_supported', 'pass'],
  ['one byte as of TLS', Buffer.from('16', 'hex'), 'a.test', 'more', 'more'],
  ['half a hello', named('b.test').subarray(0, 40), 'a.test', 'more', 'more'],
  ['nothing', Buffer.alloc(0), 'a.test', 'more', 'more'],
];
for (const [title, bytes, host, tlsOnly, raw] of rows) {
  test(`${title}, in a tunnel to ${host}: ${tlsOnly}, under raw ${raw}`, (t) => {
    const of = (judged: FirstBytes): Verdict => judged.kind === 'refused' ? judged.code : judged.kind;
    t.is(of(judgeFirstBytes(bytes, host, false)), tlsOnly);
    t.is(of(judgeFirstBytes(bytes, host, true)), raw);
  });
}
