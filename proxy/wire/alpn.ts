/** What is spoken inside TLS, by the names that both sides agree on (ALPN, RFC 7301). */
export type Protocol = 'h2' | 'http/1.1';
