/** What kind of place an address leads to. Only `public` may be dialled without a rule that names its range; `metadata` never. */
export const addressClasses = [
  'public', 'loopback', 'private', 'link_local', 'cgnat', 'unique_local', 'multicast', 'reserved', 'documentation',
  'benchmarking', 'unspecified', 'broadcast', 'metadata',
] as const;
export type AddressClass = (typeof addressClasses)[number];

/**
 * Blocks and their class; the longest prefix that matches wins, and what no row covers is reserved. The rows follow IANA's
 * special-purpose registries (RFC 6890 and its updates); metadata rows name the vendor.
 */
export const addressTable: readonly (readonly [block: string, address_class: AddressClass])[] = [
  ['0.0.0.0/0', 'public'],
  ['0.0.0.0/8', 'reserved'], // "This network", RFC 791, section 3.2
  ['0.0.0.0/32', 'unspecified'], // RFC 1122, section 3.2.1.3; connecting reaches the host itself on Linux
  ['10.0.0.0/8', 'private'], // RFC 1918
  ['100.64.0.0/10', 'cgnat'], // RFC 6598
  ['127.0.0.0/8', 'loopback'], // RFC 1122, section 3.2.1.3
  ['169.254.0.0/16', 'link_local'], // RFC 3927
  ['172.16.0.0/12', 'private'], // RFC 1918
  // IETF protocol assignments, RFC 6890. IANA calls 192.0.0.9 and .10 (RFC 7723, RFC 8155) reachable, but what answers there is the nearest
  // router's port control or relay, which is the network's own.
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'], // TEST-NET-1, RFC 5737
  ['192.31.196.0/24', 'public'], // AS112, RFC 7535: globally reachable
  ['192.52.193.0/24', 'reserved'], // AMT, RFC 7450: the nearest multicast relay
  ['192.88.99.0/24', 'reserved'], // 6to4 relay anycast, deprecated by RFC 7526
  ['192.168.0.0/16', 'private'], // RFC 1918
  ['192.175.48.0/24', 'public'], // AS112, RFC 7534: globally reachable
  ['198.18.0.0/15', 'benchmarking'], // RFC 2544
  ['198.51.100.0/24', 'documentation'], // TEST-NET-2, RFC 5737
  ['203.0.113.0/24', 'documentation'], // TEST-NET-3, RFC 5737
  ['224.0.0.0/4', 'multicast'], // RFC 5771
  ['240.0.0.0/4', 'reserved'], // RFC 1112, section 4
  ['255.255.255.255/32', 'broadcast'], // RFC 919

  ['2000::/3', 'public'], // global unicast, RFC 4291, section 2.4
  ['::/128', 'unspecified'], // RFC 4291, section 2.5.2
  ['::1/128', 'loopback'], // RFC 4291, section 2.5.3
  ['::ffff:0:0/96', 'public'], // IPv4-mapped, RFC 4291, section 2.5.5.2: the embedded address says
  ['64:ff9b::/96', 'public'], // NAT64, RFC 6052: the embedded address says
  ['64:ff9b:1::/48', 'public'], // local-use NAT64, RFC 8215: the embedded addresses say
  ['100::/64', 'reserved'], // discard-only, RFC 6666
  ['100:0:0:1::/64', 'reserved'], // dummy prefix, RFC 9780
  // IETF protocol assignments, RFC 2928, with 2001:1::1 to ::3 (RFC 7723, 8155, 9665: the nearest router's own services), 2001:10::/28 and
  // 2001:20::/28 (ORCHID, RFC 4843 and 7343) and 2001:30::/28 (DET, RFC 9374), which name hosts and drones, not places.
  ['2001::/23', 'reserved'],
  ['2001::/32', 'public'], // Teredo, RFC 4380: the embedded addresses say
  ['2001:2::/48', 'benchmarking'], // RFC 5180
  ['2001:3::/32', 'reserved'], // AMT, RFC 7450
  ['2001:4:112::/48', 'public'], // AS112, RFC 7535: globally reachable
  ['2001:db8::/32', 'documentation'], // RFC 3849
  ['2002::/16', 'public'], // 6to4, RFC 3056: the embedded address says
  ['2620:4f:8000::/48', 'public'], // AS112, RFC 7534: globally reachable
  ['3fff::/20', 'documentation'], // RFC 9637
  ['5f00::/16', 'reserved'], // segment routing identifiers, RFC 9602
  ['fc00::/7', 'unique_local'], // RFC 4193
  ['fe80::/10', 'link_local'], // RFC 4291, section 2.5.6
  ['fec0::/10', 'private'], // site-local, deprecated by RFC 3879 but still routed where it is used
  ['ff00::/8', 'multicast'], // RFC 4291, section 2.7

  ['169.254.169.254/32', 'metadata'], // Amazon EC2, Google Cloud, Azure, Oracle, DigitalOcean, Hetzner, OpenStack and most others
  ['169.254.169.253/32', 'metadata'], // Amazon's resolver, which answers for the account's private zones
  ['169.254.169.252/32', 'metadata'], // Google Kubernetes Engine's metadata server on the node
  ['169.254.169.250/32', 'metadata'], // Rancher
  ['169.254.169.255/32', 'metadata'], // Linode
  ['169.254.170.2/32', 'metadata'], // Amazon ECS task credentials
  ['169.254.170.23/32', 'metadata'], // Amazon EKS Pod Identity
  ['169.254.0.23/32', 'metadata'], // Tencent Cloud
  ['169.254.42.42/32', 'metadata'], // Scaleway
  ['100.100.100.200/32', 'metadata'], // Alibaba Cloud
  ['100.96.0.96/32', 'metadata'], // Volcengine
  ['168.63.129.16/32', 'metadata'], // Azure's wire server: looks public, is the host
  ['192.0.0.192/32', 'metadata'], // Oracle Cloud, classic
  ['fd00:ec2::254/128', 'metadata'], // Amazon EC2
  ['fd00:ec2::253/128', 'metadata'], // Amazon's resolver
  ['fd00:ec2::23/128', 'metadata'], // Amazon EKS Pod Identity
  ['fd20:ce::254/128', 'metadata'], // Google Cloud
  ['fd00:c1::a9fe:a9fe/128', 'metadata'], // Oracle Cloud
  ['fd00:a9fe:a9fe::1/128', 'metadata'], // Linode
  ['fd00:42::42/128', 'metadata'], // Scaleway
  ['fe80::a9fe:a9fe/128', 'metadata'], // OpenStack Nova
];
