/**
 * Names that lead inside, spelled and answered in every way, in a network where all those addresses exist. The verdict is the
 * canaries': who listens there must not have been contacted. And it is recorded which address stood in the way.
 */
import type { Event } from '../../contracts/event.ts';
import { startCanary, type Canary } from '../helpers/canary.ts';
import { fileLifetime } from '../helpers/lifetime.ts';
import { needs } from '../helpers/needs.ts';
import { startOrigin, type Origin } from '../helpers/origin.ts';
import { head, RawClient, startProxyWorker, type Answer, type ProxyWorker } from '../helpers/proxy-worker.ts';
import { addresses, dnsZone, type DnsAnswer, type DnsZone } from '../helpers/world.ts';

const test = needs('world');
const withIPv6 = needs('world', 'ipv6');

let proxy: ProxyWorker;
let zone: DnsZone;
let site: Origin;
const canaries: Canary[] = [];

const file = fileLifetime();
test.before(async () => {
  zone = dnsZone(file);
  proxy = await startProxyWorker(file, { realNames: true });
  site = await startOrigin(file);
  for (const address of [addresses.loopback, addresses.private10, addresses.metadata, addresses.carrierGrade, addresses.metadataAlibaba, addresses.metadataAzure, addresses.linkLocal]) canaries.push(await startCanary(file, address, 80));
});
withIPv6.before(async () => {
  for (const address of [addresses.loopback6, addresses.nat64Private, addresses.nat64Metadata, addresses.sixToFourPrivate, addresses.metadata6, addresses.uniqueLocal6]) canaries.push(await startCanary(file, address, 80));
});

const untouched = (): string[] => canaries.flatMap(({ address, contacts }) => (contacts.length > 0 ? [address] : []));

interface Asked {
  readonly answer: Answer;
  /** Of the run, in order. */
  readonly events: () => readonly Event[];
}

/** One GET, or CONNECT and what it opens, by a run that may reach `host` and nothing that is not public. */
async function get(host: string, options: { readonly spelled?: string; readonly tunnel?: boolean; readonly ranges?: readonly string[]; readonly port?: number } = {}): Promise<Asked> {
  const port = options.port ?? 80;
  const run = proxy.control.createRun({ allow: [{ host, ports: [port], methods: [options.tunnel === true ? 'TUNNEL' : 'GET'] }], policy: { allow_addresses: options.ranges ?? [] } });
  await proxy.control.acknowledgedAll();
  const authority = `${options.spelled ?? host}:${port}`;
  const client = new RawClient(proxy);
  const answer = await client.send(options.tunnel === true ? head(authority, { method: 'CONNECT', authorization: run.authorization }) : head(`http://${authority}/`, { authorization: run.authorization })).answer();
  client.socket.destroy();
  return { answer, events: () => proxy.control.of(run) };
}

let names = 0;
const named = (answer: DnsAnswer | readonly string[]): Promise<string> => zone.set(`a${names++}`, answer);
const all = (...list: string[]): DnsAnswer => ({ kind: 'addresses', addresses: list });

