import type { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { SallyportError } from '../../../contracts/errors.ts';
import type { Permit } from '../../enforce/permit.ts';
import { isFor } from './certificate-names.ts';
import type { DialContext } from '../context.ts';
import type { Dialling } from '../dial.ts';
import { certificateFailure, closedInHandshake, tlsFailure, wrongHost } from './failures.ts';

/** How long a session is believed without the origin's certificate being looked at again. */
const sessionMs = 600_000;

/**
 * TLS with the origin over a connection to it. Resolves once its certificate is verified, for the permit's host and nothing less;
 * else the connection is destroyed. Rejects with `upstream_tls`, or `upstream_timeout`.
 */
export function secure(raw: Socket, { host, port, pool_key }: Pick<Permit, 'host' | 'port' | 'pool_key'>, context: DialContext, alpn: readonly string[]): Dialling<TLSSocket> {
  const { clock, limits, sessions } = context;
  const where = `${host}:${port}`;
  const known = sessions.get(pool_key, clock.monotonic());
  let leaf: X509Certificate | undefined;
  let until = known?.until ?? 0;
  let verified = false;
  const socket = connect({
    socket: raw, host, secureContext: context.secureContext(), ALPNProtocols: [...alpn],
    // An address is no server name (RFC 6066, section 3); it is verified all the same.
    servername: isIP(host) === 0 ? host : '',
    // Said here, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
    rejectUnauthorized: true,
    // Not Node's own, which takes a common name where there are no others. Not asked where a session is resumed: its certificate was for this host.
    checkServerIdentity: () => {
      // Node asks again when the origin wants a renegotiation. It gets none, so what was verified stands.
      return verified || (leaf !== undefined && isFor(leaf, host)) ? undefined : Object.assign(new Error('The certificate is for other hosts.'), { code: wrongHost });
    },
    ...(known !== undefined && { session: known.session }),
  });
  // Before Node looks at it: of a connection that it has destroyed nothing can be told any more.
  socket.prependOnceListener('secure', () => { if (!socket.isSessionReused()) leaf = socket.getPeerX509Certificate(); });
  // Only those of connections that were verified.
  socket.on('session', (session: Buffer) => { sessions.put(pool_key, { session, until }); });
  // Stays: whoever has the connection later has a listener of its own, but not at once.
  let problem: NodeJS.ErrnoException | undefined;
  socket.on('error', (error) => {
    problem ??= error;
    // An alert alone would leave it open.
    socket.destroy();
  });
  let end = (): void => { /* Below. */ };
  const connected = new Promise<TLSSocket>((resolve, reject) => {
    const fail = (error: SallyportError): void => {
      end();
      sessions.forget(pool_key);
      reject(error);
      socket.destroy();
    };
    const timer = clock.setTimeout(() => {
      fail(new SallyportError('upstream_timeout', `${where} did not agree on TLS within ${limits.handshake_ms} ms.`));
    }, limits.handshake_ms);
    const onClose = (): void => {
      fail(certificateFailure(problem, where, { host, leaf, now: clock.now() }) ?? tlsFailure(problem, where) ?? closedInHandshake(where, problem));
    };
    end = () => {
      timer.cancel();
      socket.off('close', onClose);
    };
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      end();
      verified = true;
      if (!socket.isSessionReused()) until = clock.monotonic() + Math.min(sessionMs, leaf === undefined ? 0 : Date.parse(leaf.validTo) - clock.now());
      leaf = undefined;
      const { alpnProtocol } = socket;
      if (typeof alpnProtocol === 'string' && !alpn.includes(alpnProtocol)) return fail(new SallyportError('upstream_tls', `${where} chose a protocol that was not offered.`));
      resolve(socket);
    });
  });
  return {
    connected,
    cancel: () => {
      end();
      socket.destroy();
    },
  };
}
