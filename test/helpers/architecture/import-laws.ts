import { made, type Law } from './laws.ts';
import { importsOf, isCode, packageOf, topFolder, type SourceFile } from './source-files.ts';

/** Which of our folders each folder may import from, besides itself. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  contracts: [],
  engine: ['contracts'],
  proxy: ['contracts', 'engine'],
  'control-plane': ['contracts', 'engine'],
  sandbox: ['contracts', 'engine'],
  console: ['contracts'],
  cli: ['contracts', 'engine', 'proxy', 'control-plane', 'sandbox', 'console'],
  bench: ['contracts', 'engine', 'proxy', 'control-plane', 'sandbox', 'cli', 'test'],
  demo: ['contracts', 'test'],
  test: ['contracts', 'engine', 'proxy', 'control-plane', 'sandbox', 'console', 'cli', 'bench', 'demo'],
};

const dependencyLaw: Law = {
  title: 'contracts <- engine <- everything; proxy, control-plane and sandbox never import each other; nothing imports what it ships without',
  breaches: (files) => files.filter(isCode).flatMap((file) => {
    const from = topFolder(file.path);
    if (from === '') return [];
    const allowed = mayImport[from];
    if (allowed === undefined) return [`${file.path}: code has no place in ${from}/`];
    return importsOf(file)
      .filter(({ isOurs, target }) => isOurs && topFolder(target) !== from && !allowed.includes(topFolder(target)))
      .map(({ target }) => `${file.path} imports ${target}`);
  }),
  broken: [
    made('contracts/a.ts', "import { b } from '../engine/b.ts';"),
    made('proxy/a.ts', "import type { b } from '../control-plane/b.ts';"),
    made('sandbox/a.ts', "const { b } = await import('../proxy/b.ts');"),
    made('console/a.ts', "export { b } from '../engine/b.ts';"),
    made('cli/a.ts', "import {\n  b,\n} from '../test/helpers/b.ts';"),
    made('control-plane/a.ts', "new Worker(new URL('../proxy/b.ts', import.meta.url));"),
    made('policies/a.ts', ''),
  ],
};

const computing: ReadonlySet<string> = new Set(['node:crypto', 'node:buffer', 'node:util', 'node:url']);
const computingNames = /^(?:isIP|isIPv4|isIPv6|BlockList|SocketAddress)$/;

const pureContracts: Law = {
  title: 'contracts/ does no I/O: of Node it imports only what computes',
  breaches: (files) => files.filter((file) => isCode(file) && topFolder(file.path) === 'contracts').flatMap((file) => importsOf(file)
    .filter(({ target, isOurs }) => !isOurs && target.startsWith('node:') && !computing.has(target))
    .filter(({ target }) => target !== 'node:net' || !namesTaken(file, target).every((name) => computingNames.test(name)))
    .map(({ target }) => `${file.path} imports ${target}`)),
  broken: [made('contracts/a.ts', "import { readFileSync } from 'node:fs';"), made('contracts/b.ts', "import { isIP, connect } from 'node:net';")],
};

const sliceParts = ['rules', 'store', 'commands', 'routes', 'loop'] as const;
type SlicePart = (typeof sliceParts)[number];
/** What the parts of a slice may import of the parts of its own. Another slice's commands and rules are open, its store never. */
const ownParts: Readonly<Record<SlicePart, readonly SlicePart[]>> = {
  rules: [],
  store: ['rules'],
  commands: ['rules', 'store'],
  routes: ['rules', 'commands'],
  loop: ['rules', 'commands', 'store'],
};

const sliceOf = (path: string): { readonly slice: string; readonly part: SlicePart | undefined } | undefined => {
  const match = /^control-plane\/([^/]+)\/(?:.*\/)?([^/]+)\.ts$/.exec(path);
  if (match === null) return undefined;
  return { slice: match[1] ?? '', part: sliceParts.find((part) => part === match[2]) };
};

const sliceLaw: Law = {
  title: "inside the control plane: routes -> commands -> rules, commands -> own store; another slice's store is off limits",
  breaches: (files) => files.filter((file) => isCode(file) && topFolder(file.path) === 'control-plane').flatMap((file) => {
    const from = sliceOf(file.path);
    return importsOf(file).flatMap(({ target, isOurs, clause }) => {
      const to = isOurs ? sliceOf(target) : undefined;
      if (to?.part === undefined) return [];
      const same = from?.slice === to.slice;
      if (to.part === 'store' && !same) return [`${file.path} imports another slice's store: ${target}`];
      if (same && from.part !== undefined && !ownParts[from.part].includes(to.part)) return [`${file.path} imports ${target}`];
      // A type alone brings no behaviour along.
      const isType = /^type\s/.test(clause);
      if (!same && !isType && (from?.part === 'rules' || from?.part === 'store') && to.part !== 'rules') return [`${file.path} imports ${target}`];
      if (!same && from?.part === 'commands' && (to.part === 'routes' || to.part === 'loop')) return [`${file.path} imports ${target}`];
      return [];
    });
  }),
  broken: [
    made('control-plane/runs/rules.ts', "import { a } from './store.ts';"),
    made('control-plane/runs/routes.ts', "import { a } from './store.ts';"),
    made('control-plane/runs/store.ts', "import { a } from './commands.ts';"),
    made('control-plane/runs/commands.ts', "import { a } from '../budgets/store.ts';"),
    made('control-plane/app.ts', "import { a } from './budgets/store.ts';"),
    made('control-plane/audit/rules.ts', "import { a } from '../runs/commands.ts';"),
  ],
};

