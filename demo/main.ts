/**
 * `npm run demo`: makes a small internet in namespaces of its own, lets a jailed agent do its job there and then try to get out, and
 * tells what arrived where. A hole makes it end with 1.
 */
import { fileURLToPath } from 'node:url';
import { enterWorld } from '../test/helpers/world/launch.ts';

const play = fileURLToPath(new URL('./play.ts', import.meta.url));
const run = await enterWorld([process.execPath, '--disable-warning=ExperimentalWarning', play]);
if (run.missing !== undefined) console.error(`The demo needs namespaces for its small internet, and this machine gives none: ${run.missing}`);
process.exitCode = await run.ended;
