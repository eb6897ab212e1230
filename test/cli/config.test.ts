import test from 'ava';
import { readEnvironment } from '../../cli/config.ts';
import { SallyportError } from '../../contracts/errors.ts';

test('the data folder is SALLYPORT_DATA, else in the XDG state folder, else in the home', (t) => {
  t.is(readEnvironment({ HOME: '/h', SALLYPORT_DATA: '/d' }).dataFolder, '/d');
  t.is(readEnvironment({ HOME: '/h', XDG_STATE_HOME: '/s' }).dataFolder, '/s/sallyport');
  t.is(readEnvironment({ HOME: '/h', XDG_STATE_HOME: 'relative' }).dataFolder, '/h/.local/state/sallyport');
  t.is(readEnvironment({ HOME: '/h', SALLYPORT_DATA: '' }).dataFolder, '/h/.local/state/sallyport');
});

const mistakes: readonly [Readonly<Record<string, string>>, RegExp][] = [
  [{ SALLYPORT_DATE: '/d' }, /SALLYPORT_DATE is not a variable/],
  [{ SALLYPORT_URL: 'ftp://a.example' }, /SALLYPORT_URL is not an http or https URL/],
  [{ SALLYPORT_URL: 'http://a.example', SALLYPORT_API_KEY: 'k' }, /must be https, except on loopback/],
  [{ SALLYPORT_URL: 'https://u:p@a.example', SALLYPORT_API_KEY: 'k' }, /holds credentials/],
  [{ SALLYPORT_URL: 'https://a.example' }, /SALLYPORT_API_KEY is missing/],
  [{ SALLYPORT_URL: 'https://a.example', SALLYPORT_API_KEY: 'a\nb' }, /characters that no key has/],
];
for (const [variables, reason] of mistakes) {
  test(`refused: ${JSON.stringify(variables)}`, (t) => {
    const error = t.throws(() => readEnvironment({ HOME: '/h', ...variables }), { instanceOf: SallyportError });
    t.is(error?.code, 'configuration');
    t.regex(error?.message ?? '', reason);
  });
}

test('all mistakes are told together', (t) => {
  const error = t.throws(() => readEnvironment({ SALLYPORT_X: '1', SALLYPORT_Y: '1', SALLYPORT_URL: 'no' }), { instanceOf: SallyportError });
  t.is(error?.extras.errors?.length, 3);
});

test('a child process gets no variable that may hold a secret, or that weakens TLS', (t) => {
  const { forChildren } = readEnvironment({ HOME: '/h', PATH: '/bin', DATABASE_URL: 'postgres://secret', AWS_SECRET_ACCESS_KEY: 'secret', SALLYPORT_URL: 'https://a.example', SALLYPORT_API_KEY: 'secret', SSL_CERT_FILE: '/roots.pem', NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: '/more.pem', NODE_OPTIONS: '--tls-min-v1.0' });
  t.deepEqual(forChildren, { HOME: '/h', PATH: '/bin', SSL_CERT_FILE: '/roots.pem' });
});