/** Where each third-party package may enter, and, for those that security rests on, in how many files. Tests may use any. */
const packages: Readonly<Record<string, { readonly where: RegExp; readonly files?: number }>> = {
  '@open-policy-agent/opa-wasm': { where: /^engine\//, files: 1 },
  'http-proxy-3': { where: /^proxy\/internal\//, files: 1 },
  'prom-client': { where: /^control-plane\/http\//, files: 1 },
  pg: { where: /^control-plane\/database\//, files: 1 },
  '@electric-sql/pglite': { where: /^control-plane\/database\// },
  'node-cron': { where: /^control-plane\/schedules\//, files: 1 },
  // Its HTTP parser, and the control plane's client towards the proxy.
  undici: { where: /^(?:proxy\/wire\/|control-plane\/http\/egress\.ts$)/, files: 2 },
  kysely: { where: /^control-plane\// },
  koa: { where: /^control-plane\/(?:http\/|[^/]+\.ts$|[^/]+\/routes\.ts$)/ },
  '@koa/router': { where: /^control-plane\/(?:http\/|[^/]+\.ts$|[^/]+\/routes\.ts$)/ },
  // Also where bytes from outside a process are read: the API's edge, the worker's own disk, policy folders.
  zod: { where: /^(?:contracts\/|engine\/|control-plane\/(?:http\/|[^/]+\/routes\.ts$)|proxy\/record\/|proxy\/intercept\/authority\/state\.ts$|.*\/config\.ts$)/ },
  commander: { where: /^cli\// },
  pino: { where: /^(?:.*\/main\.ts$|.*\/log\.ts$)/ },
  ava: { where: /^test\// },
  'fast-check': { where: /^test\// },
};

const guarded = Object.keys(packages).filter((name) => packages[name]?.files !== undefined);

const packageLaw: Law = {
  title: 'third-party packages enter only where they may, and those that security rests on in exactly one file',
  breaches: (files) => {
    const users = new Map<string, string[]>();
    const misplaced: string[] = [];
    for (const file of files.filter((one) => isCode(one) && !['', 'test'].includes(topFolder(one.path)))) {
      // Also named as a text, for a `require` of our own making.
      const named = guarded.filter((name) => new RegExp(`['"]${name}(?:/[^'"]*)?['"]`).test(file.text));
      for (const name of new Set([...importsOf(file).map((entry) => packageOf(entry)), ...named])) {
        if (name === undefined) continue;
        const rule = packages[name];
        if (rule === undefined) misplaced.push(`${file.path} imports ${name}, which the list of packages does not know`);
        else if (topFolder(file.path) === 'bench') continue;
        else if (!rule.where.test(file.path)) misplaced.push(`${file.path} may not import ${name}`);
        else users.set(name, [...(users.get(name) ?? []), file.path]);
      }
    }
    const tooMany = [...users].filter(([name, paths]) => paths.length > (packages[name]?.files ?? Infinity))
      .map(([name, paths]) => `${name} enters in more files than it may: ${paths.join(', ')}`);
    return [...misplaced, ...tooMany];
  },
  broken: [
    made('engine/a.ts', "import opa from '@open-policy-agent/opa-wasm';"),
    made('engine/b.ts', "import opa from '@open-policy-agent/opa-wasm';"),
    made('proxy/a.ts', "import { Client } from 'pg';"),
    made('proxy/accept/a.ts', "const file = 'undici/lib/llhttp/llhttp-wasm.js';"),
    made('cli/a.ts', "import pad from 'left-pad';"),
    made('cli/b.ts', "import test from 'ava';"),
  ],
};

export const importLaws: readonly Law[] = [dependencyLaw, pureContracts, sliceLaw, packageLaw];

/** For the law on outbound clients: the names that a file takes of a module. */
export function namesTaken(file: SourceFile, module: string): readonly string[] {
  return importsOf(file)
    .filter(({ target, clause }) => target === module && !/^type\s/.test(clause))
    .flatMap(({ clause }) => clause.replace(/[{}]/g, ',').split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && !name.startsWith('type '));
}
