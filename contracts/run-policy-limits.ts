/** Entries a run may have of each list, and the size of all parameters together as JSON, in UTF-16 units. */
export const runPolicyLimits = { packs: 32, allow: 256, allow_addresses: 64, resolve: 64, ports: 16, methods: 16, params: 8192, depth: 8 } as const;
