import { fileURLToPath } from 'node:url';
import type { Child, Children, StartOptions } from './children.ts';

/** A script of this bench in a process of its own. */
export function startNode(children: Children, name: string, script: URL, options: StartOptions): Child {
  return children.start(name, process.execPath, ['--disable-warning=ExperimentalWarning', fileURLToPath(script)], options);
}
