import { constants, createHash, generateKeyPairSync, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../../contracts/clock.ts';
import { SallyportError } from '../../contracts/errors.ts';
import { canonicalHost } from '../../contracts/host.ts';
import type { Authorities, Signer } from './authority/authorities.ts';
import { leafBackdateMs, leafLifeMs } from './authority/rules.ts';
import { ContextCache } from './context-cache.ts';
import { leafMaker, toPem } from './x509/certificate.ts';

/** Contexts kept by a worker: some 30 KiB each. */
const mostContexts = 1000;
/** A leaf is not given to a new connection when it has less than this left. */
const renewBeforeMs = 24 * 3_600_000;
/** A worker's clock may be set back by this much before its leaves are made anew. */
const setBackMs = leafBackdateMs / 2;

/** With forward secrecy and authenticated encryption alone (RFC 9325, section 4.2); the leaf's key signs, so ECDSA. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305',
].join(':');

/**
 * Without the hybrids with ML-KEM, which cost a handshake 8 to 20 % of the processor: this leg is inside one machine, or crosses a network that carries
 * the run's credentials in the clear already (`--without-tls`). Towards origins they are on.
 */
const groups = 'X25519:P-256:P-384';

interface Minter {
  readonly signer: Signer;
  readonly mint: ReturnType<typeof leafMaker>;
  /** From which the ticket keys of every run come; all workers of an installation have the same. */
  readonly ticket_secret: Buffer;
}

/** Minted when a client asks for a host, and kept for its run. */
export class Leaves {
  readonly #authorities: Authorities;
  readonly #clock: Clock;
  /** One for the life of the process: it never leaves memory. */
  readonly #key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  readonly #keyPem: string = String(this.#key.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  readonly #contexts: ContextCache<SecureContext>;
  #minter: Minter | undefined;

  constructor(authorities: Authorities, clock: Clock, most: number = mostContexts) {
    this.#authorities = authorities;
    this.#clock = clock;
    this.#contexts = new ContextCache(most, release);
  }

  /**
   * To be used at once: one of the next calls may release it. For a server's side of TLS in which this run reaches this canonical host (a name or an address). ALPN is the caller's. Takes
   * 0.3 ms when it has to be made. Throws `authority` when nobody can sign, `ambiguous_target` for another spelling of a host.
   */
  secureContext(host: string, run_id: string): SecureContext {
    const now = this.#clock.now();
    const minter = this.#minterAt(now);
    const known = this.#contexts.get(run_id, host, minter.signer.id, now);
    if (known !== undefined) return known;
    const canonical = canonicalHost(host);
    if (!canonical.ok || canonical.host !== host) throw new SallyportError('ambiguous_target', 'A certificate is made for a canonical host alone.');
    // Never longer than who vouches for it: some clients look at the whole chain's end, others at the leaf's.
    const not_after = Math.min(now + leafLifeMs, minter.signer.not_after);
    const leaf = minter.mint(host, { not_before: now - leafBackdateMs, not_after }, randomBytes(16));
    const context = createSecureContext({
      key: this.#keyPem,
      // The authority's own certificate is left out (RFC 8446, section 4.4.2): a client either has it or must not believe us.
      cert: toPem(leaf),
      minVersion: 'TLSv1.2',
      ciphers,
      ecdhCurve: groups,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ticketKeys: ticketKeys(minter.ticket_secret, run_id),
      // A second wall: a session of another run or host is none of this context (SSL_CTX_set_session_id_context, at most 32 bytes).
      sessionIdContext: createHash('sha256').update(`${run_id} ${host}`).digest('base64url').slice(0, 32),
    });
    this.#contexts.set(run_id, host, { context, signer_id: minter.signer.id, from: now - setBackMs, until: Math.max(not_after - renewBeforeMs, now + 1) });
    return context;
  }

  #minterAt(now: number): Minter {
    const signer = this.#authorities.signer(now);
    if (this.#minter?.signer.id === signer.id) return this.#minter;
    const issuer = { key: signer.private_key, public_key: signer.public_key };
    const secret = signer.private_key.export({ type: 'pkcs8', format: 'der' });
    this.#minter = { signer, mint: leafMaker(issuer, this.#key.publicKey), ticket_secret: Buffer.from(hkdfSync('sha256', secret, 'sallyport', 'session tickets', 32)) };
    return this.#minter;
  }
}

/**
 * Gives the memory back at once. Left to the collector, which sees a hundredth of what a context holds, 50,000 names in a row leave 900
 * MiB. Connections keep what they need of it.
 */
function release({ context }: SecureContext): void {
  const native = context as { close?(): void };
  native.close?.();
}

/** 48 bytes as OpenSSL wants them: name, HMAC key, AES key (SSL_CTX_set_tlsext_ticket_keys). */
function ticketKeys(secret: Buffer, runId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'sallyport', `session tickets of ${runId}`, 48));
}
