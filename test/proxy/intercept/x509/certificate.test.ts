import test from 'ava';
import * as fc from 'fast-check';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorityCertificate, authorityId, leafMaker, toPem } from '../../../../proxy/intercept/x509/certificate.ts';
import { needs } from '../../../helpers/needs.ts';
import { temporaryFolder } from '../../../helpers/temporary.ts';

const now = Date.now();
const day = 86_400_000;
const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer = { key: authority.privateKey, public_key: authority.publicKey };
const ca = authorityCertificate(issuer, { not_before: now - day, not_after: now + 3650 * day }, randomBytes(16));
const mint = leafMaker(issuer, leafKey.publicKey);
const leaf = (host: string): Buffer => mint(host, { not_before: now - 3_600_000, not_after: now + 7 * day }, randomBytes(16));

const hosts: readonly (readonly [host: string, name: string])[] = [
  ['site.example', 'DNS:site.example'],
  ['xn--bcher-kva.example', 'DNS:xn--bcher-kva.example'],
  ['under_score.example', 'DNS:under_score.example'],
  [`${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`, `DNS:${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`],
  ['192.0.2.7', 'IP Address:192.0.2.7'],
  ['2001:db8::7', 'IP Address:2001:DB8:0:0:0:0:0:7'],
];
for (const [host, name] of hosts) {
  test(`a leaf for ${host.slice(0, 30)} names it and nothing else`, (t) => {
    const read = new X509Certificate(leaf(host));
    t.is(read.subjectAltName, name);
    t.falsy(read.subject);
    t.false(read.ca);
    t.true(read.verify(authority.publicKey));
    t.true(read.checkIssued(new X509Certificate(ca)));
    t.true(read.checkPrivateKey(leafKey.privateKey));
    t.deepEqual(read.keyUsage, ['1.3.6.1.5.5.7.3.1']);
    t.is(host.includes(':') || /^[0-9.]+$/.test(host) ? read.checkIP(host) : read.checkHost(host), host);
    t.is(read.checkHost(`www.${host}`), undefined);
  });
}

test('an authority is one by its certificate, whose name tells it from others', (t) => {
  const read = new X509Certificate(ca);
  t.true(read.ca);
  t.true(read.verify(authority.publicKey));
  t.is(read.subject, `O=Sallyport\nCN=Sallyport CA ${authorityId(authority.publicKey)}`);
  t.is(read.issuer, read.subject);
});

test('serials are positive, of 16 bytes, and not repeated', (t) => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) => {
    const { serialNumber } = new X509Certificate(mint('a.test', { not_before: now, not_after: now + day }, random));
    t.regex(serialNumber, /^[4-7][0-9A-F]{31}$/);
  }), { numRuns: 50 });
  t.is(new Set(Array.from({ length: 200 }, () => new X509Certificate(leaf('a.test')).serialNumber)).size, 200);
});

test('times are those that were given, over the end of 2049', (t) => {
  for (const not_after of [Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0, 1), Date.UTC(2061, 5, 5)]) {
    const read = new X509Certificate(mint('a.test', { not_before: now, not_after }, randomBytes(16)));
    t.is(read.validToDate.getTime(), not_after);
    t.is(read.validFromDate.getTime(), Math.floor(now / 1000) * 1000);
  }
});

needs('command openssl')('OpenSSL verifies them by its strict rules, and prints what they should say', async (t) => {
  const folder = await temporaryFolder(t);
  writeFileSync(join(folder, 'ca.pem'), toPem(ca));
  for (const [host] of hosts) {
    writeFileSync(join(folder, 'leaf.pem'), toPem(leaf(host)));
    const isAddress = host.includes(':') || /^[0-9.]+$/.test(host);
    const result = spawnSync('openssl', ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', isAddress ? '-verify_ip' : '-verify_hostname', host, '-CAfile', 'ca.pem', 'leaf.pem'], { cwd: folder, encoding: 'utf8' });
    t.is(result.status, 0, result.stderr);
    const other = spawnSync('openssl', ['verify', '-x509_strict', '-verify_hostname', 'other.example', '-CAfile', 'ca.pem', 'leaf.pem'], { cwd: folder, encoding: 'utf8' });
    t.not(other.status, 0);
  }
  const text = (name: string): string => execFileSync('openssl', ['x509', '-noout', '-text', '-in', name], { cwd: folder, encoding: 'utf8' });
  const identifier = createHash('sha256').update(authority.publicKey.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 40).toUpperCase().match(/../g)?.join(':') ?? '';
  t.regex(text('ca.pem'), /Basic Constraints: critical\s+CA:TRUE, pathlen:0\s+X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\s/);
  t.true(text('ca.pem').split(identifier).length === 3, 'as the subject\'s identifier and the authority\'s');
  t.regex(text('leaf.pem'), /Key Usage: critical\s+Digital Signature\s+X509v3 Extended Key Usage: \s+TLS Web Server Authentication\s+X509v3 Subject Alternative Name: critical\s/);
  t.true(text('leaf.pem').includes(identifier));
  t.regex(text('leaf.pem'), /Signature Algorithm: ecdsa-with-SHA256/);
});

// Its default flags since 3.13, which wants the key identifiers that RFC 5280 asks for.
needs('command python3', 'command openssl')("Python's strict verification takes a leaf of ours, for its host alone", async (t) => {
  const folder = await temporaryFolder(t);
  writeFileSync(join(folder, 'ca.pem'), toPem(ca));
  writeFileSync(join(folder, 'server.pem'), toPem(leaf('site.example')) + String(leafKey.privateKey.export({ type: 'pkcs8', format: 'pem' })));
  const script = `
import ssl, sys
def attempt(name):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); server.load_cert_chain('server.pem')
    client = ssl.create_default_context(cafile='ca.pem'); client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = client.wrap_bio(a, b, server_hostname=name); s = server.wrap_bio(b, a, server_side=True)
    for turn in range(4):
        for side in (c, s):
            try: side.do_handshake()
            except ssl.SSLWantReadError: pass
    return c.version()
print(attempt('site.example'))
try: print(attempt('other.example'))
except ssl.SSLCertVerificationError as error: print(error.verify_message)
`;
  const result = spawnSync('python3', ['-c', script], { cwd: folder, encoding: 'utf8' });
  t.is(result.stdout, "TLSv1.3\nHostname mismatch, certificate is not valid for 'other.example'.\n", result.stderr);
});