const inside: readonly { readonly title: string; readonly answer: (site: Origin) => DnsAnswer | Promise<DnsAnswer>; readonly code: string; readonly address: string }[] = [
  { title: 'loopback', answer: () => all(addresses.loopback), code: 'core.non_public_address', address: addresses.loopback },
  { title: 'a private address', answer: () => all(addresses.private10), code: 'core.non_public_address', address: addresses.private10 },
  { title: 'carrier-grade NAT', answer: () => all(addresses.carrierGrade), code: 'core.non_public_address', address: addresses.carrierGrade },
  { title: 'the metadata address', answer: () => all(addresses.metadata), code: 'core.metadata_address', address: addresses.metadata },
  { title: 'Azure\'s, which looks public', answer: () => all(addresses.metadataAzure), code: 'core.metadata_address', address: addresses.metadataAzure },
  { title: 'Alibaba\'s', answer: () => all(addresses.metadataAlibaba), code: 'core.metadata_address', address: addresses.metadataAlibaba },
  { title: 'public first, private last', answer: ({ address }) => all(address, addresses.private10), code: 'core.non_public_address', address: addresses.private10 },
  { title: 'private first, public last', answer: ({ address }) => all(addresses.private10, address), code: 'core.non_public_address', address: addresses.private10 },
  { title: 'metadata among ten public ones', answer: ({ address }) => all(...Array.from({ length: 10 }, () => address), addresses.metadata), code: 'core.metadata_address', address: addresses.metadata },
  { title: 'public by IPv4, loopback by IPv6', answer: ({ address }) => all(address, '::1'), code: 'core.non_public_address', address: '::1' },
  { title: 'an alias of a private name', answer: async () => ({ kind: 'alias', target: await named(all(addresses.private10)) }), code: 'core.non_public_address', address: addresses.private10 },
  { title: 'an alias of an alias of the metadata service', answer: async () => ({ kind: 'alias', target: await named({ kind: 'alias', target: await named(all(addresses.metadata)) }) }), code: 'core.metadata_address', address: addresses.metadata },
  { title: 'NAT64 of a private address', answer: () => all(addresses.nat64Private), code: 'core.non_public_address', address: addresses.nat64Private },
  { title: 'NAT64 of the metadata address', answer: () => all(addresses.nat64Metadata), code: 'core.metadata_address', address: addresses.nat64Metadata },
  { title: '6to4 of a private address', answer: () => all(addresses.sixToFourPrivate), code: 'core.non_public_address', address: addresses.sixToFourPrivate },
  { title: 'Teredo whose client is private', answer: () => all('2001:0:1401:203:0:0:f5fe:fdfc'), code: 'core.non_public_address', address: '2001:0:1401:203::f5fe:fdfc' },
  { title: 'an IPv4-mapped private address', answer: () => all('::ffff:10.1.2.3'), code: 'core.non_public_address', address: '::ffff:a01:203' },
  { title: 'unspecified, which is this host', answer: () => all('0.0.0.0'), code: 'core.non_public_address', address: '0.0.0.0' },
  { title: 'Amazon\'s metadata by IPv6', answer: () => all(addresses.metadata6), code: 'core.metadata_address', address: addresses.metadata6 },
];

for (const { title, answer, code, address } of inside) {
  for (const tunnel of [false, true]) {
    test(`A name that leads inside is refused${tunnel ? ' as a tunnel too' : ''}: ${title}`, async (t) => {
      const { answer: said, events } = await get(await named(await answer(site)), { tunnel });
      t.is(said.code, code, said.body);
      await proxy.control.ingested('the refusal', () => events().length === 1);
      t.like(events()[0], { type: 'egress.denied', facts: { code } });
      t.like(events()[0]?.payload, { address });
      t.deepEqual(untouched(), []);
    });
  }
}

for (const [title, second, code] of [['private', addresses.private10, 'core.non_public_address'], ['loopback', addresses.loopback, 'core.non_public_address'], ['metadata', addresses.metadata, 'core.metadata_address']] as const) {
  test(`Rebinding: public at the verdict, ${title} at the next look-up`, async (t) => {
    const host = await named({ kind: 'sequence', answers: [all(site.address), all(second)] });
    const run = proxy.control.createRun({ allow: [{ host, ports: [80], methods: ['GET'] }] });
    await proxy.control.acknowledgedAll();
    const ask = async (): Promise<Answer> => {
      const client = new RawClient(proxy);
      const answer = await client.send(head(`http://${host}/${title}`, { authorization: run.authorization })).answer();
      client.socket.destroy();
      return answer;
    };
    const first = await ask();
    t.is(first.status, 200);
    t.is((await zone.queries()).filter(({ name, type }) => name === host && type === 1).length, 1, 'it was looked up again between verdict and dial');
    let last = first;
    // A time to live of 0 counts as 1 s here.
    while (last.status === 200) last = await ask();
    t.is(last.code, code);
    await proxy.control.ingested('all', () => proxy.control.of(run, 'egress.denied').length === 1);
    for (const { payload } of proxy.control.of(run, 'egress.completed')) t.is((payload as { address: string }).address, site.address);
    t.deepEqual(untouched(), []);
  });
}

