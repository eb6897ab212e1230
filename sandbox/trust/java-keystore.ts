import { createHash } from 'node:crypto';

/** Everybody's, since Java 1.2: it keeps nothing secret, and Java reads a store of certificates without it as well. */
const password = 'changeit';

const magic = 0xfe_ed_fe_ed;
const version = 2;
const trustedCertificate = 2;

/**
 * A Java keystore (format JKS, as sun.security.provider.JavaKeyStore writes it) that trusts these certificates (DER). Every Java
 * since 1.2 reads it, also where PKCS12 is the default (keystore.type.compat).
 */
export function javaKeystore(certificates: readonly Buffer[]): Buffer {
  const entries = certificates.flatMap((certificate, index) => [
    uint32(trustedCertificate), text(`authority-${index}`),
    // When it was added, in milliseconds: always the same, so that the same authorities are the same bytes.
    Buffer.alloc(8),
    text('X.509'), uint32(certificate.length), certificate,
  ]);
  const content = Buffer.concat([uint32(magic), uint32(version), uint32(certificates.length), ...entries]);
  const digest = createHash('sha1').update(Buffer.from(password, 'utf16le').swap16()).update('Mighty Aphrodite').update(content).digest();
  return Buffer.concat([content, digest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** DataOutput.writeUTF of ASCII. */
function text(ascii: string): Buffer {
  const bytes = Buffer.alloc(2 + ascii.length, ascii, 'latin1');
  bytes.writeUInt16BE(ascii.length);
  bytes.write(ascii, 2, 'latin1');
  return bytes;
}
