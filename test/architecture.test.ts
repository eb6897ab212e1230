import test from 'ava';
import { fileURLToPath } from 'node:url';
import { importLaws } from './helpers/architecture/import-laws.ts';
import { importsOf, packageOf, sourceFiles } from './helpers/architecture/source-files.ts';
import { sourceLaws } from './helpers/architecture/source-laws.ts';

const files = sourceFiles(fileURLToPath(new URL('..', import.meta.url)));

for (const law of [...importLaws, ...sourceLaws]) {
  test(law.title, (t) => {
    t.deepEqual(law.breaches(files), []);
  });

  test(`it is noticed when this is broken: ${law.title}`, (t) => {
    const told = law.breaches(law.broken);
    for (const { path } of law.broken) t.true(told.some((text) => text.includes(path)), `${path} is not noticed`);
    t.true(told.length > 0);
  });
}

test('imports are read in every form that they are written in', (t) => {
  const text = [
    "import one from 'a';",
    "import { two,\n  three } from '../b/c.ts';",
    "import type { Four } from './d.ts';",
    "import 'e';",
    "export * from './f.ts';",
    "const g = await import('g/deep/path.js');",
    "const h = require('@scope/h/i');",
    "new Worker(new URL('./j.cjs', import.meta.url));",
    "// import k from 'k';",
    " * import l from 'l';",
  ].join('\n');
  const found = importsOf({ path: 'x/y.ts', text });
  t.deepEqual(found.map(({ target }) => target), ['a', 'b/c.ts', 'x/d.ts', 'x/f.ts', 'e', 'g/deep/path.js', '@scope/h/i', 'x/j.cjs']);
  t.deepEqual(found.flatMap((entry) => packageOf(entry) ?? []), ['a', 'e', 'g', '@scope/h']);
});

test('the laws look at the project itself', (t) => {
  const paths = files.map(({ path }) => path);
  for (const expected of ['contracts/errors.ts', 'bin/setup', 'test/architecture.test.ts']) t.true(paths.includes(expected), expected);
  t.false(paths.some((path) => path.startsWith('node_modules/')));
});
