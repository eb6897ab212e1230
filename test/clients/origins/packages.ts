import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { Lifetime } from '../../helpers/lifetime.ts';
import { temporaryFolder } from '../../helpers/temporary.ts';
import type { OriginRequest } from './listener.ts';
import { bytes, json, plain, type Part } from './site.ts';

/** Registries with one package each, called `tiny`, made here with the tools that such packages are made with. */

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** `https://host`, as the client called us. */
const baseOf = (request: OriginRequest): string => `${(request.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http'}://${String(request.headers[':authority'] ?? request.headers.host)}`;

/** What npm asks of a registry: a document and a tarball. */
export async function npmRegistry(lifetime: Lifetime): Promise<Readonly<Record<string, Part>>> {
  const folder = await temporaryFolder(lifetime);
  write(folder, { 'package/package.json': JSON.stringify({ name: 'tiny', version: '1.0.0' }), 'package/index.js': "module.exports = 'tiny from npm';\n" });
  execFileSync('tar', ['-czf', 'tiny.tgz', 'package'], { cwd: folder });
  const tarball = readFileSync(join(folder, 'tiny.tgz'));
  return {
    '/npm/tiny': (request, response) => json(response, 200, {
      name: 'tiny',
      'dist-tags': { latest: '1.0.0' },
      versions: {
        '1.0.0': {
          name: 'tiny', version: '1.0.0',
          dist: { tarball: `${baseOf(request)}/npm/tiny/-/tiny-1.0.0.tgz`, integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}` },
        },
      },
    }),
    '/npm/tiny/-/tiny-1.0.0.tgz': (_request, response) => bytes(response, 200, 'application/octet-stream', tarball),
  };
}

/** PEP 503's simple index, and a wheel (PEP 427). */
export async function pythonIndex(lifetime: Lifetime): Promise<Readonly<Record<string, Part>>> {
  const folder = await temporaryFolder(lifetime);
  write(folder, {
    'tiny.py': "print('tiny from pip')\n",
    'tiny-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n',
    'tiny-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    'tiny-1.0.dist-info/RECORD': 'tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n',
  });
  const name = 'tiny-1.0-py3-none-any.whl';
  execFileSync('python3', ['-m', 'zipfile', '-c', name, 'tiny.py', 'tiny-1.0.dist-info/'], { cwd: folder });
  const wheel = readFileSync(join(folder, name));
  const link = `<!DOCTYPE html><html><body><a href="/wheels/${name}#sha256=${createHash('sha256').update(wheel).digest('hex')}">${name}</a></body></html>`;
  return {
    '/simple/tiny/': (_request, response) => bytes(response, 200, 'text/html', Buffer.from(link)),
    [`/wheels/${name}`]: (_request, response) => bytes(response, 200, 'application/octet-stream', wheel),
  };
}

/** An archive without a signature, as `[trusted=yes]` takes it. */
export async function debianArchive(lifetime: Lifetime): Promise<Readonly<Record<string, Part>>> {
  const folder = await temporaryFolder(lifetime);
  const control = 'Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <nobody@site.test>\nDescription: one file\n';
  write(folder, { 'tiny/DEBIAN/control': control, 'tiny/usr/share/tiny/hello': 'tiny from apt\n' });
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', 'tiny', 'tiny.deb'], { cwd: folder, stdio: 'pipe' });
  const archive = readFileSync(join(folder, 'tiny.deb'));
  const digest = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');
  const index = `${control}Filename: pool/tiny.deb\nSize: ${archive.length}\nSHA256: ${digest(archive)}\n`;
  const list = 'main/binary-all/Packages';
  const release = `Suite: stable\nCodename: stable\nComponents: main\nArchitectures: all\nDate: ${new Date().toUTCString()}\nSHA256:\n ${digest(index)} ${index.length} ${list}\n`;
  return {
    '/debian/dists/stable/Release': (_request, response) => plain(response, 200, release),
    [`/debian/dists/stable/${list}`]: (_request, response) => plain(response, 200, index),
    '/debian/pool/tiny.deb': (_request, response) => bytes(response, 200, 'application/vnd.debian.binary-package', archive),
  };
}