const spellings: readonly (readonly [string, readonly string[]])[] = [
  [addresses.metadata, ['169.254.169.254', '2852039166', '0xa9fea9fe', '0xA9.0xFE.0xA9.0xFE', '0251.0376.0251.0376', '169.254.43518', '169.16689662', '0251.254.0xa9.254', '169.254.169.254.']],
  [addresses.loopback, ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '017700000001', '0177.1', '127.0.0.1.']],
  [addresses.private10, ['10.1.2.3', '167838211', '0xa010203', '012.1.2.3', '10.66051', '0xa.1.515']],
];
for (const [address, spelled] of spellings) {
  for (const spelling of spelled) {
    test(`An address inside is itself however it is spelled: ${spelling}`, async (t) => {
      for (const tunnel of [false, true]) {
        const { answer } = await get(address, { spelled: spelling, tunnel });
        t.is(answer.code, address === addresses.metadata ? 'core.metadata_address' : 'core.non_public_address', answer.body);
      }
      t.deepEqual(untouched(), []);
    });
  }
}

for (const literal of [addresses.nat64Private, addresses.nat64Metadata, addresses.sixToFourPrivate, '::ffff:10.1.2.3', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::', '::1', addresses.metadata6, addresses.uniqueLocal6, addresses.linkLocal6]) {
  test(`An IPv6 address that is inside, or holds one that is: [${literal}]`, async (t) => {
    const host = new URL(`http://[${literal}]/`).hostname.slice(1, -1);
    const { answer } = await get(host, { spelled: `[${literal}]` });
    t.true(['core.non_public_address', 'core.metadata_address'].includes(answer.code ?? ''), answer.body);
    t.deepEqual(untouched(), []);
  });
}

test('The proxy by another name, by 0.0.0.0 and by its mapped address, though every range may be dialled', async (t) => {
  const ranges = ['0.0.0.0/0', '::/0'];
  for (const answer of ['127.0.0.1', '0.0.0.0', '::1', '::ffff:127.0.0.1']) {
    const { answer: said } = await get(await named([answer]), { ranges, port: proxy.port });
    t.is(said.code, 'core.self_address', answer);
  }
  for (const literal of ['0.0.0.0', '127.0.0.1']) t.is((await get(literal, { ranges, port: proxy.port })).answer.code, 'core.self_address', literal);
  t.is((await get('localhost', { ranges, port: proxy.port })).answer.code, 'core.self_address');
});

test('The metadata service stays out of reach though its range may be dialled', async (t) => {
  for (const address of [addresses.metadata, addresses.metadataAzure, addresses.metadataAlibaba]) {
    t.is((await get(await named([address]), { ranges: ['0.0.0.0/0'] })).answer.code, 'core.metadata_address');
    t.is((await get(address, { ranges: ['0.0.0.0/0'] })).answer.code, 'core.metadata_address');
  }
  t.deepEqual(untouched(), []);
});

test('What is public is dialled where it was classified, by each address that answers first', async (t) => {
  const { answer, events } = await get(await named([site.address]));
  t.is(answer.status, 200);
  await proxy.control.ingested('the end', () => events().some(({ type }) => type === 'egress.completed'));
  t.like(events().find(({ type }) => type === 'egress.completed')?.payload, { address: site.address });
  // The first address refuses, the second answers: both were classified.
  const second = await get(await named([addresses.public4, site.address]));
  t.is(second.answer.status, 200);
  await proxy.control.ingested('the end', () => second.events().some(({ type }) => type === 'egress.completed'));
  t.like(second.events().find(({ type }) => type === 'egress.completed')?.payload, { address: site.address });
});
