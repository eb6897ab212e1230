import { readFileSync } from 'node:fs';
import { agentHome, toolsFolder } from '../agent-environment.ts';
import type { Account } from '../identity.ts';

export const bootPath = `${toolsFolder}/boot.cjs`;

const nobody = 65_534;

/** Path in the jail and content: the boot script, and an `/etc` that says nothing of the host. Names resolve by `hosts` alone, at once. */
export function givenFiles({ uid, gid }: Account): readonly { readonly path: string; readonly content: Buffer | string }[] {
  return [
    { path: bootPath, content: readFileSync(new URL('../boot.cjs', import.meta.url)) },
    { path: '/etc/passwd', content: `agent:x:${uid}:${gid}:agent:${agentHome}:/bin/sh\nnobody:x:${nobody}:${nobody}:nobody:/:/usr/sbin/nologin\n` },
    { path: '/etc/group', content: `agent:x:${gid}:\nnogroup:x:${nobody}:\n` },
    { path: '/etc/hosts', content: '127.0.0.1 localhost jail\n::1 localhost\n' },
    { path: '/etc/nsswitch.conf', content: 'passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n' },
    { path: '/etc/resolv.conf', content: '' },
    // Debian's launcher of Chromium fails where this folder is missing. Its own sandbox needs namespaces, which the jail refuses; the jail is one.
    { path: '/etc/chromium.d/sallyport', content: 'export CHROMIUM_FLAGS="$CHROMIUM_FLAGS --no-sandbox"\n' },
  ];
}
