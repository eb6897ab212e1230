'use strict';
/**
 * Starts main.ts, from compiled code where there is some: without it, types are stripped from every file at every start, which
 * takes longer than all else that a command does. Plain JavaScript, so that this file needs no stripping, and an old Node can read it.
 */
const { lstatSync, mkdirSync } = require('node:fs');
const nodeModule = require('node:module');
const { homedir } = require('node:os');
const { join } = require('node:path');

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`sallyport: This needs Node 24, and this is Node ${process.versions.node}.\n  Run npm install in the project folder, and start bin/sallyport.\n`);
  process.exit(69);
}

/**
 * The cache is code, so it is used only where nobody else may write: under sudo with the HOME of another person there is none.
 * Undefined costs time, nothing else.
 */
function compileCacheFolder() {
  const own = (folder) => {
    const stats = lstatSync(folder);
    return stats.isDirectory() && stats.uid === process.geteuid() && (stats.mode & 0o022) === 0;
  };
  try {
    const cache = join(homedir(), '.cache');
    const folder = join(cache, 'sallyport');
    if (!own(homedir())) return undefined;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return own(cache) && own(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

const folder = compileCacheFolder();
if (folder !== undefined) nodeModule.enableCompileCache(folder);
import('./main.ts');
