import { X509Certificate } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { SallyportError, type FieldError } from '../../contracts/errors.ts';
import { escapeText } from '../text.ts';

const mostFiles = 32;
const largestFile = 1024 * 1024;

/**
 * The certificates in the files that `--upstream-ca FILE` names, in PEM, and nothing else of these files: beside a certificate may lie its
 * key. Throws `configuration` with every mistake and its file.
 */
export function readUpstreamAuthorities(files: readonly string[]): string | undefined {
  if (files.length > mostFiles) throw new SallyportError('configuration', `--upstream-ca is given more than ${mostFiles} times: put the certificates into one file.`, { errors: [{ path: '--upstream-ca', message: 'is given too often' }] });
  const errors: FieldError[] = [];
  const texts = files.map((file) => {
    try {
      return certificatesIn(read(file));
    } catch (error) {
      errors.push({ path: '--upstream-ca', message: `${escapeText(resolve(file))} ${error instanceof Mistake ? error.message : `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`}` });
      return '';
    }
  });
  if (errors.length > 0) throw new SallyportError('configuration', `The authorities of origins are wrong: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}.`, { errors });
  return texts.length === 0 ? undefined : texts.join('');
}

class Mistake extends Error {}

function certificatesIn(text: string): string {
  const blocks = text.match(/^-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----$[^-]*^-----END (?:TRUSTED |X509 )?CERTIFICATE-----$/gm) ?? [];
  if (blocks.length === 0) throw new Mistake('holds no certificate in PEM');
  return blocks.map((block, index) => {
    const certificate = parse(block, index + 1);
    // Nothing is trusted by any other (OpenSSL ends a chain only at what signed itself), and nobody would be told.
    if (!certificate.ca && !certificate.checkIssued(certificate)) throw new Mistake(`holds a certificate (number ${index + 1}) that is no authority's`);
    return certificate.toString();
  }).join('');
}

function parse(block: string, position: number): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new Mistake(`holds a certificate (number ${position}) that cannot be read`);
  }
}

function read(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Mistake('is not a file');
    if (stats.size > largestFile) throw new Mistake(`is larger than ${largestFile} bytes`);
    return readFileSync(descriptor, 'latin1').replaceAll('\r\n', '\n');
  } finally {
    closeSync(descriptor);
  }
}
