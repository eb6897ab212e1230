import { randomBytes } from 'node:crypto';
import type { Lifetime } from './lifetime.ts';
import { askControl } from './world/control.ts';
import type { DnsAnswer, DnsQuery } from './world/dns-zones.ts';

export { addresses, noRoute } from './world/addresses.ts';
export type { DnsAnswer, DnsQuery } from './world/dns-zones.ts';

/** Where the keeper of the world listens. */
export function controlSocket(): string {
  const path = process.env['TEST_WORLD_CONTROL'];
  if (path === undefined) throw new Error('There is no test world: run this through npm test, or bin/sallyport-node test/run.ts FILE.');
  return path;
}

/** A corner of the domain name system that is one test's own; its names are gone with its lifetime. */
export interface DnsZone {
  /** `<random>.test`. */
  readonly suffix: string;
  /** `label.<random>.test`. */
  name(label: string): string;
  /** Says what the world answers for `label.<random>.test` from now on; an array means these addresses. Gives the full name. */
  set(label: string, answer: DnsAnswer | readonly string[]): Promise<string>;
  /** What was asked below the suffix since the start, in order. */
  queries(): Promise<readonly DnsQuery[]>;
}

export function dnsZone(lifetime: Lifetime): DnsZone {
  const suffix = `z${randomBytes(5).toString('hex')}.test`;
  lifetime.teardown(() => askControl(controlSocket(), { operation: 'dns_remove', suffix }));
  const name = (label: string): string => `${label}.${suffix}`;
  return {
    suffix,
    name,
    async set(label, answer) {
      await setName(name(label), 'kind' in answer ? answer : { kind: 'addresses', addresses: answer });
      return name(label);
    },
    queries: async () => await askControl(controlSocket(), { operation: 'dns_queries', suffix }) as readonly DnsQuery[],
  };
}

/** A public address of the world that no other test has, so that each can have its own port 80. */
export async function freshAddress(): Promise<string> {
  return await askControl(controlSocket(), { operation: 'address' }) as string;
}

/** For a name that is nobody's own, such as the demo's. */
export async function setName(name: string, answer: DnsAnswer): Promise<void> {
  await askControl(controlSocket(), { operation: 'dns_set', name, answer });
}
