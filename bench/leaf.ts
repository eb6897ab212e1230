/**
 * What a leaf costs that is minted while its client waits, against the least that it can cost: one ECDSA signature of the same run.
 * Usage: bin/sallyport-node bench/leaf.ts
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { systemClock } from '../contracts/clock.ts';
import { openAuthorities } from '../proxy/intercept/authority/authorities.ts';
import { Leaves } from '../proxy/intercept/leaves.ts';
import { leafMaker, toPem } from '../proxy/intercept/x509/certificate.ts';

/** Milliseconds, at the median. */
const goal = 0.3;
const rounds = 20;
const perRound = 200;

const data = mkdtempSync(join(tmpdir(), 'leaf-'));
try {
  const authorities = openAuthorities(data, systemClock);
  const leaves = new Leaves(authorities, systemClock);
  const signer = authorities.signer(Date.now());
  const leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const mint = leafMaker({ key: signer.private_key, public_key: signer.public_key }, leafKey.publicKey);
  const validity = { not_before: Date.now() - 3_600_000, not_after: Date.now() + 7 * 86_400_000 };
  const toBeSigned = randomBytes(340);
  const key = String(leafKey.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const cert = toPem(mint('site.test', validity, randomBytes(16)));
  if (!new X509Certificate(cert).verify(signer.public_key)) throw new Error('void: what is measured is no leaf');

  let count = 0;
  const cases: readonly (readonly [title: string, run: () => void])[] = [
    ['one ECDSA P-256 signature', () => { sign('sha256', toBeSigned, signer.private_key); }],
    ['minting a leaf', () => { mint(`host-${count++}.test`, validity, randomBytes(16)); }],
    ['a SecureContext of a leaf that is there', () => { createSecureContext({ key, cert, minVersion: 'TLSv1.2' }); }],
    ['secureContext() of a new host', () => { leaves.secureContext(`host-${count++}.test`, 'run_a'); }],
    ['secureContext() of a known host', () => { leaves.secureContext('site.test', 'run_a'); }],
  ];
  const times = cases.map((): number[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, [, run]] of cases.entries()) {
      for (let time = 0; time < perRound; time++) {
        const start = process.hrtime.bigint();
        run();
        // The first round warms up.
        if (round > 0) times[index]!.push(Number(process.hrtime.bigint() - start) / 1e6);
      }
    }
  }
  const sorted = times.map((one) => one.toSorted((a, b) => a - b));
  const floor = sorted[0]![Math.floor(sorted[0]!.length / 2)]!;
  console.log(`milliseconds; goal: minting <= ${goal}${' '.repeat(13)}p50      p99      min   p50 / signature`);
  for (const [index, [title]] of cases.entries()) {
    const one = sorted[index]!;
    const at = (share: number): number => one[Math.floor(one.length * share)]!;
    console.log(`  ${title.padEnd(42)} ${at(0.5).toFixed(3)}    ${at(0.99).toFixed(3)}    ${one[0]!.toFixed(3)}   ${(at(0.5) / floor).toFixed(1)}`);
  }
  const median = sorted[1]![Math.floor(sorted[1]!.length / 2)]!;
  console.log(median <= goal ? 'met' : 'MISSED');
} finally {
  rmSync(data, { recursive: true, force: true });
}
