import { listActions } from '../../../control-plane/audit/commands.ts';
import { activateBundle, getBundle } from '../../../control-plane/policies/commands.ts';
import { activeRevision } from '../../../control-plane/proxies/commands.ts';
import { backends, servicesFor } from '../backends.ts';

for (const { name, test, locate } of backends) {
  test(`a bundle becomes the policy once; its bytes come back as they were (${name})`, async (t) => {
    const services = await servicesFor(t, await locate(t));
    const body = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, index) => index % 256));
    t.is(await activeRevision(services.database.kysely), undefined);
    await activateBundle(services, { revision: 'one', body });
    await activateBundle(services, { revision: 'one', body });
    await activateBundle(services, { revision: 'two', body: Buffer.from('2') });
    t.is(await activeRevision(services.database.kysely), 'two');
    t.deepEqual(await getBundle(services, 'one'), body);
    await activateBundle(services, { revision: 'one', body });
    t.is(await activeRevision(services.database.kysely), 'one', 'an earlier one can come back');
    const told = await listActions(services, { type: 'policy.activated', limit: 10 });
    t.deepEqual(told.toReversed().map(({ event }) => event.facts['revision']), ['one', 'two', 'one']);
    await t.throwsAsync(getBundle(services, 'none'), { code: 'not_found' });
  });
}
