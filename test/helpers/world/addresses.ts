/**
 * The addresses of the test world. All of them are on `lo` of a namespace that has no other interface, so no packet can leave,
 * and each is what its class says: the product needs no exception to treat 20.30.40.50 as public.
 */
export const addresses = {
  public: '20.30.40.50',
  public2: '20.30.40.51',
  public3: '20.30.40.52',
  public4: '20.30.40.53',
  loopback: '127.0.0.1',
  metadata: '169.254.169.254',
  linkLocal: '169.254.7.7',
  private10: '10.1.2.3',
  private172: '172.16.5.5',
  private192: '192.168.1.10',
  carrierGrade: '100.64.0.1',
  /** Alibaba's metadata service, inside the carrier-grade range. */
  metadataAlibaba: '100.100.100.200',
  /** Azure's wire server: metadata at an address that looks public. */
  metadataAzure: '168.63.129.16',
  benchmarking: '198.18.0.1',
  documentation: '192.0.2.1',
  public6: '2620:1234::50',
  public6b: '2620:1234::51',
  loopback6: '::1',
  uniqueLocal6: 'fd00::1',
  /** Amazon's metadata service over IPv6. */
  metadata6: 'fd00:ec2::254',
  linkLocal6: 'fe80::50',
  /** NAT64 of 10.1.2.3 and of 169.254.169.254. */
  nat64Private: '64:ff9b::a01:203',
  nat64Metadata: '64:ff9b::a9fe:a9fe',
  /** 6to4 of 10.1.2.3. */
  sixToFourPrivate: '2002:a01:203::1',
  /** Public by its class; connecting hangs, as behind a firewall that drops. */
  silent: '20.30.99.1',
  /** Public by its class; connecting fails with EHOSTUNREACH. */
  unreachable: '20.30.98.1',
} as const;

/** Where the world's DNS server listens; `/etc/resolv.conf` names the first, the second serves a machine without that file. */
export const dnsAddresses = ['192.168.1.53', '127.0.0.1'] as const;

/** Public by its class, without a route: connecting fails with ENETUNREACH. */
export const noRoute = '20.30.97.1';

const withoutAddress: ReadonlySet<string> = new Set([addresses.loopback, addresses.loopback6, addresses.silent, addresses.unreachable]);

/** What `ip address add` is to be given. */
export const onInterface: readonly string[] = [...Object.values(addresses), dnsAddresses[0]]
  .filter((address) => !withoutAddress.has(address))
  .map((address) => `${address}/${address.includes(':') ? (address.startsWith('fe80:') ? 64 : 128) : 32}`);
