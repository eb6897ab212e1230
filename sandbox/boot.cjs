'use strict';
/*
 * The first program in a jail, until it becomes the agent. It listens inside the jail's network namespace and hands the
 * listening socket out, says what it sees of the jail, and starts the agent only when told so over the same channel.
 *
 * It is CommonJS and never touches its standard streams: an ES module would leave them non-blocking for the agent.
 */
const { createServer } = require('node:net');
const { closeSync, readFileSync, readdirSync, readlinkSync, statSync } = require('node:fs');

/** Exit codes that the launcher knows (launch/handshake.ts). */
const exits = { listening: 96, channel: 95, order: 94, becoming: 93 };
const end = (code) => process.reallyExit(code);

const namespaces = ['user', 'pid', 'net', 'mnt', 'ipc', 'uts'];

function witness() {
  const status = Object.fromEntries(readFileSync('/proc/self/status', 'utf8').split('\n').map((line) => line.split(':\t')));
  const work = statSync('/work', { bigint: true });
  return {
    kind: 'listening',
    work: { device: String(work.dev), inode: String(work.ino) },
    namespaces: Object.fromEntries(namespaces.map((name) => [name, readlinkSync(`/proc/self/ns/${name}`)])),
    capabilities: [status.CapEff, status.CapPrm, status.CapBnd, status.CapInh, status.CapAmb],
    no_new_privileges: status.NoNewPrivs,
    seccomp: status.Seccomp,
    uid: status.Uid,
    gid: status.Gid,
    interfaces: readFileSync('/proc/self/net/dev', 'utf8').split('\n').slice(2).flatMap((line) => line.split(':')[0].trim() || []),
  };
}

/** Whatever was inherited and would outlive execve: above all a descriptor of a host folder would be a way out. */
function closeInherited() {
  for (const descriptor of readdirSync('/proc/self/fd').map(Number).filter((number) => number > 2)) {
    try {
      const flags = parseInt(/^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))[1], 8);
      // O_CLOEXEC: execve closes these itself, and Node still needs some.
      if ((flags & 0o2000000) === 0) closeSync(descriptor);
    } catch {
      // It was the descriptor of the listing itself.
    }
  }
}

const server = createServer();
server.on('error', () => end(exits.listening));
process.on('disconnect', () => end(exits.channel));
process.on('message', (order) => {
  if (!Array.isArray(order?.argv) || typeof order.env !== 'object') end(exits.order);
  process.removeAllListeners('disconnect');
  process.disconnect();
  closeInherited();
  try {
    // Node ignores SIGPIPE and SIGXFSZ, and that would be inherited.
    process.execve('/usr/bin/env', ['env', '--default-signal', '--', ...order.argv], order.env);
  } finally {
    end(exits.becoming);
  }
});
server.listen({ host: '127.0.0.1', port: 3128, backlog: 511 }, () => process.send(witness(), server));
