import { join } from 'node:path';
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { signSeal } from '../../../contracts/seal.ts';
import { parseNote, rawPublicKey } from '../../../contracts/signed-note.ts';
import { verifyExport } from '../../../contracts/verify.ts';
import { ingest } from '../../../control-plane/audit/ingest.ts';
import { sealedJournals, sealedSize } from '../../../control-plane/audit/commands.ts';
import { checkAgainstSeal } from '../../../control-plane/audit/rules.ts';
import { Sealer } from '../../../control-plane/audit/sealer.ts';
import { SealsFile } from '../../../control-plane/audit/seals-file.ts';
import { sequence } from '../../../control-plane/audit/sequencer.ts';
import { testClock } from '../../helpers/clock.ts';
import { signerOf } from '../../helpers/chain.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import { until } from '../../helpers/wait.ts';
import { backends, newRun, servicesFor } from '../backends.ts';
import { startTestControlPlane } from '../harness.ts';
import { denied, newEgress, TestJournal } from '../segments.ts';

for (const { name, test, locate } of backends) {
  test(`a seal lies in the file and in the database, is signed, and says which segments it covers (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const signer = signerOf('sallyport.example/test', 7);
    const file = new SealsFile(join(await temporaryFolder(t), 'seals.jsonl'));
    const sealer = new Sealer(services, signer, file);
    const [journal, other] = [new TestJournal(), new TestJournal()];
    await ingest(services, journal.segment([denied('run_x', newEgress())]));
    await ingest(services, journal.segment([denied('run_x', newEgress())]));
    await sequence(services);
    await ingest(services, other.segment([denied('run_x', newEgress())]));
    await Promise.all([sealer.sealRest(), sealer.sealRest()]);
    const head = await file.last();
    t.like(head, { size: 3, origin: signer.name, at: clock.now() });
    t.notThrows(() => checkAgainstSeal({ size: 3, root: Buffer.from(head!.root).toString('hex'), incarnation: head!.incarnation }, head));
    t.is(await sealedSize(services.database.kysely), 3);
    t.deepEqual(await sealedJournals(services.database.kysely, 0), [{ journal_id: journal.journal_id, through: 1 }], 'what has no place in the tree is not covered');
    await sequence(services);
    await sealer.sealRest();
    t.deepEqual(await sealedJournals(services.database.kysely, 3), [{ journal_id: other.journal_id, through: 0 }]);
    const seals = await services.database.kysely.selectFrom('seals').selectAll().orderBy('seal_id').execute();
    t.deepEqual(seals.map(({ size }) => size), [3, 4]);
    const note = parseNote(seals[1]!.note)!;
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(signer.public_key).toString('base64url') }, format: 'jwk' });
    t.true(verify(null, Buffer.from(note.text), key, note.signatures[0]!.signature));
  });

  test(`a busy chain is sealed after ten seconds, at a run's end at once, and an idle one hourly (${name})`, async (t) => {
    const clock = testClock();
    const services = await servicesFor(t, await locate(t), clock);
    const sealer = new Sealer(services, signerOf('sallyport.example/test', 7), new SealsFile(join(await temporaryFolder(t), 'seals.jsonl')));
    await sequence(services);
    const loop = sealer.start();
    t.teardown(() => loop.stop());
    const count = async (): Promise<number> => (await services.database.kysely.selectFrom('seals').select('seal_id').execute()).length;
    // Rounds are a second apart; each begins to wait again before the next second is let pass.
    const pass = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        await until('the loop to wait', () => clock.waiting === 1);
        clock.advance(1000);
        await until('the loop to wait', () => clock.waiting === 1);
      }
    };
    await until('the first seal', async () => await count() === 1);
    await newRun(services);
    await sequence(services);
    await pass(8);
    t.is(await count(), 1);
    await pass(3);
    t.is(await count(), 2);
    await until('the loop to wait', () => clock.waiting === 1);
    clock.advance(3600_000);
    await until('a seal of the idle chain', async () => await count() === 3);
  });
}

backends[0]!.test('a database that is older than its last seal is refused at start', async (t) => {
  const first = await startTestControlPlane(t);
  await first.call('POST', '/chat/run', { body: { goal: 'one' } });
  await first.stop();
  const file = new SealsFile(join(first.folder, 'seals.jsonl'));
  const last = (await file.last())!;
  const private_key = createPrivateKey(await readFile(join(first.folder, 'keys', 'seal.key')));
  await file.append(signSeal({ ...last, size: last.size + 1 }, { name: last.origin, private_key, public_key: rawPublicKey(private_key) }));
  await t.throwsAsync(startTestControlPlane(t, { folder: first.folder }), { code: 'chain_conflict', message: /entries are missing/ });
});

backends[0]!.test('an export is signed to its last entry, and a new start goes on with the same chain', async (t) => {
  const first = await startTestControlPlane(t);
  await first.call('POST', '/chat/run', { body: { goal: 'one' } });
  const before = verifyExport((await first.call<string>('GET', '/admin/audit/export')).text.split('\n').slice(0, -1));
  await first.stop();
  const second = await startTestControlPlane(t, { folder: first.folder });
  await second.call('POST', '/chat/run', { body: { goal: 'two' } });
  const pinned = (await second.call<string>('GET', '/admin/audit/export')).text.split('\n').slice(0, -1);
  const after = verifyExport(pinned);
  t.deepEqual([before.problems, after.problems], [[], []]);
  t.is(after.sealed, after.entries);
  t.is(after.entries, before.entries + 1);
  t.is(after.incarnation, before.incarnation);
  t.like((await second.call('GET', '/admin/audit/head')).body, { size: after.entries, root: after.head.root });
});
