import { namesTaken } from './import-laws.ts';
import { made, type Law } from './laws.ts';
import { importsOf, isCode, topFolder, type SourceFile } from './source-files.ts';

const longest = 300;

const lengthLaw: Law = {
  title: `no source is longer than ${longest} lines`,
  breaches: (files) => files
    .filter(({ path }) => /\.(?:ts|js|cjs|mjs|rego|go|sh|sql)$|^bin\//.test(path) && !/(?:^|\/)(?:test|generated)\/|_test\.(?:rego|go)$/.test(path))
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0) }))
    .filter(({ lines }) => lines > longest)
    .map(({ path, lines }) => `${path} has ${lines} lines: which two concepts does it hold?`),
  broken: [made('engine/a.ts', '\n'.repeat(301)), made('policies/packs/core/a.rego', 'x\n'.repeat(301)), made('bin/a', '\n'.repeat(301))],
};

const environmentLaw: Law = {
  title: 'of what ships, only config.ts and main.ts read the environment',
  breaches: (files) => files
    .filter((file) => isCode(file) && !/(?:^|\/)(?:config|main)\.ts$|^(?:test|bench|demo|bin)\//.test(file.path))
    .filter((file) => /\bprocess\s*(?:\.|\[\s*['"])env\b/.test(withoutComments(file.text)) || namesTaken(file, 'node:process').some((name) => /^env\b/.test(name)))
    .map(({ path }) => `${path} reads the environment`),
  broken: [
    made('cli/a.ts', 'const home = process.env.HOME;'),
    made('proxy/b.ts', "import { env } from 'node:process';"),
    made('engine/c.ts', "const home = process['env']['HOME'];"),
  ],
};

/** Network clients of Node, by module: what a file must not take of it outside the places below. */
const clients: Readonly<Record<string, RegExp>> = {
  'node:net': /^(?:connect|createConnection)\b|^\* as|^[a-z]\w*$/,
  'node:tls': /^connect\b|^\* as|^[a-z]\w*$/,
  'node:http': /^(?:request|get|Agent)\b|^\* as|^[a-z]\w*$/,
  'node:https': /^(?:request|get|Agent)\b|^\* as|^[a-z]\w*$/,
  'node:http2': /^connect\b|^\* as|^[a-z]\w*$/,
  'node:dgram': /./,
  'node:dns': /./,
  'node:dns/promises': /./,
};
const serverNames = /^(?:createServer|createSecureServer|createSecureContext|isIP|isIPv4|isIPv6)$/;
/** A `Socket` around a descriptor is no client. */
const globalClients = /(?<![.\w])(?:fetch\s*\(|new\s+(?:WebSocket|EventSource)\s*\()|\bnew\s+(?:net\.)?Socket\s*\((?!\s*\{\s*fd\b)/;

/** Files that speak over Unix sockets of the data folder alone, and may take `connect` of node:net for it. */
const localSockets: ReadonlySet<string> = new Set(['cli/up/link-client.ts']);

/** Where a connection outwards may be opened (architecture.md). The last speaks to the proxy alone. */
const outbound = /^(?:proxy\/|cli\/api-client\.ts$|control-plane\/database\/|control-plane\/http\/egress\.ts$)/;
const notShipped = /^(?:test|bench|demo)\//;

const outboundLaw: Law = {
  title: 'connections outwards are opened only in proxy/, cli/api-client.ts, control-plane/database/ and control-plane/http/egress.ts',
  breaches: (files) => files.filter((file) => isCode(file) && topFolder(file.path) !== '' && !outbound.test(file.path) && !notShipped.test(file.path))
    .flatMap((file) => [
      ...Object.entries(clients).flatMap(([module, forbidden]) => namesTaken(file, module)
        .filter((name) => forbidden.test(name) && !serverNames.test(name))
        .filter((name) => !(localSockets.has(file.path) && module === 'node:net' && name === 'connect'))
        .map((name) => `${file.path} takes ${name} of ${module}`)),
      ...(importsOf(file).some(({ target }) => target === 'undici' || target.startsWith('undici/')) ? [`${file.path} imports undici`] : []),
      ...(globalClients.test(withoutComments(file.text)) ? [`${file.path} opens a connection: ${globalClients.exec(withoutComments(file.text))?.[0]}`] : []),
    ]),
  broken: [
    made('control-plane/a.ts', "import { connect } from 'node:net';"),
    made('cli/up/link-client.ts', "import { connect } from 'node:tls';"),
    made('sandbox/b.ts', "import http from 'node:http';"),
    made('engine/c.ts', 'await fetch(url);'),
    made('cli/d.ts', "import { createServer, request } from 'node:http';"),
    made('control-plane/e.ts', "import { Client } from 'undici';"),
    made('sandbox/f.ts', "import * as net from 'node:net';"),
    made('cli/g.ts', "import { lookup } from 'node:dns/promises';"),
    made('contracts/h.ts', 'new WebSocket(url);'),
    made('cli/i.ts', "import { Socket } from 'node:net';\nnew Socket().connect(80);"),
  ],
};

const exportLaw: Law = {
  title: 'nothing is exported without a name',
  breaches: (files) => files
    .filter((file) => isCode(file) && file.path !== 'ava.config.js')
    .filter(({ text }) => /^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m.test(text))
    .map(({ path }) => `${path} has a default export`),
  broken: [made('cli/a.ts', 'export default 1;'), made('cli/b.ts', 'export { a as default };')],
};

const nameLaw: Law = {
  title: 'files and folders have kebab-case names',
  breaches: (files) => files
    .filter(({ path }) => /\.(?:ts|js|cjs|mjs|rego|go|sh|sql|css|html)$|^bin\//.test(path))
    .filter(({ path }) => !path.split('/').every((part) => /^[a-z0-9]+(?:-[a-z0-9]+)*(?:_test)?(?:\.[a-z0-9]+)*$/.test(part)))
    .map(({ path }) => `${path} is not kebab-case`),
  broken: [made('cli/apiClient.ts', ''), made('cli/some_thing.ts', ''), made('policies/Packs/a.rego', ''), made('bin/Setup', '')],
};

/** Tests of no one source: of the whole from outside, of old wounds, of the tests' own means. */
const mirrorsNothing = /^test\/(?:end-to-end|advisories|clients|fixtures|helpers|sandbox\/escapes)\/|^test\/architecture\.test\.ts$/;

const mirrorLaw: Law = {
  title: "tests mirror the sources: each lies where its source's folder is, or names the folder",
  breaches: (files) => {
    const folders = new Set(files.flatMap(({ path }) => path.split('/').map((_part, index, parts) => parts.slice(0, index).join('/'))));
    return files
      .map(({ path }) => path)
      .filter((path) => path.startsWith('test/') && path.endsWith('.test.ts') && !mirrorsNothing.test(path))
      .filter((path) => {
        const mirrored = path.slice('test/'.length, -'.test.ts'.length);
        return !folders.has(mirrored) && (!mirrored.includes('/') || !folders.has(mirrored.slice(0, mirrored.lastIndexOf('/'))));
      })
      .map((path) => `${path} mirrors no folder`);
  },
  broken: [made('test/proxy/gone.test.ts', ''), made('test/loose.test.ts', '')],
};

/** Good enough for looking for words: block comments and whole-line comments. */
function withoutComments(text: SourceFile['text']): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

export const sourceLaws: readonly Law[] = [lengthLaw, environmentLaw, outboundLaw, exportLaw, nameLaw, mirrorLaw];
