/** The certificates of a PEM text, as DER. What else a bundle says (names, comments, trust that only OpenSSL reads) is left out. */
export function certificatesOf(pem: string): readonly Buffer[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g)].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
}
